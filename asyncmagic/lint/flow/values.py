"""The kinds of value that an expression can have; None stands for "not known"."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Lookup: TypeAlias = Callable[[str], "Value | None"]


class Value:
    """Something known about an expression."""

    __slots__ = ()


@dataclass(eq=False, slots=True)
class Live(Value):
    """A real object, reached from the namespace."""

    obj: object


@dataclass(eq=False, slots=True)
class Instance(Value):
    """An instance of a real class; `is_exact` unless it may be of a subclass. `argument` is the T of `Generic[T]`."""

    cls: type
    is_exact: bool = True
    attributes: dict[str, Value | None] = field(default_factory=dict)
    argument: Callable[[], Value | None] | None = None


@dataclass(eq=False, slots=True)
class Plain(Value):
    """Ordinary data of unknown type: neither awaitable nor callable."""


@dataclass(eq=False, slots=True)
class Scope:
    """The names of a function, class or cell, and where the other names are looked up."""

    names: dict[str, Value | None]
    parent: Scope | None = None
    outside: Lookup | None = None
    node: ast.AST | None = None
    local: frozenset[str] = frozenset()
    captured: frozenset[str] = frozenset()
    spent: set[Awaitable] = field(default_factory=set)
    cls: Class | None = None
    makers: dict[str, ast.stmt] = field(default_factory=dict)
    hints: dict[str, tuple[ast.expr, Scope]] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Function(Value):
    """A function whose source is known."""

    node: FunctionNode
    scope: Scope
    name: str = ""
    is_library: bool = False
    owner: Class | type | None = None


@dataclass(eq=False, slots=True)
class Class(Value):
    """A class whose source is known."""

    node: ast.ClassDef
    scope: Scope
    bases: tuple[Value | None, ...]
    more: Lookup | None = None
    name: str = ""
    argument: Callable[[], Value | None] | None = None
    order: list[Class | type] | None = None


@dataclass(eq=False, slots=True)
class Object(Value):
    """An instance of a `Class`."""

    cls: Class
    attributes: dict[str, Value | None]


@dataclass(eq=False, slots=True)
class Bound(Value):
    """A method with its object."""

    function: Value
    owner: Value


@dataclass(eq=False, slots=True)
class Partial(Value):
    """`functools.partial`, or what else calls `function` and returns what it returns."""

    function: Value


@dataclass(eq=False, slots=True)
class Returning(Value):
    """Something callable of which only its result is known, and perhaps its name."""

    result: Callable[[], Value | None]
    name: str = ""


@dataclass(eq=False, slots=True)
class ManagerFactory(Value):
    """A function under `contextlib.asynccontextmanager` or `contextmanager`."""

    function: Value
    is_async: bool


@dataclass(eq=False, slots=True)
class Descriptor(Value):
    """A function of a class body under `property`, `staticmethod` or `classmethod`."""

    kind: Literal["property", "staticmethod", "classmethod"]
    function: Value


@dataclass(eq=False, slots=True)
class Identity(Value):
    """A callable that returns its first argument: most decorators."""


@dataclass(eq=False, slots=True)
class Manager(Value):
    """A context manager and what `as` binds."""

    is_async: bool
    entered: Callable[[], Value | None]


@dataclass(eq=False, slots=True)
class AsyncGenerator(Value):
    """An asynchronous generator and its items."""

    node: ast.AST | None
    item: Callable[[], Value | None]
    is_used: bool = False


@dataclass(eq=False, slots=True)
class Module(Value):
    """A module that is not imported yet; `lookup` reads its source."""

    name: str
    lookup: Lookup


@dataclass(eq=False, slots=True)
class Box(Value):
    """A list, tuple, set, dict or iterator and what stands in it; `keys` where each item's place is known.

    `source` is the container that this one is a view on, taken out of another container.
    """

    kind: type | None
    items: list[Value | None]
    keys: list[object] | None = None
    is_shared: bool = False
    source: Box | None = None

    def share(self) -> None:
        """Others may change the container, or await what stands in it."""
        box: Box | None = self
        while box is not None:
            box.is_shared, box = True, box.source


@dataclass(eq=False, slots=True)
class Either(Value):
    """One of several, by the path taken."""

    options: tuple[Value | None, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A place where an awaitable stands for its result; `is_certain` if that place cannot mean the awaitable itself."""

    node: ast.AST
    how: str
    is_certain: bool


@dataclass(eq=False, slots=True)
class Awaitable(Value):
    """A coroutine, task or future, where it was made, and what became of it.

    `node` is the expression in the cell that made it (None: it was alive before the cell). An awaitable that
    `is_handed_on` went to code that may await it. `returned` is the expression of which an async function of the
    cell returned it, not awaited. An `is_agent` is started by `%%agents`; an `is_each` stands for one in each of
    several objects; an `is_repeated` stands several times in one list. `is_direct` unless a function from before the
    cell made it. `instance` is the object that it is, where its class is a library's own.
    """

    kind: Literal["coroutine", "task", "future", "awaitable"]
    node: ast.AST | None
    result: Callable[[], Value | None]
    scope: ast.AST | None = None
    maker: Value | None = None
    is_awaited: bool = False
    is_handed_on: bool = False
    is_overwritten: bool = False
    is_closed: bool = False
    is_registered: bool = False
    is_direct: bool = False
    is_agent: bool = False
    is_each: bool = False
    is_repeated: bool = False
    returned: ast.AST | None = None
    uses: list[Use] = field(default_factory=list)
    source: Awaitable | None = None
    instance: Instance | Object | None = None
    rule: str = "missing-await"

    @property
    def root(self) -> Awaitable:
        """The awaitable that this one is an element of, or a view on."""
        return self if self.source is None else self.source.root

    @property
    def is_served(self) -> bool:
        return self.is_awaited or self.is_handed_on


def nothing() -> Value | None:
    """The result of which nothing is known."""
    return None


def options(value: Value | None) -> tuple[Value | None, ...]:
    return value.options if isinstance(value, Either) else (value,)


def present(value: Value | None) -> tuple[Value | None, ...]:
    """What the value may be, besides None if it may be that."""
    return tuple(option for option in options(value) if not (isinstance(option, Live) and option.obj is None))


def either(*values: Value | None) -> Value | None:
    """The one value, or all of them as alternatives."""
    flat: list[Value | None] = []
    for value in values:
        for option in options(value):
            if not any(option is known or _same(option, known) for known in flat):
                flat.append(option)
    return flat[0] if len(flat) == 1 else Either(tuple(flat[:12]))


def _same(a: Value | None, b: Value | None) -> bool:
    if isinstance(a, Live) and isinstance(b, Live):
        return a.obj is b.obj
    if isinstance(a, Instance) and isinstance(b, Instance):
        return a.cls is b.cls and (a.attributes is b.attributes or not (a.attributes or b.attributes))
    return isinstance(a, Plain) and isinstance(b, Plain)


def known(value: Value | None) -> Value | None:
    """The value if every alternative is known, else None."""
    return None if None in options(value) else value


def awaitables(value: Value | None, depth: int = 4) -> Iterator[Awaitable]:
    """Every awaitable in the value: itself, its alternatives, its elements."""
    if isinstance(value, Awaitable):
        yield value
    elif isinstance(value, Either) and depth:
        for option in value.options:
            yield from awaitables(option, depth - 1)
    elif isinstance(value, Box) and depth:
        for item in value.items:
            yield from awaitables(item, depth - 1)
