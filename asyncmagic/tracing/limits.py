"""What limited a run, in one sentence: the limit, a pool, a rate limit, a blocked loop, one slow agent."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise
from pathlib import PurePath
from statistics import median

from asyncmagic.tracing import semconv
from asyncmagic.tracing.critical_path import begin
from asyncmagic.tracing.intervals import covered
from asyncmagic.tracing.model import Span
from asyncmagic.tracing.reading import Reading
from asyncmagic.tracing.wording import count, duration, percent

TOO_MANY_REQUESTS = 429
#: Below this share of the wall time a cause is not worth naming.
NOTABLE = 0.1
_CELL_FILES = re.compile(r"<ipython-input|ipykernel_\d+|^<.*>$")

#: The seconds that the run could have been shorter without it, and the sentence that says so.
Cause = tuple[float, str]


def what_limited(read: Reading) -> str:
    """Say what the run could have been shorter without, or that nothing held it back.

    Each cause is weighed by the seconds that it may have cost: a limit and a pool of threads or processes by what the
    run took beyond its longest agent, a blocked loop by the time it was blocked, one slow agent by how long it ran on
    alone, the others by their part of the critical path. The heaviest is named if it is a tenth of the wall time or
    more.
    """
    wall = read.wall
    if wall <= 0:
        return ""
    refused = _rate_limit(read)
    causes = [
        refused,
        _blocked_loop(read),
        _connection_pool(read),
        _pool_of(read, "thread"),
        _pool_of(read, "process"),
        _slow_agent(read),
        _turns(read),
        _one_after_another(read),
    ]
    if refused[0] < NOTABLE * wall:  # else more in flight would only be refused sooner
        causes.append(_limit(read))
    cost, sentence = max(causes)
    return sentence if cost >= NOTABLE * wall else _nothing(read)


def place(span: Span) -> str:
    """Return where in the code a span comes from: `cell [3]:7`, `line 7` of a cell, `tools.py:12`, or nothing."""
    line, file = span.attributes.get(semconv.CODE_LINE), span.attributes.get(semconv.CODE_FILE)
    if line is None:
        return ""
    if cell := span.attributes.get(semconv.CODE_CELL):
        return f"{cell}:{line}"
    return f"line {line}" if file is None or _CELL_FILES.search(str(file)) else f"{PurePath(str(file)).name}:{line}"


def _blocked_loop(read: Reading) -> Cause:
    places: dict[str, float] = defaultdict(float)
    for span in read.blocked:
        places[f"`{span.name}`" + (f" ({where})" if (where := place(span)) and where not in span.name else "")] += (
            read.seconds(span)
        )
    if not places:
        return 0.0, ""
    worst = max(places, key=lambda name: places[name])
    total = sum(places.values())
    others = f", {worst} most of all" if len(places) > 1 else ""
    who = count(len(places), "line") if len(places) > 1 else worst
    share = percent(min(total / read.wall, 1.0))
    return total, f"A blocked loop: {who} held it for {duration(total)} ({share}){others}; nothing else could run."


def _rate_limit(read: Reading) -> Cause:
    refused = {
        attempt.span_id
        for tries in read.attempts.values()
        for attempt in tries
        if attempt.attributes.get(semconv.HTTP_STATUS) == TOO_MANY_REQUESTS
    }
    cost = 0.0
    before: Span | None = None
    for step in read.path:
        # The refused attempt, and after it the time in which the call waits to try again.
        if step.span.span_id in refused or (before is not None and step.span.span_id == before.parent_id):
            cost += step.seconds
        before = step.span if step.span.span_id in refused else None
    attempted = f"{count(len(refused), 'attempt was', 'attempts were')} refused (429)"
    return cost, f"A rate limit: {attempted}, and trying again took {duration(cost)} of {duration(read.wall)}."


def _connection_pool(read: Reading) -> Cause:
    waits = {step.span.span_id: step.span.attributes.get(semconv.CONNECTION_WAIT) for step in read.path}
    cost = sum(wait for wait in waits.values() if isinstance(wait, int | float))
    share = percent(min(cost / read.wall, 1.0))
    return cost, f"The connection pool: {duration(cost)} ({share}) went into waiting for a free connection."


def _pool_of(read: Reading, kind: str) -> Cause:
    waits = [wait for waits in read.pool_waits.values() for wait in waits if wait.span.kind == kind]
    if not waits:
        return 0.0, ""
    jobs = [job for job in read.spans if job.kind == kind and job.states]
    units = read.agents or jobs
    idle = {unit.span_id: covered(read.idle.get(unit.span_id, ())) for unit in units}
    longest = max(read.end(unit) - begin(unit, read.now) - idle[unit.span_id] for unit in units) / 1e9
    stretch = (max(map(read.end, units)) - min(unit.start for unit in units)) / 1e9
    held = covered((wait.start, wait.end) for wait in waits) / 1e9
    mean = sum(wait.end - wait.start for wait in waits) / len(jobs) / 1e9
    full = max(str(wait.span.attributes.get(semconv.POOL) or "") for wait in waits)
    busy, _, _ = full.partition(",")
    return min(held, stretch - longest), (
        f"The {kind} pool: {f'with {busy}, ' if busy else ''}jobs queued {duration(mean)} on average, "
        f"and the longest {'agent' if read.agents else 'job'} took {duration(longest)} without that."
    )


def _limit(read: Reading) -> Cause:
    queued = [read.begin(agent) - agent.start for agent in read.agents]
    if not any(queued):
        return 0.0, ""
    longest = max(read.end(agent) - read.begin(agent) for agent in read.agents) / 1e9
    limit = read.root.attributes.get(semconv.LIMIT)
    name = f"`--limit {limit}`" if limit is not None else "The limit"
    mean = sum(queued) / len(queued) / 1e9
    held = covered((agent.start, read.begin(agent)) for agent in read.agents) / 1e9
    return min(held, _stretch(read) - longest), (
        f"{name}: agents queued {duration(mean)} on average, and the longest took {duration(longest)} once it ran."
    )


def _turns(read: Reading) -> Cause:
    waits = [wait for turns in read.turns.values() for wait in turns]
    kinds: dict[str, int] = defaultdict(int)
    for start, end, detail in waits:
        if detail.startswith(("lock", "semaphore")):
            kinds[detail] += end - start
    if not kinds:
        return 0.0, ""
    worst = max(kinds, key=lambda detail: kinds[detail])
    waited = {
        agent.span_id: sum(end - start for start, end, _ in read.turns.get(agent.span_id, ())) for agent in read.agents
    }
    longest = max(read.end(agent) - read.begin(agent) - waited[agent.span_id] for agent in read.agents) / 1e9
    held = covered((start, end) for start, end, _ in waits) / 1e9
    mean = kinds[worst] / len(read.agents) / 1e9
    return min(held, _stretch(read) - longest), (
        f"A {worst.replace(' (', ' of your own (', 1)}: agents waited {duration(mean)} "
        f"for their turn on average, and the longest took {duration(longest)} without that."
    )


def _stretch(read: Reading) -> float:
    """Return the seconds from the first agent's start to the last one's end."""
    return (max(map(read.end, read.agents)) - min(agent.start for agent in read.agents)) / 1e9


def _slow_agent(read: Reading) -> Cause:
    if len(read.agents) < 2:
        return 0.0, ""
    *others, last = sorted(read.agents, key=lambda agent: read.end(agent))
    alone = (read.end(last) - read.end(others[-1])) / 1e9
    longer = read.seconds(last) - median(read.seconds(agent) for agent in others)
    who = "the other" if len(others) == 1 else f"the other {len(others):,}"
    return min(alone, longer), f"One slow agent: `{last.name}` ran on for {duration(alone)} after {who} had finished."


def _one_after_another(read: Reading) -> Cause:
    spent = sorted((call.start, read.end(call)) for call in read.calls)
    if len(read.agents) > 1 or len(read.calls) < 2 or any(later < end for (_, end), (later, _) in pairwise(spent)):
        return 0.0, ""
    times = [read.seconds(call) for call in read.calls]
    return sum(times) - max(times), (
        f"One call after another: the {len(read.calls):,} calls took {duration(sum(times))}; where none needs "
        f"another's answer, started together they take {duration(max(times))}."
    )


def _nothing(read: Reading) -> str:
    shares: dict[str, float] = defaultdict(float)
    for key, time in read.shares.items():
        shares[read.trace[key].name] += time / 1e9
    name, seconds = max(shares.items(), key=lambda item: item[1], default=("", 0.0))
    most = f"{percent(seconds / read.wall)} of the time went into `{name}`."
    if len(read.agents) < 2:
        return most
    last = max(read.agents, key=lambda agent: read.end(agent))
    if read.seconds(last) < (1 - NOTABLE) * read.wall:
        return most
    return f"Nothing held it back: it took as long as its longest agent, `{last.name}`; {most}"
