"""Span and Trace: what is known of a run, in one schema for the page, the files and the tests."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import le
from typing import Any, Literal, NamedTuple, Protocol

from asyncmagic.registry import load
from asyncmagic.tracing.semconv import LIBRARY

#: OpenTelemetry's attribute values, plus `None` for "not known".
Attribute = str | bool | int | float | Sequence[str] | Sequence[int] | Sequence[float] | None
Attributes = dict[str, Attribute]

#: What a span stands for. Frameworks' other kinds of work are plain `span`.
Kind = Literal[
    "cell",
    "task",
    "thread",
    "process",
    "invoke_agent",
    "execute_tool",
    "handoff",
    "chat",
    "embeddings",
    "http",
    "blocked",
    "span",
]
State = Literal["queued", "running", "waiting", "ready"]
Status = Literal["UNSET", "OK", "ERROR"]
Outcome = Literal["open", "done", "failed", "cancelled"]

STATES: tuple[State, ...] = ("queued", "running", "waiting", "ready")
_CODES = {state: code for code, state in enumerate(STATES)}
#: What a step goes through, after which its task waits again.
_STEP = bytes(_CODES[state] for state in ("waiting", "ready", "running"))
#: From this many changes on, a log is long.
LONG = 2_000


_NONE: Mapping[str, Attribute] = {}


class SpanEvent(NamedTuple):
    """Something that happened at one moment of a span; `time` in nanoseconds of the tracer's clock."""

    name: str
    time: int
    attributes: Mapping[str, Attribute] = _NONE


@dataclass(frozen=True, slots=True)
class Link:
    """A relation to a span that is no parent: the agent a handoff goes to, the task awaited."""

    span_id: int
    name: str = ""


class StateLog:
    """The states a task went through, in columns: 9 bytes a change and a pointer for what it waits for."""

    __slots__ = ("_codes", "_details", "_times")

    def __init__(self) -> None:
        self._times = array("q")
        self._codes = bytearray()
        self._details: list[str | None] = []

    def append(self, time: int, state: State, detail: str | None = None) -> None:
        """Note that from `time` on the task is in `state`; `detail` says what a waiting task waits for."""
        self._times.append(time)
        self._codes.append(_CODES[state])
        self._details.append(sys.intern(detail) if detail is not None else None)

    def append_steps(self, details: list[str | None], ready: list[int], started: list[int], ended: list[int]) -> None:
        """Note steps: of each what the task waited for, when it was ready, when it started and ended.

        The task waits now, or is ready. A step that was ready before the one before it ended has not waited.
        """
        # A column at a time, and then without the waits that were none.
        size = 3 * len(details)
        times, codes = [0] * size, bytearray(_STEP * len(details))
        times[0::3], times[1::3], times[2::3] = ready, started, ended
        waited_for: list[str | None] = [None] * size
        waited_for[0::3] = details
        waited_for[0] = details[0] if details[0] is not None else self._details[-1]
        before = self._times[-1] if self._codes[-1] == _STEP[0] else ready[0]
        has_not_waited = map(le, ready, [before, *ended])
        for position in reversed([*compress(range(0, size, 3), has_not_waited)]):
            del times[position], codes[position], waited_for[position]
        self._times.fromlist(times)
        self._codes[-1:] = codes + _STEP[:1]
        self._details[-1:] = [*waited_for, None]

    @property
    def is_long(self) -> bool:
        """Whether it should only take what is long for its task: so it grows with the logarithm of time."""
        return len(self._times) > LONG

    def amend(self, state: State, detail: str | None = None) -> None:
        """Correct the latest change, now that more is known of it."""
        self._codes[-1] = _CODES[state]
        self._details[-1] = sys.intern(detail) if detail is not None else None

    def drop_last(self) -> None:
        """Take the latest change back."""
        self._details.pop()
        self._codes.pop()
        self._times.pop()

    def __len__(self) -> int:
        return len(self._times)

    def __iter__(self) -> Iterator[tuple[int, State, str | None]]:
        # Not strict: another thread may be between two of the three appends.
        for time, code, detail in zip(self._times, self._codes, self._details, strict=False):
            yield time, STATES[code], detail

    def since(self, position: int) -> list[tuple[int, State, str | None]]:
        """Return the changes from that position on, without walking over those before it."""
        news = zip(self._times[position:], self._codes[position:], self._details[position:], strict=False)
        return [(time, STATES[code], detail) for time, code, detail in news]

    def last(self) -> tuple[int, State, str | None]:
        return self._times[-1], STATES[self._codes[-1]], self._details[-1]

    def segments(self, end: int) -> Iterator[tuple[int, int, State, str | None]]:
        """Yield (start, end, state, detail) for each stretch of time; the last one ends at `end`."""
        changes = iter(self)
        try:
            start, state, detail = next(changes)
        except StopIteration:
            return
        for time, next_state, next_detail in changes:
            if time > start:
                yield start, time, state, detail
            start, state, detail = time, next_state, next_detail
        if end > start:
            yield start, end, state, detail

    def times(self, end: int) -> dict[State, int]:
        """Return the nanoseconds spent in each state until `end`."""
        totals: dict[State, int] = dict.fromkeys(STATES, 0)
        for start, stop, state, _ in self.segments(end):
            totals[state] += stop - start
        return totals


