"""The jobs of pools: which of asyncio's futures stand for them; and which of a process pool run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from contextlib import suppress
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

from asyncmagic.instrumentation._patch import Watcher, guarded
from asyncmagic.tracing.model import Kind, Span

#: The jobs that have spans, and the futures of asyncio's that stand for those that are done; with the kind of pool.
_jobs: WeakKeyDictionary[Any, Kind] = WeakKeyDictionary()


class Line(Watcher):
    """The jobs of a pool in their order: as many as it has workers run, and the next when one of them is done.

    What the pool itself calls running has only been put where the workers will find it. `run` is called with the span
    of each job that begins.
    """

    def __init__(self, pool: Any, run: Callable[[Span], None]) -> None:
        super().__init__()
        self._workers: int = pool._max_workers
        self._run = run
        self._is_broken = False
        self._lock = threading.RLock()
        #: With the spans of those that have not begun.
        self._spans: dict[Future[Any], Span | None] = {}
        for item in list(pool._pending_work_items.values()):
            self.join(item.future, None)

    @property
    def fullness(self) -> str | None:
        """Say how full the pool is when its workers are all busy."""
        if len(self._spans) < self._workers:
            return None
        return f"{self._workers} of {self._workers} processes busy, {len(self._spans) - self._workers + 1} waiting"

    @guarded
    def join(self, future: Future[Any], span: Span | None) -> None:
        """Put a job at the end of the line."""
        with self._lock:
            self._spans[future] = span
            self._advance()
        future.add_done_callback(self._leave)

    @guarded
    def _leave(self, future: Future[Any]) -> None:
        with self._lock:
            del self._spans[future]
            if not future.cancelled() and isinstance(future.exception(), BrokenExecutor):
                self._is_broken = True
            self._advance()

    def _advance(self) -> None:
        for future in list(islice(self._spans, self._workers)) if not self._is_broken else ():
            if (span := self._spans[future]) is not None:
                self._spans[future] = None
                self._run(span)


def note(job: Future[Any], kind: Kind) -> None:
    """Remember in what kind of pool a job is."""
    _jobs[job] = kind
    job.add_done_callback(_pass_on)


def _pass_on(job: Future[Any]) -> None:
    callbacks: list[Any] = vars(job).get("_done_callbacks", [])
    _jobs.update(dict.fromkeys((known for callback in callbacks for known in _held(callback)), _jobs[job]))


def pool_of(future: Any) -> str:
    """Return the kind of pool in which a job is that a future of asyncio's stands for, "" if it stands for none."""
    held = (job for callback, _ in future._callbacks or () for job in _held(callback))
    return next((_jobs[one] for one in (future, *held) if one in _jobs), "")


def _held(callback: Any) -> Iterator[Future[Any] | asyncio.Future[Any]]:
    """Yield the futures that a callback knows: `asyncio.wrap_future` links two of them by such callbacks."""
    for cell in getattr(callback, "__closure__", None) or ():
        # It may be empty.
        with suppress(ValueError):
            if isinstance(cell.cell_contents, Future | asyncio.Future):
                yield cell.cell_contents
