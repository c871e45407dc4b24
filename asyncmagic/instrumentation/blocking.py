"""Who blocks the loop: a thread that looks at the loop's stack while a step takes long, and only then."""

from __future__ import annotations

import ast
import gc
import linecache
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import CodeType
from typing import Any

from asyncmagic.instrumentation.delays import Delays
from asyncmagic.instrumentation.places import describe, is_housekeeping, is_users, line_at
from asyncmagic.instrumentation.tasklog import TaskLog
from asyncmagic.tracing.model import Attributes, Span, Trace
from asyncmagic.tracing.semconv import BLOCKED_BY
from asyncmagic.tracing.tracer import Tracer

if sys.platform == "linux":
    import fcntl
    import termios

#: Seconds between looks at the loop: while steps are short, and while one is long.
_IDLE, _LONG = 0.010, 0.002
#: Seconds after which a step is long: what becomes ready meanwhile has to wait for it.
_HELD = 0.005
#: Numbers a log may hold before they are made into spans though nobody asked.
_BACKLOG = 16_000_000

#: Code and instruction of each frame, innermost first.
_Stack = tuple[tuple[CodeType, int], ...]


class Samples:
    """The stacks seen during long steps of one loop, and the spans made of them."""

    def __init__(self, tracer: Tracer, lasts: dict[int, int]) -> None:
        self._tracer = tracer
        self._delays = Delays(tracer, lasts)
        #: When the step began -> the microseconds that each stack seen in it stands for.
        self.stacks: dict[float, Counter[_Stack]] = {}
        self.last_look = 0.0
        #: Start and end of the long garbage collections.
        self.collections: list[tuple[float, float]] = []
        self._blocks: list[Span] = []

    def add_block(self, start: float, end: float, parent: Span) -> None:
        """Make the span of a step that blocked the loop, below the span of the task that did it."""
        # A stack that ends in the watching itself was seen when the step was over.
        seen = self.stacks.pop(start, Counter())
        stacks = Counter(
            {stack: count for stack, count in seen.items() if not is_housekeeping(stack[0][0].co_filename)}
        )
        name, attributes = parent.name, Attributes()
        if stacks:
            code, instruction = _innermost(stacks)
            line = line_at(code, instruction)
            function = "" if code.co_name.startswith(("<module>", "<cell line")) else f" {code.co_name}"
            name = f"{self._tracer.name_file(code.co_filename)}:{line}{function}"
            attributes = describe(code, line, self._tracer.name_file)
            attributes[BLOCKED_BY] = _culprit(stacks, code, instruction)
        collecting = sum(max(min(end, stop) - max(start, begun), 0) for begun, stop in self.collections)
        if collecting > (end - start) / 2:
            name = attributes[BLOCKED_BY] = "garbage collection"
        span = self._tracer.start_span(
            name, kind="blocked", parent=parent, start=round(start * 1e9), attributes=attributes
        )
        self._tracer.end_span(span, end=round(end * 1e9))
        self._blocks.append(span)

    def steps_but(self, running: float) -> list[float]:
        """Return when the sampled steps began that are over: all but the running one."""
        return [began for began in list(self.stacks) if began != running]

    def forget(self, steps: list[float]) -> None:
        """Let go of the samples of steps that are over and have their spans, or were too short for one."""
        for began in steps:
            self.stacks.pop(began, None)
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
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asyncmagic-watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()
        gc.callbacks.append(self._on_collection)

    def stop(self) -> None:
        gc.callbacks.remove(self._on_collection)
        self._stopping.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        pause = _IDLE
        while not self._stopping.wait(pause):
            pause = _IDLE
            for log, samples in self._loops():
                began, held = _held(log)
                if held > _HELD:
                    pause = _LONG
                    # The stack first: asking the selector lets the loop run on.
                    if held > log.tracer.blocking_threshold / 4:
                        _sample(log, samples, began)
                    _date_ready(log, began)
                if log.backlog > _BACKLOG:
                    self._catch_up()

    def _on_collection(self, phase: str, info: dict[str, int]) -> None:
        if info["generation"] < 2:
            return
        now = time.perf_counter()
        if phase == "start":
            self._collection_began = now
        elif now - self._collection_began > _HELD:
            for log, samples in self._loops():
                if log.thread == threading.get_ident():
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
        # Level-triggered, so that asking takes nothing away from the loop.
        happened = loop._selector._selector.poll(0)
        # Of very many, a hundred are asked for more at a time: the loop's thread has to wait for that.
        rounds = len(happened) // 100 + 1
        turn = round(log.now() / _LONG) % rounds
        for number, (descriptor, _) in enumerate(happened):
            if descriptor not in log.seen or number % rounds == turn:
                now, size = log.now(), _unread(descriptor)
                if log.mark[0] == began:
                    first, last, before = log.seen.get(descriptor, (now, now, size))
                    log.seen[descriptor] = first, now if size > before else last, size
    except (OSError, ValueError):
        # It has been closed.
        pass


