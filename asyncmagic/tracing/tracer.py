"""Tracer: the one who makes spans, ends them, and tells the processors."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os.path
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from asyncmagic.tracing.model import (
    Attribute,
    Kind,
    Link,
    Span,
    SpanEvent,
    SpanSource,
    State,
    StateLog,
    Trace,
)
from asyncmagic.tracing.redaction import redact
from asyncmagic.tracing.semconv import ERROR_TYPE

logger = logging.getLogger("asyncmagic")

_current_span: ContextVar[Span | None] = ContextVar("asyncmagic_span", default=None)


class SpanProcessor(Protocol):
    """Told of every span of a trace as it starts, changes and ends, on the thread where that happens."""

    def on_start(self, span: Span) -> None: ...
    def on_update(self, span: Span) -> None: ...
    def on_end(self, span: Span) -> None: ...


class Tracer:
    """Makes and ends spans; the only writer of traces.

    `clock` returns integer nanoseconds and never goes back. A trace keeps at most `max_spans` spans and counts the
    others in `Trace.dropped_spans`. A processor that raises is logged once and not called again.
    """

    def __init__(self, *, clock: Callable[[], int] = time.perf_counter_ns, max_spans: int = 200_000) -> None:
        self.clock = clock
        self.max_spans = max_spans
        #: Seconds from which a step of the loop counts as blocking it.
        self.blocking_threshold = 0.1
        #: How the page calls a file of code; a session puts the names of its cells here.
        self.name_file: Callable[[str], str] = os.path.basename
        #: Set by the loop's instrumentor: turns the inherited current span into that of the running task.
        self.find_task_span: Callable[[Span | None], Span | None] | None = None
        #: Set by the loop's instrumentor: writes the states of a task to a span that somebody else has made for it.
        self.adopt_task: Callable[[asyncio.Task[Any], Span], None] | None = None
        self._ids = itertools.count(1)
        self._traces: dict[str, Trace] = {}
        self._processors: dict[str, tuple[SpanProcessor, ...]] = {}
        self._sources: list[SpanSource] = []

    # -- traces

    def start_trace(
        self,
        name: str,
        *,
        kind: Kind = "cell",
        processors: tuple[SpanProcessor, ...] = (),
        keeps_content: bool = False,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> Trace:
        """Start a trace and its root span; end it with `end_trace`."""
        now = self.clock()
        trace = Trace(name, secrets.token_hex(16), time_origin=time.time_ns() - now, keeps_content=keeps_content)
        trace.sources.extend(self._sources)
        self._traces[trace.trace_id] = trace
        self._processors[trace.trace_id] = processors
        root = Span(next(self._ids), None, name, kind, now, trace, attributes=dict(attributes or {}))
        trace.add(root)
        self._notify("on_start", root)
        return trace

    def end_trace(self, trace: Trace, *, error: BaseException | None = None) -> None:
        """End the root span, and with it the trace; spans that still run stay open and are shown as such."""
        trace.collect()
        trace.sources.clear()
        self.end_span(trace.root, error=error)
        self._traces.pop(trace.trace_id, None)
        self._processors.pop(trace.trace_id, None)

    @property
    def is_recording(self) -> bool:
        """Whether any trace is running."""
        return bool(self._traces)

    def add_source(self, source: SpanSource) -> None:
        """Ask `source` for its spans whenever a trace is read. For instrumentors that record lazily."""
        # The loop's source, which is the first, comes last: it builds on what the others say of their calls.
        self._sources.insert(0, source)
        for trace in list(self._traces.values()):
            trace.sources.insert(0, source)

    def remove_source(self, source: SpanSource) -> None:
        self._sources.remove(source)
        for trace in list(self._traces.values()):
            source.collect(trace)
            trace.sources.remove(source)

    # -- spans

    def current(self) -> Span | None:
        """Return the span that a new one would belong to, or `None` where nothing is being traced."""
        if not self._traces:
            return None
        span = _current_span.get()
        if self.find_task_span is not None:
            span = self.find_task_span(span)
        if span is None and len(self._traces) == 1 and asyncio._get_running_loop() is None:
            # A worker thread that got no copy of the context: there is only one run that it can work for.
            span = next(iter(self._traces.values())).root
        return span if span is not None and span.trace is not None and span.trace.trace_id in self._traces else None

    def next_id(self) -> int:
        """Return a fresh span id, for sources that make their spans later."""
        return next(self._ids)

    def start_span(
        self,
        name: str,
        *,
        kind: Kind = "span",
        parent: Span | None = None,
        start: int | None = None,
        attributes: Mapping[str, Attribute] | None = None,
        state: State | None = None,
        span_id: int | None = None,
    ) -> Span:
        """Start a span below `parent`, or below the current span; it is not made current (see `use`).

        Where nothing is being traced the span is made all the same, and kept nowhere.
        """
        parent = parent if parent is not None else self.current()
        trace = parent.trace if parent is not None else None
        begun = self.clock() if start is None else start
        span = Span(
            next(self._ids) if span_id is None else span_id,
            parent.span_id if parent is not None else None,
            name,
            kind,
            begun,
            trace,
            attributes=dict(attributes or {}),
        )
        if state is not None:
            span.states = StateLog()
            span.states.append(begun, state)
        if trace is not None:
            self.keep(span, trace)
        return span

    def keep(self, span: Span, trace: Trace) -> None:
        """Add a span that a source made to its trace and tell the processors, or count it as dropped."""
        if len(trace._spans) >= self.max_spans:
            trace.dropped_spans += 1
            # Children of a dropped span hang from its parent, so that the tree stays whole.
            span.trace, span.span_id = (trace, span.parent_id) if span.parent_id is not None else (None, span.span_id)
            return
        trace.add(span)
        self._notify("on_start", span)

    def end_span(
        self,
        span: Span,
        *,
        error: BaseException | str | None = None,
        end: int | None = None,
        message: str | None = None,
    ) -> None:
        """End a span, once; `error` is what ended it: an exception, or the name of a kind of error."""
        if span.end is not None:
            return
        span.end = self.clock() if end is None else end
        if error is not None:
            span.status = "ERROR"
            span.attributes[ERROR_TYPE] = error if isinstance(error, str) else type_name(error)
            span.message = redact(message if message is not None else "" if isinstance(error, str) else _text(error))
        self._notify("on_end", span)

    def reopen_span(self, span: Span) -> None:
        """Take back the end of a span: what looked finished was an attempt, and another one follows."""
        span.end, span.status, span.message = None, "UNSET", ""
        span.attributes.pop(ERROR_TYPE, None)
        self.update(span)

    def add_event(
        self,
        span: Span,
        name: str,
        attributes: Mapping[str, Attribute] | None = None,
        *,
        at: int | None = None,
    ) -> None:
        """Add something that happened at one moment (`at`, nanoseconds; now if left out)."""
        event = SpanEvent(name, self.clock() if at is None else at, dict(attributes or {}))
        span.events += (event,)  # with no call in between: another thread might add one
        self._notify("on_update", span)

    def add_link(self, span: Span, other: Span, name: str = "") -> None:
        """Relate a span to another that is not its parent: where a handoff goes, which task it waits for."""
        link = Link(other.span_id, name)
        span.links += (link,)
        self._notify("on_update", span)

    def set_attributes(self, span: Span, attributes: Mapping[str, Attribute]) -> None:
        """Set attributes; values of `None` are left out."""
        span.attributes.update((key, value) for key, value in attributes.items() if value is not None)
        self._notify("on_update", span)

    def set_state(self, span: Span, state: State, detail: str | None = None, *, at: int | None = None) -> None:
        """Note that the task of this span changes its state (`at`, nanoseconds; now if left out)."""
        if span.states is None:
            span.states = StateLog()
        span.states.append(self.clock() if at is None else at, state, detail)
        self._notify("on_update", span)

    def update(self, span: Span) -> None:
        """Tell the processors that a span changed, after changing it in place."""
        self._notify("on_update", span)

    def make_current(self, span: Span | None) -> Span | None:
        """Make `span` the current one in this context from here on, and return what was: for what begins and ends in
        calls of its own (cells, callbacks), where `use` cannot stand around it."""
        before = _current_span.get()
        _current_span.set(span)
        return before

    def use(self, span: Span | None) -> AbstractContextManager[None]:
        """Make `span` the current one inside the block: what starts there belongs to it."""
        return _Current(span)

    @contextmanager
    def span(
        self,
        name: str,
        *,
        kind: Kind = "span",
        parent: Span | None = None,
        attributes: Mapping[str, Attribute] | None = None,
    ) -> Iterator[Span]:
        """Start a span, make it current inside the block, and end it with what the block raised."""
        span = self.start_span(name, kind=kind, parent=parent, attributes=attributes)
        try:
            with self.use(span):
                yield span
        except BaseException as error:
            self.end_span(span, error=error)
            raise
        self.end_span(span)

    def _notify(self, hook: str, span: Span) -> None:
        trace = span.trace
        processors = self._processors.get(trace.trace_id) if trace is not None else None
        if not processors or trace is None or trace.get(span.span_id) is not span:
            # Kept nowhere, or dropped.
            return
        for processor in processors:
            try:
                getattr(processor, hook)(span)
            except Exception:
                logger.exception("%r failed in %s and is switched off; your code is not affected", processor, hook)
                remaining = self._processors[trace.trace_id]
                self._processors[trace.trace_id] = tuple(other for other in remaining if other is not processor)


class _Current:
    # A class, since every HTTP request passes here and a generator takes twice as long.
    __slots__ = ("_span", "_token")

    def __init__(self, span: Span | None) -> None:
        self._span = span

    def __enter__(self) -> None:
        self._token = _current_span.set(self._span)

    def __exit__(self, *error: object) -> None:
        # Left in another context (an async generator closed by another task), it was never current there.
        with contextlib.suppress(ValueError):
            _current_span.reset(self._token)


def type_name(error: BaseException) -> str:
    """Return the name of an error's type as `error.type` has it."""
    # OpenTelemetry asks for the canonical class name; users know built-in ones and asyncio's without a module.
    kind = type(error)
    if isinstance(error, asyncio.CancelledError):
        return "CancelledError"
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return ""
