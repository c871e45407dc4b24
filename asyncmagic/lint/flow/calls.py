"""What a call gives, and what it does to the awaitables among its arguments."""

from __future__ import annotations

import ast
import dataclasses
import functools
import time
import types
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.known import DATA_MODULES, KNOWN, SHOWING_MODULES
from asyncmagic.lint.flow.resolve import Resolver
from asyncmagic.lint.flow.sources import FUNCTIONS, all_arguments, body_of, facts, is_generator, is_stub, positional
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
    Use,
    Value,
    awaitables,
    either,
    known,
    options,
)

_MAX_DEPTH = 5
_DATA_METHODS = ("builtins.str.", "builtins.bytes.", "builtins.int.", "builtins.float.", "_io.", "re.", "datetime.")
_SCALARS = (int, float, str, bytes, bool)
_BUILTIN_DATA = (*_SCALARS, list, tuple, dict, set)


class OutOfTime(Exception):
    """The check has reached its deadline."""


@dataclass(eq=False, slots=True)
class Call:
    """One call: the function's value, its arguments, and where it stands."""

    node: ast.AST
    function: Value | None
    args: Sequence[Value | None]
    scope: Scope
    keywords: dict[str, Value | None] = field(default_factory=dict)
    starred: frozenset[int] = frozenset()
    has_unknown_keywords: bool = False

    @property
    def values(self) -> list[Value | None]:
        return [*self.args, *self.keywords.values()]

    def argument(self, position: int, name: str = "") -> Value | None:
        """The argument at a position or under a keyword, if it is known which one that is."""
        if name in self.keywords:
            return self.keywords[name]
        if position < len(self.args) and not any(star <= position for star in self.starred):
            return self.args[position]
        return None


@dataclass(eq=False, slots=True)
class Frame:
    """A function body being run through; `is_reported` if what is found in it is said."""

    node: ast.AST
    is_reported: bool
    is_library: bool = False
    returns: list[Value | None] = field(default_factory=list)
    yields: list[Value | None] = field(default_factory=list)