def _unread(descriptor: int) -> int:
    """Return how many bytes have come in through a file descriptor, and wait to be read."""
    if sys.platform != "linux":
        return 0
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)


def _sample(log: TaskLog, samples: Samples, began: float) -> None:
    frame = sys._current_frames().get(log.thread)
    if log.mark[0] != began:
        return
    stack: list[tuple[CodeType, int]] = []
    while frame is not None and len(stack) < 60:
        stack.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    # It stands for the time since the look before: C code that holds the interpreter's lock lets nobody look meanwhile,
    # and is seen once, when it returns.
    now = log.now()
    time_since = now - max(began, samples.last_look)
    samples.last_look = now
    samples.stacks.setdefault(began, Counter())[tuple(stack)] += max(1, round(time_since * 1e6))


def _innermost(stacks: Counter[_Stack]) -> tuple[CodeType, int]:
    """Return the user's innermost place, in the majority of the samples."""
    places: Counter[tuple[CodeType, int]] = Counter()
    for stack, count in stacks.items():
        users = next((place for place in stack if is_users(place[0].co_filename)), stack[0])
        places[users] += count
    return places.most_common(1)[0][0]


def _culprit(stacks: Counter[_Stack], code: CodeType, instruction: int) -> str:
    """Return what the user's place called: the import or call that stands there, or the library's function."""
    written = _written(code, instruction)
    if _imports(stacks) and not written.startswith("from "):
        return written if written.startswith("import ") else f"import on first use of {written or code.co_qualname}"
    if written:
        return written
    stack = next(stack for stack, _ in stacks.most_common() if (code, instruction) in stack)
    inner = stack[0][0]
    return f"{inner.co_qualname} ({os.path.basename(inner.co_filename)})" if inner is not code else code.co_qualname  # noqa: PTH119


def _imports(stacks: Counter[_Stack]) -> bool:
    """Whether most of the samples were taken inside an import."""
    importing = sum(
        count
        for stack, count in stacks.items()
        if any(code.co_filename == "<frozen importlib._bootstrap>" for code, _ in stack)
    )
    return importing * 2 > stacks.total()


def _written(code: CodeType, instruction: int) -> str:
    """Return the call or import that an instruction stands for, as it is written, without its arguments."""
    positions = list(code.co_positions())
    first, last, column, stop = positions[instruction // 2]
    if first is None or last is None or column is None or stop is None:
        return ""
    source = linecache.getline(code.co_filename, first).encode()
    text = source[column : stop if first == last else None].decode(errors="replace").strip()
    if text.startswith(("import ", "from ")):
        return text
    try:
        expression = ast.parse(text, mode="eval").body
    except SyntaxError:
        return ""
    return _name(expression.func) if isinstance(expression, ast.Call) else ""


def _name(expression: ast.expr) -> str:
    """Return a name as it is written, and nothing of any argument: those may be private."""
    match expression:
        case ast.Name(name):
            return name
        case ast.Attribute(value, attribute):
            return f"{_name(value)}.{attribute}"
        case ast.Call(function):
            return f"{_name(function)}()"
    return "…"
