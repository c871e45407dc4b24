"""Figures of a trace: how fast, how parallel, how expensive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from asyncmagic.tracing import semconv
from asyncmagic.tracing.intervals import Interval, covered, merged, most_at_once, without
from asyncmagic.tracing.limits import what_limited
from asyncmagic.tracing.model import Outcome, Span, Trace
from asyncmagic.tracing.reading import Reading
from asyncmagic.tracing.wording import count, duration


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Median and 95th percentile in seconds, linear between ranks: numpy's and pandas' default."""

    p50: float
    p95: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Percentiles | None:
        """Return the percentiles, or `None` where there are no values."""
        ranked = sorted(values)
        return cls(_quantile(ranked, 0.50), _quantile(ranked, 0.95)) if ranked else None


@dataclass(slots=True)
class AgentFigures:
    """One agent's part of the run: its states in seconds, the calls made by it and by all that it started."""

    span: Span
    seconds: float
    queued: float = 0.0
    running: float = 0.0
    waiting: float = 0.0
    ready: float = 0.0
    calls: int = 0
    retries: int = 0
    tokens: int = 0
    first_token: float | None = None  # the longest of its calls


class Share(NamedTuple):
    """How long the run waited for this span itself, in seconds and as a share of the wall time."""

    span: Span
    seconds: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What can be counted in one quick pass, also while the trace grows; times in seconds.

    `errors` are the places where an error began; an attempt that was retried is a retry, not an error. `failed` and
    `cancelled` count agents. Tokens and cost are those that the services reported, `cost` in US dollars.
    """

    is_running: bool
    wall: float
    agent_count: int
    failed: int
    cancelled: int
    calls: int
    attempts: int
    retries: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: float | None
    blocked: float
    dropped_spans: int
    one_by_one: float | None = None
    speedup: float | None = None
    #: Of several runs in one picture: the name and the seconds of each.
    runs: tuple[tuple[str, float], ...] = ()

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def headline(self) -> str:
        """Return the run in one line: `6 agents · 2.1 s instead of 6.3 s (3.0×) · 4,210 tokens · 1 retry`."""
        if self.runs:
            return self._headline_of_runs()
        parts = [count(self.agent_count, "agent")] if self.agent_count else []
        time = duration(self.wall) + (" so far" if self.is_running else "")
        if self.one_by_one is not None and self.speedup is not None and self.speedup >= 1.05 and not self.is_running:
            time += f" instead of {duration(self.one_by_one)} ({self.speedup:.1f}×)"
        parts.append(time)
        if self.calls and not self.agent_count:
            parts.append(count(self.calls, "call"))
        if self.tokens:
            parts.append(count(self.tokens, "token"))
        if self.retries:
            parts.append(count(self.retries, "retry", "retries"))
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        elif self.errors:
            parts.append(count(self.errors, "error"))
        if self.cancelled:
            parts.append(f"{self.cancelled:,} cancelled")
        if self.blocked:
            parts.append(f"loop blocked {duration(self.blocked)}")
        if self.dropped_spans:
            parts.append(f"{count(self.dropped_spans, 'span')} not kept")
        return " · ".join(parts)

    def _headline_of_runs(self) -> str:
        times = [seconds for _, seconds in self.runs]
        if len(times) <= 3:
            parts = [f"{name} {duration(seconds)}" for name, seconds in self.runs]
        else:
            parts = [f"{len(times)} runs of {duration(min(times))} to {duration(max(times))}"]
        if self.agent_count:
            parts.append(count(self.agent_count, "agent"))
        return " · ".join([*parts, count(self.tokens, "token")] if self.tokens else parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Counts):
    """The figures of one trace; all times in seconds, `None` where there is nothing to measure.

    `one_by_one` is the wall time if the agents had run one after another: the wall time itself plus all the time in
    which an agent worked beside another one. Queueing, waiting for the loop, for a free thread, process or connection
    and for another agent (its end, its lock, its message) count as no work, since one after another they would not
    occur. `speedup` is `one_by_one / wall`, both `None` where most agents were cut short; `parallelism` is the mean
    number of agents at work while any was, `most_in_flight` the most that had begun and not ended.
    Latencies are without the time that a blocked loop added, which is `blocked`.
    """

    agents: tuple[AgentFigures, ...]
    agents_time: float
    parallelism: float | None
    most_in_flight: int
    critical_path: tuple[Share, ...]
    limited_by: str
    latency: Percentiles | None
    first_token: Percentiles | None


def summarize(trace: Trace, *, now: int | None = None) -> Summary:
    """Return the figures of a trace, finished or not; `now` (ns of its clock) is where open spans are cut off."""
    read = Reading(trace, now)
    counts = _counts(read)
    busy, some = _at_work(read)
    most = most_at_once((read.begin(agent), read.end(agent)) for agent in read.agents)
    agents = _agent_figures(read)
    return Summary(
        **{item.name: getattr(counts, item.name) for item in fields(Counts)} | _speed(read, busy, some),
        agents=agents,
        agents_time=sum(agent.seconds for agent in agents),
        parallelism=busy / some if some else None,
        most_in_flight=most,
        critical_path=tuple(
            Share(trace[key], time / 1e9, time / 1e9 / counts.wall) for key, time in read.shares.items()
        ),
        limited_by=what_limited(read),
        latency=Percentiles.of(latency(call) for call in read.calls if call.outcome == "done"),
        first_token=Percentiles.of(token for call in read.calls if (token := first_token(call)) is not None),
    )


def headline(read: Reading) -> str:
    """Return the headline of a trace, see `Summary.headline`; cheaper than `summarize`, above all while it runs."""
    counts = _counts(read)
    return (counts if counts.is_running else replace(counts, **_speed(read, *_at_work(read)))).headline()


def progress(read: Reading) -> str:
    """Return how far a run is: `137 of 500 done, 8 in flight, 2 failed, about 40 s left`.

    The time left is an estimate: each agent in flight takes as long as the mean of those done, and those queued share
    the places in flight. Nothing is said of it before the first agent is done, nor when all take longer than that.
    """
    times: dict[Outcome, list[float]] = defaultdict(list)
    queued = 0
    for agent in read.agents:
        if read.is_queued(agent):
            queued += 1
        else:
            times[agent.outcome].append(read.seconds(agent))
    done, in_flight = times["done"], times["open"]
    parts = [f"{len(done):,} of {len(read.agents):,} done"]
    parts += [f"{len(in_flight):,} in flight"] if in_flight else []
    parts += [f"{len(ended):,} {outcome}" for outcome, ended in sorted(times.items()) if outcome in _ENDED_BADLY]
    if done and in_flight:
        mean = sum(done) / len(done)
        rest = [max(mean - age, 0.0) for age in in_flight]
        left = max((mean * queued + sum(rest)) / len(in_flight), *rest)
        if left:
            parts.append(f"about {duration(left, rough=True)} left")
    return ", ".join(parts)


_ENDED_BADLY = ("cancelled", "failed")


def latency(call: Span) -> float:
    """Return the seconds a call took, without what a blocked loop added."""
    assert call.end is not None
    return max((call.end - call.start) / 1e9 - _number(call, semconv.BLOCKED_TIME_TO_END), 0.0)


def first_token(call: Span) -> float | None:
    """Return the seconds to a call's first token without what a blocked loop added, or `None` where unknown."""
    total = call.attributes.get(semconv.FIRST_CHUNK)
    return max(float(total) - _number(call, semconv.BLOCKED_TIME), 0.0) if isinstance(total, int | float) else None


