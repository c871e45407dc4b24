"""What annotations say of values: those of live functions, and those in source text."""

from __future__ import annotations

import ast
import asyncio
import collections.abc
import contextlib
import dataclasses
import sys
import types
import typing
from abc import ABC, abstractmethod
from typing import Any, Final

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.values import (
    AsyncGenerator,
    Awaitable,
    Bound,
    Box,
    Class,
    Function,
    Instance,
    Live,
    Lookup,
    Manager,
    Object,
    Returning,
    Scope,
    Value,
    either,
    nothing,
)

_ASYNC_ITERABLES: Final = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterable,
)
_ITERATORS: Final = (collections.abc.Generator, collections.abc.Iterator, collections.abc.Iterable)
_CONTAINERS: Final = (list, tuple, set, frozenset, dict)


class Annotations(ABC):
    """Reads annotations; how names are found is for others to say."""

    @abstractmethod
    def lookup(self, name: str, scope: Scope) -> Value | None:
        """Return what a name means in a scope."""

    @abstractmethod
    def attribute(self, value: Value | None, name: str, node: ast.AST) -> Value | None:
        """Return what `value.name` is."""

    @abstractmethod
    def _module_lookup(self, module: dict[str, object]) -> Lookup:
        """Return what finds the names of a live module."""

    def annotation_node(self, node: ast.expr, scope: Scope, owner: Value | None = None) -> Value | None:
        """What an annotation in source text says of the value."""
        if isinstance(node, ast.Constant):
            if node.value is None:
                return Live(None)
            if not isinstance(node.value, str):
                return None
            try:
                return self.annotation_node(ast.parse(node.value, mode="eval").body, scope, owner)
            except SyntaxError:
                return None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            sides = [self.annotation_node(side, scope, owner) for side in (node.left, node.right)]
            return either(*sides)
        if isinstance(node, ast.Subscript):
            base = self._static_name(node.value, scope)
            args = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if isinstance(base, Class):
                return Object(self.of_one(base, args[0], scope, owner), {})
            if not isinstance(base, Live):
                return None
            if base.obj is typing.Union or base.obj is typing.Optional:
                parts = [self.annotation_node(arg, scope, owner) for arg in args]
                return either(*parts, *([Live(None)] if base.obj is typing.Optional else []))
            if base.obj is typing.Annotated:
                return self.annotation_node(args[0], scope, owner)
            if _is_record(base.obj, args):
                return _record([self.annotation_node(arg, scope, owner) for arg in args])
            inner = args[-1] if base.obj is not collections.abc.AsyncGenerator else args[0]
            if isinstance(inner, ast.Constant) and inner.value is Ellipsis:
                inner = args[0]
            return self._generic(base.obj, lambda: self.annotation_node(inner, scope, owner))
        found = self._static_name(node, scope)
        if isinstance(found, Class):
            return Object(found, {})
        if isinstance(found, Instance) and found.cls is typing.TypeVar:
            bound = self._declared_bound(found, scope)
            if bound is None:
                return argument_of(owner)
            is_self = isinstance(owner, Object) and any(base is bound.cls for base in linear(owner.cls))
            return owner if is_self else bound
        return self.annotation(found.obj, {}, owner) if isinstance(found, Live) else None

    def of_one(self, cls: Class, node: ast.expr, scope: Scope, owner: Value | None = None) -> Class:
        """`cls[node]`: the class for one type of what it holds."""
        return dataclasses.replace(cls, argument=lambda: self.annotation_node(node, scope, owner))

    def awaited_by(self, value: Value | None) -> Value | None:
        """What awaiting an object gives, by what its `__await__` declares: `Generator[…, …, T]`."""
        method = self.attribute(value, "__await__", ast.Pass())
        function = method.function if isinstance(method, Bound) else None
        if isinstance(function, Function) and not isinstance(function.node, ast.Lambda):
            declared = self._third_part(function.node.returns, function.scope, value)
            return declared or self._delegated(function, value)
        live = function.obj if isinstance(function, Live) else None
        if not objects.is_a(live, types.FunctionType):
            return None
        hint: Any = live.__annotations__.get("return")
        if type(hint) is str:
            scope = Scope({}, outside=self._module_lookup(live.__globals__))
            return self._third_part(ast.Constant(hint), scope, value)
        args = typing.get_args(hint)
        return self.annotation(args[-1], live.__globals__, value) if len(args) == 3 else None

    def _delegated(self, function: Function, owner: Value | None) -> Value | None:
        """What `return self._connect().__await__()` gives."""
        last = function.node.body[-1] if isinstance(function.node.body, list) else None
        call = last.value if isinstance(last, ast.Return) else None
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "__await__"):
            return None
        this = function.node.args.args[0].arg if function.node.args.args else ""
        scope = Scope({this: owner}, parent=function.scope, node=function.node)
        inner = self.evaluate_quietly(call.func.value, scope)
        return inner.result() if isinstance(inner, Awaitable) else None

    @abstractmethod
    def evaluate_quietly(self, node: ast.expr, scope: Scope) -> Value | None:
        """Return what an expression is, and note nothing of it."""

    def _third_part(self, node: ast.expr | None, scope: Scope, owner: Value | None) -> Value | None:
        """What C is in the annotation `Generator[A, B, C]`."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            try:
                node = ast.parse(node.value, mode="eval").body
            except SyntaxError:
                return None
        parts = node.slice.elts if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) else []
        return self.annotation_node(parts[2], scope, owner) if len(parts) == 3 else None

    def _declared_bound(self, variable: Instance, scope: Scope) -> Object | None:
        """An object of the class that a type variable of source text is bound to."""
        bound = variable.attributes.get("bound")
        if isinstance(bound, Live) and type(bound.obj) is str:
            found = self.annotation_node(ast.Constant(bound.obj), scope)
            return found if isinstance(found, Object) else None
        return Object(bound, {}) if isinstance(bound, Class) else None

    def _static_name(self, node: ast.expr, scope: Scope) -> Value | None:
        if isinstance(node, ast.Name):
            return self.lookup(node.id, scope)
        if isinstance(node, ast.Attribute):
            return self.attribute(self._static_name(node.value, scope), node.attr, node)
        return None

    def annotation(self, hint: object, module: dict[str, object], owner: Value | None = None) -> Value | None:
        """What an evaluated annotation (or its text, with the names of its module) says of the value."""
        if type(hint) is str:
            if len(hint) > 500:
                return None
            try:
                node = ast.parse(hint, mode="eval").body
            except SyntaxError:
                return None
            return self.annotation_node(node, Scope({}, outside=self._module_lookup(module)), owner)
        if hint is None or hint is type(None):
            return Live(None)
        if hint is typing.Self:
            return owner
        if type(hint) is typing.TypeVar:
            if argument_of(owner) is not None:
                return argument_of(owner)
            bound, own = self._bound_of(hint), class_of(owner)
            is_self = isinstance(bound, Instance) and own is not None and any(bound.cls is c for c in objects.mro(own))
            return owner if is_self else bound
        if objects.is_class(hint):
            return self._generic(hint, nothing)
        if type(hint) is not types.GenericAlias and not objects.qualified_name(type(hint)).startswith(
            ("typing.", "types.")
        ):
            return None
        origin, args = typing.get_origin(hint), typing.get_args(hint)
        if origin is typing.Union or origin is types.UnionType:
            return either(*(self.annotation(arg, module, owner) for arg in args))
        if origin is typing.Annotated and args:
            return self.annotation(args[0], module, owner)
        if origin is None or not args:
            return None
        if _is_record(origin, args):
            return _record([self.annotation(arg, module, owner) for arg in args])
        inner = args[0] if origin is collections.abc.AsyncGenerator or args[-1:] == (Ellipsis,) else args[-1]
        return self._generic(origin, lambda: self.annotation(inner, module, owner))

    def _bound_of(self, variable: typing.TypeVar) -> Value | None:
        """The class that a type variable is bound to."""
        bound = variable.__bound__
        if type(bound) is typing.ForwardRef:
            module = sys.modules.get(variable.__module__)
            return self.annotation(bound.__forward_arg__, objects.instance_dict(module)) if module else None
        return self.annotation(bound, {}) if bound is not None else None

    def _generic(self, origin: object, inner: Any) -> Value | None:
        if objects.is_a(origin, type(typing.List)):  # noqa: UP006 - the old spelling is what is looked at
            origin = typing.get_origin(origin)
        if origin is collections.abc.Coroutine:
            return Awaitable("coroutine", None, inner)
        if origin is collections.abc.Awaitable:
            return Awaitable("awaitable", None, inner, is_handed_on=True)
        if any(origin is known for known in _ASYNC_ITERABLES):
            return AsyncGenerator(None, inner, is_used=True)
        if origin is contextlib.AbstractAsyncContextManager:
            return Manager(is_async=True, entered=inner)
        if origin is asyncio.Task or origin is asyncio.Future:
            which: Any = "task" if origin is asyncio.Task else "future"
            return Awaitable(which, None, inner, is_handed_on=True)
        if any(origin is known for known in _ITERATORS) and inner is not nothing:
            return Box(types.GeneratorType, [inner()], is_shared=True)
        if origin is collections.abc.Callable:
            return Returning(inner) if inner() is not None else None
        if not objects.is_a(origin, type) or origin is object or origin is type:
            return None
        if inner is not nothing and any(origin is kind for kind in _CONTAINERS):
            return Box(origin, [inner()], is_shared=True)
        if objects.class_dict(origin).get("_is_protocol") is True:
            return None
        if objects.qualified_name(origin).startswith(("collections.abc.", "typing.")):
            return None
        parameters = objects.class_lookup(origin, "__parameters__")
        is_of_one = type(parameters) is tuple and len(parameters) == 1 and inner is not nothing
        return Instance(origin, is_exact=False, argument=inner if is_of_one else None)


def _is_record(origin: object, args: collections.abc.Sequence[Any]) -> bool:
    """Whether `tuple[…]` says what stands at each of several places."""
    if not (origin is tuple or origin is typing.Tuple) or len(args) < 2:  # noqa: UP006
        return False
    last = args[-1].value if isinstance(args[-1], ast.Constant) else args[-1]
    return last is not Ellipsis


def _record(items: list[Value | None]) -> Value:
    return Box(tuple, items, list(range(len(items))), is_shared=True)


def argument_of(owner: Value | None) -> Value | None:
    """The T of an instance of a `Generic[T]`, where that is known."""
    if isinstance(owner, Instance):
        return owner.argument() if owner.argument is not None else None
    return _class_argument(owner.cls) if isinstance(owner, Object) else None


def _class_argument(cls: Class) -> Value | None:
    if cls.argument is not None:
        return cls.argument()
    found = (_class_argument(base) for base in cls.bases if isinstance(base, Class))
    return next((value for value in found if value is not None), None)


def linear(cls: Class) -> list[Class | type]:
    """The class and its known bases in the order in which Python looks members up."""
    if cls.order is None:
        cls.order = _linear(cls)
    return cls.order


def _linear(cls: Class) -> list[Class | type]:
    orders: list[list[Class | type]] = []
    for base in cls.bases:
        if isinstance(base, Class):
            orders.append(linear(base))
        elif isinstance(base, Live) and objects.is_a(base.obj, type):
            orders.append(list(objects.mro(base.obj)))
    orders.append([order[0] for order in orders])
    result: list[Class | type] = [cls]
    while orders := [order for order in orders if order]:
        heads = [order[0] for order in orders]
        good = next((h for h in heads if not any(h is later for order in orders for later in order[1:])), heads[0])
        result.append(good)
        orders = [[item for item in order if item is not good] for order in orders]
    return result


def instance_of(cls: Value | None, *, is_exact: bool = True) -> Value | None:
    """An object of the class that a value is."""
    if isinstance(cls, Class):
        return Object(cls, {})
    return Instance(cls.obj, is_exact) if isinstance(cls, Live) and objects.is_a(cls.obj, type) else None


def class_name(value: Value | None) -> str:
    """`module.qualname` of the class of a value's objects, empty if that is not known."""
    if isinstance(value, Object):
        return value.cls.name
    cls = class_of(value)
    return objects.qualified_name(cls) if cls is not None else ""


def class_of(value: Value | None) -> type | None:
    """The class of a value's objects."""
    if isinstance(value, Live):
        return type(value.obj)
    if isinstance(value, Instance):
        return value.cls
    if isinstance(value, Box):
        return value.kind
    if isinstance(value, AsyncGenerator):
        return types.AsyncGeneratorType
    if isinstance(value, Awaitable):
        kinds: dict[str, type] = {"coroutine": types.CoroutineType, "task": asyncio.Task, "future": asyncio.Future}
        return kinds.get(value.kind)
    return None
