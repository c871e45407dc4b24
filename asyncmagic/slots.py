"""Slots: at most so many agents at once, and one more where all of them wait for one that is queued."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

#: Seconds between two looks at what those in flight wait for.
_LOOK_EVERY = 0.25


class Slots:
    """Lets `limit` tasks into its `async with` block at a time, in the order in which they came.

    Where every task inside waits for one that is queued outside, nothing would ever go on: then one more is let in,
    and `on_knot` is called with how many are inside by now. Seen are `await task` and `await asyncio.gather(…)`.
    """

    def __init__(self, limit: int, on_knot: Callable[[int], None]) -> None:
        self._free = asyncio.Semaphore(limit)
        self._on_knot = on_knot
        self._queued: set[Any] = set()
        self._inside: set[Any] = set()
        self._look: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        if self._free.locked() and self._look is None:
            self._look = asyncio.get_running_loop().call_later(_LOOK_EVERY, self._untie)
        self._queued.add(task)
        try:
            await self._free.acquire()
        finally:
            self._queued.discard(task)
        self._inside.add(task)

    async def __aexit__(self, *_: object) -> None:
        self._inside.discard(asyncio.current_task())
        self._free.release()

    def _untie(self) -> None:
        self._look = None
        if not self._queued:
            return
        if all(self._waits_for_another(task) for task in self._inside):
            self._free.release()
            self._on_knot(len(self._inside) + 1)
        self._look = asyncio.get_running_loop().call_later(_LOOK_EVERY, self._untie)

    def _waits_for_another(self, task: Any) -> bool:
        return any(one in self._queued or one in self._inside for one in awaited_tasks(task))


def awaited_tasks(task: asyncio.Task[Any]) -> list[asyncio.Task[Any]]:
    """Return the unfinished tasks that a task waits for, itself or through `asyncio.gather`."""
    waiter = getattr(task, "_fut_waiter", None)
    children = getattr(waiter, "_children", (waiter,))  # of gather
    return [child for child in children if isinstance(child, asyncio.Task) and not child.done()]
