"""By how much a blocked loop delayed the calls of a model: from when an answer came until the loop read it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from operator import itemgetter

from asyncmagic.tracing.intervals import Interval
from asyncmagic.tracing.model import Attribute, Span, StateLog, Trace
from asyncmagic.tracing.semconv import BLOCKED_TIME, BLOCKED_TIME_TO_END, EVENT_SENT, FIRST_CHUNK
from asyncmagic.tracing.tracer import Tracer


class Delays:
    """Notes on chat calls what a blocked loop added to them; `lasts` says when the last of late answers came."""

    def __init__(self, tracer: Tracer, lasts: dict[int, int]) -> None:
        self._tracer = tracer
        self._lasts = lasts
        #: By the id of a call of which all is known: its end.
        self._settled: dict[int, int] = {}

    def settle(self, trace: Trace, blocks: Sequence[Interval]) -> None:
        """Note on each chat call how long the blocks of its loop kept its first token and its end from being seen."""
        blocks = sorted(blocks)
        sent: dict[int | None, int] = {}
        calls: list[Span] = []
        for span in list(trace._spans.values()):
            if span.kind == "http":
                sent[span.parent_id] = next((event.time for event in span.events if event.name == EVENT_SENT), 0)
            elif span.kind == "chat" and span.end is not None and self._settled.get(span.span_id) != span.end:
                calls.append(span)
        for call in calls:
            assert call.end is not None
            begun = blocks[: bisect_right(blocks, call.end, key=itemgetter(0))]
            near = [(start, end) for start, end in begun if end > call.start]
            owner = _owner(call)
            if not near or owner is None or owner.states is None:
                continue
            if owner.end is not None or owner.states.last()[0] > call.end:
                self._settled[call.span_id] = call.end
            asked = sent.get(call.span_id) or call.start
            added = {BLOCKED_TIME_TO_END: _delay(owner.states, call.start, call.end, asked, near, self._lasts) / 1e9}
            first = call.attributes.get(FIRST_CHUNK)
            if isinstance(first, int | float):
                seen = call.start + round(first * 1e9)
                added[BLOCKED_TIME] = _delay(owner.states, call.start, seen, asked, near, {}) / 1e9
            news: dict[str, Attribute] = {
                name: seconds for name, seconds in added.items() if seconds != call.attributes.get(name, 0)
            }
            if news:
                self._tracer.set_attributes(call, news)

    def forget(self) -> None:
        """Let go of what is known of runs that are over."""
        self._settled.clear()
        self._lasts.clear()


def _owner(call: Span) -> Span | None:
    """Return the task or thread that makes a call."""
    span: Span | None = call
    while span is not None and not span.states:
        span = call.trace.get(span.parent_id) if call.trace is not None else None
    return span


def _delay(
    states: StateLog, start: int, time: int, sent: int, blocks: Sequence[Interval], lasts: Mapping[int, int]
) -> int:
    """Return by how much a task at `time` was later than without the blocks, counted from `start` on (ns).

    It gets later while it is ready and the loop is blocked. What had been sent late is answered late; but once it was
    `sent`, the answer does not wait for the loop, and who waits for the rest of it is as early as can be.
    """
    late = late_sent = 0
    for begun, ended, state, _ in states.segments(time):
        if ended <= start:
            continue
        last, begun, ended = lasts.get(begun, begun), max(begun, start), min(ended, time)
        if begun >= ended:
            break
        if state == "ready":
            late += _overlap(begun, ended, blocks)
        if begun < sent:
            late_sent = late
        elif state == "waiting":
            late = late_sent
        elif state == "ready":
            late = min(late, late_sent + _overlap(last, ended, blocks))
    return late


def _overlap(start: int, end: int, blocks: Sequence[Interval]) -> int:
    return sum(max(min(end, stop) - max(start, begun), 0) for begun, stop in blocks)
