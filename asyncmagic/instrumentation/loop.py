"""The event loop: every task of a traced run becomes a span with its states; the threads' loops too."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from asyncio import AbstractEventLoop, events
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from asyncmagic.instrumentation._patch import patched, when_imported
from asyncmagic.instrumentation.blocking import Samples, Watchdog
from asyncmagic.instrumentation.calls import watch_calls
from asyncmagic.instrumentation.iterations import can_watch, watch_iterations
from asyncmagic.instrumentation.tasklog import TaskLog
from asyncmagic.instrumentation.taskspans import TaskSpans
from asyncmagic.tracing.model import Span, Trace
from asyncmagic.tracing.tracer import Tracer

logger = logging.getLogger("asyncmagic")

_watchers: WeakKeyDictionary[Tracer, Watcher] = WeakKeyDictionary()
#: Held while a loop is hooked or unhooked: others may start and end in other threads meanwhile. What is collected in
#: the middle of that may make a task, which asks for its loop.
_opening = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_opening._at_fork_reinit)  # type: ignore[attr-defined]


@contextmanager
def instrument(tracer: Tracer) -> Iterator[None]:
    """Watch the running loop, and every loop that starts to run meanwhile, until the block is left."""
    watcher = _watchers.get(tracer)
    if watcher is None:
        watcher = _watchers[tracer] = Watcher(tracer)
    watcher.users += 1
    if watcher.users == 1:
        try:
            watcher.start()
        except BaseException:
            del _watchers[tracer]
            raise
    try:
        yield
    finally:
        watcher.users -= 1
        if watcher.users == 0:
            del _watchers[tracer]
            watcher.stop()


class Watcher:
    """Watches loops for one tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.users = 0
        self._logs: WeakKeyDictionary[AbstractEventLoop, TaskLog] = WeakKeyDictionary()
        #: Also those whose loop is gone: they may hold what nobody has collected yet.
        self._open_logs: dict[TaskLog, tuple[TaskSpans, Callable[[], None]]] = {}
        self._watchdog = Watchdog(self._loops, self._catch_up) if tracer.clock is time.perf_counter_ns else None
        self._patches = ExitStack()

    def start(self) -> None:
        if self._watchdog is not None:
            self._watchdog.start()
        self._set_running_loop = events._set_running_loop
        events._set_running_loop = self._on_running_loop
        self._patches.enter_context(when_imported("uvloop", self._watch_uvloop))
        self.tracer.find_task_span = self.current
        self.tracer.adopt_task = self.adopt
        self.tracer.add_source(self)
        if (loop := asyncio._get_running_loop()) is not None:
            self.log(loop)

    def stop(self) -> None:
        if events._set_running_loop == self._on_running_loop:
            events._set_running_loop = self._set_running_loop
        self._patches.close()
        self.tracer.find_task_span = self.tracer.adopt_task = None
        with _opening:
            # Whoever hooks a loop right now comes to an end with it; who comes later finds no user.
            pass
        if self._watchdog is not None:
            self._watchdog.stop()
        self.tracer.remove_source(self)
        with _opening:
            for log, (_, unhook) in list(self._open_logs.items()):
                unhook()
                log.close()

    def log(self, loop: AbstractEventLoop) -> TaskLog:
        """Return the log of a loop, which is watched from now on, if any is. Call it on that loop's thread."""
        with _opening:
            log = self._logs.get(loop)
            if log is None:
                log = self._logs[loop] = TaskLog(self.tracer, loop)
                if self.users:
                    watch = watch_iterations if can_watch(loop) else watch_calls
                    self._open_logs[log] = TaskSpans(log, Samples(self.tracer, log.lasts)), watch(loop, log)
                    if self._watchdog is not None:
                        self._watchdog.watch(log)
            return log

    def current(self, inherited: Span | None) -> Span | None:
        """See `Tracer.find_task_span`."""
        loop = asyncio._get_running_loop()
        task = asyncio.current_task(loop) if loop is not None else None
        return self.log(loop).current(inherited, task) if loop is not None and task is not None else inherited

    def adopt(self, task: asyncio.Task[Any], span: Span) -> None:
        """See `Tracer.adopt_task`."""
        try:
            self.log(task.get_loop()).adopt(task, span)
        except Exception:
            logger.exception("%r has no states; your code is not affected", span.name)

    def collect(self, trace: Trace) -> None:
        """See `SpanSource`."""
        for log, (spans, unhook) in list(self._open_logs.items()):
            try:
                spans.collect(trace)
                is_over = log.is_over
            except Exception:
                logger.exception("a loop is not watched any more; your code is not affected")
                unhook()
                is_over = True
            if is_over:
                self._open_logs.pop(log, None)
                log.close()

    def _loops(self) -> list[tuple[TaskLog, Samples]]:
        return [(log, spans.samples) for log, (spans, _) in list(self._open_logs.items())]

    def _catch_up(self) -> None:
        for trace in list(self.tracer._traces.values())[:1]:
            self.collect(trace)

    def _on_running_loop(self, loop: AbstractEventLoop | None) -> None:
        stopped = asyncio._get_running_loop() if loop is None else None
        self._set_running_loop(loop)
        self._see(loop, stopped)

    def _see(self, loop: AbstractEventLoop | None, stopped: AbstractEventLoop | None = None) -> None:
        """Watch a loop that is about to run on this thread; see to one that has stopped."""
        try:
            with _opening:
                if loop is not None and self.users:
                    self.log(loop).thread = threading.get_ident()
                elif stopped is not None and stopped in self._logs:
                    self._logs[stopped].unqueue()
        except Exception:
            logger.exception("%r cannot be watched; your code is not affected", loop or stopped)

    @contextmanager
    def _watch_uvloop(self, uvloop: ModuleType) -> Iterator[None]:
        """See uvloop's loops, which tell nobody that they run, from when they are made: their first task is, before."""
        make_before, run_before = uvloop.Loop.__init__, uvloop.Loop.run_forever

        def make(loop: Any, *args: Any, **options: Any) -> None:
            make_before(loop, *args, **options)
            self._see(loop)

        def run_forever(loop: Any) -> None:
            self._see(loop)
            run_before(loop)

        with patched(uvloop.Loop, "__init__", make), patched(uvloop.Loop, "run_forever", run_forever):
            yield