def first_token_words(call: Span) -> str:
    """Return a call's time to the first token in words: `0.40 s`, or `0.40 s model + 0.75 s your loop`."""
    model, blocked = first_token(call), _number(call, semconv.BLOCKED_TIME)
    if model is None:
        return ""
    return f"{duration(model)} model + {duration(blocked)} your loop" if blocked >= 0.01 else duration(model)


def _reported(read: Reading, name: str) -> list[float]:
    """Return the numbers that the calls have for an attribute, where they have one."""
    values = [call.attributes.get(name) for call in read.calls]
    return [value for value in values if isinstance(value, int | float)]


def _counts(read: Reading) -> Counts:
    """Return what needs only counting."""
    failed = [span for span in read.spans if span.status == "ERROR" and span.kind != "http" and not span.is_internal]
    explained = {above.span_id for span in failed if (above := span.shown_parent()) is not None}
    outcomes = [agent.outcome for agent in read.agents]
    costs = _reported(read, semconv.COST)
    return Counts(
        is_running=read.root.end is None,
        wall=read.wall,
        agent_count=len(read.agents) + sum(map(len, read.runs.values())),
        failed=outcomes.count("failed"),
        cancelled=outcomes.count("cancelled"),
        calls=len(read.calls),
        attempts=sum(len(read.attempts.get(call.span_id, ())) or 1 for call in read.calls),
        retries=sum(len(attempts) - 1 for attempts in read.attempts.values()),
        errors=sum(span.outcome == "failed" and span.span_id not in explained for span in failed),
        input_tokens=int(sum(_reported(read, semconv.INPUT_TOKENS))),
        output_tokens=int(sum(_reported(read, semconv.OUTPUT_TOKENS))),
        cached_tokens=int(sum(_reported(read, semconv.CACHED_TOKENS))),
        cost=sum(costs) if costs else None,
        blocked=sum(read.end(span) - span.start for span in read.blocked) / 1e9,
        dropped_spans=read.trace.dropped_spans,
        runs=tuple(
            (span.name, (read.end(span) - span.start) / 1e9) for span in read.spans if span.span_id in read.runs
        ),
    )


