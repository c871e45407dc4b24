"""The critical path: which spans, one after another, made the run as long as it was."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncmagic.tracing.model import Span

#: A child that ends a little after its parent still counts as ended with it, since closing a response takes a moment:
#: a thousandth of the parent's time, and a millisecond at most.
TOLERANCE = 1_000_000


@dataclass(frozen=True, slots=True)
class PathStep:
    """A stretch of the critical path: from `start` to `end` (ns) the run waited for `span` itself, no part of it."""

    span: Span
    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9


def critical_path(root: Span, children: Mapping[int | None, Sequence[Span]], now: int) -> list[PathStep]:
    """Return the steps, in order of time, that `root` was waiting for; `now` (ns) ends what is still open.

    Walks back from the end of the root, each time into the child that ended last, and what lies between children
    belongs to their parent: the definition of Jaeger and of CRISP (Zhang et al., USENIX ATC 2022). Two additions for
    tasks: a link named `awaits` leads to the task that was awaited, which need not be a child; and a task that was
    queued starts where its queueing ended, so that the path goes on through the one that gave it its place.
    """
    spans = {span.span_id: span for siblings in children.values() for span in siblings}
    begins = {span.span_id: begin(span, now) for span in spans.values()}
    ends = {span.span_id: span.end if span.end is not None else now for span in spans.values()}
    by_end: dict[int, tuple[list[int], list[Span]]] = {}

    def latest(span: Span, time: int) -> Span | None:
        key = span.span_id
        if key not in by_end:
            others = [*children.get(key, ())]
            others += [spans[link.span_id] for link in span.links if link.name == "awaits" and link.span_id in spans]
            others.sort(key=lambda other: (ends[other.span_id], -other.start))
            by_end[key] = [ends[other.span_id] for other in others], others
        other_ends, others = by_end[key]
        tolerance = min(TOLERANCE, (ends[key] - span.start) // 1000)
        for index in range(bisect_right(other_ends, time + tolerance) - 1, -1, -1):
            other = others[index]
            if begins[other.span_id] < min(time, other_ends[index]) and other.span_id not in entered:
                return other if other_ends[index] > begins[key] else None
        return None

    steps: list[PathStep] = []
    span, time = root, ends[root.span_id]
    entered = {root.span_id}  # at this very moment, so that two tasks awaiting each other end the walk
    while True:
        below = latest(span, time) if span.links or span.span_id in children else None
        stop = min(ends[below.span_id], time) if below is not None else min(begins[span.span_id], time)
        if stop < time:
            steps.append(PathStep(span, stop, time))
            entered.clear()
            time = stop
        if below is not None:
            entered.add(below.span_id)
            span = below
        elif span is root:
            return steps[::-1]
        else:
            span = spans.get(span.parent_id or 0, root)


def begin(span: Span, now: int) -> int:
    """Return when the span got going: its start, or for a queued task the moment it was let go (ns)."""
    if span.states is None:
        return span.start
    for time, state, _ in span.states:
        if state != "queued":
            return max(time, span.start)
    return span.end if span.end is not None else now
