"""AgentCell: which values of a `%%agents` cell are agents, and what its names hold when all have ended."""

from __future__ import annotations

import asyncio
import inspect
import operator
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from types import CoroutineType
from typing import Any

from asyncmagic.holding import find_coroutines, is_changed_in_place, is_coroutine, may_hold_agents, substitute
from asyncmagic.runner import Run

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
        self._owners: dict[int, Any] = {}
        self._places: list[tuple[str, Any, Any, Any]] = []
        self._has_just_started = False
        self._value: Any = None
        self._has_said_run = False

    def make_current(self) -> None:
        _current.set(self)

    def adopt(self, value: Any, line: int, label: Any, names: tuple[str, ...], start: bool) -> Any:
        """Start the coroutines of a value that is about to be assigned to `names`, and return it with their tasks.

        Where not `start`, the cell hands one of these names to something that needs the coroutine itself: it is left
        alone for now.
        """
        self._note(names)
        self._has_just_started = False
        if not may_hold_agents(value):
            return value
        if not start:
            self._left.append((value, label, line))
            return value
        return self._started(value, label, line)

    def adopt_expression(self, value: Any, line: int, names: tuple[str, ...], is_last: bool) -> None:
        """Start the coroutines of an expression statement; the last one is the cell's value.

        `names` are those that the statement may have changed, as `names.append(…)` does.
        """
        self._note(names)
        is_call = is_coroutine(value)
        if may_hold_agents(value):
            value = self._started(value, "", line)
        else:
            self._has_just_started = False
        if is_call:
            self._calls.append(value)
        if is_last:
            self._value = self._calls if is_call and len(self._calls) > 1 else value

    def keep(self, value: Any) -> None:
        """Keep the value of the last expression."""
        self._value = value

    def place(self, owner: Any) -> Any:
        """Return what `owner[key]` or `owner.name` is assigned to: where agents are, one that remembers the place."""
        if not self._has_just_started:
            return owner
        if is_changed_in_place(owner):
            self._owners[id(owner)] = owner
            return owner
        return _Place(owner, self._places)

    def _note(self, names: tuple[str, ...]) -> None:
        for name in names:
            if name not in self._former:
                self._former[name] = self.namespace.get(name, _MISSING)

    def _started(self, value: Any, label: Any, line: int) -> Any:
        run = self.run
        assert run is not None
        tasks = {id(found): run.start(found, name, line) for found, name in find_coroutines(value, label)}
        self._has_just_started = bool(tasks)
        return substitute(value, is_coroutine, lambda found: tasks.get(id(found), found)) if tasks else value

    def start_what_is_left(self, *, also_handed: bool = False) -> None:
        """Start the coroutines that the cell made and nothing has run: put in a list later, or handed over in vain.

        Those that were handed over may still be run by an agent that has them: ask for them when all have ended.
        """
        run = self.run
        assert run is not None
        lines = {id(found): line for value, label, line in self._left for found, _ in find_coroutines(value, label)}
        tasks: dict[int, asyncio.Task[Any]] = {}
        late: list[str] = []
        for name in self._former:
            value = self.namespace.get(name)
            if not may_hold_agents(value):
                continue
            fresh = [
                (found, label)
                for found, label in find_coroutines(value, name)
                if run.has_started(found) or (_has_not_run(found) and (also_handed or id(found) not in lines))
            ]
            if also_handed and any(not run.has_started(found) for found, _ in fresh):
                late.append(
                    f"{name} = await {name}" if is_coroutine(value) else f"{name} = await asyncio.gather(*{name})"
                )
            tasks.update((id(found), run.start(found, label, lines.get(id(found)))) for found, label in fresh)
            if fresh:
                self.namespace[name] = substitute(value, is_coroutine, lambda found: tasks.get(id(found), found))
        if late:
            self._say(
                "Handed to something that did not run them, these were coroutines there, and ran at the cell's end. "
                f"Where results are needed, write first:  {'; '.join(late)}"
            )

    def bind(self) -> None:
        """Let every name hold the result of its agent; where a single one failed, its former value or nothing."""
        run = self.run
        assert run is not None
        for name, former in self._former.items():
            value = self.namespace.get(name, _MISSING)
            agent = run.agents_by_task[value] if run.is_mine(value) else None
            if agent is None or (agent.task.done() and (agent.error is None or run.options.return_exceptions)):
                if may_hold_agents(value) and (new := run.result(value)) is not value:
                    self.namespace[name] = new
            elif former is _MISSING:
                del self.namespace[name]
            else:
                self.namespace[name] = former
        for owner in self._owners.values():
            run.result(owner)
        for kind, owner, key, value in self._places:
            try:
                self._bind_place(run, kind, owner, key, value)
            except Exception as error:
                self._say(f"{kind} {key!r} still holds a task and not its result: {type(error).__name__}: {error}")
        self._value = run.result(self._value)
        # The context of the cell outlives it: what was the user's is not kept there.
        self._former, self._calls, self._left, self._owners, self._places, self.run = {}, [], [], {}, [], None

    def _bind_place(self, run: Run, kind: str, owner: Any, key: Any, value: Any) -> None:
        """Put the results where the tasks are now: a table's column is a copy of the list that was assigned."""
        is_item = kind == "item"
        now = owner[key] if is_item else getattr(owner, key)
        new = run.result(value)
        if now is value or any(run.is_mine(element) for element in now):
            (operator.setitem if is_item else setattr)(owner, key, new)

    def result(self) -> Any:
        """Return the cell's value, once."""
        value, self._value = self._value, None
        return value

    async def run_here(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Do what `asyncio.run(x)` or `loop.run_until_complete(x)` asks for, on the loop that is running already."""
        __tracebackhide__ = True
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


class _Place:
    """Stands for an object while something is assigned into it, and remembers what was put where."""

    __slots__ = ("_owner", "_places")
    _owner: Any
    _places: list[tuple[str, Any, Any, Any]]

    def __init__(self, owner: Any, places: list[tuple[str, Any, Any, Any]]) -> None:
        object.__setattr__(self, "_owner", owner)
        object.__setattr__(self, "_places", places)

    def __setitem__(self, key: Any, value: Any) -> None:
        __tracebackhide__ = True
        self._owner[key] = value
        self._places.append(("item", self._owner, key, value))

    def __setattr__(self, name: str, value: Any) -> None:
        __tracebackhide__ = True
        setattr(self._owner, name, value)
        self._places.append(("attribute", self._owner, name, value))


def _has_not_run(coroutine: Any) -> bool:
    return type(coroutine) is CoroutineType and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED


# What the rewritten cell calls; each finds the cell that it belongs to, also when several run at once.


def adopt(value: Any, line: int, label: Any, names: tuple[str, ...], start: bool) -> Any:
    return _current.get().adopt(value, line, label, names, start)


def adopt_expression(value: Any, line: int, names: tuple[str, ...], is_last: bool) -> None:
    _current.get().adopt_expression(value, line, names, is_last)


def place(owner: Any) -> Any:
    return _current.get().place(owner)


def keep(value: Any) -> None:
    _current.get().keep(value)


def result() -> Any:
    return _current.get().result()


async def run_here(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    __tracebackhide__ = True
    return await _current.get().run_here(function, *args, **kwargs)
