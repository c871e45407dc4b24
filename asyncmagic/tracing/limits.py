"""What limited a run, in one sentence: the limit, the connection pool, a rate limit, a blocked loop, one slow agent."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import PurePath
from statistics import median

from asyncmagic.tracing import semconv
from asyncmagic.tracing.critical_path import PathStep, begin
from asyncmagic.tracing.intervals import covered
from asyncmagic.tracing.model import Span
from asyncmagic.tracing.wording import count, duration, percent

TOO_MANY_REQUESTS = 429
#: Below this share of the wall time a cause is not worth naming.
NOTABLE = 0.1
_CELL_FILES = re.compile(r"<ipython-input|ipykernel_\d+|^<.*>$")

#: The seconds that the run could have been shorter without it, and the sentence that says so.
Cause = tuple[float, str]


def what_limited(
    root: Span,
    *,
    agents: Sequence[Span],
    calls: Sequence[Span],
    attempts: Mapping[int, Sequence[Span]],
    blocked: Sequence[Span],
    path: Sequence[PathStep],
    now: int,
) -> str:
    """Say what the run could have been shorter without, or that nothing held it back.

    Each cause is weighed by the seconds that it may have cost: a limit by what the run took beyond its longest agent, a
    blocked loop by the time it was blocked, one slow agent by how long it ran on alone, the others by their part of
    the critical path. The heaviest is named if it is a tenth of the wall time or more.
    """
    wall = (_end(root, now) - root.start) / 1e9
    if wall <= 0:
        return ""
    refused = _rate_limit(attempts, path, wall)
    causes = [
        refused,
        _blocked_loop(blocked, wall, now),
        _connection_pool(path, wall),
        _slow_agent(agents, now),
        _one_after_another(agents, calls, now),
    ]
    if refused[0] < NOTABLE * wall:  # else more in flight would only be refused sooner
        causes.append(_limit(root, agents, now))
    cost, sentence = max(causes)
    return sentence if cost >= NOTABLE * wall else _nothing(agents, path, wall, now)


def place(span: Span) -> str:
    """Return where in the code a span comes from: `line 7` of a cell, `tools.py:12`, or nothing."""
    line, file = span.attributes.get(semconv.CODE_LINE), span.attributes.get(semconv.CODE_FILE)
    if line is None:
        return ""
    return f"line {line}" if file is None or _CELL_FILES.search(str(file)) else f"{PurePath(str(file)).name}:{line}"


def _blocked_loop(blocked: Sequence[Span], wall: float, now: int) -> Cause:
    places: dict[str, float] = defaultdict(float)
    for span in blocked:
        places[f"`{span.name}`" + (f" ({where})" if (where := place(span)) else "")] += _seconds(span, now)
    if not places:
        return 0.0, ""
    worst = max(places, key=lambda name: places[name])
    total = sum(places.values())
    others = f", {worst} most of all" if len(places) > 1 else ""
    who = count(len(places), "line") if len(places) > 1 else worst
    share = percent(min(total / wall, 1.0))
    return total, f"A blocked loop: {who} held it for {duration(total)} ({share}){others}; nothing else could run."


def _rate_limit(attempts: Mapping[int, Sequence[Span]], path: Sequence[PathStep], wall: float) -> Cause:
    refused = {
        attempt.span_id
        for tries in attempts.values()
        for attempt in tries
        if attempt.attributes.get(semconv.HTTP_STATUS) == TOO_MANY_REQUESTS
    }
    cost = 0.0
    before: Span | None = None
    for step in path:
        # The refused attempt, and after it the time in which the call waits to try again.
        if step.span.span_id in refused or (before is not None and step.span.span_id == before.parent_id):
            cost += step.seconds
        before = step.span if step.span.span_id in refused else None
    attempted = f"{count(len(refused), 'attempt was', 'attempts were')} refused (429)"
    return cost, f"A rate limit: {attempted}, and trying again took {duration(cost)} of {duration(wall)}."


def _connection_pool(path: Sequence[PathStep], wall: float) -> Cause:
    waits = {step.span.span_id: step.span.attributes.get(semconv.CONNECTION_WAIT) for step in path}
    cost = sum(wait for wait in waits.values() if isinstance(wait, int | float))
    share = percent(min(cost / wall, 1.0))
    return cost, f"The connection pool: {duration(cost)} ({share}) went into waiting for a free connection."


def _limit(root: Span, agents: Sequence[Span], now: int) -> Cause:
    queued = [begin(agent, now) - agent.start for agent in agents]
    if not any(queued):
        return 0.0, ""
    longest = max(_end(agent, now) - begin(agent, now) for agent in agents) / 1e9
    stretch = (max(_end(agent, now) for agent in agents) - min(agent.start for agent in agents)) / 1e9
    limit = root.attributes.get(semconv.LIMIT)
    name = f"`--limit {limit}`" if limit is not None else "The limit"
    mean = sum(queued) / len(queued) / 1e9
    held = covered((agent.start, begin(agent, now)) for agent in agents) / 1e9
    return min(held, stretch - longest), (
        f"{name}: agents queued {duration(mean)} on average, and the longest took {duration(longest)} once it ran."
    )


def _slow_agent(agents: Sequence[Span], now: int) -> Cause:
    if len(agents) < 2:
        return 0.0, ""
    *others, last = sorted(agents, key=lambda agent: _end(agent, now))
    alone = (_end(last, now) - _end(others[-1], now)) / 1e9
    longer = _seconds(last, now) - median(_seconds(agent, now) for agent in others)
    who = "the other" if len(others) == 1 else f"the other {len(others):,}"
    return min(alone, longer), f"One slow agent: `{last.name}` ran on for {duration(alone)} after {who} had finished."


def _one_after_another(agents: Sequence[Span], calls: Sequence[Span], now: int) -> Cause:
    spent = sorted((call.start, _end(call, now)) for call in calls)
    if len(agents) > 1 or len(calls) < 2 or any(later < end for (_, end), (later, _) in pairwise(spent)):
        return 0.0, ""
    times = [_seconds(call, now) for call in calls]
    return sum(times) - max(times), (
        f"One call after another: the {len(calls):,} calls took {duration(sum(times))}; where none needs another's "
        f"answer, started together they take {duration(max(times))}."
    )


def _nothing(agents: Sequence[Span], path: Sequence[PathStep], wall: float, now: int) -> str:
    shares: dict[str, float] = defaultdict(float)
    for step in path:
        shares[step.span.name] += step.seconds
    name, seconds = max(shares.items(), key=lambda item: item[1], default=("", 0.0))
    most = f"{percent(seconds / wall)} of the time went into `{name}`."
    if len(agents) < 2:
        return most
    last = max(agents, key=lambda agent: _end(agent, now))
    return f"Nothing held it back: it took as long as its longest agent, `{last.name}`; {most}"


def _end(span: Span, now: int) -> int:
    return span.end if span.end is not None else max(now, span.start)


def _seconds(span: Span, now: int) -> float:
    return (_end(span, now) - begin(span, now)) / 1e9
