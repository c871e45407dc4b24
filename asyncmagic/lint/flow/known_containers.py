"""Methods of containers: what they put in, take out, and compare."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Final

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.containers import any_item, boxed, element, fill, item_at, live_item, merge
from asyncmagic.lint.flow.values import Box, Live, Value, awaitables, either

if TYPE_CHECKING:
    from asyncmagic.lint.flow.calls import Calls
    from asyncmagic.lint.flow.known import Handler
    from asyncmagic.lint.flow.ledger import Call


def _add(position: int) -> Handler:
    def handler(flow: Calls, call: Call, owner: Value | None) -> Value | None:
        value = call.argument(position)
        if any(True for _ in flow.held(value)):
            owner = flow.opened(owner)
        if not isinstance(owner, Box) or owner.is_shared:
            flow.hand_over_arguments(call)
        if isinstance(owner, Box):
            fill(flow, owner, value)
        return Live(None)

    return handler


def _setdefault(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    key, default = call.argument(0), call.argument(1)
    box = flow.opened(owner) if isinstance(default, Box) or any(True for _ in flow.held(default)) else owner
    if not isinstance(box, Box) or box.is_shared:
        flow.hand_over(default)
        return either(default, _take(flow, call, owner)) if default is not None else None
    if isinstance(key, Live) and type(key.obj) is str and box.keys is not None and key.obj in box.keys:
        return item_at(box, key.obj)
    fill(flow, box, default)
    return default


def _extend(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    given = call.argument(0)
    if any(True for _ in flow.held(given)):
        owner = flow.opened(owner)
    if not isinstance(owner, Box) or owner.is_shared:
        flow.hand_over_arguments(call)
    if isinstance(owner, Box) and isinstance(given, Box):
        merge(flow, owner, given)
    elif isinstance(owner, Box):
        fill(flow, owner, element(flow, given))
    return Live(None)


def _update(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    flow.use(call.argument(0), call.node, "read as a mapping", is_certain=True)
    if any(True for value in call.values for _ in flow.held(value)):
        owner = flow.opened(owner)
    if not isinstance(owner, Box) or owner.is_shared or call.has_unknown_keywords:
        flow.hand_over_arguments(call)
    if isinstance(owner, Box):
        given = boxed(flow, call.argument(0))
        if call.args and isinstance(given, Box) and given.kind is dict:
            merge(flow, owner, given)
        elif call.args:
            flow.hand_over(given)
            owner.keys = None
        merge(flow, owner, Box(dict, list(call.keywords.values()), list(call.keywords)))
    return Live(None)


def _get(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    """`dict.get`, and `dict.pop`: one of the values, or the default."""
    flow.use_as_key(call.argument(0), call.node)
    flow.hand_over_unless_used(call)
    key = call.argument(0)
    name = key.obj if isinstance(key, Live) else objects.MISSING
    found: Value | None = None
    if isinstance(owner, Box):
        found = item_at(owner, name)
    elif isinstance(owner, Live):
        found = live_item(flow, owner.obj, name)
    if any(True for _ in awaitables(found)) and len(call.args) < 2:
        return found  # Whoever takes a coroutine out by its key has put it there.
    return either(found, call.argument(1) if len(call.args) > 1 else Live(None))


def _take(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    flow.hand_over_arguments(call)
    return any_item(owner) if isinstance(owner, Box) else element(flow, owner)


def _values(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    return Box(types.GeneratorType, list(owner.items)) if isinstance(owner, Box) else _element_box(flow, owner)


def _element_box(flow: Calls, owner: Value | None) -> Value | None:
    if isinstance(owner, Live) and type(owner.obj) is dict:
        return Box(types.GeneratorType, [flow.lift(item) for item in objects.plain_items(owner.obj) or []])
    return None


def _items(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    values = _values(flow, call, owner)
    return Box(types.GeneratorType, [Box(tuple, [None, _element_or_none(values)], [0, 1])])


def _element_or_none(value: Value | None) -> Value | None:
    return either(*value.items) if isinstance(value, Box) and value.items else None


def _copy(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    return owner


def _push(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    """`heapq.heappush(heap, item)`."""
    return _add(1)(flow, call, call.argument(0))


def _add_weakly(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    """`WeakSet.add`: the set does not keep what is put into it."""
    return Live(None)


def _sort(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    if "key" not in call.keywords:
        flow.use_elements(owner, call.node, "compared", is_certain=True)
    return Live(None)


#: Qualified name -> what a call of it does and gives.
TABLE: Final[dict[str, Handler]] = {
    "builtins.list.append": _add(0),
    "builtins.set.add": _add(0),
    "collections.deque.append": _add(0),
    "collections.deque.appendleft": _add(0),
    "builtins.list.insert": _add(1),
    "builtins.list.sort": _sort,
    "builtins.dict.setdefault": _setdefault,
    "builtins.dict.update": _update,
    "builtins.list.extend": _extend,
    "builtins.set.update": _extend,
    "collections.deque.extend": _extend,
    "builtins.dict.get": _get,
    "builtins.dict.pop": _get,
    "builtins.list.pop": _take,
    "builtins.set.pop": _take,
    "collections.deque.pop": _take,
    "collections.deque.popleft": _take,
    "builtins.dict.popitem": _take,
    "builtins.dict.values": _values,
    "builtins.dict.items": _items,
    "builtins.list.copy": _copy,
    "builtins.set.copy": _copy,
    "builtins.dict.copy": _copy,
    "_heapq.heappush": _push,
    "_weakrefset.WeakSet.add": _add_weakly,
}
