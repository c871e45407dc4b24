"""How a loop is watched: what is replaced on it, so that each step of each task reaches its log."""

from __future__ import annotations

import asyncio
import inspect
from asyncio import AbstractEventLoop, tasks
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary, ref

from asyncmagic.instrumentation.tasklog import TaskLog


def _step_type() -> type | None:
    """Return the type of the callback by which a task written in C asks for a step."""
    try:
        from _asyncio import Task  # not `asyncio.Task`, where nest_asyncio puts another one
    except ImportError:
        return None
    asked: list[Any] = []

    class Listener:
        def get_debug(self) -> bool:
            return False

        def call_soon(self, callback: Any, *_: Any, context: Any = None) -> None:
            asked.append(callback)

    async def nothing() -> None: ...

    coroutine = nothing()
    task: Any = Task(coroutine, loop=Listener())  # type: ignore[arg-type]
    coroutine.close()
    task._log_destroy_pending = False
    return type(asked[0])


STEP = _step_type()
WAKE_UP = BuiltinFunctionType
_PythonTask: type = tasks._PyTask  # type: ignore[attr-defined]


class Step(partial[None]):
    """A step of a task on its way through a watcher; in logs and debuggers it passes for the step itself."""

    @property
    def callback(self) -> Any:
        return self.args[0]

    def dated(self, ready: float) -> Step:
        """Return it as one that has been ready since then."""
        callback, _, *args = self.args
        return Step(self.func, callback, ready, *args)

    @property
    def __self__(self) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = self.callback.__self__
        return task


def is_step(callback: Any) -> bool:
    """Whether a callback is the step of a task; `callback.__self__` is that task then."""
    kind = type(callback)
    if kind is MethodType:
        # By its type: an object may say of itself what it likes, or nothing.
        return issubclass(type(callback.__self__), _PythonTask) and callback.__name__ in ("__step", "__wakeup")
    # By its name too: `loop.call_soon(task.cancel)` is a builtin of a task as well.
    return kind is STEP or kind is Step or (kind is WAKE_UP and callback.__name__ == "task_wakeup")


def may_be_first(step: Any) -> bool:
    """Whether a step may be a task's first: not if something has woken the task up."""
    while type(step) is Step:
        step = step.callback
    return type(step) is STEP or getattr(step, "__name__", None) == "__step"


def is_cancelled(future: Any) -> bool:
    # The first step of a task written in Python may have an exception to throw in place of a future. And not as a
    # user's own kind of future may answer, which nobody else asks.
    return isinstance(future, asyncio.Future) and asyncio.Future.cancelled(future)


def as_callers(handle: Any) -> Any:
    """Return a handle as if not we had asked for it but our caller: in debug mode it tells who did."""
    if getattr(handle, "_source_traceback", None):
        del handle._source_traceback[-1]
    return handle


def has_begun(task: asyncio.Task[Any]) -> bool:
    coroutine = task.get_coro()
    return not inspect.iscoroutine(coroutine) or inspect.getcoroutinestate(coroutine) != inspect.CORO_CREATED


_removed: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


class Replacements:
    """Methods put on one loop. What was there comes back, and what another tool put on top of them stays."""

    def __init__(self, loop: AbstractEventLoop, methods: dict[str, Callable[..., Any]]) -> None:
        self._before = {name: loop.__dict__.get(name) for name in methods}
        # Weakly: they hold the loop, which holds them.
        self._methods = {name: ref(method) for name, method in methods.items()}
        loop.__dict__.update(methods)

    def remove(self, loop: AbstractEventLoop) -> None:
        for name, reference in self._methods.items():
            method = reference()
            if method is not None:
                _removed[method] = self._before[name]
            now = then = loop.__dict__.get(name)
            # Whoever came before may have gone before, too.
            while isinstance(then, FunctionType) and then in _removed:
                then = _removed[then]
            if then is None:
                loop.__dict__.pop(name, None)
            elif then is not now:
                loop.__dict__[name] = then


def catch_up(loop: AbstractEventLoop, log: TaskLog) -> deque[Any]:
    """See tasks that are about to begin: those of `asyncio.run` are made before their loop runs. Return the queue."""
    ready: deque[Any] = getattr(loop, "_ready", deque())
    for handle in ready.copy():
        callback = handle._callback
        if is_step(callback) and may_be_first(callback) and not has_begun(callback.__self__):
            log.catch_up(callback.__self__, handle._context)
    return ready


class FactoryHook:
    """See tasks that a task factory starts eagerly: they may be done before they ask for a step.

    While there is no factory, nothing is replaced but the setting of one.
    """

    def __init__(self, loop: AbstractEventLoop, log: TaskLog) -> None:
        set_before, create_before = loop.set_task_factory, loop.create_task

        self._creating = Replacements(loop, {})

        def create_task(coro: Coroutine[Any, Any, Any], *args: Any, **options: Any) -> asyncio.Task[Any]:
            with log.starting(coro, options.get("context")) as started:
                task = create_before(coro, *args, **options)
                started(task)
            return task

        def set_task_factory(factory: Any) -> None:
            set_before(factory)
            self._creating.remove(loop)
            if factory is not None:
                self._creating = Replacements(loop, {"create_task": create_task})

        factory = loop.get_task_factory()
        self._setting = Replacements(loop, {"set_task_factory": set_task_factory})
        if factory is not None:
            self._creating = Replacements(loop, {"create_task": create_task})

    def remove(self, loop: AbstractEventLoop) -> None:
        self._setting.remove(loop)
        self._creating.remove(loop)
