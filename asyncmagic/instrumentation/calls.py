"""The way to watch any kind of loop: by the calls through which tasks reach it, at twice the cost of iterations."""

from __future__ import annotations

import asyncio
import logging
import sys
from asyncio import AbstractEventLoop, Handle, TimerHandle
from collections.abc import Callable
from contextvars import Context
from types import FrameType, FunctionType
from typing import Any

from asyncmagic.instrumentation.cancels import Gathering
from asyncmagic.instrumentation.dating import Dating, noting_posts
from asyncmagic.instrumentation.hooks import (
    FactoryHook,
    Replacements,
    Step,
    as_callers,
    catch_up,
    is_cancelled,
    is_step,
    may_be_first,
)
from asyncmagic.instrumentation.tasklog import INDEX, LOOKED_UP, UNKNOWN, TaskLog, TaskRecord

logger = logging.getLogger("asyncmagic")


#: Seconds for which a task that runs the loop has to be back from it until that is a part of its step.
_BACK = 0.001


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


def _run(handle: Any) -> None:
    _runner(handle._loop._process_events)(handle)


def _runner(process_events: Any) -> Callable[[Handle], object]:
    """Return what runs the handles of a loop with such a `_process_events`."""
    run = getattr(process_events, "run", None)
    # A mock in its place would have anything, and run nothing.
    return run if isinstance(run, FunctionType) else Handle._run


def watch_calls(loop: AbstractEventLoop, log: TaskLog) -> Callable[[], None]:
    """Watch any kind of loop by the two methods through which tasks reach it; return the way to stop.

    Of a loop of asyncio's own kind callbacks are watched too, and what comes while it is held.
    """
    is_watching = True
    call_soon_before, close_before = loop.call_soon, loop.close
    live, looked, steps, mark, now, waits = log.live, log.looked, log.steps, log.mark, log.now, log.waits
    under_way = log.under_way

    def step(callback: Callable[..., Any], ready: float, *args: Any) -> None:
        task = callback.__self__  # type: ignore[attr-defined]
        record = live.get(id(task))
        if record is None:
            callback(*args)
            return
        wait, ready = 0, max(ready, record.since)
        if ready - record.since > LOOKED_UP and looked.get(record.index) != record.since:
            wait = waits.number(task)
        if log.unseen is not None and mark[0]:
            _end_unseen(log)
        mark[0] = start = now()
        if start > log.due:
            log.put_off(start)
        if wait:
            log.latest = start, record.index + wait * INDEX
        begun = under_way[record.index] = record.index + wait * INDEX, ready, start
        try:
            callback(*args)
        finally:
            end = now()
            mark[0] = 0.0
            steps.extend((*under_way.pop(record.index, begun), end))
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
                return as_callers(call_soon_before(Step(step, callback, ready), *args, context=context))
        return as_callers(call_soon_before(callback, *args, context=context))

    def close() -> None:
        close_before()
        stop()
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
    if sees_callbacks(type(loop)):
        methods |= _watch_callbacks(loop, log)
        run_once_before = loop._run_once  # type: ignore[attr-defined]
        methods["_run_once"] = lambda: run_inside(loop, log, run_once_before)
    replacements = Replacements(loop, methods)
    factory_hook = FactoryHook(loop, log)

    def stop() -> None:
        nonlocal is_watching
        is_watching = False
        if (watched := log.loop()) is not None:
            replacements.remove(watched)
            factory_hook.remove(watched)

    return stop


def run_inside(loop: AbstractEventLoop, log: TaskLog, run_once: Callable[[], None]) -> None:
    """Run an iteration of a loop. Within a step, as nest_asyncio allows it, the task waits for it and blocks nobody."""
    mark = log.mark
    began, mark[0] = mark[0], 0.0
    # In a callback there is none, nor where the loop is run by nobody in it.
    record = log.live.get(id(asyncio.current_task(loop)))
    if record is None:
        if log.unseen is not None and not log.calls_back:
            _end_unseen(log)
        try:
            run_once()
        finally:
            if log.calls_back:
                mark[0] = log.now()
        return
    try:
        inside = _go_inside(log, record, began, sys._getframe(1))
    except Exception:
        inside = record.index
        log.fail()
    try:
        run_once()
    finally:
        mark[0] = resumed = log.now()
        log.under_way[record.index] = inside, resumed, resumed
        log.latest = resumed, inside


def _go_inside(log: TaskLog, record: TaskRecord, began: float, frame: FrameType) -> int:
    """Note that a step waits for the loop, which it runs in `frame`; return the first number of what follows."""
    index = record.index
    inside = index + log.waits.within(frame) * INDEX
    if began:
        number, ready, start = log.under_way.get(index, (0, 0.0, 0.0))
        if start != began:
            # Of the step in which the trace began, or which began under another way to watch, no more is known.
            number, ready, start, log.unseen = index, UNKNOWN, began, record
        paused = log.now()
        # Not between two iterations for the same line.
        if number != inside or paused - start > _BACK:
            record.since = log.looked[index] = paused
            log.steps.extend((number, ready, start, paused))
    return inside


def _end_unseen(log: TaskLog) -> None:
    """Note the end of a step that has run the loop and of which nobody else will: it was before what comes now."""
    record, log.unseen = log.unseen, None
    if record is not None and record.index in log.under_way:
        record.since = log.now()
        log.steps.extend((*log.under_way.pop(record.index), record.since))


def sees_callbacks(kind: type) -> bool:
    """Whether loops of that kind go on as asyncio's own do: those of GUI toolkits inherit from these, and do not."""
    return _calls(kind, "run_forever", "_run_once") and _calls(kind, "_run_once", "_process_events")


def _calls(kind: type, method: str, name: str) -> bool:
    code = getattr(getattr(kind, method, None), "__code__", None)
    return code is not None and name in code.co_names


def _watch_callbacks(loop: Any, log: TaskLog) -> dict[str, Callable[..., Any]]:
    """Return the methods by which callbacks are timed, and what came to a loop while it was held is dated."""
    dating, ready = Dating(loop, log), loop._ready
    process_before = loop._process_events
    run_before = _runner(process_before)
    mark, now, threshold = log.mark, log.now, log.tracer.blocking_threshold

    def run(handle: Any) -> None:
        if log.unseen is not None and mark[0]:
            _end_unseen(log)
        around, log.calls_back = log.calls_back, True
        mark[0] = now()
        try:
            dating.run(handle, run_before)
        finally:
            log.calls_back = around
            end, start = now(), mark[0]
            # Where it ran the loop, from when that was over.
            if start and end - start > threshold:
                log.hold(start, end, handle)
            mark[0] = 0.0

    def process_events(happened: Any) -> None:
        start = now()
        process_before(happened)
        if log.is_closed:
            return
        try:
            watch(happened, start)
        except Exception:
            log.close()
            logger.exception("the callbacks of a loop are not watched any more; your code is not affected")

    def watch(happened: Any, start: float) -> None:
        if dating.late:
            dating.forget()
        dating.date(happened, start)
        dating.take_timers(loop, loop.time(), start)
        for handle in ready.copy():
            kind = _WATCHED.get(type(handle))
            if kind is not None and type(handle._callback) is not Step:
                handle.__class__ = kind
        if start > log.due:
            log.put_off(start)

    process_events.run = run  # type: ignore[attr-defined]
    return {"_process_events": process_events, "call_soon_threadsafe": noting_posts(loop, log)}
