"""Work that tasks send to threads and processes: when it queued, ran and ended, and how full the pool was."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from contextvars import Context, Token
from functools import partial
from types import CodeType, FrameType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from asyncmagic.instrumentation._patch import Watcher, guarded, patched, when_imported
from asyncmagic.instrumentation.places import is_housekeeping, is_loop, is_users, library
from asyncmagic.instrumentation.processes import Line, note
from asyncmagic.tracing import semconv
from asyncmagic.tracing.model import Kind, Span
from asyncmagic.tracing.tracer import Tracer, _current_span

_Function = Callable[..., Any]


@contextmanager
def instrument(tracer: Tracer) -> Iterator[None]:
    """Give work in thread pools, process pools and threads a span of its own, below that of the task it came from."""
    watcher = Threads(tracer)
    with ExitStack() as stack:
        stack.enter_context(patched(ThreadPoolExecutor, "submit", _submit_to_threads(watcher)))
        stack.enter_context(patched(threading.Thread, "start", _start_thread(watcher)))
        stack.enter_context(when_imported("concurrent.futures.process", partial(_watch_processes, watcher)))
        stack.enter_context(when_imported("anyio._backends._asyncio", partial(_watch_anyio, watcher)))
        yield
        watcher.is_on = False


class Threads(Watcher):
    """Makes the spans of work that leaves the loop's thread."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self.tracer = tracer
        self._lines: WeakKeyDictionary[Any, Line] = WeakKeyDictionary()

    @guarded
    def line(self, pool: Any) -> Line:
        """Return the jobs of a process pool."""
        line = self._lines.get(pool)
        if line is None:
            line = self._lines[pool] = Line(pool, self.run)
        return line

    @guarded
    def queue(self, kind: Kind, function: _Function, arguments: tuple[Any, ...], pool: str | None) -> Span | None:
        """Return the span of work that is handed over now, or `None` where nothing is being traced."""
        parent = self.tracer.current()
        work = _unwrapped(function, arguments)
        code = getattr(work, "__code__", None)
        if parent is None or (code is not None and is_housekeeping(code.co_filename)):
            return None
        name = getattr(work, "__qualname__", None) or type(work).__qualname__
        span = self.tracer.start_span(name, kind=kind, parent=parent, state="queued")
        self.tracer.set_attributes(span, {semconv.POOL: pool, semconv.LIBRARY: _library(code, parent)})
        return span

    @guarded
    def run(self, span: Span) -> None:
        if span.kind == "thread":
            self.tracer.set_attributes(span, {semconv.THREAD_NAME: threading.current_thread().name})
        self.tracer.set_state(span, "running")

    @guarded
    def end(self, span: Span, error: BaseException | str | None = None) -> None:
        self.tracer.end_span(span, error=error)

    @guarded
    def follow(self, span: Span, future: Future[Any]) -> None:
        note(future, span.kind)
        future.add_done_callback(lambda future: self.end_as(span, future))

    @guarded
    def end_as(self, span: Span, future: Future[Any]) -> None:
        self.tracer.end_span(span, error="CancelledError" if future.cancelled() else future.exception())


class Work:
    """A function that is about to run in a thread, with its span: what it starts there belongs to that span."""

    def __init__(self, watcher: Threads, span: Span, function: _Function) -> None:
        self._watcher = watcher
        self._span = span
        self._function = function

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self._watcher.run(self._span)
        token = _current_span.set(self._span)
        # `asyncio.to_thread` runs the function in a copy of its task's context; frameworks put one into the other.
        tokens: list[tuple[Context, Token[Span | None]]] = []
        for context in _contexts(self._function, arguments):
            # It may be running elsewhere; then the function will fail as it would have without us.
            with suppress(RuntimeError):
                tokens.append((context, context.run(_current_span.set, self._span)))
        try:
            result = self._function(*arguments, **options)
        except BaseException as error:
            self._watcher.end(self._span, error)
            # Leave no trace of this frame in the user's traceback.
            error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ is not None else None
            raise
        finally:
            for context, token_inside in tokens:
                context.run(_current_span.reset, token_inside)
            _current_span.reset(token)
        self._watcher.end(self._span)
        return result


def _submit_to_threads(watcher: Threads) -> _Function:
    before = ThreadPoolExecutor.submit

    def submit(pool: ThreadPoolExecutor, function: _Function, /, *arguments: Any, **options: Any) -> Future[Any]:
        span = watcher.queue("thread", function, arguments, _fullness(pool))
        if span is None:
            return before(pool, function, *arguments, **options)
        return _submit(watcher, span, partial(before, pool, Work(watcher, span, function), *arguments, **options))

    return submit


@contextmanager
def _watch_processes(watcher: Threads, module: ModuleType) -> Iterator[None]:
    before = module.ProcessPoolExecutor.submit

    def submit(pool: Any, function: _Function, /, *arguments: Any, **options: Any) -> Future[Any]:
        line = watcher.line(pool)
        span = watcher.queue("process", function, arguments, line.fullness if line is not None else None)
        handing_over = partial(before, pool, function, *arguments, **options)
        future = handing_over() if span is None else _submit(watcher, span, handing_over)
        if line is not None:
            line.join(future, span)
        return future

    with patched(module.ProcessPoolExecutor, "submit", submit):
        yield


