"""The cheap way to watch a stock loop: an iteration of asyncio's own algorithm that notes each step as it goes."""

from __future__ import annotations

import heapq
import threading
from asyncio import AbstractEventLoop, Future, base_events, events, format_helpers
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from types import FunctionType, MethodType, ModuleType
from typing import Any

from asyncmagic.instrumentation.calls import run_inside, watch_calls
from asyncmagic.instrumentation.cancels import Gathering
from asyncmagic.instrumentation.dating import Dating, noting_posts
from asyncmagic.instrumentation.hooks import (
    STEP,
    WAKE_UP,
    FactoryHook,
    Replacements,
    as_callers,
    catch_up,
    is_step,
    may_be_first,
)
from asyncmagic.instrumentation.tasklog import CHUNK, INDEX, LOOKED_UP, NOTHING, UNKNOWN, TaskLog, TaskRecord

#: Steps until it is asked how many are to be packed: at each that would cost too much, and once in an iteration of ten
#: thousand would fill a megabyte each time.
_BATCH = 500
_STOCK = base_events.BaseEventLoop
_METHODS = ("call_soon", "_call_soon", "call_soon_threadsafe", "create_task", "_run_once")
_run_once_of_stock = _STOCK._run_once  # type: ignore[attr-defined]
_call_soon_of_stock = _STOCK.call_soon
_run_of_stock = events.Handle._run


def can_watch(loop: AbstractEventLoop) -> bool:
    """Whether the loop runs asyncio's own algorithm, with no hook of anybody else in it."""
    return (
        isinstance(loop, _STOCK)
        and STEP is not None
        and not any(name in loop.__dict__ for name in _METHODS)
        and all(getattr(type(loop), name) is getattr(_STOCK, name) for name in _METHODS)
        and all(_is_defined_in(base_events, getattr(_STOCK, name)) for name in _METHODS)
        and events.Handle._run is _run_of_stock
        and _is_defined_in(events, _run_of_stock)
        and not loop.get_debug()
    )


def _is_defined_in(module: ModuleType, function: Any) -> bool:
    return isinstance(function, FunctionType) and function.__code__.co_filename == module.__file__