@dataclass(slots=True, eq=False)
class Span:
    """One piece of work: the cell, a task, an agent, a tool, a chat call, an HTTP attempt. `kind` tells them apart.

    Times are integer nanoseconds of the tracer's clock; `end` is `None` while the work goes on. Made and ended by
    `Tracer` alone.
    """

    span_id: int
    parent_id: int | None
    name: str
    kind: Kind
    start: int
    trace: Trace | None = field(repr=False)
    end: int | None = None
    attributes: Attributes = field(default_factory=dict)
    # Whole tuples are replaced: another thread reads them meanwhile, and most spans have none.
    events: tuple[SpanEvent, ...] = ()
    links: tuple[Link, ...] = ()
    states: StateLog | None = None
    status: Status = "UNSET"
    message: str = ""

    @property
    def has_ended(self) -> bool:
        return self.end is not None

    @property
    def outcome(self) -> Outcome:
        """How it went: `open` while it runs, then `done`, `failed` or `cancelled`."""
        if self.end is None:
            return "open"
        if self.status != "ERROR":
            return "done"
        return "cancelled" if self.attributes.get("error.type") == "CancelledError" else "failed"

    @property
    def is_internal(self) -> bool:
        """Whether it is a task or thread that a library keeps for itself: counted, but only what it holds is shown."""
        return LIBRARY in self.attributes

    def shown_parent(self) -> Span | None:
        """Return what it is shown below: its parent, or what that is shown below where the parent is internal."""
        above = self.trace.get(self.parent_id) if self.trace is not None else None
        while above is not None and above.is_internal:
            above = above.trace.get(above.parent_id) if above.trace is not None else None
        return above

    def to_dict(self) -> dict[str, Any]:
        """Return the span as JSON data: the saved file, the page and the widget's message use this one schema."""
        data: dict[str, Any] = {
            "id": self.span_id,
            "parent": self.parent_id,
            "name": self.name,
            "kind": self.kind,
            "start": self.start,
            "end": self.end,
            "status": self.status,
        }
        if self.message:
            data["message"] = self.message
        if self.attributes:
            data["attributes"] = dict(self.attributes)
        if self.events:
            data["events"] = [[event.time, event.name, dict(event.attributes)] for event in self.events]
        if self.links:
            data["links"] = [[link.span_id, link.name] for link in self.links]
        if self.states:
            data["states"] = [list(change) for change in self.states]
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], trace: Trace | None = None) -> Span:
        """Return the span that `to_dict` wrote."""
        span = cls(data["id"], data["parent"], data["name"], data["kind"], data["start"], trace, data["end"])
        span.status = data["status"]
        span.message = data.get("message", "")
        span.attributes = dict(data.get("attributes", {}))
        span.events = tuple(SpanEvent(name, time, attributes) for time, name, attributes in data.get("events", ()))
        span.links = tuple(Link(span_id, name) for span_id, name in data.get("links", ()))
        if changes := data.get("states"):
            span.states = StateLog()
            for change in changes:
                span.states.append(*change)
        return span


class SpanSource(Protocol):
    """Someone who records cheaply now and makes spans of it when they are asked for."""

    def collect(self, trace: Trace) -> None:
        """Bring the spans of `trace` up to date."""


