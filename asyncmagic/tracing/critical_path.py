"""The critical path: which spans, one after another, made the run as long as it was."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from asyncmagic.tracing.model import Span

#: A child that ends a little after its parent still counts as ended with it, since closing a response takes a moment:
#: a thousandth of the parent's time, and a millisecond at most.
TOLERANCE = 1_000_000


class PathStep(NamedTuple):
    """A stretch of the critical path: from `start` to `end` (ns) the run waited for `span` itself, no part of it."""

    span: Span
    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9


def critical_path(root: Span, all_spans: Iterable[Span], now: int) -> list[PathStep]:
    """Return the steps, in order of time, that `root` was waiting for; `now` (ns) ends what is still open.

    Walks back from the end of the root, each time into the child that ended last, and what lies between children
    belongs to their parent: the definition of Jaeger and of CRISP (Zhang et al., USENIX ATC 2022). Two additions for
    tasks: a link named `awaits` leads to the task that was awaited, which need not be a child; and a task that was
    queued starts where its queueing ended, so that the path goes on through the one that gave it its place.
    """
    spans = {span.span_id: span for span in all_spans if not span.is_internal}
    children: dict[int | None, list[Span]] = {}
    for span in spans.values():
        parent = span.shown_parent()
        children.setdefault(parent.span_id if parent is not None else span.parent_id, []).append(span)
    by_end: dict[int, tuple[list[int], list[Span]]] = {}
    begins: dict[int, int] = {}

    def started(span: Span) -> int:
        if span.states is None:
            return span.start
        if span.span_id not in begins:
            begins[span.span_id] = begin(span, now)
        return begins[span.span_id]

    def end(span: Span) -> int:
        return span.end if span.end is not None else now

    def latest(span: Span, time: int) -> Span | None:
        """Return the part of `span`, or the task it awaited, that ended last before `time`."""
        if span.span_id not in by_end:
            parts = children.get(span.span_id, [])
            if span.links:
                awaited = (spans.get(link.span_id) for link in span.links if link.name == "awaits")
                parts = parts + [task for task in awaited if task is not None]
            parts.sort(key=lambda part: (end(part), -part.start))
            by_end[span.span_id] = [end(part) for part in parts], parts
        ends, parts = by_end[span.span_id]
        tolerance = min(TOLERANCE, (end(span) - span.start) // 1000)
        for index in range(bisect_right(ends, time + tolerance) - 1, -1, -1):
            part = parts[index]
            if started(part) < min(time, ends[index]) and part.span_id not in entered:
                return part if ends[index] > started(span) else None
        return None

    steps: list[PathStep] = []
    span, time = root, end(root)
    entered = {root.span_id}  # at this very moment, so that two tasks awaiting each other end the walk
    while True:
        part = latest(span, time) if span.links or span.span_id in children else None
        stop = min(end(part), time) if part is not None else min(started(span), time)
        if stop < time:
            steps.append(PathStep(span, stop, time))
            entered.clear()
            time = stop
        if part is not None:
            entered.add(part.span_id)
            span = part
        elif span is root:
            return steps[::-1]
        else:
            above = span.shown_parent()
            span = spans.get(above.span_id if above is not None else span.parent_id or 0, root)


def begin(span: Span, now: int) -> int:
    """Return when the span got going: its start, or for a queued task the moment it was let go (ns)."""
    if not span.states:
        return span.start
    for time, state, _ in span.states:
        if state != "queued":
            return max(time, span.start)
    return span.end if span.end is not None else now
