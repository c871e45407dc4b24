"""`--nest`: libraries' blocking entry points inside the loop that is running, for one cell."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from functools import partial, wraps
from types import ModuleType
from typing import Any

from asyncmagic.instrumentation._patch import patched, when_imported

_Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]


@contextmanager
def nested_loop(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let blocking wrappers (`Runner.run_sync`, `crew.kickoff`) run inside the running loop, inside this block alone.

    While one waits for its result, the loop turns on: the other agents of the cell go on.

    Raises `ImportError`, with the command that installs it, where neither nest_asyncio2 nor nest_asyncio is there,
    and `ValueError` for a loop that cannot be patched (uvloop).
    """
    apply = _nest_apply()
    modules = [asyncio, asyncio.tasks, asyncio.futures, asyncio.events, sys.modules.get("tornado.concurrent")]
    classes = [*type(loop).__mro__[:-1], *type(asyncio.get_event_loop_policy()).__mro__[:-1]]
    places: list[Any] = [place for place in (*modules, *classes) if place is not None]
    before = [(place, dict(vars(place))) for place in places]
    own = dict(vars(loop))
    try:
        apply(loop)
        with ExitStack() as stack:
            for (module, kind, method), wrapper in _ENTRY_POINTS.items():
                stack.enter_context(when_imported(module, partial(_wrapped, kind, method, wrapper)))
            yield
    finally:
        for place, attributes in before:
            for name in set(vars(place)) - attributes.keys():
                delattr(place, name)
            for name, value in attributes.items():
                if vars(place).get(name) is not value:
                    setattr(place, name, value)
        for name in set(vars(loop)) - own.keys():
            if name.startswith(("_nest", "_num_runs", "_is_proactor")):
                delattr(loop, name)


def _nest_apply() -> Callable[[asyncio.AbstractEventLoop], None]:
    for name in ("nest_asyncio2", "nest_asyncio"):
        try:
            apply: Callable[[asyncio.AbstractEventLoop], None] = __import__(name).apply
        except ImportError:
            continue
        return apply
    raise ImportError("--nest needs nest_asyncio2: pip install 'asyncmagic[nest]'")


@contextmanager
def _wrapped(kind: str, method: str, wrapper: _Wrapper, module: ModuleType) -> Iterator[None]:
    owner = getattr(module, kind)
    with patched(owner, method, wrapper(getattr(owner, method))):
        yield


def _without_a_loop(original: Callable[..., Any]) -> Callable[..., Any]:
    """Hide the running loop from a function that refuses one, and then runs the thread's loop itself."""

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        loop = asyncio._get_running_loop()
        if loop is None:
            return original(*args, **kwargs)
        asyncio.set_event_loop(loop)
        asyncio._set_running_loop(None)
        try:
            return original(*args, **kwargs)
        finally:
            asyncio._set_running_loop(loop)

    return call


def _in_a_thread(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function that refuses a running loop, or holds it, work in a thread while the loop turns on."""

    @wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        loop = asyncio._get_running_loop()
        if loop is None:
            return original(*args, **kwargs)
        work = partial(copy_context().run, original, *args, **kwargs)
        return loop.run_until_complete(loop.run_in_executor(None, work))

    return call


#: By module, class and method.
_ENTRY_POINTS: dict[tuple[str, str, str], _Wrapper] = {
    ("agents.run", "AgentRunner", "run_sync"): _without_a_loop,
    ("crewai.crew", "Crew", "kickoff"): _in_a_thread,
    ("crewai.crew", "Crew", "kickoff_for_each"): _in_a_thread,
    ("crewai.flow.runtime", "Flow", "kickoff"): _in_a_thread,
    ("langgraph.pregel.main", "Pregel", "invoke"): _in_a_thread,
}
