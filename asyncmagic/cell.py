"""AgentCell: which values of a `%%agents` cell are agents, and what its names hold when all have ended."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from types import CoroutineType
from typing import Any

from asyncmagic.runner import Run, find_coroutines, substitute

_MISSING = object()
_current: ContextVar[AgentCell] = ContextVar("asyncmagic_cell")


class AgentCell:
    """The cell that runs now. `run` is `None` where the cell is only traced and nothing is started for it."""

    def __init__(self, namespace: MutableMapping[str, Any], run: Run | None, say: Callable[[str], None]) -> None:
        self.namespace = namespace
        self.run = run
        self._say = say
        self._former: dict[str, Any] = {}
        self._calls: list[asyncio.Task[Any]] = []
        self._left: list[tuple[Any, Any, int]] = []
        self._value: Any = None
        self._has_said_run = False

    def make_current(self) -> None:
        _current.set(self)

    def adopt(self, value: Any, line: int, label: Any, names: tuple[str, ...], start: bool) -> Any:
        """Start the coroutines of a value that is about to be assigned to `names`, and return it with their tasks.

        Where not `start`, the cell hands one of these names to something that needs the coroutine itself: it is left
        alone for now.
        """
        assert self.run is not None
        for name in names:
            self._former.setdefault(name, self.namespace.get(name, _MISSING))
        if not start:
            self._left.append((value, label, line))
            return value
        return self._started(value, label, line)

    def adopt_expression(self, value: Any, line: int, is_last: bool) -> None:
        """Start the coroutines of an expression statement; the last one is the cell's value."""
        assert self.run is not None
        is_call = isinstance(value, CoroutineType)
        value = self._started(value, "", line)
        if is_call:
            self._calls.append(value)
        if is_last:
            self._value = self._calls if is_call and len(self._calls) > 1 else value

    def keep(self, value: Any) -> None:
        """Keep the value of the last expression."""
        self._value = value

    def _started(self, value: Any, label: Any, line: int) -> Any:
        run = self.run
        assert run is not None
        tasks = {id(found): run.start(found, name, line) for found, name in find_coroutines(value, label)}
        return substitute(value, CoroutineType, lambda found: tasks.get(id(found), found)) if tasks else value

    def start_what_is_left(self) -> None:
        """Start the coroutines that the cell made and nothing has run: handed over in vain, or put in a list later."""
        lines = {id(found): line for value, label, line in self._left for found, _ in find_coroutines(value, label)}
        for name in self._former:
            value = self.namespace.get(name)
            if any(inspect.getcoroutinestate(found) == inspect.CORO_CREATED for found, _ in find_coroutines(value)):
                self.namespace[name] = self._started_fresh(value, name, lines)

    def _started_fresh(self, value: Any, label: str, lines: dict[int, int]) -> Any:
        run = self.run
        assert run is not None
        tasks = {
            id(found): run.start(found, name, lines.get(id(found)))
            for found, name in find_coroutines(value, label)
            if inspect.getcoroutinestate(found) == inspect.CORO_CREATED
        }
        return substitute(value, CoroutineType, lambda found: tasks.get(id(found), found))

    def bind(self) -> None:
        """Let every name hold the result of its agent; where a single one failed, its former value or nothing."""
        run = self.run
        assert run is not None
        mine = {agent.task: agent for agent in run.agents}
        for name, former in self._former.items():
            value = self.namespace.get(name, _MISSING)
            agent = mine.get(value) if isinstance(value, asyncio.Task) else None
            if agent is None or (agent.task.done() and (agent.error is None or run.options.return_exceptions)):
                if value is not _MISSING and (new := run.result(value)) is not value:
                    self.namespace[name] = new
            elif former is _MISSING:
                del self.namespace[name]
            else:
                self.namespace[name] = former

    def result(self) -> Any:
        return self._value if self.run is None else self.run.result(self._value)

    async def run_here(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Do what `asyncio.run(x)` or `loop.run_until_complete(x)` asks for, on the loop that is running already."""
        owner = getattr(function, "__self__", None)
        is_loops = isinstance(owner, asyncio.AbstractEventLoop) and function.__name__ == "run_until_complete"
        if function is not asyncio.run and not (is_loops and owner is asyncio.get_running_loop()):
            return function(*args, **kwargs)
        awaitable = args[0] if args else kwargs["main" if function is asyncio.run else "future"]
        if not self._has_said_run:
            self._has_said_run = True
            name = "asyncio.run(x)" if function is asyncio.run else "run_until_complete(x)"
            self._say(f"{name} ran as `await x`: the notebook's loop is running already, write `await x`.")
        return await awaitable


# What the rewritten cell calls; each finds the cell that it belongs to, also when several run at once.


def adopt(value: Any, line: int, label: Any, names: tuple[str, ...], start: bool) -> Any:
    return _current.get().adopt(value, line, label, names, start)


def adopt_expression(value: Any, line: int, is_last: bool) -> None:
    _current.get().adopt_expression(value, line, is_last)


def keep(value: Any) -> None:
    _current.get().keep(value)


def result() -> Any:
    return _current.get().result()


async def run_here(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    __tracebackhide__ = True
    return await _current.get().run_here(function, *args, **kwargs)
