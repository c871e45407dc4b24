"""What a loop that was held came to late is dated back: to when its time came, and not to when the loop saw it."""

from __future__ import annotations

import heapq
import logging
import threading
from asyncio import Handle
from collections.abc import Callable, Sequence
from contextlib import suppress
from operator import methodcaller
from typing import Any

from asyncmagic.instrumentation.hooks import Step, as_callers
from asyncmagic.instrumentation.tasklog import TaskLog, TaskRecord

logger = logging.getLogger("asyncmagic")

#: Seconds by which something must be late before it is dated back: finding out costs.
_LATE = 0.005
#: How many callbacks, each asked for by the one before, may lie between what came and the task that waits for it.
_MOST_BETWEEN = 8


class Dating:
    """Dates the handles in the queue of one loop, of asyncio's own kind, and what they wake up."""

    def __init__(self, loop: Any, log: TaskLog) -> None:
        self._log, self._ready = log, loop._ready
        #: By their ids, handles whose time came earlier: these, when, and how many callbacks more are dated by them.
        self.late: dict[int, tuple[Handle, float, int]] = {}

    def date(self, happened: Sequence[tuple[Any, int]], start: float) -> None:
        """Date what came in while the loop was held, as the iteration begins in which it is told, at `start`."""
        try:
            self._date_happened(happened)
            self._date_posted(start)
        except Exception:
            self._give_up()

    def _date_posted(self, start: float) -> None:
        """Date what other threads had sent."""
        posted = self._log.posted
        # Another thread may end the tracing, which empties it.
        with suppress(IndexError):
            for _ in range(len(posted)):
                handle, when = posted.popleft()
                if start - when > _LATE:
                    self.late[id(handle)] = handle, when, _MOST_BETWEEN

    def _date_happened(self, happened: Sequence[tuple[Any, int]]) -> None:
        """Date what waits for the file descriptors that were seen to be ready.

        Where more followed, note in the log's `lasts` until when.
        """
        seen = self._log.seen
        if not seen:
            return
        for key, _ in happened:
            if key.fd in seen:
                came, last, _ = seen[key.fd]
                self.late.update((id(handle), (handle, came, _MOST_BETWEEN)) for handle in key.data if handle)
                if last > came:
                    self._log.lasts[round(came * 1e9)] = round(last * 1e9)
        seen.clear()

    def take_timers(self, loop: Any, current: float, start: float) -> None:
        """Queue the timers that are due, as a loop does, and date them; `current` is by the loop's clock."""
        scheduled, end = loop._scheduled, current + loop._clock_resolution
        while scheduled and scheduled[0]._when < end:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            self._ready.append(handle)
            if current - handle._when > _LATE:
                self.late[id(handle)] = handle, start - current + handle._when, _MOST_BETWEEN

    def forget(self) -> None:
        """Forget the handles that have left the queue otherwise than by `run`."""
        queued = {id(handle) for handle in self._ready.copy()}
        for key in self.late.keys() - queued:
            del self.late[key]

    def run(self, handle: Handle, run: Callable[[Handle], object] = methodcaller("_run")) -> None:
        """Run a handle, by `run`, as of when its time came, if it was late, and date what it asks for."""
        _, when, between = self.late.pop(id(handle), (handle, 0.0, -1))
        if between < 0:
            run(handle)
            return
        known, mark, began = len(self._ready), self._log.mark[0], self._log.now()
        run(handle)
        if self._log.mark[0] != mark:
            # It ran the loop, which has dated its own.
            return
        took = self._log.now() - began
        if took > _LATE:
            # It did not ask for all of that at once.
            when += took
        try:
            self._date_woken(known, when, between)
        except Exception:
            self._give_up()

    def _date_woken(self, known: int, when: float, between: int) -> None:
        """Date what has been asked for since the queue was as long as `known`."""
        # Not what another thread has asked for meanwhile.
        sent = {id(handle) for handle, _ in self._log.posted.copy()}
        for position in range(known, len(self._ready)):
            woken = self._ready[position]
            if id(woken) in sent:
                continue
            if type(woken) is TaskRecord:
                woken.asked = max(when, woken.since)
            elif type(woken._callback) is Step:
                woken._callback = woken._callback.dated(when)
            elif between:
                self.late[id(woken)] = woken, when, between - 1

    def _give_up(self) -> None:
        """Date nothing any more because of the exception being handled; say so once."""
        if not self._log.is_closed:
            logger.exception("what came while a loop was blocked is not dated any more; your code is not affected")
        self._log.close()
        self.late.clear()


def noting_posts(loop: Any, log: TaskLog) -> Callable[..., Handle]:
    """Return a `call_soon_threadsafe` for the loop that notes when another thread called it."""
    call_soon_threadsafe_before = loop.call_soon_threadsafe

    def call_soon_threadsafe(callback: Callable[..., object], *args: Any, **options: Any) -> Handle:
        # The time first: the loop may wake up before this thread gets the interpreter's lock back.
        asked = log.now()
        handle: Handle = as_callers(call_soon_threadsafe_before(callback, *args, **options))
        if threading.get_ident() != log.thread and not log.is_closed:
            log.posted.append((handle, asked))
        return handle

    return call_soon_threadsafe
