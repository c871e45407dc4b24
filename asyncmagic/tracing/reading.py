"""Reading a trace: one pass over its spans that all figures share."""

from __future__ import annotations

from functools import cached_property

from asyncmagic.tracing.critical_path import PathStep, begin, critical_path
from asyncmagic.tracing.model import Span, Trace

AGENT_KINDS = frozenset(("task", "invoke_agent"))
CALL_KINDS = frozenset(("chat", "embeddings"))

#: What a task waits for until another one lets go of it, sets it or puts something in.
_TURNS = frozenset(("barrier", "condition", "event", "lock", "queue.get", "queue.join", "queue.put", "semaphore"))


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
        for span in self.spans:
            if span.kind == "http" and span.parent_id in every_call:
                self.attempts.setdefault(span.parent_id, []).append(span)
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
        calls = {attempt.span_id: call for call, attempts in self.attempts.items() for attempt in attempts}
        shares: dict[int, int] = {}
        for span, start, end in self.path:
            key = calls.get(span.span_id, span.span_id)
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

    def end(self, span: Span) -> int:
        return span.end if span.end is not None else max(self.now, span.start)

    def seconds(self, span: Span) -> float:
        """Return how long a span took, for an agent without its queueing."""
        return (self.end(span) - self._begins.get(span.span_id, span.start)) / 1e9
