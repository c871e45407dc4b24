"""Builtins, containers' methods and the standard library: what each does to the values that it is given."""

from __future__ import annotations

import ast
import collections
import datetime
import decimal
import fractions
import functools
import io
import logging
import pathlib
import threading
import types
import typing
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.containers import boxed, element
from asyncmagic.lint.flow.ledger import BUILTIN_DATA
from asyncmagic.lint.flow.values import (
    AsyncGenerator,
    Awaitable,
    Bound,
    Box,
    Class,
    Descriptor,
    Function,
    Identity,
    Instance,
    Live,
    ManagerFactory,
    Object,
    Partial,
    Plain,
    Scope,
    Value,
    awaitables,
    either,
    nothing,
    options,
)

if TYPE_CHECKING:
    from asyncmagic.lint.flow.calls import Calls
    from asyncmagic.lint.flow.known import Handler
    from asyncmagic.lint.flow.ledger import Call


def _shows(how: str, result: Callable[[], Value | None] = nothing) -> Handler:
    def handler(flow: Calls, call: Call, owner: Value | None) -> Value | None:
        for value in call.values:
            flow.use(value, call.node, how, is_certain=False)
            flow.use_elements(value, call.node, how, is_certain=False)
        return result()

    return handler


def _computes(how: str, result: Callable[[], Value | None] = nothing) -> Handler:
    def handler(flow: Calls, call: Call, owner: Value | None) -> Value | None:
        for value in call.values:
            flow.use(value, call.node, how, is_certain=True)
        return result()

    return handler


