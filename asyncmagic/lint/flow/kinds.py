"""Questions that rules ask about values: is it awaitable, an async function, callable, which function is called."""

from __future__ import annotations

import ast
import inspect
import types

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.machine import Flow
from asyncmagic.lint.flow.values import (
    AsyncGenerator,
    Awaitable,
    Bound,
    Box,
    Class,
    Either,
    Function,
    Identity,
    Instance,
    Live,
    Manager,
    ManagerFactory,
    Module,
    Object,
    Partial,
    Plain,
    Value,
    options,
    present,
)


def is_awaitable(flow: Flow, value: Value | None) -> bool | None:
    """Whether `await` works on the value; None where that is not known."""
    answers = {_is_awaitable(flow, option) for option in options(value)}
    return answers.pop() if len(answers) == 1 else None


def _is_awaitable(flow: Flow, value: Value | None) -> bool | None:
    if isinstance(value, Awaitable):
        return True
    if isinstance(value, (Plain, Function, Class, Module, AsyncGenerator, Bound, Partial, ManagerFactory, Identity)):
        return False
    if isinstance(value, Box):
        return False
    if isinstance(value, (Live, Instance, Object)):
        return flow.has_special(value, "__await__")
    return False if isinstance(value, Manager) else None


def is_async_iterable(flow: Flow, value: Value | None) -> bool | None:
    """Whether `async for` works on the value."""
    answers = {_has(flow, option, "__aiter__") for option in (present(value) or (value,))}
    return answers.pop() if len(answers) == 1 else None


def is_iterable(flow: Flow, value: Value | None) -> bool | None:
    """Whether a plain `for` works on the value."""
    answers = {_is_iterable(flow, option) for option in (present(value) or (value,))}
    return answers.pop() if len(answers) == 1 else None


def _is_iterable(flow: Flow, value: Value | None) -> bool | None:
    found = _has(flow, value, "__iter__") or _has(flow, value, "__getitem__")
    if found and _has(flow, value, "__aiter__") and value is not None and _always_raises(flow, value, "__iter__"):
        return False
    return found


def _has(flow: Flow, value: Value | None, name: str) -> bool | None:
    if isinstance(value, AsyncGenerator):
        return name == "__aiter__"
    if isinstance(value, Box):
        return name != "__aiter__"
    if isinstance(value, Plain) and name == "__aiter__":
        return False
    if isinstance(value, (Live, Instance, Object, Function)):
        return flow.has_special(value, name)
    return None


def is_manager(flow: Flow, value: Value | None, *, is_async: bool) -> bool | None:
    """Whether `with` (or `async with`) works on the value."""
    answers = {_is_manager(flow, option, is_async=is_async) for option in options(value)}
    return answers.pop() if len(answers) == 1 else None


def _is_manager(flow: Flow, value: Value | None, *, is_async: bool) -> bool | None:
    if isinstance(value, Manager):
        return value.is_async is is_async
    if isinstance(value, Awaitable) and value.instance is not None:
        return _is_manager(flow, value.instance, is_async=is_async)
    if isinstance(value, AsyncGenerator):
        return False
    if not isinstance(value, (Live, Instance, Object)):
        return None
    name = "__aenter__" if is_async else "__enter__"
    found = flow.has_special(value, name)
    if found and not is_async and flow.has_special(value, "__aenter__") and _always_raises(flow, value, name):
        return False
    return found


def _always_raises(flow: Flow, value: Value, name: str) -> bool:
    """Whether a method is there only to say that it must not be used."""
    cls = type(value.obj) if isinstance(value, Live) else value.cls if isinstance(value, Instance) else None
    method = objects.class_lookup(cls, name) if cls is not None else None
    source = flow.source_of(method) if objects.is_a(method, types.FunctionType) else None
    if source is None or isinstance(source.node, ast.Lambda):
        return False
    last = source.node.body[-1]
    return isinstance(last, ast.Raise) and not any(isinstance(n, ast.Return) for n in ast.walk(source.node))


def function_name(value: Value | None) -> str:
    """`module.qualname` of the function or class that the value is, empty if that is not known."""
    if isinstance(value, Bound):
        return function_name(value.function)
    if isinstance(value, Live):
        return objects.qualified_name(objects.unwrap_partial(value.obj))
    return value.name if isinstance(value, Function) else ""


def source_of(flow: Flow, value: Value | None) -> Function | None:
    """The source of the function or method that a value is, where it is known."""
    while isinstance(value, (Bound, Partial)):
        value = value.function
    if isinstance(value, Live) and objects.is_a(value.obj, types.FunctionType):
        return flow.source_of(value.obj)
    return value if isinstance(value, Function) else None


def is_async_function(flow: Flow, value: Value | None) -> bool:
    """Whether the value is a function, not called, whose call gives a coroutine."""
    if isinstance(value, Either):
        return all(is_async_function(flow, option) for option in value.options)
    if not isinstance(value, (Live, Function, Bound, Partial)):
        return False
    if isinstance(value, Live) and objects.is_class(value.obj):
        return False
    callee: object = value.function if isinstance(value, (Bound, Partial)) else value
    if isinstance(callee, Live):
        found = objects.unwrap_partial(callee.obj)
        if objects.is_a(found, types.MethodType):
            found = found.__func__
        if objects.code_flags(found) & inspect.CO_COROUTINE:
            return True
        if not objects.is_a(found, types.FunctionType) and objects.class_lookup(type(found), "__call__") is None:
            return False
    if isinstance(callee, Function) and isinstance(callee.node, ast.AsyncFunctionDef):
        return not any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(callee.node))
    flow.quiet += 1
    try:
        result = flow.call_value(value, [None], ast.Pass())
    finally:
        flow.quiet -= 1
    return isinstance(result, Awaitable) and result.kind == "coroutine"


def is_callable(flow: Flow, value: Value | None) -> bool | None:
    """Whether the value can be called; None where that is not known."""
    if isinstance(value, (Function, Class, Bound, Partial, ManagerFactory, Identity)):
        return True
    if isinstance(value, (Plain, Awaitable, AsyncGenerator, Box, Module)):
        return False
    if isinstance(value, (Live, Instance, Object)):
        return flow.has_special(value, "__call__")
    return None