class Calls(Resolver):
    """Runs through calls."""

    deadline: float
    own_deadline: float
    patience: float
    made: list[Awaitable]
    reused: list[tuple[Awaitable, ast.AST]]
    parents: dict[ast.AST, ast.AST]
    frames: list[Frame]
    site: ast.AST | None = None
    quiet: int = 0
    _summaries: dict[tuple[int, int], tuple[object, Value | None]]

    @abstractmethod
    def is_cell_code(self, node: ast.AST) -> bool:
        """Whether the node stands in the cell itself, not in a live function that it calls."""

    @property
    def is_reporting(self) -> bool:
        return not self.quiet and (not self.frames or self.frames[-1].is_reported)

    def check_time(self) -> None:
        """Stop at the deadline; where others hold the processor, the check's own time counts."""
        late = time.perf_counter() - self.deadline
        if late > 0 and (late > 3 * self.patience or time.thread_time() > self.own_deadline):
            raise OutOfTime

    @property
    def is_hurried(self) -> bool:
        half = self.patience / 2
        return time.thread_time() > self.own_deadline - half or time.perf_counter() > self.deadline + half

    # -- fates ---------------------------------------------------------------------------------------------------

    def make(self, awaitable: Awaitable) -> Awaitable:
        """Remember an awaitable that the cell made."""
        awaitable.node = self.site or awaitable.node
        if self.is_reporting:
            awaitable.scope = self.frames[-1].node if self.frames else None
            awaitable.is_registered = True
            self.made.append(awaitable)
        return awaitable

    def hand_over(self, value: Value | None) -> None:
        """The value goes where it may be awaited."""
        for awaitable in awaitables(value):
            awaitable.is_handed_on = awaitable.root.is_handed_on = True
        for option in options(value):
            if isinstance(option, Box):
                option.is_shared = True
            elif isinstance(option, AsyncGenerator):
                option.is_used = True

    def use(self, value: Value | None, node: ast.AST, how: str, *, is_certain: bool) -> None:
        """The value is used as if it were its result."""
        found = options(value)
        if any(frame.is_library for frame in self.frames):
            return  # Paths through a library's code are too many to be sure of one.
        is_mixed = not all(isinstance(option, Awaitable) for option in found)
        if is_mixed and not (is_certain and all(isinstance(o, Awaitable) or is_data(o) for o in found)):
            return
        for option in found:
            if isinstance(option, Awaitable) and (is_certain or option.kind in ("coroutine", "future")):
                option.root.uses.append(Use(self.site or node, how, is_certain and not is_mixed))

    def use_elements(self, value: Value | None, node: ast.AST, how: str, *, is_certain: bool, depth: int = 3) -> None:
        """The value's elements are used as if they were results."""
        for item in value.items if isinstance(value, Box) and depth else ():
            self.use(item, node, how, is_certain=is_certain)
            self.use_elements(item, node, how, is_certain=is_certain, depth=depth - 1)

    def use_as_data(self, call: Call) -> None:
        """The arguments and what stands in them are shown or computed with."""
        for value in call.values:
            self.use(value, call.node, "used", is_certain=False)
            self.use_elements(value, call.node, "used", is_certain=False)

    def spend(self, value: Value | None, node: ast.AST, scope: Scope) -> None:
        """The value's coroutines are run here: a second time is an error."""
        if isinstance(value, Either):
            return
        for awaitable in awaitables(value):
            if awaitable.kind != "coroutine":
                continue
            if (awaitable.is_closed or awaitable in scope.spent) and self.is_reporting:
                self.reused.append((awaitable, node))
            scope.spent.add(awaitable)

    # -- calls ---------------------------------------------------------------------------------------------------

    def call_value(self, function: Value | None, args: Sequence[Value | None], node: ast.AST) -> Value | None:
        return self.call(Call(node, function, args, Scope({})))

    def call(self, call: Call, owner: Value | None = None) -> Value | None:
        """The value of a call."""
        self.check_time()
        function = call.function
        if isinstance(function, Either):
            results, spent = [], call.scope.spent
            for option in function.options:
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
            self.hand_over_arguments(call)
            result = function.result()
            is_made = isinstance(result, Awaitable) and result.kind in ("coroutine", "awaitable")
            return self.coroutine(call, result.result) if isinstance(result, Awaitable) and is_made else result
        if isinstance(function, ManagerFactory):
            made = self._yielded(function.function, call, owner)
            self.hand_over_arguments(call)
            return Manager(function.is_async, made)
        if isinstance(function, Class):
            return self._construct(call, function)
        if isinstance(function, Object):
            return self.call(dataclasses.replace(call, function=self.member(function.cls, "__call__")), function)
        if isinstance(function, Instance):
            return self._call_instance(call, function, function.cls)
        if isinstance(function, Awaitable) and function.node is not None:
            self.use(function, call.node, "called", is_certain=True)
        self.hand_over_arguments(call)
        return None

    def hand_over_arguments(self, call: Call) -> None:
        for value in call.values:
            self.hand_over(value)

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
            if name.partition(".")[0] in ("pandas", "numpy"):
                self.use_as_data(call)
            return self._instantiate(call, obj)
        if name:
            root = name.partition(".")[0]
            if root in SHOWING_MODULES:
                self.use_as_data(call)
            if root in DATA_MODULES:
                self.hand_over_unless_used(call)
                return Plain()
        if type(obj) is types.FunctionType:
            if name.partition(".")[0] in SHOWING_MODULES:
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
            for value in call.values:
                self.use(value, call.node, "used as text", is_certain=False)
                self.use_elements(value, call.node, "used as text", is_certain=False)
            self.hand_over_unless_used(call)
            return Instance(str)
        self.hand_over_arguments(call)
        is_data = name.partition(".")[0] in ("builtins", "re", "datetime", "math", "_io") and (
            owner is None or name.startswith(_DATA_METHODS)
        )
        return Plain() if is_data else None

    def hand_over_unless_used(self, call: Call) -> None:
        for value in call.values:
            if not any(awaitable.root.uses for awaitable in awaitables(value)):
                self.hand_over(value)

    def _call_mock(self, call: Call, obj: object) -> Value | None:
        self.hand_over_arguments(call)
        return self.coroutine(call, lambda: None) if objects.is_async_mock(obj) else None

    def coroutine(self, call: Call, result: Callable[[], Value | None]) -> Awaitable:
        """The coroutine that the call makes."""
        return self.make(Awaitable("coroutine", call.node, result, maker=call.function))

    def _call_python(self, call: Call, function: types.FunctionType, owner: Value | None) -> Value | None:
        """Call a live Python function."""
        module = function.__module__ or ""
        is_users = module == "__main__" or not function.__code__.co_filename.endswith(".py")
        is_wrapper = "__wrapped__" in objects.instance_dict(function)
        declared = None if is_wrapper else self._declared_return(call, function, owner)
        has_work = any(_is_interesting(value) for value in call.values)

        def result() -> Value | None:
            if not is_users and known(declared) is not None and not _is_either_way(declared):
                return declared
            return self._summary(call, function, owner) or declared

        if objects.is_coroutine_function(function):
            if has_work and is_users:
                self._run_with_arguments(call, function, owner)
            self.hand_over_unless_used(call)
            return self.coroutine(call, result)
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
            self.hand_over_unless_used(call)
            return value if known(value) is not None else None
        if isinstance(declared, Awaitable) and declared.kind == "coroutine":
            return self.coroutine(call, declared.result)
        return self.fresh(result(), call)

    def _declared_return(self, call: Call, function: types.FunctionType, owner: Value | None) -> Value | None:
        hint = function.__annotations__.get("return", objects.MISSING)
        if hint is objects.MISSING:
            return None
        return _by_stream(call, self.annotation(hint, function.__globals__, owner))

    def _run_with_arguments(self, call: Call, function: types.FunctionType, owner: Value | None) -> Value | None:
        source = self.source_of(function)
        return self.fresh(self.invoke(source, call, owner), call) if source else None

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

    def fresh(self, value: Value | None, call: Call) -> Value | None:
        """A returned value, its awaitables counted as made by the call."""
        if isinstance(value, Either):
            if not all(isinstance(option, Awaitable) for option in value.options):
                self.hand_over(value)
            return Either(tuple(self.fresh(option, call) for option in value.options))
        if isinstance(value, Box):
            items = [self.fresh(item, call) for item in value.items]
            return Box(value.kind, items, value.keys, value.is_shared)
        if isinstance(value, Awaitable) and value.node is not None and not value.is_registered:
            copy = dataclasses.replace(value, node=call.node, uses=[], source=None)
            return self.make(copy)
        return value

    def _instantiate(self, call: Call, cls: type) -> Value | None:
        """Make an instance of a live class."""
        attributes: dict[str, Value | None] = {}
        for name, value in call.keywords.items():
            declared = self._field_type(cls, name)
            if declared is not None and _is_scalar(declared):
                self.use(value, call.node, f"stored as {declared.__name__}" if declared else "", is_certain=True)
            if any(True for _ in awaitables(value)):
                attributes[name] = value
        self.hand_over_unless_used(call)
        if objects.class_lookup(type(cls), "__call__") is not objects.class_lookup(type, "__call__"):
            metacall = objects.class_lookup(type(cls), "__call__")
            if not objects.qualified_name(type(cls)).startswith("abc.") and objects.is_a(metacall, types.FunctionType):
                return None
        if objects.qualified_name(cls) == "typing.Any":
            return None
        if all(objects.has_method(cls, name) for name in ("__await__", "send", "throw", "close")):
            return self.make(Awaitable("coroutine", call.node, lambda: None, maker=call.function, cls=cls))
        return Instance(cls, attributes=attributes or None)

    def _field_type(self, cls: type, name: str) -> type | None:
        for base in objects.mro(cls):
            declared = objects.class_dict(base).get("__annotations__")
            if type(declared) is dict and name in declared:
                found = self.annotation(declared[name], {"__builtins__": None})
                return found.cls if isinstance(found, Instance) else None
        return None

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
        has_work = any(_is_interesting(value) for value in call.values)
        if isinstance(node, ast.AsyncFunctionDef) or facts(node).awaits:
            if is_generator(node):
                self.hand_over_arguments(call)
                return AsyncGenerator(call.node, self._yielded(function, call, owner))
            if has_work:
                value = self.invoke(function, call, owner)
                self._hand_over_all_but(call, value)
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
        if declared is not None and not any(True for _ in awaitables(declared)):
            self.hand_over_unless_used(call)
            return declared
        value = self.fresh(self.invoke(function, call, owner), call)
        self._hand_over_all_but(call, value)
        if value is None and not isinstance(node, ast.Lambda) and node.returns is not None:
            return self.annotation_node(node.returns, function.scope, owner)
        return value

    def _declared_result(self, call: Call, function: Function, owner: Value | None) -> Value | None:
        """What awaiting a library's async function gives, by its annotation."""
        node = function.node
        if not function.is_library or isinstance(node, ast.Lambda) or node.returns is None:
            return None
        return known(_by_stream(call, self.annotation_node(node.returns, function.scope, owner)))

    def _hand_over_all_but(self, call: Call, result: Value | None) -> None:
        """What the function was given may be awaited by it, unless it is what it returns."""
        for argument in call.values:
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
            return self.invoke(source, call, owner, is_again=True, wants_yield=True)

        return item

    def invoke(
        self,
        function: Function,
        call: Call,
        owner: Value | None,
        *,
        is_again: bool = False,
        wants_yield: bool = False,
    ) -> Value | None:
        """Run through the function's body and return what it returns (or yields)."""
        node = function.node
        is_too_far = len(self.frames) >= _MAX_DEPTH or (function.is_library and self.is_hurried)
        if is_too_far or is_stub(node) or any(frame.node is node for frame in self.frames):
            self.hand_over_arguments(call)
            return None
        scope = self.function_scope(function)
        self._bind_arguments(function, scope, call, owner, keeps_awaitables=not is_again)
        frame = Frame(node, is_reported=False, is_library=function.is_library)
        site = self.site
        self.site = site or (None if self.is_cell_code(node) else call.node)
        self.frames.append(frame)
        try:
            if function.is_library and not any(True for value in call.values for _ in awaitables(value)):
                falls_through = self._look_at_returns(frame, scope)
            else:
                falls_through = self.execute(body_of(node), scope)
        finally:
            self.frames.pop()
            self.site = site
        if wants_yield:
            return either(*frame.yields) if frame.yields else None
        if falls_through:
            frame.returns.append(Live(None))
        if not frame.returns:
            return None
        return either(*frame.returns)

    def _look_at_returns(self, frame: Frame, scope: Scope) -> bool:
        """What a library function returns, without running through all of it: names are followed on demand."""
        assert isinstance(frame.node, FUNCTIONS)
        found = facts(frame.node)
        scope.makers = dict(found.makers)
        if isinstance(frame.node, ast.Lambda):
            frame.returns.append(self.evaluate(frame.node.body, scope))
            return False
        for node in found.returns[:8]:
            frame.returns.append(self.evaluate(node.value, scope) if node.value is not None else Live(None))
        if found.returns[8:]:
            frame.returns.append(None)
        for made in found.yields[:4]:
            frame.yields.append(self.evaluate(made.value, scope) if made.value is not None else Live(None))
        return found.may_fall_through

    def _bind_arguments(
        self, function: Function, scope: Scope, call: Call, owner: Value | None, *, keeps_awaitables: bool
    ) -> None:
        node = function.node
        values = [owner, *call.args] if owner is not None else list(call.args)
        stars = {index + (owner is not None) for index in call.starred}
        scope.names.update((arg.arg, None) for arg in all_arguments(node))
        slots = positional(node)
        for index, arg in enumerate(slots):
            if any(star <= index for star in stars):
                break
            if index < len(values):
                scope.names[arg.arg] = values[index]
        for name, value in call.keywords.items():
            if name in scope.names:
                scope.names[name] = value
        if node.args.vararg is not None:
            rest = values[len(slots) :]
            items = [_element_if(index + len(slots) in stars, value) for index, value in enumerate(rest)]
            keys: list[object] | None = None if call.starred else list(range(len(items)))
            scope.names[node.args.vararg.arg] = None if call.has_unknown_keywords else Box(tuple, items, keys)
        if node.args.kwarg is not None and not call.has_unknown_keywords:
            more = {name: value for name, value in call.keywords.items() if name not in scope.names}
            scope.names[node.args.kwarg.arg] = Box(dict, list(more.values()), list(more))
        self._bind_annotated(function, scope)
        for arg in (*slots, *node.args.kwonlyargs):
            value = scope.names[arg.arg]
            if arg.annotation is not None and isinstance(value, Awaitable):
                declared = self.annotation_node(arg.annotation, function.scope)
                if isinstance(declared, Instance) and _is_scalar(declared.cls):
                    self.use(value, call.node, f"passed as {declared.cls.__name__}", is_certain=True)
        for name in scope.captured & scope.names.keys():
            self.hand_over(scope.names[name])
        if not keeps_awaitables:
            for name, value in scope.names.items():
                if any(True for _ in awaitables(value)):
                    scope.names[name] = self.copied(value)
        if (
            function.owner is not None
            and slots
            and scope.names[slots[0].arg] is None
            and isinstance(function.owner, Class)
        ):
            scope.names[slots[0].arg] = Object(function.owner, {})

    def copied(self, value: Value | None) -> Value | None:
        """The value with awaitables of its own, so that looking at it again changes no fate."""
        if isinstance(value, Awaitable):
            return dataclasses.replace(value, uses=[], source=None)
        if isinstance(value, Box):
            return Box(value.kind, [self.copied(item) for item in value.items], value.keys, value.is_shared)
        if isinstance(value, Either):
            return Either(tuple(self.copied(option) for option in value.options))
        return value

    def _construct(self, call: Call, cls: Class) -> Value | None:
        """Make an object of a class of the cell."""
        new = Object(cls, {})
        init = self.member(cls, "__init__")
        if isinstance(init, Function):
            if self.is_cell_code(init.node):
                self.invoke(init, call, new)
        else:
            names = [
                s.target.id for s in cls.node.body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)
            ]
            hints = {
                s.target.id: s.annotation
                for s in cls.node.body
                if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)
            }
            given = dict(zip(names, call.args, strict=False)) | call.keywords
            for name, value in given.items():
                declared = self.annotation_node(hints[name], cls.scope) if name in hints else None
                if isinstance(declared, Instance) and _is_scalar(declared.cls):
                    self.use(value, call.node, f"stored as {declared.cls.__name__}", is_certain=True)
            new.attributes.update(given)
        self.hand_over_unless_used(call)
        return new


def is_data(value: Value | None) -> bool:
    """Whether the value is ordinary data, and not None."""
    if isinstance(value, (Live, Instance)):
        cls = type(value.obj) if isinstance(value, Live) else value.cls
        return any(cls is data for data in _BUILTIN_DATA)
    return isinstance(value, (Plain, Box))


def _is_scalar(cls: type) -> bool:
    return any(cls is scalar for scalar in _SCALARS)


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


def _is_interesting(value: Value | None) -> bool:
    """Whether a function may do something to the value that matters here."""
    return any(True for _ in awaitables(value)) or any(
        isinstance(option, (Function, Partial, Bound))
        or (isinstance(option, Live) and objects.is_coroutine_function(option.obj))
        for option in options(value)
    )


def _parts(value: Value | None) -> tuple[Value | None, ...]:
    return (value, *value.items) if isinstance(value, Box) else options(value)


def _element_if(is_starred: bool, value: Value | None) -> Value | None:
    if not is_starred:
        return value
    return either(*value.items) if isinstance(value, Box) and value.items else None
