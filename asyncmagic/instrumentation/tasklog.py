"""What one event loop's tasks do, appended as it happens; `taskspans` makes it into spans when somebody looks."""

from __future__ import annotations

import asyncio
import gc
import logging
import struct
import sys
import threading
import time
from array import array
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from math import inf
from types import BuiltinFunctionType, CellType, CodeType, CoroutineType, FrameType
from typing import Any
from weakref import ref

from asyncmagic.instrumentation.alarms import AT_ONCE, Alarm
from asyncmagic.instrumentation.cancels import Cancels
from asyncmagic.instrumentation.places import describe, is_housekeeping, is_uvloop, is_wrapper, library
from asyncmagic.instrumentation.waits import Waits, given_name
from asyncmagic.tracing.model import Attributes, Span, StateLog
from asyncmagic.tracing.semconv import LIBRARY
from asyncmagic.tracing.tracer import Tracer, _current_span, type_name

#: A wait at least this long, in seconds, is looked up: shorter ones would cost more than they tell.
LOOKED_UP = 0.005
#: Steps held as Python objects before they are packed into 8 bytes a number.
CHUNK = 2048
#: A step's first number carries the task's index and, above it, the number of what the task waited for.
INDEX = 1 << 32

#: Numbers a log may hold before they are made into spans though nobody asked.
BACKLOG = 16_000_000
#: Seconds after which a loop that has not come round is looked at, and those until it puts that off again.
_OVERDUE, _PUT_OFF = 0.015, 0.005

#: In place of the argument of a callback that has none.
NOTHING = object()

#: In place of a step's ready time: unknown; and no step at all, but a look at what the task waits for since then.
UNKNOWN, LOOK = -1.0, -2.0
#: Or the rest of a step from within which its task was adopted, and of which the end is not known well.
ENTERED = -3.0

logger = logging.getLogger("asyncmagic")

#: Start and end of what held the loop, whose span it belongs below, and its name if it was no step of a task.
Held = tuple[float, float, Span | None, str | None]

_read_span = _current_span.get
_current_task = asyncio.current_task
_frame = sys._getframe
#: By these a loop calls back; `run_once` is ours in its place.
_CALLS_BACK = frozenset(("_run", "_run_once", "run_once"))
_CREATE_TASK = asyncio.create_task.__code__


class TaskRecord(ref["asyncio.Task[Any]"]):
    """A task that is being watched, referred to weakly, until it ends.

    In the queue of a loop whose iterations are watched it stands for the handle of the task's next step, and can be
    read like one: so a task that waits for its turn is no more objects for the garbage collector than unwatched.
    """

    __slots__ = ("_callback", "_context", "argument", "asked", "index", "inherited", "key", "since", "task")

    #: Which row of the log is its own.
    index: int
    key: int
    #: When its latest step ended, in seconds of the log's clock; until the first one, when it was made.
    since: float
    #: The current span that the task got with its context: as long as it is that, the task's own span is current.
    inherited: Span | None
    #: What the loop is to call, `None` while this is not in its queue.
    _callback: Callable[..., Any] | None
    argument: Any
    _context: Context | None
    #: When that was asked for.
    asked: float
    #: Strongly, while this is in the queue.
    task: asyncio.Task[Any] | None
    _cancelled = False

    @property
    def _args(self) -> tuple[Any, ...]:
        return () if self.argument is NOTHING else (self.argument,)

    def take(self, loop: AbstractEventLoop) -> asyncio.Handle:
        """Return the handle that this stands for, to be put in its place."""
        handle = asyncio.Handle(self._callback, self._args, loop, self._context)  # type: ignore[arg-type]
        self.drop()
        return handle

    def drop(self) -> None:
        """Let go of what the loop was to call."""
        self._callback = self.argument = self.task = self._context = None

    def _run(self) -> None:
        """Call it, for somebody who takes it out of the queue."""
        if self.task is not None:
            self.take(self.task.get_loop())._run()

    def cancel(self) -> None:
        """Let the loop call nothing, as `asyncio.Handle.cancel`."""
        self._callback = _nothing

    def cancelled(self) -> bool:
        """Whether `cancel` was called, as `asyncio.Handle.cancelled`."""
        return self._callback is _nothing


def _nothing(*_: Any) -> None:
    pass


