"""Session: what asyncmagic knows between cells: the traces, who watches, and what `%asynctrace on` has switched on."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from asyncmagic.instrumentation import INSTRUMENTORS
from asyncmagic.runner import AgentsError, Options, Run
from asyncmagic.tracing import Span, Trace, Tracer

logger = logging.getLogger("asyncmagic")

#: The one tracer of the process: a span belongs to the trace of its parent, so that runs at once do not mix.
tracer = Tracer()


class Session:
    """The traces of this process, newest last, and the instrumentors, which watch only while a trace is running."""

    def __init__(self, kept: int = 20) -> None:
        self.traces: deque[Trace] = deque(maxlen=kept)
        #: Why an instrumentor is not there, by its name; for `%asynctrace doctor`.
        self.broken: dict[str, str] = {}
        self._lock = threading.RLock()
        self._running = 0
        self._watching = ExitStack()

    def start_trace(self, name: str, **settings: Any) -> Trace:
        """Start a trace (see `Tracer.start_trace`); the first one running switches the instrumentors on."""
        with self._lock:
            self._running += 1
            if self._running == 1:
                self._watch()
        trace = tracer.start_trace(name, **settings)
        if tracer.adopt_task is not None and (task := _current_task()) is not None:
            tracer.adopt_task(task, trace.root)
        self.traces.append(trace)
        return trace

    def end_trace(self, trace: Trace, *, error: BaseException | None = None) -> None:
        """End a trace; with the last one running every hook and patch is taken off again."""
        if not trace.is_running:
            return
        tracer.end_trace(trace, error=error)
        with self._lock:
            self._running -= 1
            if self._running == 0:
                self._watching.close()

    @property
    def newest(self) -> Trace | None:
        return self.traces[-1] if self.traces else None

    def _watch(self) -> None:
        for name in INSTRUMENTORS:
            self._watching.enter_context(self._guarded(name))

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        """Enter and leave an instrumentor; one that cannot is logged once, and the others watch on."""
        with ExitStack() as stack:
            try:
                stack.enter_context(INSTRUMENTORS[name](tracer))
            except Exception as error:
                self._complain(name, error)
            yield
            try:
                stack.close()
            except Exception as error:
                self._complain(name, error)

    def _complain(self, name: str, error: Exception) -> None:
        if name not in self.broken:
            logger.warning("%s cannot be watched here: %s", name, error, exc_info=error)
        self.broken[name] = f"{type(error).__name__}: {error}"

    @property
    def is_watching(self) -> bool:
        return self._running > 0


def _current_task() -> asyncio.Task[Any] | None:
    return asyncio.current_task() if asyncio._get_running_loop() is not None else None


session = Session()


def last_trace() -> Trace | None:
    """Return the newest trace of this process, or `None` before the first one."""
    return session.newest


class trace:
    """Trace what runs in a block: `with asyncmagic.trace("name") as trace:`, also with `async with`.

    Gives the `Trace`, which is complete after the block. With `content`, prompts and answers are kept too.
    """

    def __init__(self, name: str | None = None, *, content: bool = False) -> None:
        self._name = name or "trace"
        self._content = content

    def __enter__(self) -> Trace:
        self._trace = session.start_trace(self._name, keeps_content=self._content)
        self._current = tracer.use(self._trace.root)
        self._current.__enter__()
        return self._trace

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self._current.__exit__(None, None, None)
        session.end_trace(self._trace, error=error)

    async def __aenter__(self) -> Trace:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        self.__exit__(kind, error, traceback)


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[Span]:
    """Mark a piece of your own work: `with asyncmagic.span("parse", pages=3):`. Kept where a trace is running."""
    with tracer.span(name, attributes=attributes) as made:
        yield made


def run(
    *awaitables: Awaitable[Any],
    limit: int | None = None,
    timeout: float | None = None,
    agent_timeout: float | None = None,
    fail_fast: bool = False,
    return_exceptions: bool = False,
    name: str = "run",
    content: bool = False,
    say: Callable[[str], None] = print,
) -> Any:
    """Run the awaitables together and return the list of their results, in order: the engine of `%%agents` for scripts.

    At most `limit` are in flight; `timeout` (all) and `agent_timeout` (each) are in seconds. Where a loop is running
    already, write `await asyncmagic.run(…)`. By default all run to their end, then what failed is raised: the
    exception as it is when there was one awaitable, else an `AgentsError` with `.failures` and the `.results` of all.
    `fail_fast` cancels the others at the first failure; `return_exceptions` puts exceptions in the list instead. The
    run is traced: see `asyncmagic.last_trace()`.
    """
    for awaitable in awaitables:
        if not inspect.isawaitable(awaitable):
            raise TypeError(f"run() takes awaitables, {_instead(awaitable)}")
    options = Options(limit, timeout, agent_timeout, fail_fast, return_exceptions)
    together = _run(awaitables, options, name, content, say)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(together)
    return together


def _instead(value: object) -> str:
    if callable(value):
        name = getattr(value, "__name__", repr(value))
        return f"and {name} is none; an async function has to be called: {name}(…)"
    if isinstance(value, list | tuple | set | Iterator):
        return f"not a {type(value).__name__} of them: put a star before it, run(*…)"
    return f"and {value!r} is none"


def _run(
    awaitables: tuple[Awaitable[Any], ...], options: Options, name: str, content: bool, say: Callable[[str], None]
) -> Coroutine[Any, Any, list[Any]]:
    async def together() -> list[Any]:
        traced = session.start_trace(name, keeps_content=content)
        error: BaseException | None = None
        run = Run(tracer, traced, options, say=say)
        started: list[asyncio.Task[Any]] = []
        try:
            async with run:
                for index, awaitable in enumerate(awaitables):
                    label = getattr(awaitable, "__qualname__", type(awaitable).__name__).rpartition("<locals>.")[2]
                    started.append(run.start(awaitable, f"{label}[{index}]" if len(awaitables) > 1 else label))
        except BaseException as raised:
            error = raised
            if len(run.agents) == 1 and raised is run.agents[0].error:
                raise
            if isinstance(raised, Exception) and run.failed and run.reason != "timeout":
                errors = [failure.error for failure in run.failed]
                # With the place of each: a script has no timeline that shows it.
                cause = errors[0] if len(errors) == 1 else BaseExceptionGroup("what the agents raised", errors)
                raise AgentsError(run.failed, len(run.agents), run.result(started)) from cause
            raised.results = run.result(started)  # type: ignore[attr-defined]
            raise
        finally:
            session.end_trace(traced, error=error)
        results: list[Any] = run.result(started)
        return results

    return together()