@contextmanager
def _watch_anyio(watcher: Threads, module: ModuleType) -> Iterator[None]:
    """See `anyio.to_thread.run_sync`, which has worker threads of its own; trio is not asyncio, and not seen."""
    backend = module.AsyncIOBackend
    before = backend.run_sync_in_worker_thread

    def run_sync(function: _Function, arguments: Any, *more: Any, **options: Any) -> Any:
        limiter = options.get("limiter") or (more[1] if len(more) > 1 else None)
        span = watcher.queue(
            "thread", function, arguments, _limited(limiter or backend.current_default_thread_limiter())
        )
        handed = function if span is None else _UnsureWork(watcher, span, function)
        return before(handed, arguments, *more, **options)

    # No class method, which nobody can refer to weakly: anyio asks the class itself.
    with patched(backend, "run_sync_in_worker_thread", run_sync):
        yield


class _UnsureWork(Work):
    """Work of which nobody tells when it is cancelled before a thread takes it up."""

    def __del__(self) -> None:
        self._watcher.end(self._span, "CancelledError")


def _submit(watcher: Threads, span: Span, handing_over: Callable[[], Future[Any]]) -> Future[Any]:
    try:
        future = handing_over()
    except BaseException as error:
        watcher.end(span, error)
        raise
    watcher.follow(span, future)
    return future


def _start_thread(watcher: Threads) -> _Function:
    before = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        target = getattr(thread, "_target", None) or type(thread).run
        span = None
        if _is_of_interest(target, getattr(thread, "_args", ())):
            span = watcher.queue("thread", target, getattr(thread, "_args", ()), None)
        if span is None:
            before(thread)
            return
        if not re.fullmatch(r"Thread-\d+( \(.*\))?", thread.name):
            span.name = thread.name
        work = Work(watcher, span, thread.run)

        def run() -> None:
            # Gone before anything of the user's can see it.
            del thread.run
            work()

        thread.run = run  # type: ignore[method-assign]
        try:
            before(thread)
        except BaseException as error:
            vars(thread).pop("run", None)
            watcher.end(span, error)
            raise

    return start


def _library(code: CodeType | None, parent: Span) -> str | None:
    """Return the library that hands over work of its own, or `None` where the user's code hands it over or does it."""
    if code is not None and library(code.co_filename) is None:
        return None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_loop(frame.f_code):
        name = library(frame.f_code.co_filename)
        if name != "":
            return name
        frame = frame.f_back
    # A coroutine such as `asyncio.to_thread` is the whole task: it is whose the task is.
    made_by = parent.attributes.get(semconv.LIBRARY)
    return made_by if isinstance(made_by, str) else None


def _is_of_interest(target: _Function, arguments: tuple[Any, ...]) -> bool:
    """Whether a thread is the user's: libraries keep threads of their own, for their pools and their logs."""
    code = getattr(_unwrapped(target, arguments), "__code__", None)
    return code is None or is_users(code.co_filename)


def _contexts(function: _Function, arguments: tuple[Any, ...]) -> Iterator[Context]:
    """Yield the contexts in which `function` runs what it is given, the outermost first."""
    while isinstance(function, partial):
        arguments = (*function.args, *arguments)
        function = function.func
    owner = getattr(function, "__self__", None)
    if isinstance(owner, Context):
        yield owner
        if arguments:
            yield from _contexts(arguments[0], arguments[1:])


def _unwrapped(function: _Function, arguments: tuple[Any, ...]) -> Any:
    """Return the user's function: below `partial`, `Context.run` and what `ProcessPoolExecutor.map` calls it by."""
    while isinstance(function, partial):
        arguments = (*function.args, *arguments)
        function = function.func
    passes_on = isinstance(getattr(function, "__self__", None), Context) or (
        getattr(function, "__name__", "") == "_process_chunk" and function.__module__ == "concurrent.futures.process"
    )
    return _unwrapped(arguments[0], arguments[1:]) if passes_on and arguments else function


def _fullness(pool: ThreadPoolExecutor) -> str | None:
    """Say how full a pool is whose threads are all busy."""
    try:
        idle, threads, waiting = pool._idle_semaphore._value, len(pool._threads), pool._work_queue.qsize()
    except AttributeError:
        return None
    most = pool._max_workers
    if threads - idle < most:
        return None
    return f"{most} of {most} threads busy, {waiting + 1} waiting"


def _limited(limiter: Any) -> str | None:
    """Say how full the threads of an anyio limiter are."""
    if limiter.borrowed_tokens < limiter.total_tokens:
        return None
    waiting = limiter.statistics().tasks_waiting + 1
    return f"{limiter.total_tokens} of {limiter.total_tokens} threads busy, {waiting} waiting"
