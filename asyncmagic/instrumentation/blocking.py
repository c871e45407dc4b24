"""Who blocks the loop: a thread that looks at the loop's stack while a step takes long, and only then."""

from __future__ import annotations

import gc
import logging
import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from itertools import takewhile
from operator import itemgetter
from typing import Any

from asyncmagic.instrumentation.alarms import alarms
from asyncmagic.instrumentation.delays import Delays
from asyncmagic.instrumentation.looks import Look, Share, culprit, place_of, shares, stack_of
from asyncmagic.instrumentation.places import describe, line_at
from asyncmagic.instrumentation.tasklog import BACKLOG, TaskLog
from asyncmagic.tracing.model import Attributes, Span, Trace
from asyncmagic.tracing.semconv import BLOCKED_BY, CODE_CELL, CODE_FILE, CODE_FUNCTION, CODE_LINE
from asyncmagic.tracing.tracer import Tracer

if sys.platform == "linux":
    import fcntl
    import termios

logger = logging.getLogger("asyncmagic")

#: Seconds between looks at a loop of which a step is long.
_LONG = 0.002
#: Seconds after which a step is long: what becomes ready meanwhile has to wait for it.
_HELD = 0.005

_WHERE = (CODE_FUNCTION, CODE_LINE, CODE_FILE, CODE_CELL)


class Samples:
    """The stacks seen during long steps of one loop, and the spans made of them."""

    def __init__(self, tracer: Tracer, lasts: dict[int, int]) -> None:
        self._tracer = tracer
        self._delays = Delays(tracer, lasts)
        #: What was seen, in the order of time.
        self.looks: list[Look] = []
        self.last_look = 0.0
        #: When the watchdog came last, whether or not it looked.
        self.last_visit = 0.0
        #: Start and end of the long garbage collections.
        self.collections: list[tuple[float, float]] = []
        self._blocks: list[Span] = []

    def add_block(self, start: float, end: float, parent: Span, callback: str | None = None) -> None:
        """Make the spans of a step that blocked the loop, one a line, below the span of the task that did it.

        `callback` is what was called where no task did. What asyncmagic itself did there is left out.
        """
        threshold = self._tracer.blocking_threshold
        found = shares(self._seen(start, end), start, end, self.collections, threshold / 2)
        ours = sum(share.seconds for share in found if share.is_ours)
        if ours and end - start - ours < threshold:
            return
        for share in found:
            until = end if share is found[-1] else start + share.seconds
            if not share.is_ours:
                name, attributes = self._describe(share, parent, callback)
                span = self._tracer.start_span(
                    name, kind="blocked", parent=parent, start=round(start * 1e9), attributes=attributes
                )
                self._tracer.end_span(span, end=round(until * 1e9))
                self._blocks.append(span)
            start = until

    def _seen(self, start: float, end: float) -> list[Look]:
        first = bisect_right(self.looks, start, key=itemgetter(1))
        return list(takewhile(lambda look: look[0] < end, self.looks[first:]))

    def _describe(self, share: Share, parent: Span, callback: str | None) -> tuple[str, Attributes]:
        """Return what a block is called, and where and by what it was."""
        if share.is_collection:
            return "garbage collection", {BLOCKED_BY: "garbage collection"}
        place, name_file = share.place, self._tracer.name_file
        if place is None:
            return (callback, {BLOCKED_BY: callback}) if callback is not None else (parent.name, {})
        if place.code is None:
            # A task that is a library's coroutine and nothing else: where it was made is all of the user's there is.
            attributes = {key: parent.attributes[key] for key in _WHERE if key in parent.attributes}
            attributes[BLOCKED_BY] = callback or culprit(share)
            file, line = attributes.get(CODE_FILE), attributes.get(CODE_LINE)
            return callback or (f"{name_file(file)}:{line}" if isinstance(file, str) else parent.name), attributes
        line = line_at(place.code, place.instruction)
        function = "" if place.code.co_name.startswith(("<module>", "<cell line")) else f" {place.code.co_name}"
        attributes = describe(place.code, line, name_file)
        if share.is_rest:
            del attributes[CODE_LINE]
            return f"{name_file(place.code.co_filename)}{function}", attributes
        attributes[BLOCKED_BY] = culprit(share)
        return f"{name_file(place.code.co_filename)}:{line}{function}", attributes

    def forget(self, until: float) -> None:
        """Let go of what was seen until then: those steps are over and have their spans, or were too short for one."""
        del self.looks[: bisect_right(self.looks, until, key=itemgetter(1))]
        del self.collections[:-100]
        self._blocks = [block for block in self._blocks if block.trace is not None and block.trace.is_running]
        if not self._blocks:
            self._delays.forget()

    def settle(self, trace: Trace) -> None:
        """Note on each chat call how long a blocked loop kept its first token and its end from being seen."""
        blocks = [(block.start, block.end) for block in self._blocks if block.trace is trace and block.end is not None]
        if blocks:
            self._delays.settle(trace, blocks)


