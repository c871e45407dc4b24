"""Reading a trace: one pass over its spans that all figures share."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from asyncmagic.tracing.critical_path import PathStep, begin, critical_path
from asyncmagic.tracing.intervals import Interval, without
from asyncmagic.tracing.model import Span, Trace
from asyncmagic.tracing.semconv import CONNECTION_WAIT, FOLLOWED_BY

AGENT_KINDS = frozenset(("task", "invoke_agent"))
CALL_KINDS = frozenset(("chat", "embeddings"))

#: What a task waits for until another one lets go of it, sets it or puts something in.
_TURNS = frozenset(("barrier", "condition", "event", "lock", "queue.get", "queue.join", "queue.put", "semaphore"))


#: Work that is handed to a pool.
POOL_KINDS = frozenset(("process", "thread"))
#: Nanoseconds below which a pool was not full: handing work over takes a moment.
_LEAST_WAIT = 1_000_000


class PoolWait(NamedTuple):
    """When (ns) a job of a thread or process pool, or an HTTP attempt, waited for its turn."""

    span: Span
    start: int
    end: int


class Reading:
    """The spans of a trace by what they are; open ones are cut off at `now` (ns).

    `agents` are the tasks and agents shown directly below the root, `calls` the calls of language models, `attempts`
    the HTTP requests by the id of the call that they belong to.
    """

    def __init__(self, trace: Trace, now: int | None = None) -> None:
        self.trace = trace
        self.spans = trace.spans
        self.root = trace.root
        self.now = now if now is not None else trace.end
        self.agents: list[Span] = []
        self.blocked: list[Span] = []
        #: Several runs in one picture, by the id of their root, each with its agents.
        self.runs: dict[int, list[Span]] = {}
        every_call: dict[int, Span] = {}
        for span in self.spans:
            if span.kind in CALL_KINDS:
                every_call[span.span_id] = span
            elif span.kind == "blocked":
                self.blocked.append(span)
            elif span.kind == "cell" and span is not self.root:
                self.runs[span.span_id] = []
            elif span.kind in AGENT_KINDS and span.parent_id in self.runs:
                self.runs[span.parent_id].append(span)
            elif span.kind in AGENT_KINDS and not span.is_internal and span.shown_parent() is self.root:
                self.agents.append(span)
        # A framework's call around its client's call is one call: the inner one knows the attempts.
        around = {above.span_id for call in every_call.values() if (above := call.shown_parent()) is not None}
        self.calls = [call for call in every_call.values() if call.span_id not in around]
        self.attempts: dict[int, list[Span]] = {}
        self._calls_of: dict[int, int] = {}
        for span in self.spans:
            if span.kind == "http" and span.parent_id in every_call:
                self._calls_of[span.span_id] = span.parent_id
                # What a redirect led to is the same attempt.
                if FOLLOWED_BY not in span.attributes:
                    self.attempts.setdefault(span.parent_id, []).append(span)
        self._owners: dict[int | None, int | None] = {}
        self._begins = {agent.span_id: begin(agent, self.now) for agent in self.agents}

    @property
    def wall(self) -> float:
        """The seconds from the start of the run to its end, or until now."""
        return (self.end(self.root) - self.root.start) / 1e9

    @cached_property
    def path(self) -> list[PathStep]:
        return critical_path(self.root, self.spans, self.now)

    @cached_property
    def shares(self) -> dict[int, int]:
        """The nanoseconds that the run waited for each span, by its id; an attempt counts for its call."""
        shares: dict[int, int] = {}
        for span, start, end in self.path:
            key = self._calls_of.get(span.span_id, span.span_id)
            shares[key] = shares.get(key, 0) + end - start
        return shares

    def begin(self, agent: Span) -> int:
        """Return when an agent was let go; for one that is still queued, now."""
        return self._begins[agent.span_id]

    def is_queued(self, agent: Span) -> bool:
        return agent.end is None and bool(agent.states) and self._begins[agent.span_id] >= self.now > agent.start

    @cached_property
    def turns(self) -> dict[int, list[tuple[int, int, str]]]:
        """For each agent's id, when it waited for another agent's end, lock or message, and for what."""
        turns = _TURNS | {f"task {agent.name}" for agent in self.agents}
        return {
            agent.span_id: [
                (start, end, detail)
                for start, end, state, detail in agent.states.segments(self.end(agent))
                if state == "waiting" and detail and detail.partition(" (")[0] in turns
            ]
            for agent in self.agents
            if agent.states
        }

    @cached_property
    def pool_waits(self) -> dict[int | None, list[PoolWait]]:
        """The waits for a free thread, process or connection, by the id of the agent that waited; `None`: no agent."""
        waits: dict[int | None, list[PoolWait]] = {}
        for span in self.spans:
            if (end := self._pool_wait_end(span)) - span.start >= _LEAST_WAIT:
                waits.setdefault(self._owner(span), []).append(PoolWait(span, span.start, end))
        return waits

    @cached_property
    def idle(self) -> dict[int, list[Interval]]:
        """For each agent's id, when nothing below it did anything but wait for a thread, process or connection (ns)."""
        waiting = [key for key in self.pool_waits if key is not None]
        if not waiting:
            return {}
        parents = {span.parent_id for span in self.spans}
        busy: dict[int, list[Interval]] = {key: [] for key in waiting}
        for span in self.spans:
            is_leaf = span.span_id not in parents and not (span.kind == "task" and span.is_internal)
            if is_leaf and span.kind != "blocked" and (owner := self._owner(span)) in busy and owner != span.span_id:
                busy[owner].append((self._pool_wait_end(span), self.end(span)))
        return {key: without(((start, end) for _, start, end in self.pool_waits[key]), busy[key]) for key in waiting}

    def _pool_wait_end(self, span: Span) -> int:
        """Return until when a span waited for what it needs of a pool; where it did not, its start."""
        if span.kind in POOL_KINDS:
            return begin(span, self.now)
        wait = span.attributes.get(CONNECTION_WAIT) if span.kind == "http" else None
        return span.start + round(wait * 1e9) if isinstance(wait, int | float) else span.start

    def _owner(self, span: Span) -> int | None:
        """Return the id of the agent that a span belongs to, itself included."""
        if span.span_id in self._begins:
            return span.span_id
        if span.parent_id not in self._owners:
            above = self.trace.get(span.parent_id)
            self._owners[span.parent_id] = self._owner(above) if above is not None else None
        return self._owners[span.parent_id]

    def end(self, span: Span) -> int:
        return span.end if span.end is not None else max(self.now, span.start)

    def seconds(self, span: Span) -> float:
        """Return how long a span took, for an agent without its queueing."""
        return (self.end(span) - self._begins.get(span.span_id, span.start)) / 1e9
