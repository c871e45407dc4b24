"""Sums over stretches of time: how much is covered, how many overlap."""

from __future__ import annotations

from collections.abc import Iterable

Interval = tuple[int, int]


def covered(intervals: Iterable[Interval]) -> int:
    """Return the length of the union."""
    total = 0
    reached: int | None = None
    for start, stop in sorted(intervals):
        if reached is None or start > reached:
            reached = start
        if stop > reached:
            total += stop - reached
            reached = stop
    return total


def most_at_once(intervals: Iterable[Interval]) -> int:
    """Return how many overlap at most; one that ends as another starts does not overlap it."""
    changes = sorted((time, change) for start, stop in intervals for time, change in ((start, 1), (stop, -1)))
    most = current = 0
    for _, change in changes:
        current += change
        most = max(most, current)
    return most


def without(intervals: Iterable[Interval], holes: Iterable[Interval]) -> list[Interval]:
    """Return the union of the intervals less that of the holes, in order."""
    changes = sorted(
        (time, kind, change)
        for kind, stretches in enumerate((intervals, holes))
        for start, stop in stretches
        for time, change in ((start, 1), (stop, -1))
    )
    pieces: list[Interval] = []
    opened = [0, 0]
    since: int | None = None
    for time, kind, change in changes:
        opened[kind] += change
        is_open = opened[0] > 0 and opened[1] == 0
        if is_open and since is None:
            since = time
        elif not is_open and since is not None:
            if time > since:
                pieces.append((since, time))
            since = None
    return merged(pieces)


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the same time in fewer pieces: neighbours that touch become one. They must come in order."""
    pieces: list[Interval] = []
    for start, stop in intervals:
        if pieces and pieces[-1][1] == start:
            pieces[-1] = pieces[-1][0], stop
        else:
            pieces.append((start, stop))
    return pieces