def _guards(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    """The program looks at what the value is: nothing can be said about it from here on."""
    flow.hand_over_arguments(call)
    for arg in getattr(call.node, "args", []):
        if (isinstance(arg, ast.Name) and arg.id in call.scope.names) or (
            isinstance(arg, ast.Name) and call.scope.names is not None
        ):
            call.scope.names[arg.id] = None
    return Plain()


def _iscoroutinefunction(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    given = call.argument(0)
    function = given.function if isinstance(given, Bound) else given
    if isinstance(function, Function):
        return Live(isinstance(function.node, ast.AsyncFunctionDef))
    if isinstance(function, Live) and type(function.obj) is types.FunctionType:
        return Live(objects.is_coroutine_function(function.obj))
    return _guards(flow, call, owner)


def _isinstance(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    """Asking whether a coroutine is a dict or a string takes it for its result."""
    kinds = call.argument(1)
    asked = kinds.items if isinstance(kinds, Box) else list(options(kinds))
    if not all(isinstance(kind, Live) and any(kind.obj is data for data in BUILTIN_DATA) for kind in asked):
        return _guards(flow, call, owner)
    flow.use(call.argument(0), call.node, "tested for what it never is", is_certain=False)
    return Instance(bool)


def _setattr(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    name = call.argument(1)
    if isinstance(name, Live) and type(name.obj) is str:
        flow.set_attribute(call.argument(0), name.obj, call.argument(2))
    else:
        flow.hand_over_arguments(call)
    return Live(None)


def _namedtuple(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    given = call.argument(1, "field_names")
    names = boxed(flow, given)
    if isinstance(given, Live) and type(given.obj) is str:
        fields = given.obj.replace(",", " ").split()
    elif isinstance(names, Box):
        fields = [item.obj for item in names.items if isinstance(item, Live) and type(item.obj) is str]
    else:
        return None
    body: list[ast.stmt] = [
        ast.AnnAssign(ast.Name(name, ast.Store()), ast.Constant(None), simple=1)
        for name in fields
        if name.isidentifier()
    ]
    return Class(ast.ClassDef("namedtuple", [], [], body or [ast.Pass()], []), Scope({}), (Live(tuple),))


def _defaultdict(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    factory = call.argument(0)
    is_class = isinstance(factory, Live) and objects.is_class(factory.obj)
    return Box(dict, [flow.call_value(factory, [], call.node) if is_class else None])


def _collects(kind: type | None) -> Handler:
    """list(), tuple(), set(), iter(), reversed(): the same elements in another container."""

    def handler(flow: Calls, call: Call, owner: Value | None) -> Value | None:
        given = call.argument(0)
        if given is None and not call.args:
            return Box(kind, [])
        flow.use(given, call.node, "iterated over", is_certain=True)
        if isinstance(given, Box) and given.kind is not dict:
            return Box(kind, list(given.items), given.keys if kind in (list, tuple) else None, given.is_shared)
        item = element(flow, given)
        return Box(kind, [item]) if item is not None or kind is not None else None

    return handler


def _sorted(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    given = call.argument(0)
    flow.use(given, call.node, "iterated over", is_certain=True)
    _calls_key(flow, call)
    is_box = isinstance(given, Box) and given.kind is not dict
    if "key" not in call.keywords and (is_box or not isinstance(given, Box)):
        flow.use_elements(given, call.node, "compared", is_certain=True)
    return Box(list, list(given.items)) if isinstance(given, Box) and is_box else Box(list, [element(flow, given)])


def _calls_key(flow: Calls, call: Call) -> None:
    """Run through the key function with an element: what it does with awaitables is its use."""
    if "key" in call.keywords:
        flow.quiet += 1
        try:
            flow.call_value(call.keywords["key"], [element(flow, call.argument(0))], call.node)
        finally:
            flow.quiet -= 1


def _extreme(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    _calls_key(flow, call)
    for value in call.args:
        flow.use(value, call.node, "compared", is_certain=True)
        if "key" not in call.keywords:
            flow.use_elements(value, call.node, "compared", is_certain=True)
    return element(flow, call.args[0]) if len(call.args) == 1 else either(*call.args) if call.args else None


def _folds(how: str, cls: type) -> Handler:
    def handler(flow: Calls, call: Call, owner: Value | None) -> Value | None:
        given = call.argument(0)
        flow.use(given, call.node, how, is_certain=True)
        flow.use_elements(given, call.node, how, is_certain=True)
        return Instance(cls) if cls is not int else Plain()

    return handler


def _dict(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    given = call.argument(0)
    if given is not None:
        flow.use(given, call.node, "iterated over", is_certain=True)
        pair = element(flow, given)
        values = pair.items[1:2] if isinstance(pair, Box) and len(pair.items) == 2 else []
        return Box(dict, values or ([element(flow, given)] if isinstance(given, Box) else [None]))
    return Box(dict, list(call.keywords.values()), list(call.keywords)) if not call.has_unknown_keywords else None


def _zip(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    for value in call.args:
        flow.use(value, call.node, "iterated over", is_certain=True)
    if call.starred:
        flow.hand_over_arguments(call)
        return None
    return Box(
        types.GeneratorType, [Box(tuple, [_item(flow, value) for value in call.args], list(range(len(call.args))))]
    )


def _item(flow: Calls, value: Value | None) -> Value | None:
    return either(*value.items) if isinstance(value, Box) and value.items else element(flow, value)


def _enumerate(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    given = call.argument(0)
    flow.use(given, call.node, "iterated over", is_certain=True)
    return Box(types.GeneratorType, [Box(tuple, [Instance(int), _item(flow, given)], [0, 1])])


def _map(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    return _mapped(flow, call, call.argument(0), [element(flow, value) for value in call.args[1:]])


def _map_method(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    return _mapped(flow, call, call.argument(0, "func"), [None])


def _mapped(flow: Calls, call: Call, function: Value | None, args: list[Value | None]) -> Value | None:
    """A callback called for every element: coroutines that it gives are counted as the callback's mistake."""
    if isinstance(function, Instance) and function.cls is str:
        return None
    before = len(flow.made)
    item = flow.call_value(function, args, call.node)
    for awaitable in flow.made[before:]:
        awaitable.rule = "async-callback"
    return Box(types.GeneratorType, [item])


def _next(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    given = call.argument(0)
    flow.use(given, call.node, "iterated over", is_certain=True)
    return element(flow, given)


def _anext(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    given = call.argument(0)
    flow.hand_over(given)
    if isinstance(given, AsyncGenerator):
        return flow.coroutine(call, given.item)
    if isinstance(given, Box):
        return Plain()  # It raises: only asynchronous iterators have a next one to wait for.
    return Awaitable("awaitable", call.node, nothing, is_handed_on=True)


def _anext_method(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    flow.hand_over(owner)
    flow.hand_over_arguments(call)
    return flow.coroutine(call, nothing)


def _getattr(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    name = call.argument(1)
    if isinstance(name, Live) and type(name.obj) is str:
        return flow.attribute(call.argument(0), name.obj, call.node)
    flow.hand_over_arguments(call)
    return None


def _partial(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    flow.hand_over_arguments(call)
    function = call.argument(0, "func")
    return Partial(function) if function is not None else None


def _first(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    return call.argument(0)


def _second(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    return call.argument(1)


def _chosen(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    item = element(flow, call.argument(0))
    is_one = isinstance(call.node, ast.Call) and ast.unparse(call.node.func).endswith("choice")
    return item if is_one else Box(list, [item])


def _field(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    factory = call.keywords.get("default_factory")
    if factory is None:
        return call.keywords.get("default")
    made = flow.call_value(factory, [], call.node)
    flow.hand_over(made)
    return None if any(True for _ in awaitables(made)) else made


def _typevar(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    bound = call.keywords.get("bound")
    return Instance(typing.TypeVar, attributes={"bound": bound} if bound is not None else {})


def _identity(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    return Identity()


def _super(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    """`super()`: an object of the bases of the class around the method."""
    scope: Scope | None = call.scope
    while scope is not None and scope.cls is None:
        scope = scope.parent
    if scope is None or scope.cls is None or call.args:
        return None
    cls = scope.cls
    return Object(Class(cls.node, Scope({}, parent=cls.scope.parent), cls.bases), {})


def _decorates(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    """A decorator that may be used with or without parentheses, and keeps the function."""
    return call.argument(0) if call.args and call.argument(0) is not None else Identity()


def _factory(is_async: bool) -> Handler:
    def handler(flow: Calls, call: Call, owner: Value | None) -> Value | None:
        function = call.argument(0)
        return ManagerFactory(function, is_async) if function is not None else None

    return handler


def _descriptor(kind: str) -> Handler:
    def handler(flow: Calls, call: Call, owner: Value | None) -> Value | None:
        function = call.argument(0)
        return Descriptor(kind, function) if function is not None else None  # type: ignore[arg-type]

    return handler


def _table() -> dict[str, Handler]:
    table: dict[str, Handler] = {}

    def put(handler: Handler, *names: str) -> None:
        table.update(dict.fromkeys(names, handler))

    put(_shows("printed", lambda: Live(None)), "builtins.print", "pprint.pprint", "pprint.pp")
    put(_shows("turned into text", lambda: Instance(str)), "builtins.str", "builtins.repr", "builtins.format")
    put(_shows("turned into text", lambda: Instance(str)), "builtins.ascii", "json.dumps")
    put(_shows("tested", lambda: Instance(bool)), "builtins.bool")
    for name in (
        "len",
        "int",
        "float",
        "round",
        "abs",
        "divmod",
        "pow",
        "hex",
        "chr",
        "ord",
        "complex",
        "bytes",
        "bytearray",
    ):
        put(_computes("used as a value", Plain), f"builtins.{name}")
    put(_computes("used as a value", lambda: Instance(range)), "builtins.range")
    for made in (collections.Counter, decimal.Decimal, fractions.Fraction, datetime.timedelta, pathlib.Path, uuid.UUID):
        put(_computes("used as a value", functools.partial(Instance, made)), objects.qualified_name(made))
    for module in ("pathlib", "pathlib._local"):
        put(_computes("written", Plain), f"{module}.Path.write_text", f"{module}.Path.write_bytes")
        for method in ("__truediv__", "joinpath", "with_name", "with_suffix"):
            put(lambda flow, call, owner: Instance(pathlib.Path), f"{module}.PurePath.{method}")
    put(_isinstance, "builtins.isinstance")
    put(_setattr, "builtins.setattr")
    put(_typevar, "typing.TypeVar", "typing_extensions.TypeVar")
    put(_namedtuple, "collections.namedtuple")
    put(_defaultdict, "collections.defaultdict")
    put(_guards, "builtins.type", "builtins.id", "builtins.callable", "builtins.hasattr")
    put(_guards, "builtins.issubclass", "builtins.dir", "builtins.vars", "builtins.hash", "builtins.help")
    put(_iscoroutinefunction, "inspect.iscoroutinefunction", "asyncio.coroutines.iscoroutinefunction")
    for name in ("isawaitable", "iscoroutine", "getcoroutinestate", "isasyncgen"):
        put(_guards, f"inspect.{name}", f"asyncio.coroutines.{name}", f"asyncio.base_futures.{name}")
    put(_guards, "asyncio.base_futures.isfuture", "asyncio.coroutines.iscoroutine", "sys.getrefcount")
    for kind in (list, tuple, set, frozenset):
        put(_collects(kind), f"builtins.{kind.__name__}")
    put(_collects(types.GeneratorType), "builtins.iter", "builtins.reversed", "itertools.chain", "itertools.islice")
    put(_collects(collections.deque), "collections.deque")
    put(_sorted, "builtins.sorted")
    put(_extreme, "builtins.min", "builtins.max")
    put(_folds("added up", int), "builtins.sum", "math.fsum", "statistics.mean")
    put(_folds("tested", bool), "builtins.any", "builtins.all")
    put(_dict, "builtins.dict")
    put(_zip, "builtins.zip")
    put(_enumerate, "builtins.enumerate")
    put(_map, "builtins.map", "itertools.starmap")
    put(_next, "builtins.next")
    put(_anext, "builtins.anext")
    put(_anext_method, *(f"builtins.async_generator.{m}" for m in ("__anext__", "asend", "athrow", "aclose")))
    put(_getattr, "builtins.getattr")
    put(_super, "builtins.super")
    put(lambda flow, call, owner: Instance(logging.Logger), "logging.getLogger")
    put(lambda flow, call, owner: Instance(io.TextIOWrapper), "_io.open", "io.open")
    put(lambda flow, call, owner: Instance(type(threading.Lock())), "_thread.allocate_lock", "_thread.lock")
    put(_partial, "functools.partial")
    put(_first, "functools.update_wrapper", "functools.cache", "copy.copy", "abc.abstractmethod")
    put(_first, "inspect.markcoroutinefunction", "typing.final", "typing.overload", "typing.no_type_check")
    put(_identity, "functools.wraps")
    put(_decorates, "functools.lru_cache", "dataclasses.dataclass")
    put(_second, "typing.cast")
    put(_chosen, "random.Random.choice", "random.Random.choices", "random.Random.sample", "random.choice")
    put(_field, "dataclasses.field")
    put(_factory(True), "contextlib.asynccontextmanager")
    put(_factory(False), "contextlib.contextmanager")
    put(_descriptor("property"), "builtins.property", "functools.cached_property")
    put(_descriptor("staticmethod"), "builtins.staticmethod")
    put(_descriptor("classmethod"), "builtins.classmethod")
    for cls in ("series.Series", "frame.DataFrame"):
        for method in ("apply", "map", "applymap", "transform", "agg", "aggregate"):
            put(_map_method, f"pandas.core.{cls}.{method}", f"pandas.{cls.partition('.')[2]}.{method}")
    return table


#: Qualified name -> what a call of it does and gives.
TABLE: Final = _table()
