"""Which values hold agents: coroutines and tasks in lists, tuples, sets and dicts, and results put in their places."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Coroutine, Iterator
from itertools import chain
from types import CoroutineType
from typing import Any

#: How deep in containers agents are looked for.
_DEPTH = 4
_MADE_ANEW = frozenset({tuple, set, frozenset})
_CHANGED_IN_PLACE = frozenset({list, dict, defaultdict, OrderedDict, deque})
_CONTAINERS = _MADE_ANEW | _CHANGED_IN_PLACE
_PLAIN = frozenset({bool, bytes, complex, float, int, str, type(None)})


def is_coroutine(value: Any) -> bool:
    """Whether a value is what calling an async function gives; compiled ones too. Asks the value itself nothing."""
    kind = type(value)
    return kind is CoroutineType or (kind not in _CONTAINERS and issubclass(kind, Coroutine))


def may_hold_agents(value: Any) -> bool:
    """Whether a value can be, or have in it, a coroutine or a task: by types alone, a level of containers at a time.

    Data of a million elements is assigned more often than agents are.
    """
    if type(value) in _PLAIN:
        return False
    agents = (Coroutine, asyncio.Task)  # Not once for all: nest_asyncio puts another class there.
    level = [value]
    for _ in range(_DEPTH + 1):
        kinds = set(map(type, level))
        if any(issubclass(kind, agents) for kind in kinds - _CONTAINERS):
            return True
        if kinds.isdisjoint(_CONTAINERS):
            return False
        inside = {id(each): each for each in level if type(each) in _CONTAINERS}.values()
        level = list(chain.from_iterable(each.values() if isinstance(each, dict) else each for each in inside))
    return False


def is_changed_in_place(value: Any) -> bool:
    """Whether `substitute` changes a value itself and makes no new one."""
    return type(value) in _CHANGED_IN_PLACE


def find_coroutines(
    value: Any, label: Any = "", depth: int = _DEPTH, seen: set[int] | None = None
) -> Iterator[tuple[Any, str]]:
    """Yield the coroutines in a value (itself, or in lists, tuples, sets and dicts) with a name for each."""
    seen = set() if seen is None else seen
    if is_coroutine(value):
        yield value, label if isinstance(label, str) and label else getattr(value, "__qualname__", type(value).__name__)
    elif depth and type(value) in _CONTAINERS and id(value) not in seen:
        seen.add(id(value))
        if issubclass(type(value), dict):
            for key, element in value.items():
                if type(element) in _CONTAINERS or is_coroutine(element):
                    inner = f"{label}[{_key(key)}]" if label else str(key)
                    yield from find_coroutines(element, inner, depth - 1, seen)
        else:
            for index, element in enumerate(value):
                if type(element) in _CONTAINERS or is_coroutine(element):
                    yield from find_coroutines(element, _element_label(label, index, len(value)), depth - 1, seen)


def _key(key: Any) -> str:
    return repr(key) if isinstance(key, str | int | float | tuple) else str(key)


def _element_label(label: Any, index: int, count: int) -> Any:
    if isinstance(label, tuple):
        return label[index] if len(label) == count else label[min(index, len(label) - 1)]
    return f"{label}[{index}]" if label else ""


def substitute(value: Any, wanted: Callable[[Any], bool], replace: Callable[[Any], Any]) -> Any:
    """Return `value` with what is wanted in it replaced; tuples and sets are made anew, the others changed in place."""
    return _Substitution(wanted, replace).of(value, _DEPTH)


class _Substitution:
    def __init__(self, wanted: Callable[[Any], bool], replace: Callable[[Any], Any]) -> None:
        self._wanted = wanted
        self._replace = replace
        #: Old containers and what they have become, by id: a container may stand in several places, and in itself.
        self._known: dict[int, tuple[Any, Any]] = {}

    def of(self, value: Any, depth: int) -> Any:
        container = type(value)
        if container not in _CONTAINERS:
            return self._replace(value) if self._wanted(value) else value
        if depth == 0:
            return value
        if id(value) not in self._known:
            self._known[id(value)] = value, value
            self._known[id(value)] = value, self._changed(value, container, depth - 1)
        return self._known[id(value)][1]

    def _changed(self, value: Any, container: Any, depth: int) -> Any:
        entries = value.items() if issubclass(container, dict) else enumerate(value)
        changes = {key: new for key, old in list(entries) if (new := self.of(old, depth)) is not old}
        if not changes:
            return value
        if container in _CHANGED_IN_PLACE:
            for key, new in changes.items():
                value[key] = new
            return value
        elements = [changes.get(index, element) for index, element in enumerate(value)]
        try:
            return container(elements)
        except Exception:  # Results that cannot be hashed or compared make no set.
            return elements