class Trace:
    """One run: a root span (the cell) and everything below it.

    `time_origin` is the Unix time, in nanoseconds, of zero on the clock that the spans use. `dropped_spans` counts
    what was not kept. Iterating or reading `spans` first brings them up to date.
    """

    def __init__(self, name: str, trace_id: str, *, time_origin: int = 0, keeps_content: bool = False) -> None:
        self.name = name
        self.trace_id = trace_id
        self.time_origin = time_origin
        self.keeps_content = keeps_content
        self.dropped_spans = 0
        self.sources: list[SpanSource] = []
        self._spans: dict[int, Span] = {}
        self._root: Span | None = None

    def __repr__(self) -> str:
        return f"<Trace {self.name!r}: {len(self._spans)} spans>"

    def _repr_html_(self) -> str:
        return self.to_html()

    @property
    def spans(self) -> list[Span]:
        """All spans in the order in which they started."""
        self.collect()
        return list(self._spans.values())

    @property
    def root(self) -> Span:
        """The span of the whole run; it is the first one made."""
        # Not by iterating: other threads add spans meanwhile.
        assert self._root is not None
        return self._root

    @property
    def is_running(self) -> bool:
        return not self.root.has_ended

    @property
    def end(self) -> int:
        """The end of the run, or of the latest thing known while it runs; nanoseconds of the trace's clock."""
        if self.root.end is not None:
            return self.root.end
        # A copy: other threads add spans meanwhile.
        return max(span.end if span.end is not None else span.start for span in list(self._spans.values()))

    def __getitem__(self, span_id: int) -> Span:
        return self._spans[span_id]

    def get(self, span_id: int | None) -> Span | None:
        """Return the span of that id, or `None` where it is unknown or was dropped."""
        return self._spans.get(span_id) if span_id is not None else None

    def add(self, span: Span) -> None:
        """Keep a span. For tracers and readers of files; user code starts spans through `Tracer`."""
        if self._root is None:
            self._root = span
        self._spans[span.span_id] = span

    def collect(self) -> None:
        """Let the sources that record lazily bring their spans up to date."""
        for source in self.sources:
            source.collect(self)

    def children(self) -> dict[int | None, list[Span]]:
        """Return the spans by the id of their parent, each list in order of start."""
        children: dict[int | None, list[Span]] = {}
        for span in sorted(self.spans, key=lambda span: span.start):
            children.setdefault(span.parent_id, []).append(span)
        return children

    def to_dict(self) -> dict[str, Any]:
        """Return the whole trace as JSON data, see `Span.to_dict`."""
        return {
            "format": "asyncmagic/1",
            "name": self.name,
            "trace_id": self.trace_id,
            "time_origin": self.time_origin,
            "dropped_spans": self.dropped_spans,
            "spans": [span.to_dict() for span in self.spans],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trace:
        """Return the trace that `to_dict` wrote."""
        trace = cls(data["name"], data["trace_id"], time_origin=data["time_origin"])
        trace.dropped_spans = data["dropped_spans"]
        for span in data["spans"]:
            trace.add(Span.from_dict(span, trace))
        return trace

    def to_text(self) -> str:
        """Return the timeline as text, as wide as the terminal."""
        return str(self.export("text"))

    def to_svg(self) -> str:
        """Return the timeline as a picture without script."""
        return str(self.export("svg"))

    def to_html(self) -> str:
        """Return the timeline as a piece of HTML: interactive where scripts run, a picture where not."""
        return str(self.export("html"))

    def export(self, format: str) -> str | bytes:  # noqa: A002 - the word users expect
        """Return the trace in a format by name; an unknown name lists the known ones in a `KeyError`."""
        # By name, not by import: exporters stand a floor above and read this file.
        exporter = load("asyncmagic.exporters:EXPORTERS")[format]
        written: str | bytes = exporter(self)
        return written

    def send(self, provider: Any = None) -> int:
        """Send the spans through an OpenTelemetry tracer provider, the global one if left out; return how many.

        They go wherever its exporters send your other spans. Raises `RuntimeError` where no provider has been set.
        """
        sent: int = load("asyncmagic.exporters.otel:send")(self, provider)
        return sent
