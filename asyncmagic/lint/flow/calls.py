"""What a call gives, and what it does to the awaitables among its arguments."""

from __future__ import annotations

import ast
import dataclasses
import functools
import types
from collections.abc import Callable, Sequence

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.annotations import class_of
from asyncmagic.lint.flow.instances import Instances
from asyncmagic.lint.flow.known import DATA_MODULES, KNOWN, SHOWING_MODULES
from asyncmagic.lint.flow.ledger import Call
from asyncmagic.lint.flow.sources import facts, is_generator
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
    Object,
    Partial,
    Plain,
    Returning,
    Scope,
    Value,
    awaitables,
    either,
    known,
    options,
)

_DATA_METHODS = ("builtins.str.", "builtins.bytes.", "builtins.int.", "builtins.float.", "_io.", "re.", "datetime.")


class Calls(Instances):
    """Runs through calls."""

    def call_value(self, function: Value | None, args: Sequence[Value | None], node: ast.AST) -> Value | None:
        return self.call(Call(node, function, args, Scope({})))

    def call(self, call: Call, owner: Value | None = None) -> Value | None:
        """The value of a call."""
        self.check_time()
        function = call.function
        if isinstance(function, Either):
            results, spent = [], call.scope.spent
            for option in function.options:
                if isinstance(option, Awaitable):
                    self.hand_over(option)  # Not what is called on this path.
                    continue
                call.scope.spent = set(spent)
                results.append(self.call(dataclasses.replace(call, function=option), owner))
            if not all(isinstance(result, Awaitable) for result in results):
                for result in results:
                    self.hand_over(result)
            return either(*results)
        if isinstance(function, Bound):
            return self.call(dataclasses.replace(call, function=function.function), function.owner)
        if isinstance(function, Live):
            return self._call_live(call, function.obj, owner)
        if isinstance(function, Function):
            return self._call_function(call, function, owner)
        if isinstance(function, Partial):
            self.hand_over_arguments(call)
            return self.call(Call(call.node, function.function, [], call.scope, has_unknown_keywords=True))
        if isinstance(function, Identity):
            return call.argument(0)
        if isinstance(function, Returning):
            if function.name.partition(".")[0] in SHOWING_MODULES:
                self.use_as_data(call)
                self.hand_over_unless_used(call)
                return None
            self.hand_over_arguments(call)
            result = function.result()
            is_made = isinstance(result, Awaitable) and result.kind in ("coroutine", "awaitable")
            return self.coroutine(call, result.result) if isinstance(result, Awaitable) and is_made else result
        if isinstance(function, ManagerFactory):
            made = self._yielded(function.function, call, owner)
            self.hand_over_arguments(call)
            return Manager(function.is_async, made)
        if isinstance(function, Class):
            handler = KNOWN.get(function.name)
            if handler is not None:
                return handler(self, call, owner)
            if function.name.partition(".")[0] in SHOWING_MODULES:
                self.use_as_data(call)
            return self.construct(call, function)
        if isinstance(function, Object):
            return self.call(dataclasses.replace(call, function=self.member(function.cls, "__call__")), function)
        if isinstance(function, Instance):
            return self._call_instance(call, function, function.cls)
        if isinstance(function, Awaitable) and function.node is not None:
            self.use(function, call.node, "called", is_certain=True)
        self.hand_over_arguments(call)
        return None

    def _call_live(self, call: Call, obj: object, owner: Value | None) -> Value | None:
        if objects.is_a(obj, functools.partial):
            self.hand_over_arguments(call)
            inner = self.lift(objects.unwrap_partial(obj))
            return self.call(Call(call.node, inner, [], call.scope, has_unknown_keywords=True))
        if type(obj) is types.MethodType:
            return self.call(dataclasses.replace(call, function=self.lift(obj.__func__)), self.lift(obj.__self__))
        if objects.is_builtin_function(obj) and owner is None:
            holder = getattr(obj, "__self__", None)
            owner = None if holder is None or objects.is_a(holder, types.ModuleType) else self.lift(holder)
        name = objects.qualified_name(obj)
        handler = KNOWN.get(name)
        if handler is not None:
            return handler(self, call, owner)
        if objects.is_a(obj, type):
            if name.partition(".")[0] in SHOWING_MODULES:
                self.use_as_data(call)
            return self.instantiate(call, obj)
        root = (name or objects.qualified_name(type(obj))).partition(".")[0]
        if root in SHOWING_MODULES:
            self.use_as_data(call)
        if name and root in DATA_MODULES:
            for value in call.values:
                self.use(value, call.node, "used", is_certain=False)
            self.hand_over_unless_used(call)
            return Plain()
        if root in SHOWING_MODULES and type(obj) is not types.FunctionType:
            self.hand_over_unless_used(call)
            return None
        if type(obj) is types.FunctionType:
            if root in SHOWING_MODULES:
                self.hand_over_unless_used(call)
                call = Call(call.node, call.function, [], call.scope, has_unknown_keywords=True)
            return self._call_python(call, obj, owner)
        if type(obj) is functools._lru_cache_wrapper:
            return self.call(dataclasses.replace(call, function=self.lift(obj.__wrapped__)), owner)
        if objects.is_builtin_function(obj):
            return self._call_c_method(call, name, owner)
        if objects.is_mock(obj):
            return self._call_mock(call, obj)
        return self._call_instance(call, Live(obj), type(obj))

    def _call_c_method(self, call: Call, name: str, owner: Value | None) -> Value | None:
        if name.startswith("builtins.str."):
            is_join = name == "builtins.str.join"
            if is_join and isinstance(given := call.argument(0), Box) and given.kind is dict:
                return Instance(str)  # It goes over the keys.
            for value in call.values:
                self.use(value, call.node, "used as text", is_certain=False)
                self.use_elements(value, call.node, "used as text", is_certain=is_join)
            self.hand_over_unless_used(call)
            return Instance(str)
        if name.startswith("_io."):
            for value in call.values:
                self.use(value, call.node, "written", is_certain=True)
        self.hand_over_arguments(call)
        is_data = name.partition(".")[0] in ("builtins", "re", "datetime", "math", "_io") and (
            owner is None or name.startswith(_DATA_METHODS)
        )
        return Plain() if is_data else None

    def _call_mock(self, call: Call, obj: object) -> Value | None:
        self.hand_over_arguments(call)
        return self.coroutine(call, lambda: None) if objects.is_async_mock(obj) else None

    def _call_python(self, call: Call, function: types.FunctionType, owner: Value | None) -> Value | None:
        """Call a live Python function."""
        module = function.__module__ or ""
        is_users = module == "__main__" or not function.__code__.co_filename.endswith(".py")
        is_wrapper = "__wrapped__" in objects.instance_dict(function)
        declared = None if is_wrapper else self._declared_return(call, function, owner)
        has_work = any(map(self.is_interesting, (owner, *call.values))) or (is_users and self.has_stored)

        def result() -> Value | None:
            if not is_users and known(declared) is not None and not _is_either_way(declared):
                return self.made_object(call, declared)
            return self._summary(call, function, owner) or declared

        if objects.is_coroutine_function(function):
            value = self._run_with_arguments(call, function, owner) if has_work and is_users else None
            if not is_users:
                self.hand_over_unless_used(call)
            return self.coroutine(call, result if known(value) is None else lambda: value)
        if objects.is_async_generator_function(function):
            self.hand_over_arguments(call)
            source = self.source_of(function)
            return AsyncGenerator(call.node, self._yielded(source, call, owner) if source else lambda: None)
        is_async = objects.makes_managers(function)
        if is_async is not None:
            made = ManagerFactory(self.lift(objects.instance_dict(function)["__wrapped__"]), is_async)
            return self.call(dataclasses.replace(call, function=made), owner)
        if objects.is_generator_function(function):
            self.hand_over_arguments(call)
            source = self.source_of(function)
            item = self._yielded(source, call, owner)() if source else None
            self.hand_over(item)
            return Box(types.GeneratorType, [item])
        if has_work or (is_users and call.values):
            value = self._run_with_arguments(call, function, owner)
            if not is_users:
                self.hand_over_unless_used(call)
            return value if known(value) is not None else None
        if isinstance(declared, Awaitable) and declared.kind == "coroutine":
            return self.coroutine(call, declared.result)
        value = self.fresh(result(), call, is_remembered=True)
        if isinstance(value, Awaitable):
            # What a decorator passes on as **kwargs says nothing of the stream: this call does.
            brings = value.result
            value.result = lambda: _by_stream(call, brings())
        return Plain() if value is None and self._has_async_twin(function, owner) else value

    def _has_async_twin(self, function: types.FunctionType, owner: Value | None) -> bool:
        """Whether `ainvoke` stands beside `invoke`: then `invoke` gives the result itself."""
        cls = class_of(owner)
        twin = objects.class_lookup(cls, f"a{function.__name__}") if cls is not None else None
        return objects.is_coroutine_function(twin)

    def _declared_return(self, call: Call, function: types.FunctionType, owner: Value | None) -> Value | None:
        hint = function.__annotations__.get("return", objects.MISSING)
        if hint is objects.MISSING:
            return None
        return _by_stream(call, self.annotation(hint, function.__globals__, owner))

    def _run_with_arguments(self, call: Call, function: types.FunctionType, owner: Value | None) -> Value | None:
        source = self.source_of(function)
        if source is None:
            self.hand_over_unseen(call, owner)
            return None
        return self.fresh(self.invoke(source, call, owner), call)

    def _summary(self, call: Call, function: types.FunctionType, owner: Value | None) -> Value | None:
        """What a live function returns, whatever it is given."""
        owner_type = id(owner.obj) if isinstance(owner, Live) else id(getattr(owner, "cls", owner))
        key = (id(function), owner_type)
        if key not in self._summaries:
            source = self.source_of(function)
            bare = Call(call.node, call.function, [], Scope({}), has_unknown_keywords=True)
            value = self.invoke(source, bare, owner) if source else None
            self._summaries[key] = ((function, owner), value)
        return self._summaries[key][1]

    def fresh(self, value: Value | None, call: Call, *, is_remembered: bool = False) -> Value | None:
        """A returned value, its awaitables counted as made by the call; one `is_remembered` is told for each call."""
        if isinstance(value, Either):
            if not all(isinstance(option, Awaitable) for option in value.options):
                self.hand_over(value)
            return Either(tuple(self.fresh(option, call, is_remembered=is_remembered) for option in value.options))
        if isinstance(value, Box):
            items = [self.fresh(item, call, is_remembered=is_remembered) for item in value.items]
            if is_remembered:
                return Box(value.kind, items, value.keys, value.is_shared)
            value.items[:] = items
            return value
        if isinstance(value, Awaitable) and value.node is not None and not value.is_registered:
            new = dataclasses.replace(value, uses=[], source=None) if is_remembered else value
            new.node = call.node
            return self.make(new)
        return value

    def _call_instance(self, call: Call, value: Value, cls: type) -> Value | None:
        if objects.is_mock(value) or issubclass(cls, types.ModuleType):
            return None
        mock = objects.is_async_mock_class(cls)
        if mock:
            self.hand_over_arguments(call)
            return self.coroutine(call, lambda: None)
        found = objects.class_lookup(cls, "__call__")
        if objects.is_a(found, types.FunctionType):
            return self.call(dataclasses.replace(call, function=Live(found)), value)
        self.hand_over_arguments(call)
        return None

    # -- functions whose source is known -------------------------------------------------------------------------

    def _call_function(self, call: Call, function: Function, owner: Value | None) -> Value | None:
        handler = KNOWN.get(function.name)
        if handler is not None:
            return handler(self, call, owner)
        if function.name.partition(".")[0] in SHOWING_MODULES:
            self.use_as_data(call)
            self.hand_over_unless_used(call)
            call = Call(call.node, call.function, [], call.scope, has_unknown_keywords=True)
        node = function.node
        has_work = self.has_stored or any(map(self.is_interesting, (owner, *call.values)))
        if isinstance(node, ast.FunctionDef) and facts(node).awaits and self.is_cell_code(node):
            self.hand_over_arguments(call)
            return None  # The cell does not run: that is said at the function.
        if isinstance(node, ast.AsyncFunctionDef) or facts(node).awaits:
            if is_generator(node):
                self.hand_over_arguments(call)
                return AsyncGenerator(call.node, self._yielded(function, call, owner))
            if has_work:
                value = self.invoke(function, call, owner)
                self._hand_over_all_but(call, function, value)
                return self.coroutine(call, lambda: value)
            self.hand_over_unless_used(call)
            return self.coroutine(
                call,
                lambda: (
                    self._declared_result(call, function, owner) or self.invoke(function, call, owner, is_again=True)
                ),
            )
        if is_generator(node):
            item = self._yielded(function, call, owner)()
            self.hand_over_arguments(call)
            self.hand_over(item)
            return Box(types.GeneratorType, [item])
        declared = self._declared_result(call, function, owner)
        is_plain = not any(True for _ in awaitables(declared))
        if declared is not None and is_plain and not self._wraps_unknown(declared):
            self.hand_over_unless_used(call)
            return self.made_object(call, declared)
        value = self.fresh(self.invoke(function, call, owner), call)
        self._hand_over_all_but(call, function, value)
        if value is None and not isinstance(node, ast.Lambda) and node.returns is not None:
            return self.annotation_node(node.returns, function.scope, owner)
        return value

    def _wraps_unknown(self, value: Value | None) -> bool:
        """Whether an annotation leaves open what only the body knows: what it decorates, or what is awaited."""
        if isinstance(value, Object) and self.has_special(value, "__await__"):
            return self.awaited_by(value) is None
        return isinstance(value, Returning)

    def _declared_result(self, call: Call, function: Function, owner: Value | None) -> Value | None:
        """What awaiting a library's async function gives, by its annotation."""
        node = function.node
        if not function.is_library or isinstance(node, ast.Lambda) or node.returns is None:
            return None
        return known(_by_stream(call, self.annotation_node(node.returns, function.scope, owner)))

    def _hand_over_all_but(self, call: Call, function: Function, result: Value | None) -> None:
        """What the function was given may be awaited by it, unless it is what it returns."""
        for argument in call.values if function.is_library else ():
            is_returned = any(argument is part for part in _parts(result))
            if not is_returned and not any(awaitable.root.uses for awaitable in awaitables(argument)):
                self.hand_over(argument)

    def _yielded(self, function: Value | None, call: Call, owner: Value | None) -> Callable[[], Value | None]:
        """What a generator function yields, found when it is asked for."""

        def item() -> Value | None:
            source = function
            if isinstance(source, Live) and type(source.obj) is types.FunctionType:
                declared = self._declared_return(call, source.obj, owner)
                found = declared.item() if isinstance(declared, AsyncGenerator) else None
                if found is not None:
                    return found
                source = self.source_of(source.obj)
            if not isinstance(source, Function):
                return None
            if source.is_library and not isinstance(source.node, ast.Lambda) and source.node.returns is not None:
                declared = self.annotation_node(source.node.returns, source.scope, owner)
                found = declared.item() if isinstance(declared, AsyncGenerator) else None
                if found is not None:
                    return found
            return self.invoke(source, call, owner, is_again=True, wants_yield=True)

        return item


def _by_stream(call: Call, value: Value | None) -> Value | None:
    """Of "an answer or a stream of it", the one that the call's `stream=` asks for."""
    if not isinstance(value, Either):
        return value
    asked = call.keywords.get("stream")
    wants = isinstance(asked, Live) and asked.obj is True
    if "stream" in call.keywords and not (isinstance(asked, Live) and type(asked.obj) is bool):
        return value
    kept = [option for option in value.options if _is_stream(option) is wants]
    return either(*kept) if kept and (wants or not call.has_unknown_keywords) else value


def _is_either_way(value: Value | None) -> bool:
    """Whether an annotation says "the result or an awaitable of it": only the body knows which."""
    return len({isinstance(option, Awaitable) for option in options(value)}) == 2


def _is_stream(value: Value | None) -> bool:
    cls = value.cls if isinstance(value, (Instance, Object)) else None
    name = cls.node.name if isinstance(cls, Class) else objects.qualified_name(cls)
    return "Stream" in name.rpartition(".")[2]


def _parts(value: Value | None) -> tuple[Value | None, ...]:
    return (value, *value.items) if isinstance(value, Box) else options(value)
