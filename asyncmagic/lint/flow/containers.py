"""What stands in a container, what iterating over it gives, and what awaiting gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.values import (
    Awaitable,
    Box,
    Either,
    Instance,
    Live,
    Plain,
    Value,
    awaitables,
    either,
)

if TYPE_CHECKING:
    from asyncmagic.lint.flow.calls import Calls


def element(flow: Calls, value: Value | None) -> Value | None:
    """What iterating over the value gives each time."""
    if isinstance(value, Either):
        return either(*(element(flow, option) for option in value.options))
    if isinstance(value, Box) and value.kind is dict:
        return Plain() if value.keys else None  # The keys: known ones are constants.
    if isinstance(value, Box):
        return any_item(value)
    if isinstance(value, Instance) and (value.cls is str or value.cls is range):
        return Instance(str if value.cls is str else int)
    if isinstance(value, Live):
        return _live_element(flow, value.obj)
    return None


def any_item(box: Box) -> Value | None:
    """Any one of what stands in the container."""
    return either(*(view(item) for item in box.items)) if box.items else None


def item_at(box: Box, key: object) -> Value | None:
    """What stands at a place, if that is known, else any item."""
    if box.keys is not None and key in box.keys:
        return box.items[box.keys.index(key)]
    return any_item(box)


def live_item(flow: Calls, obj: object, key: object) -> Value | None:
    """What a live container has at a place; with an unknown key, at any."""
    if type(obj) is dict and len(obj) <= 1000 and all(type(k) is str or type(k) is int for k in obj):
        if type(key) is str or type(key) is int:
            return flow.lift(obj[key]) if key in obj else None
        return either(*map(flow.lift, obj.values())) if 0 < len(obj) <= 12 else None
    if (type(obj) is list or type(obj) is tuple) and type(key) is int and -len(obj) <= key < len(obj):
        return flow.lift(obj[key])
    return None


def _live_element(flow: Calls, obj: object) -> Value | None:
    if type(obj) is str or type(obj) is range:
        return Instance(str if type(obj) is str else int)
    if type(obj) is dict:
        return Plain() if all(type(key) is str for key in list(obj)[:12]) else None
    items = objects.plain_items(obj)
    return either(*(flow.lift(item) for item in items)) if items else None


def boxed(flow: Calls, value: Value | None) -> Value | None:
    """A live list, tuple or set as a container whose elements are known."""
    if isinstance(value, Live):
        items = objects.plain_items(value.obj)
        if items is not None and type(value.obj) is not dict:
            return Box(list, [flow.lift(item) for item in items], is_shared=True)
    return value


def view(value: Value | None) -> Value | None:
    """An element taken out of its container: awaiting it is awaiting one of the container's."""
    if isinstance(value, Awaitable):
        return Awaitable(
            value.kind, value.node, value.result, value.scope, value.maker, is_closed=value.is_closed, source=value
        )
    if isinstance(value, Box):
        return Box(value.kind, [view(item) for item in value.items], value.keys, value.is_shared, value)
    if isinstance(value, Either):
        return Either(tuple(view(option) for option in value.options))
    return value


def next_view(value: Value | None) -> Value | None:
    """The next element: an awaitable of its own, which counts for its container."""
    if isinstance(value, Awaitable) and value.source is not None:
        source = value.source
        return Awaitable(
            value.kind, value.node, value.result, value.scope, value.maker, is_closed=value.is_closed, source=source
        )
    if isinstance(value, Box):
        return Box(value.kind, [next_view(item) for item in value.items], value.keys, value.is_shared)
    if isinstance(value, Either):
        return Either(tuple(next_view(option) for option in value.options))
    return value


def result_of(value: Value | None) -> Value | None:
    """What awaiting the value gives."""
    if isinstance(value, Awaitable):
        return value.result()
    if isinstance(value, Either):
        return either(*(result_of(option) for option in value.options))
    return None


def put(flow: Calls, box: Box, key: object, value: Value | None) -> None:
    """`box[key] = value`, where the key may not be known."""
    is_simple = type(key) is str or type(key) is int
    if not is_simple or box.keys is None or (box.kind is not dict and key not in box.keys):
        fill(flow, box, value)
    elif key not in box.keys:
        box.keys.append(key)
        box.items.append(value)
    else:
        place = box.keys.index(key)
        box.items[place] = either(box.items[place], value) if flow.branches else value


def merge(flow: Calls, box: Box, more: Box) -> None:
    """`box.update(more)` or `box.extend(more)`."""
    for key, item in zip(more.keys or [None] * len(more.items), more.items, strict=False):
        put(flow, box, key if box.kind is dict else None, item)


def fill(flow: Calls, box: Box, value: Value | None) -> None:
    """Put a value into a container whose places are no longer known."""
    if box.source is not None:
        fill(flow, box.source, value)
    if len(box.items) < 24 and not any(item is value for item in box.items):
        box.items.append(value)
    elif any(True for _ in awaitables(value)):
        flow.hand_over(value)
    box.keys = None
