"""The way to watch any kind of loop: by the calls through which tasks reach it, at twice the cost of iterations."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop, Handle, TimerHandle, base_events
from collections.abc import Callable
from contextvars import Context
from typing import Any
from weakref import WeakKeyDictionary

from asyncmagic.instrumentation.cancels import Gathering
from asyncmagic.instrumentation.dating import Dating, noting_posts
from asyncmagic.instrumentation.hooks import (
    FactoryHook,
    Replacements,
    Step,
    catch_up,
    is_cancelled,
    is_step,
    may_be_first,
)
from asyncmagic.instrumentation.tasklog import INDEX, LOOKED_UP, TaskLog, TaskRecord


class _Watched(Handle):
    """A handle that a watcher runs; whatever the loop is, it calls `_run`."""

    __slots__ = ()

    def _run(self) -> None:
        self.__class__ = Handle  # type: ignore[assignment]
        _run(self)


class _WatchedTimer(TimerHandle):
    __slots__ = ()

    def _run(self) -> None:
        self.__class__ = TimerHandle  # type: ignore[assignment]
        _run(self)


_WATCHED = {Handle: _Watched, TimerHandle: _WatchedTimer}
for plain, watched in _WATCHED.items():
    # In logs and debuggers it passes for what it is otherwise.
    watched.__name__ = plain.__name__

#: What runs such handles, by their loops.
_runners: WeakKeyDictionary[AbstractEventLoop, Callable[[Handle], None]] = WeakKeyDictionary()


def _run(handle: Any) -> None:
    _runners.get(handle._loop, Handle._run)(handle)


def watch_calls(loop: AbstractEventLoop, log: TaskLog) -> Callable[[], None]:
    """Watch any kind of loop by the two methods through which tasks reach it; return the way to stop.

    Of a loop of asyncio's own kind callbacks are watched too, and what comes while it is held.
    """
    is_watching = True
    call_soon_before, close_before = loop.call_soon, loop.close
    live, looked, steps, mark, now, waits = log.live, log.looked, log.steps, log.mark, log.now, log.waits

    def step(callback: Callable[..., Any], ready: float, *args: Any) -> None:
        task = callback.__self__  # type: ignore[attr-defined]
        record = live.get(id(task))
        if record is None:
            callback(*args)
            return
        wait, ready = 0, max(ready, record.since)
        if ready - record.since > LOOKED_UP and looked.get(record.index) != record.since:
            wait = waits.number(task)
        mark[0] = start = now()
        if start > log.due:
            log.put_off(start)
        if wait:
            log.latest = start, record.index + wait * INDEX
        try:
            callback(*args)
        finally:
            end = now()
            mark[0] = 0.0
            steps.extend((record.index + wait * INDEX, ready, start, end))
            record.since = end
            if task.done() and record.key in live:
                log.finish(record, task)
            # A traceback of the user's holds this frame, and must not hold the task by it.
            del callback, args, task, record

    def call_soon(callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Any:
        if is_watching and is_step(callback):
            ready = now()
            task = callback.__self__  # type: ignore[attr-defined]
            if args and id(task) in live and (type(args[0]) is Gathering or is_cancelled(args[0])):
                log.cancels.note(task, args[0])
            if (
                id(task) in live
                or (may_be_first(callback) and log.register(task, context, ready))
                or log.is_traced(context)
            ):
                return call_soon_before(Step(step, callback, ready), *args, context=context)
        return call_soon_before(callback, *args, context=context)

    def close() -> None:
        close_before()
        log.close()

    ready_handles = catch_up(loop, log)
    for position, handle in enumerate(ready_handles.copy()):
        if not handle._cancelled and is_step(handle._callback) and id(handle._callback.__self__) in live:
            if isinstance(handle, TaskRecord):
                # Another tracer watches it.
                handle = handle.take(loop)
            ready_handles[position] = asyncio.Handle(
                Step(step, handle._callback, now()), handle._args, loop, handle._context
            )
    methods: dict[str, Callable[..., Any]] = {"call_soon": call_soon, "close": close}
    if isinstance(loop, base_events.BaseEventLoop):
        methods |= _watch_callbacks(loop, log)
    replacements = Replacements(loop, methods)
    factory_hook = FactoryHook(loop, log)

    def stop() -> None:
        nonlocal is_watching
        is_watching = False
        if (watched := log.loop()) is not None:
            _runners.pop(watched, None)
            replacements.remove(watched)
            factory_hook.remove(watched)

    return stop


def _watch_callbacks(loop: Any, log: TaskLog) -> dict[str, Callable[..., Any]]:
    """Return the methods by which callbacks are timed, and what came to a loop while it was held is dated."""
    dating, ready = Dating(loop, log), loop._ready
    process_before = loop._process_events
    mark, now, threshold = log.mark, log.now, log.tracer.blocking_threshold

    def run(handle: Any) -> None:
        mark[0] = start = now()
        try:
            dating.run(handle)
        finally:
            end = now()
            if end - start > threshold and mark[0] == start:
                log.hold(start, end, handle)
            mark[0] = 0.0

    def process_events(happened: Any) -> None:
        start = now()
        process_before(happened)
        if dating.late:
            dating.forget()
        if log.seen:
            dating.date_happened(happened)
        dating.take_timers(loop, loop.time(), start)
        if log.posted:
            dating.date_posted(start)
        for handle in ready.copy():
            kind = _WATCHED.get(type(handle))
            if kind is not None and type(handle._callback) is not Step:
                handle.__class__ = kind
        if start > log.due:
            log.put_off(start)

    _runners[loop] = run
    return {"_process_events": process_events, "call_soon_threadsafe": noting_posts(loop, log)}