def _at_work(read: Reading) -> tuple[int, int]:
    """Return for how long the agents were at work, each time counted for each agent, and counted once (ns)."""
    work = [interval for agent in read.agents for interval in _work(read, agent)]
    return sum(stop - start for start, stop in work), covered(work)


def _speed(read: Reading, busy: int, some: int) -> dict[str, Any]:
    wall = read.wall
    outcomes = [agent.outcome for agent in read.agents]
    if len(read.agents) < 2 or not wall or outcomes.count("cancelled") > len(read.agents) / 2:
        return {}
    one_by_one = wall + (busy - some) / 1e9
    return {"one_by_one": one_by_one, "speedup": one_by_one / wall}


def _work(read: Reading, agent: Span) -> list[Interval]:
    """Return when the agent did something that it would also do alone."""
    idle = read.idle.get(agent.span_id)
    if not agent.states:
        return without([(agent.start, read.end(agent))], idle or ())
    turns = {start for start, _, _ in read.turns[agent.span_id]}
    work = merged(
        (start, stop)
        for start, stop, state, _ in agent.states.segments(read.end(agent))
        if state == "running" or (state == "waiting" and start not in turns)
    )
    return without(work, idle) if idle else work


def _agent_figures(read: Reading) -> tuple[AgentFigures, ...]:
    """Return what each agent did, its calls found through everything below it."""
    figures: dict[int, AgentFigures] = {}
    for agent in read.agents:
        figures[agent.span_id] = own = AgentFigures(agent, (read.end(agent) - agent.start) / 1e9)
        for start, stop, state, _ in agent.states.segments(read.end(agent)) if agent.states is not None else ():
            setattr(own, state, getattr(own, state) + (stop - start) / 1e9)
    owners: dict[int | None, AgentFigures | None] = {key: own for key, own in figures.items()}  # noqa: C416
    for call in read.calls:
        if call.parent_id not in owners:
            ancestor = read.trace.get(call.parent_id)
            while ancestor is not None and ancestor.span_id not in figures:
                ancestor = read.trace.get(ancestor.parent_id)
            owners[call.parent_id] = figures[ancestor.span_id] if ancestor is not None else None
        if (owner := owners[call.parent_id]) is not None:
            owner.calls += 1
            owner.retries += max(len(read.attempts.get(call.span_id, ())) - 1, 0)
            owner.tokens += int(_number(call, semconv.INPUT_TOKENS) + _number(call, semconv.OUTPUT_TOKENS))
            if (token := first_token(call)) is not None:
                owner.first_token = max(owner.first_token or 0.0, token)
    return tuple(figures.values())


def _quantile(ranked: Sequence[float], share: float) -> float:
    place = share * (len(ranked) - 1)
    low = int(place)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (ranked[high] - ranked[low]) * (place - low)


def _number(span: Span, name: str) -> float:
    value = span.attributes.get(name)
    return value if isinstance(value, int | float) else 0