def watch_iterations(loop: Any, log: TaskLog) -> Callable[[], None]:
    """Watch a stock loop; return the way to stop. Where the loop changes its kind, `watch_calls` takes over."""
    step: Any = STEP
    wake_up: Any = WAKE_UP
    record_of_task: Any = TaskRecord
    plain_handle = events.Handle
    is_leaving = False
    fallback: Callable[[], None] | None = None
    kind_of_loop = type(loop)
    nothing = NOTHING
    looked_up, threshold = LOOKED_UP, log.tracer.blocking_threshold
    call_soon_before, close_before = loop.call_soon, loop.close
    resolution = loop._clock_resolution
    ready: deque[Any] = loop._ready
    push, pop = ready.append, ready.popleft
    live, steps, mark, now, waits, posted, seen = (
        log.live,
        log.steps,
        log.mark,
        log.now,
        log.waits,
        log.posted,
        log.seen,
    )
    dating = Dating(loop, log)
    late = dating.late
    note_cancel, put_off = log.cancels.note, log.put_off
    # As in `hooks.is_cancelled`, without a call.
    is_cancelled: Any = Future.cancelled
    get, looked, register, finish = log.live.get, log.looked.get, log.register, log.finish
    note: Callable[[tuple[float, float, float, float]], None] = steps.extend
    fewest_cancelled: int = base_events._MIN_SCHEDULED_TIMER_HANDLES  # type: ignore[attr-defined]
    cancelled_part: float = base_events._MIN_CANCELLED_TIMER_HANDLES_FRACTION  # type: ignore[attr-defined]
    longest: int = base_events.MAXIMUM_SELECT_TIMEOUT  # type: ignore[attr-defined]

    def call_soon(callback: Any, argument: Any = nothing, *more: Any, context: Context | None = None) -> Any:
        kind = type(callback)
        if kind is step:
            task = callback.__self__
            if (record := get(id(task))) is None:
                asked = now()
                record = register(task, context, asked)
            else:
                # A step asks for the next one: that was ready from the start, and the clock is dear.
                asked = mark[0] or now()
        elif kind is wake_up and callback.__name__ == "task_wakeup":
            asked, task = now(), callback.__self__
            record = get(id(task))
            if record is not None and (
                type(argument) is Gathering or (isinstance(argument, Future) and is_cancelled(argument))
            ):
                note_cancel(task, argument)
        elif kind is MethodType and wake_up is not None and is_step(callback):
            asked, task = now(), callback.__self__
            record = get(id(task)) or (register(task, context, asked) if may_be_first(callback) else None)
        else:
            record = None
        if record is not None and record._callback is None:
            record._callback = callback
            record.argument = argument
            record._context = context
            record.asked = asked
            record.task = task
            push(record)
            return record
        args = () if argument is nothing else (argument, *more)
        if loop._debug or loop._closed:
            return as_callers(call_soon_before(callback, *args, context=context))
        # What asyncio's own does for all others.
        return loop._call_soon(callback, args, context)

    def run_once() -> None:
        if (
            is_leaving
            or loop._debug
            or kind_of_loop._run_once is not _run_once_of_stock
            or kind_of_loop.call_soon is not _call_soon_of_stock
            or events.Handle._run is not _run_of_stock
        ):
            leave()
            # Not what is in the loop's own dictionary: another tool's wrapper, left there, would come back to us.
            run_inside(loop, log, MethodType(kind_of_loop._run_once, loop))
            return
        scheduled = loop._scheduled
        count = len(scheduled)
        if count > fewest_cancelled and loop._timer_cancelled_count / count > cancelled_part:
            kept = []
            for handle in scheduled:
                if handle._cancelled:
                    handle._scheduled = False
                else:
                    kept.append(handle)
            heapq.heapify(kept)
            loop._scheduled = scheduled = kept
            loop._timer_cancelled_count = 0
        else:
            while scheduled and scheduled[0]._cancelled:
                loop._timer_cancelled_count -= 1
                heapq.heappop(scheduled)._scheduled = False
        timeout = None
        if ready or loop._stopping:
            timeout = 0
        elif scheduled:
            timeout = min(max(0, scheduled[0]._when - loop.time()), longest)
        happened = loop._selector.select(timeout)
        start = now()
        loop._process_events(happened)
        if seen or posted:
            dating.date(happened, start)
        happened = None
        if scheduled and scheduled[0]._when < (current := loop.time()) + resolution:
            dating.take_timers(loop, current, start)
        # No earlier: what is above may have taken long, and nobody sees a loop that is between two steps.
        if start > log.due:
            put_off(start)
        left = len(ready)
        while left > 0:
            for _ in range(left if left < _BATCH else _BATCH):
                try:
                    handle = pop()
                except IndexError:
                    # Somebody ran the loop inside a step.
                    break
                kind = type(handle)
                if kind is record_of_task:
                    record = handle
                    callback = record._callback
                    argument = record.argument
                    context = record._context
                    asked = record.asked
                    task = record.task
                    record._callback = record.argument = record.task = None
                elif handle._cancelled:
                    continue
                else:
                    callback, context = handle._callback, handle._context
                    argument, record, task, asked = handle, None, None, UNKNOWN
                    if type(callback) is step or (type(callback) is wake_up and callback.__name__ == "task_wakeup"):
                        task = callback.__self__
                        record = get(id(task))
                        if record is not None and record.asked >= record.since:
                            # It stood in the queue itself, until the loop stopped for a while.
                            asked = record.asked
                if record is not None:
                    number = record.index
                    if asked - record.since > looked_up and looked(number) != record.since:
                        number += waits.number(task) * INDEX
                        log.latest = start, number
                        if start > log.due:
                            # Here, where looking it up took long anyway; at each step it would cost too much.
                            put_off(start)
                mark[0] = start
                try:
                    if argument is nothing:
                        context.run(callback)
                    elif argument is not handle:
                        context.run(callback, argument)
                    elif late and id(handle) in late:
                        dating.run(handle)
                    elif kind is plain_handle:
                        context.run(callback, *handle._args)
                    else:
                        # Those from other threads have a lock of their own, from Python 3.14 on.
                        handle._run()
                except (SystemExit, KeyboardInterrupt):
                    if record is not None:
                        record.since = now()
                        note((number, asked, start, record.since))
                        if task.done():
                            finish(record, task)
                    mark[0] = 0.0
                    raise
                except BaseException as error:
                    if argument is not handle:
                        args = () if argument is nothing else (argument,)
                        handle = events.Handle(callback, args, loop, context)
                    report(error, handle)
                end = now()
                if record is not None:
                    note((number, asked, start, end))
                    record.since = end
                    if record._callback is None and task.done() and record.key in live:
                        finish(record, task)
                elif end - start > threshold and mark[0] == start:
                    log.hold(start, end, handle)
                start = end
            left -= _BATCH
            if len(steps) > CHUNK:
                log.pack()
            if start > log.due:
                # Many short steps are no long one.
                put_off(start)
        mark[0] = 0.0
        if late:
            dating.forget()
        handle = callback = argument = context = record = task = None

    def close() -> None:
        close_before()
        stop()
        log.close()
        for record in [*live.values()]:
            record.drop()

    def report(error: BaseException, handle: Any) -> None:
        source = format_helpers._format_callback_source(handle._callback, handle._args)
        said = {"message": f"Exception in callback {source}", "exception": error, "handle": handle}
        if handle._source_traceback:
            said["source_traceback"] = handle._source_traceback
        loop.call_exception_handler(said)

    catch_up(loop, log)
    replacements = Replacements(
        loop,
        {
            "call_soon": call_soon,
            "call_soon_threadsafe": noting_posts(loop, log),
            "_run_once": run_once,
            "close": close,
        },
    )
    factory_hook = FactoryHook(loop, log)

    def unhook() -> None:
        nonlocal step, wake_up
        # Where another tool has wrapped `call_soon`, it keeps calling ours: let it do nothing of its own.
        step = wake_up = None
        watched: Any = log.loop()
        replacements.remove(watched)
        factory_hook.remove(watched)
        log.unqueue()

    def leave() -> None:
        nonlocal fallback, note
        unhook()
        if not is_leaving:
            fallback = watch_calls(loop, log)
            note = note_rest

    def note_rest(step: tuple[float, float, float, float]) -> None:
        """Note a step of the iteration within which this was left."""
        index, start = int(step[0] % INDEX), step[2]
        went_on, log.unseen = log.under_way.pop(index, (0.0, 0.0, 0.0)), None
        steps.extend((*went_on, step[3]) if went_on[2] > start else step)

    def stop() -> None:
        nonlocal is_leaving
        if fallback is not None:
            fallback()
            return
        watched: Any = log.loop()
        if watched is None or step is None:
            return
        is_leaving = True
        if watched._thread_id in (None, threading.get_ident()):
            unhook()
            return
        # It may have been closed.
        with suppress(RuntimeError):
            watched.call_soon_threadsafe(lambda: None)

    return stop