# What stays of a task until it is a span is a row of a flat list: an object for each, and the garbage collector would
# have to look at a hundred thousand of them again and again.
#: Where its span belongs, a span or the index of a task; its name; where it was made; its span; `None` while it runs,
#: then "" or the name of the error; when it ended, and until then when it was made.
_ABOVE, _NAME, _SITE, _SPAN, _OUTCOME, _ENDED = range(6)
_WIDTH = 6


@dataclass(slots=True)
class _Birth:
    """A task that takes its first step while it is being made, so that nobody has seen it yet."""

    maker: asyncio.Task[Any] | None
    above: int | Span
    inherited: Span | None
    born: float
    name: str
    site: int
    span: Span | None = None


class TaskLog:
    """The tasks of one loop that belong to a trace; written on the loop's thread, in seconds of the tracer's clock."""

    def __init__(self, tracer: Tracer, loop: AbstractEventLoop) -> None:
        self.tracer = tracer
        self.thread = threading.get_ident()
        self.now = seconds(tracer)
        self.waits = Waits(tracer)
        self.cancels = Cancels(tracer)
        #: By the index of a task that ended cancelled: who did it.
        self.cancelled_by: dict[int, str] = {}
        self.live: dict[int, TaskRecord] = {}
        #: By index, the `since` of each wait that has been put into words already.
        self.looked: dict[int, float] = {}
        #: index and wait, ready, start, end; again and again
        self.steps: list[float] = []
        #: When the step that runs now began; 0 between steps.
        self.mark = [0.0]
        #: By the index of a task, of its step that is not over, where that may run the loop: the first number, when it
        #: was ready, and when it began or went on.
        self.under_way: dict[int, tuple[float, float, float]] = {}
        #: Whose step runs the loop and began unseen.
        self.unseen: TaskRecord | None = None
        #: Whether it is a callback that runs now, or a callback runs the loop.
        self.calls_back = False
        #: When the latest step after a long wait began, and its first number.
        self.latest = (0.0, 0)
        #: Callbacks that held the loop for long and were no step of a watched task.
        self.held: list[Held] = []
        #: Callbacks that other threads have sent, and when.
        self.posted: deque[tuple[Any, float]] = deque()
        #: File descriptors that were seen to be ready while the loop was held: since when, when the last bytes had
        #: come in, and how many wait to be read.
        self.seen: dict[int, tuple[float, float, int]] = {}
        #: When the file descriptors were asked for that the last time.
        self.asked = 0.0
        #: Where more came in after the first, when the last of it did, by when the first did (ns).
        self.lasts: dict[int, int] = {}
        #: Wakes the watchdog.
        self.alarm: Alarm | None = None
        #: Seconds without a word of the loop's until it does.
        self.overdue = min(_OVERDUE, tracer.blocking_threshold / 2)
        #: When the loop is to put it off; never, where there is none.
        self.due = inf
        self.is_closed = False
        self.loop = ref(loop)
        self._packed = array("d")
        self._rows: list[Any] = []
        self._count = 0
        self._handed = 0
        self._ended: list[int] = []
        #: Tasks whose spans others made and will end.
        self.adopted: set[int] = set()
        self._sites: dict[tuple[int, ...], int] = {}
        self._places: list[tuple[CodeType, int]] = []
        self._described: dict[int, Attributes] = {}
        self._codes: list[CodeType] = []
        self._is_passed_over: dict[int, bool] = {}
        self._libraries: dict[int, str | None] = {}
        self._births: list[_Birth | None] = []
        self._dropped = 0
        self._most = tracer.max_spans
        self._on_gone = self._gone
        self._making = threading.RLock()
        self._packing = threading.Lock()
        self._is_looking = False

    # -- on the loop's thread, for every task

    def register(self, task: asyncio.Task[Any], context: Context | None, born: float) -> TaskRecord | None:
        """Watch a task if it belongs to a trace; it is being made by whatever runs now."""
        # Written out, since it runs once a task: every call it does not make is a tenth of a loop's step.
        try:
            inherited = _read_span() if context is None else context.get(_current_span)
            maker = _current_task(self.loop())
            if maker is task:
                # It was there before us, or belongs to nobody: it has only yielded.
                return None
            # A context made for the task says where it belongs, if that is another place than where it is made.
            here = _read_span() if inherited is None else inherited
            record = self.live.get(id(maker))
            above: int | Span
            if record is not None and record.inherited is here:
                above = record.index
            elif (span := self._birth_above(maker, here) if self._births else here) is not None:
                above = span
            else:
                return None
            coroutine: Any = task.get_coro()
            try:
                code, name = coroutine.cr_code, coroutine.__qualname__
                if self._is_passed_over[id(code)]:
                    return None
            except (AttributeError, KeyError):
                name = _name(coroutine)
                if self._passes_over(coroutine):
                    return None
            # Around us are `loop.call_soon`, `loop.create_task` and, most often, `asyncio.create_task`.
            frame: Any = _frame(3)
            frame = frame.f_back if frame.f_code is _CREATE_TASK else _frame(2)
            # Only places of the user's are there: one in a library leads further out.
            site = self._sites.get((id(frame.f_code), frame.f_lasti))
            if site is None:
                site = self._site(frame, coroutine)
            index = self._count
            if index >= self._most:
                self._dropped += 1
                return None
            record = TaskRecord(task, self._on_gone)
            record.index = index
            record.key = key = id(task)
            record.since = born
            record.inherited = inherited
            record._callback = None
            record.asked = UNKNOWN
            self._rows.extend((above, name, site, None, None, born))
            self._count = index + 1
            self.live[key] = record
            return record
        except Exception:
            self.fail()
            return None

    def catch_up(self, task: asyncio.Task[Any], context: Context) -> None:
        """Watch a task that was made before its loop was watched, and has not begun."""
        span = _span_in(context)
        coroutine = task.get_coro()
        if span is not None and id(task) not in self.live and not self._passes_over(coroutine):
            self._add(task, span, span, _name(coroutine), self._site(_frame(1), coroutine), self.now())

    def adopt(self, task: asyncio.Task[Any], span: Span) -> None:
        """Write the states of `task` to a span that someone else made and will end; of the running one, from now."""
        record = self.live.get(id(task))
        if task is _current_task(self.loop()):
            self._enter(task, span, record)
            return
        if record is None:
            record = self._add(task, span, _read_span(), span.name, -1, self.now())
        if record is not None:
            self._rows[record.index * _WIDTH + _SPAN] = span
            self.adopted.add(record.index)

    def _enter(self, task: asyncio.Task[Any], span: Span, record: TaskRecord | None) -> None:
        began, loop = self.now(), self.loop()
        if record is None:
            record = self._add(task, span, span, span.name, -1, began)
        elif record.index not in self.adopted or not self._rows[record.index * _WIDTH + _SPAN].has_ended:
            # A trace inside another: the task's states belong to that one.
            return
        if record is None or loop is None:
            return
        record.inherited, record.since = span, began
        self._rows[record.index * _WIDTH + _SPAN] = span
        self.adopted.add(record.index)
        span.states = StateLog()
        span.states.append(round(began * 1e9), "running")
        # The step that runs now began without us, and will end unseen: what comes next tells when.
        self.mark[0] = began
        self.put_off(began)
        queue = getattr(loop, "_ready", None)
        if isinstance(queue, deque):
            queue.appendleft(asyncio.Handle(self._entered, (record, began, UNKNOWN), loop, Context()))
        else:
            loop.call_soon(self._entered, record, began, ENTERED, context=Context())

    def _entered(self, record: TaskRecord, began: float, ready: float) -> None:
        if self.mark[0] == began:
            self.mark[0] = 0.0
        if record.since == began:
            record.since = self.now()
            self.steps.extend((record.index, ready, began, record.since))

    def hold(self, start: float, end: float, handle: Any) -> None:
        """Note that the callback of a handle, or the step of a task that is not watched, held the loop."""
        callback, context = handle._callback, handle._context
        span = _span_in(context)
        try:
            is_step = isinstance(getattr(callback, "__self__", None), asyncio.Task)
            name = None if is_step or callback is None else _called(callback)
        except Exception:
            # Somebody's object does not answer as others do.
            is_step, name = False, type(callback).__qualname__
        if not is_step and span is not None and span.trace is not None:
            # The task that asked for the call has only waited.
            span = span.trace.root
        self.held.append((start, end, span, name))

    def finish(self, record: TaskRecord, task: asyncio.Task[Any]) -> None:
        """Note how a task ended; its last step is in `steps` already."""
        try:
            del self.live[record.key]
            # Not `task.exception()`: that would count as reading it.
            error = task._exception
            outcome = type_name(error) if error is not None else "CancelledError" if task.cancelled() else ""
            if task.get_name()[:5] != "Task-":
                self._rename(record, task)
            index = record.index
            row = index * _WIDTH
            if outcome == "CancelledError" and (who := self.cancels.who(task)):
                self.cancelled_by[index] = who
            self._rows[row + _OUTCOME] = outcome
            self._rows[row + _ENDED] = record.since
            self._ended.append(index)
            if len(self.steps) > CHUNK:
                self.pack()
        except Exception:
            self.fail()

    def put_off(self, now: float) -> None:
        """Have the loop looked at only if it does not come round for a while; at once, if much is to be caught up."""
        if self.alarm is not None:
            self.due = now + _PUT_OFF
            self.alarm.set(AT_ONCE if self.backlog > BACKLOG else self.overdue)

    def unqueue(self) -> None:
        """Put handles in place of the records in the loop's queue: whoever drops the loop drops its tasks, too."""
        loop: Any = self.loop()
        queue: deque[Any] = getattr(loop, "_ready", deque())
        for position, handle in enumerate(queue.copy()):
            if type(handle) is TaskRecord:
                queue[position] = handle.take(loop)

    def close(self) -> None:
        """Have the loop looked at no more."""
        self.due = inf
        self.is_closed = True
        self.posted.clear()
        self.seen.clear()
        if self.alarm is not None:
            self.alarm.close()

    def fail(self) -> None:
        """See no new tasks because of the exception being handled; say so once."""
        if self._most:
            logger.exception("the tasks of a loop are not watched any more; your code is not affected")
        self._most = 0

    def pack(self) -> None:
        """Pack the steps so far. Where another thread is at it, leave it to that thread."""
        if self._packing.acquire(blocking=False):
            try:
                self._pack()
            finally:
                self._packing.release()

    def span(self, index: int, born: float | None = None) -> Span:
        """Return the span of a task, which is made now if nobody has looked yet; of one that has ended, say `born`."""
        place = index * _WIDTH + _SPAN
        span: Span | None = self._rows[place]
        if span is None:
            with self._making:
                span = self._rows[place]
                if span is None:
                    above, name, site, _, _, since = self._rows[place - _SPAN : place - _SPAN + _WIDTH]
                    span = self._rows[place] = self._make(above, name, site, since if born is None else born)
        return span

    def _birth_span(self, birth: _Birth) -> Span:
        if birth.span is None:
            birth.span = self._make(birth.above, birth.name, birth.site, birth.born)
        return birth.span

    def current(self, inherited: Span | None, task: asyncio.Task[Any]) -> Span | None:
        """Return the span of the running `task`, unless something else was made current inside it."""
        record = self.live.get(id(task))
        if record is not None:
            return self.span(record.index) if record.inherited is inherited else inherited
        birth = self._birth(task)
        return self._birth_span(birth) if birth is not None and birth.inherited is inherited else inherited

    def is_traced(self, context: Context | None) -> bool:
        """Whether something is being traced in that context."""
        return _span_in(context) is not None

    @contextmanager
    def starting(
        self, coroutine: Coroutine[Any, Any, Any], context: Context | None
    ) -> Iterator[Callable[[asyncio.Task[Any]], None]]:
        """Watch a task that may take its first step while it is being made; call what this yields with the task."""
        maker = asyncio.current_task(self.loop())
        inherited = _span_in(context)
        here = _read_span() if inherited is None else inherited
        record = self.live.get(id(maker))
        above: int | Span | None
        above = record.index if record is not None and record.inherited is here else self._birth_above(maker, here)
        birth: _Birth | None = None
        if above is not None and not self._passes_over(coroutine):
            birth = _Birth(maker, above, inherited, self.now(), _name(coroutine), self._site(_frame(1), coroutine))
        self._births.append(birth)

        def started(task: asyncio.Task[Any]) -> None:
            if birth is None or id(task) in self.live:
                return
            record = self._add(task, birth.above, birth.inherited, birth.name, birth.site, birth.born)
            if record is None:
                return
            self._rows[record.index * _WIDTH + _SPAN] = birth.span
            if task.done() or getattr(coroutine, "cr_suspended", False):
                record.since = self.now()
                self.steps.extend((record.index, birth.born, birth.born, record.since))
            if task.done():
                self.finish(record, task)

        try:
            yield started
        finally:
            self._births.pop()

    def _birth_above(self, maker: asyncio.Task[Any] | None, here: Span | None) -> Span | None:
        birth = self._birth(maker)
        return self._birth_span(birth) if birth is not None and birth.inherited is here else here

    def _birth(self, task: asyncio.Task[Any] | None) -> _Birth | None:
        """Return the birth of the running `task` if it takes its first step while it is being made."""
        birth = self._births[-1] if self._births else None
        return birth if birth is not None and birth.maker is not task else None

    def _add(
        self,
        task: asyncio.Task[Any],
        above: int | Span,
        inherited: Span | None,
        name: str,
        site: int,
        born: float,
    ) -> TaskRecord | None:
        if self._count >= self._most:
            self._dropped += 1
            return None
        record = TaskRecord(task, self._on_gone)
        record.index, record.key, record.since, record.inherited = self._count, id(task), born, inherited
        record._callback = None
        record.asked = UNKNOWN
        self._rows.extend((above, name, site, None, None, born))
        self._count += 1
        self.live[record.key] = record
        return record

    def _passes_over(self, coroutine: Any) -> bool:
        code = _code(coroutine)
        if code is None:
            # By this the loop closes generators that were left before their end.
            return type(coroutine).__name__ == "async_generator_athrow"
        self._codes.append(code)
        file, name = code.co_filename, _name(coroutine)
        is_shutdown = name.startswith("Loop.shutdown_" if is_uvloop(file) else "BaseEventLoop.shutdown_")
        passes = (is_housekeeping(file) and not is_wrapper(file)) or is_shutdown
        self._is_passed_over[id(code)] = passes
        return passes

    def _site(self, frame: FrameType, coroutine: Any) -> int:
        """Return the number of the user's place that makes a task, in `frame` or around it; -1 if there is none.

        Where a library makes a task of its own coroutine, it is the library's place, or the coroutine itself.
        """
        is_users_own = self._is_users_own(coroutine)
        maker: FrameType | None = frame
        while maker is not None and (name := self._library(maker.f_code)) is not None:
            if name and not is_users_own:
                break
            # What is around a callback has not made its task.
            maker = None if not name and maker.f_code.co_name in _CALLS_BACK else maker.f_back
        code, instruction = (maker.f_code, maker.f_lasti) if maker is not None else (_code(coroutine), 0)
        if code is None or (maker is None and not self._library(code)):
            return -1
        # Of a user's coroutine the same place in a library leads further out.
        place = (id(code), instruction) if name is None else (id(code), instruction, 1)
        site = self._sites.get(place)
        if site is None:
            self._places.append((code, maker.f_lineno if maker is not None else code.co_firstlineno))
            site = self._sites[place] = len(self._places) - 1
        return site

    def _is_users_own(self, coroutine: Any) -> bool:
        """Whether a coroutine that has not begun is the user's, or has one of theirs among its arguments."""
        code = _code(coroutine)
        if code is None or self._library(code) is None:
            return code is not None
        # Not by its frame: that would make a dictionary of the arguments, and keep them alive with the frame.
        held = gc.get_referents(coroutine)
        held += gc.get_referents(*(one for one in held if type(one) is CellType))
        return any(type(one) is CoroutineType and self._library(one.cr_code) is None for one in held)

    def _library(self, code: CodeType) -> str | None:
        """Return `places.library` of the file of some code."""
        try:
            return self._libraries[id(code)]
        except KeyError:
            self._codes.append(code)
            return self._libraries.setdefault(id(code), library(code.co_filename))

    def _gone(self, record: ref[Any]) -> None:
        assert isinstance(record, TaskRecord)
        if self.live.get(record.key) is record:
            # Nobody kept the task: it was collected while it waited, and will never be done.
            del self.live[record.key]
            row = record.index * _WIDTH
            self._rows[row + _OUTCOME] = "TaskDestroyed"
            self._rows[row + _ENDED] = record.since
            self._ended.append(record.index)

    # -- looking at tasks that wait

    def look(self) -> None:
        """Put into words what the waiting tasks wait for, for a reader who is not on the loop's thread."""
        self._is_looking = False
        looked = self.looked
        now = self.now()
        deadline = now + 0.002
        for record in list(self.live.values()):
            if looked.get(record.index) != record.since and (task := record()) is not None and not task.done():
                self._rename(record, task)
                if task is not asyncio.current_task(self.loop()):
                    wait = self.waits.number(task)
                    self.steps.extend((record.index + wait * INDEX, LOOK, 0.0, record.since))
                    looked[record.index] = record.since
                if self.now() > deadline and self.now() != now:
                    return

    def _rename(self, record: TaskRecord, task: asyncio.Task[Any]) -> None:
        if (name := given_name(task)) is not None:
            self._rows[record.index * _WIDTH + _NAME] = name

    def ask_for_a_look(self) -> None:
        loop = self.loop()
        if loop is None or loop.is_closed():
            return
        if asyncio._get_running_loop() is loop:
            self.look()
        elif not self._is_looking and any(
            self.looked.get(record.index) != record.since for record in list(self.live.values())
        ):
            self._is_looking = True
            try:
                loop.call_soon_threadsafe(self.look)
            except RuntimeError:
                # It was closed meanwhile.
                self._is_looking = False

    # -- for readers, on any thread

    def drain(self) -> tuple[range, array[float], list[int], list[Held]]:
        """Hand over what was appended since the last time: new tasks, steps, who ended, what else held the loop.

        Of every task that ended, all steps have been handed over.
        """
        ended, held, count = len(self._ended), len(self.held), self._count
        with self._packing:
            self._pack()
            steps, self._packed = self._packed, array("d")
        handed = range(self._handed, count), steps, self._ended[:ended], self.held[:held]
        self._handed = count
        del self._ended[:ended], self.held[:held]
        return handed

    def take_dropped(self) -> int:
        dropped, self._dropped = self._dropped, 0
        return dropped

    def name(self, index: int) -> str:
        """Return what a task is called by now."""
        name: str = self._rows[index * _WIDTH + _NAME]
        return name

    def take_end(self, index: int) -> tuple[Span, str, str, float]:
        """Return the span of a task that has ended, its name, its error and its end, and let go of them.

        The tasks that it made must have their spans by then.
        """
        row = index * _WIDTH
        _, name, _, span, outcome, end = self._rows[row : row + _WIDTH]
        self._rows[row + _ABOVE] = self._rows[row + _SPAN] = None
        self.looked.pop(index, None)
        return span, name, outcome, end

    @property
    def backlog(self) -> int:
        """How many numbers wait to be handed over."""
        return len(self._packed) + len(self.steps)

    @property
    def is_over(self) -> bool:
        """Whether the loop is gone, and all that it did has been handed over."""
        return self.loop() is None and not self.backlog and not self._ended

    def _pack(self) -> None:
        # By `struct`: an array takes numbers one by one, at twice the time.
        steps = tuple(self.steps)
        self._packed.frombytes(struct.pack(f"{len(steps)}d", *steps))
        del self.steps[: len(steps)]

    def _make(self, above: int | Span, name: str, site: int, born: float) -> Span:
        parent = self.span(above) if isinstance(above, int) else above
        attributes = self._describe(site).copy() if site >= 0 else {}
        start = round(born * 1e9)
        span = Span(self.tracer.next_id(), parent.span_id, name, "task", start, parent.trace, attributes=attributes)
        span.states = StateLog()
        span.states.append(start, "ready")
        if parent.trace is not None and parent.trace.is_running:
            self.tracer.keep(span, parent.trace)
        return span

    def _describe(self, site: int) -> Attributes:
        """Return the attributes of a place that makes tasks; looking its line up is worth doing once."""
        attributes = self._described.get(site)
        if attributes is None:
            code, line = self._places[site]
            attributes = self._described[site] = describe(code, line, self.tracer.name_file)
            if (name_of_library := self._library(code)) is not None:
                attributes[LIBRARY] = name_of_library
        return attributes


def _span_in(context: Context | None) -> Span | None:
    """Return the span that is current in a context, or in the one of the caller."""
    try:
        return _read_span() if context is None else context.get(_current_span)
    except Exception:
        # Somebody's object that can only run.
        return None


def _name(coroutine: Any) -> str:
    return getattr(coroutine, "__qualname__", None) or type(coroutine).__qualname__


def _called(callback: Any) -> str:
    while isinstance(callback, partial):
        callback = callback.func
    name = _name(callback)
    return f"{callback.__module__}.{name}" if type(callback) is BuiltinFunctionType and callback.__module__ else name


def _code(coroutine: Any) -> CodeType | None:
    return getattr(coroutine, "cr_code", None)


def seconds(tracer: Tracer) -> Callable[[], float]:
    """Return the tracer's clock in seconds; the real one without the detour over integers."""
    if tracer.clock is time.perf_counter_ns:
        return time.perf_counter
    clock = tracer.clock
    return lambda: clock() / 1e9
