"""Which parameter of a real function each argument of a call is for."""

from __future__ import annotations

import ast
import functools
import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from asyncmagic.lint.flow import Call, objects
from asyncmagic.lint.flow.values import Bound, Live, Value


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call: its expression and its value."""

    node: ast.expr
    value: Value | None


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments by the names of their parameters, `rest` those of `*args`; or the `error` that the call raises."""

    named: dict[str, Argument] = field(default_factory=dict)
    rest: tuple[Argument, ...] = ()
    error: str = ""


def bound(node: ast.Call, call: Call) -> Arguments | None:
    """Give each argument to its parameter, as Python does; None where the signature is not known."""
    signature = _signature(call.function)
    if signature is None:
        return None
    given = list(map(Argument, node.args, call.args))
    first_star = min(call.starred, default=len(given))
    keywords = {k.arg: Argument(k.value, call.keywords.get(k.arg)) for k in node.keywords if k.arg is not None}
    is_whole = not call.starred and len(keywords) == len(node.keywords)
    bind = signature.bind if is_whole else signature.bind_partial
    owner = (None,) if isinstance(call.function, Bound) else ()
    try:
        found: dict[str, Any] = bind(*owner, *given[:first_star], **keywords).arguments
    except TypeError as error:
        return Arguments(error=str(error))
    named = {name: value for name, value in found.items() if isinstance(value, Argument)}
    rest = next((value for value in found.values() if isinstance(value, tuple)), ())
    takes_rest = any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
    return Arguments(named, (*rest, *given[first_star:]) if takes_rest else rest)


def _signature(function: Value | None) -> inspect.Signature | None:
    target = function.function if isinstance(function, Bound) else function
    if not isinstance(target, Live):
        return None
    obj: Any = target.obj
    is_plain = type(obj) is types.FunctionType or objects.is_builtin_function(obj) or type(obj) is type
    return _signature_of(obj) if is_plain else None


@functools.lru_cache(maxsize=256)
def _signature_of(function: Callable[..., object]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None