class Watchdog:
    """Looks at loops from a thread of its own, and dates what became ready while one was held.

    Where the platform's selector cannot be asked from outside (anything but epoll), a task counts as ready from when
    the loop saw it; `can_date` says so.
    """

    def __init__(self, loops: Callable[[], list[tuple[TaskLog, Samples]]], catch_up: Callable[[], None]) -> None:
        self._loops = loops
        self._catch_up = catch_up
        self._thread = threading.Thread(target=self._run, name="asyncmagic-watchdog", daemon=True)
        #: When the collection that runs began; it may have begun before us.
        self._collection_began: float | None = None

    def start(self) -> None:
        self._alarms = alarms()
        self._thread.start()
        gc.callbacks.append(self._on_collection)

    def stop(self) -> None:
        gc.callbacks.remove(self._on_collection)
        self._alarms.stop()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def watch(self, log: TaskLog) -> None:
        """Be woken when that log's loop does not come round."""
        log.alarm = self._alarms.add()
        log.put_off(log.now())

    def _run(self) -> None:
        try:
            self._keep_looking()
        except Exception:
            logger.exception("what blocks a loop is not seen any more; your code is not affected")
        finally:
            self._alarms.close()

    def _keep_looking(self) -> None:
        pause = None
        while self._alarms.wait(pause):
            pause = None
            for log, samples in self._loops():
                began, held = _held(log)
                if held > _HELD:
                    pause = _LONG
                    # The stack first: asking the selector lets the loop run on.
                    _sample(log, samples, began)
                    _date_ready(log, began)
                elif log.alarm is None:
                    pass
                elif began:
                    # It is too early to tell, and the loop may not come to put it off before this step is over.
                    log.alarm.set(log.overdue)
                else:
                    # Between two steps: the next may be long, whenever the loop has put it off before.
                    log.due = 0.0
                if log.backlog > BACKLOG:
                    self._catch_up()

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] < 2:
            return
        now = time.perf_counter()
        if phase == "start":
            self._collection_began = now
        elif self._collection_began is not None and now - self._collection_began > _HELD:
            # Whichever thread collects, the others wait.
            for _, samples in self._loops():
                samples.collections.append((self._collection_began, now))


def _held(log: TaskLog) -> tuple[float, float]:
    """Return when the step that runs now began, and how long it has been running: 0 where none runs."""
    while True:
        began = log.mark[0]
        held = log.now() - began if began else 0.0
        # C code may have held the interpreter's lock since the line above: then it is of that step that we are to tell.
        if log.mark[0] == began:
            return began, held


def can_date(loop: Any) -> bool:
    """Whether it can be told from outside when a file descriptor of the loop became ready."""
    return hasattr(getattr(getattr(loop, "_selector", None), "_selector", None), "poll") and sys.platform == "linux"


def _date_ready(log: TaskLog, began: float) -> None:
    loop: Any = log.loop()
    if loop is None or not can_date(loop):
        return
    try:
        # What is ready now and was not before has become so in between.
        asked = log.now()
        since, log.asked = (max(began, log.asked) + asked) / 2, asked
        # Level-triggered, so that asking takes nothing away from the loop.
        happened = loop._selector._selector.poll(0)
        # Of very many, a hundred are asked for more at a time: the loop's thread has to wait for that.
        rounds = len(happened) // 100 + 1
        turn = round(asked / _LONG) % rounds
        for number, (descriptor, _) in enumerate(happened):
            if descriptor not in log.seen or number % rounds == turn:
                now, size = log.now(), _unread(descriptor)
                if log.mark[0] == began:
                    first, last, before = log.seen.get(descriptor, (since, since, size))
                    log.seen[descriptor] = first, now if size > before else last, size
    except (OSError, ValueError):
        # It has been closed.
        pass


def _unread(descriptor: int) -> int:
    """Return how many bytes have come in through a file descriptor, and wait to be read; of one without any, 0."""
    if sys.platform == "linux":
        # Connections to be accepted, events and processes are not counted in bytes.
        with suppress(OSError):
            return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
    return 0


def _sample(log: TaskLog, samples: Samples, began: float) -> None:
    # The time first: C code that gets hold of the interpreter's lock in between is the next look's.
    now = log.now()
    unseen, samples.last_visit = now - max(began, samples.last_visit), now
    held = now - began
    if held < log.tracer.blocking_threshold / 4 or now - samples.last_look < held / 1000:
        return
    place = place_of(stack_of(log.thread), Watchdog._on_collection.__code__, unseen)
    if place is None or log.mark[0] != began:
        return
    # It stands for the time since the look before: C code that holds the interpreter's lock lets nobody look meanwhile,
    # and is seen once, when it returns.
    samples.looks.append((max(began, samples.last_look), now, place))
    samples.last_look = now
