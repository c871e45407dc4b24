"""What becomes of the awaitables that a cell makes: handed on, kept, run, or used as if they were results."""

from __future__ import annotations

import ast
import itertools
import time
import types
from abc import abstractmethod
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.annotations import class_of
from asyncmagic.lint.flow.resolve import Resolver
from asyncmagic.lint.flow.values import (
    AsyncGenerator,
    Awaitable,
    Bound,
    Box,
    Class,
    Descriptor,
    Either,
    Function,
    Instance,
    Live,
    Object,
    Partial,
    Plain,
    Scope,
    Use,
    Value,
    awaitables,
    either,
    options,
)

BUILTIN_DATA = (int, float, str, bytes, bool, list, tuple, dict, set)
_DICTS: tuple[type, ...] = (dict, defaultdict, OrderedDict)
_SEQUENCES: tuple[type, ...] = (list, set, deque)
_MAX_ITEMS = 20


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
    spent: list[set[Awaitable]] = field(default_factory=list)
    yields: list[Value | None] = field(default_factory=list)


class Ledger(Resolver):
    """Keeps account of every awaitable."""

    deadline: float
    own_deadline: float
    patience: float
    made: list[Awaitable]
    reused: list[tuple[Awaitable, ast.AST]]
    parents: dict[ast.AST, ast.AST]
    frames: list[Frame]
    final: Scope
    site: ast.AST | None = None
    quiet: int = 0
    #: How many conditions, loops and handlers are around what is being run through.
    branches: int = 0
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
        rest = self.patience * 0.3
        return time.thread_time() > self.own_deadline - rest or time.perf_counter() > self.deadline + self.patience

    def make(self, awaitable: Awaitable) -> Awaitable:
        """Remember an awaitable that the cell made."""
        awaitable.is_direct = self.site is None
        awaitable.node = self.site or awaitable.node
        if self.is_reporting:
            awaitable.scope = self.frames[-1].node if self.frames else None
            awaitable.is_registered = True
            self.made.append(awaitable)
        return awaitable

    def hand_over(self, value: Value | None) -> None:
        """The value goes where it may be awaited, and so does all that it holds."""
        for part in self.reachable(value):
            if isinstance(part, Awaitable):
                part.is_handed_on = part.root.is_handed_on = True
            elif isinstance(part, Box):
                part.share()
            elif isinstance(part, AsyncGenerator):
                part.is_used = True

    def reachable(self, value: Value | None, seen: set[int] | None = None) -> Iterator[Value]:
        """The value, its alternatives, elements and attributes, and theirs."""
        seen = set() if seen is None else seen
        for option in options(value):
            if option is None or id(option) in seen:
                continue
            seen.add(id(option))
            yield option
            inner: Iterable[Value | None] = ()
            if isinstance(option, Box):
                inner = option.items
            elif isinstance(option, (Object, Instance)):
                inner = option.attributes.values()
            elif isinstance(option, Live):
                inner = self.stored[id(option.obj)][1].values() if id(option.obj) in self.stored else ()
            elif isinstance(option, Bound):
                inner = (option.owner,)
            for part in list(inner):
                yield from self.reachable(part, seen)

    def held(self, value: Value | None) -> Iterator[Awaitable]:
        """Every awaitable that can be reached through the value."""
        return (part for part in self.reachable(value) if isinstance(part, Awaitable))

    def is_interesting(self, value: Value | None) -> bool:
        """Whether a function may do something to the value that matters here."""
        return any(
            isinstance(part, (Awaitable, Function, Partial, Bound))
            or (isinstance(part, Live) and objects.is_coroutine_function(part.obj))
            for part in self.reachable(value)
        )

    def stands_for_many(self, value: Value | None) -> None:
        """The value is one of several: each has awaitables of its own in its attributes."""
        direct = {id(awaitable) for awaitable in awaitables(value)}
        for awaitable in self.held(value):
            awaitable.is_each = awaitable.is_each or id(awaitable) not in direct

    @property
    def has_stored(self) -> bool:
        """Whether the cell has put something into objects that other functions may reach."""
        return bool(self.stored or self.contents)

    # -- what the cell puts into objects -------------------------------------------------------------------------

    def set_attribute(self, owner: Value | None, name: str, value: Value | None) -> None:
        """`owner.name = value`."""
        owners = options(owner)
        for option in owners:
            attributes = self._settable(option, name)
            if attributes is None:
                self.hand_over(value)
            elif name in attributes and (self.branches or len(owners) > 1):
                attributes[name] = either(attributes[name], value)
            else:
                attributes[name] = value
        if len(owners) > 1:
            self.stands_for_many(owner)
        if self.frames and self.frames[-1].is_reported:
            self.hand_over(value)  # Whoever calls the function may await it.

    def _settable(self, owner: Value | None, name: str) -> dict[str, Value | None] | None:
        """The attributes of an object; None where setting that one may do anything."""
        if isinstance(owner, Object):
            has_setter = isinstance(self.member(owner.cls, name), Descriptor)
            return (
                None if has_setter or isinstance(self.member(owner.cls, "__setattr__"), Function) else owner.attributes
            )
        if isinstance(owner, Class):
            return owner.scope.names if self.is_cell_code(owner.node) else None
        cls = class_of(owner) if isinstance(owner, (Live, Instance)) else None
        if cls is None or not is_users_class(cls) or not _stores_plainly(cls, name):
            return None
        if isinstance(owner, Instance):
            return owner.attributes
        assert isinstance(owner, Live)
        return None if self.quiet else self.stored.setdefault(id(owner.obj), (owner.obj, {}))[1]

    def opened(self, value: Value | None) -> Value | None:
        """A live container, from here on one whose content the cell changes; any other value as it is."""
        if not isinstance(value, Live) or self.quiet or (self.frames and self.frames[-1].is_reported):
            return value
        obj: Any = value.obj
        if any(type(obj) is kind for kind in _DICTS):
            pairs = list(itertools.islice(dict.items(obj), _MAX_ITEMS))
            are_known = len(obj) <= _MAX_ITEMS and all(type(key) is str or type(key) is int for key, _ in pairs)
            keys = [key for key, _ in pairs] if are_known and type(obj) is not defaultdict else None
            box = Box(dict, [self.lift(item) for _, item in pairs], keys)
        elif any(type(obj) is kind for kind in _SEQUENCES):
            box = Box(type(obj), [self.lift(item) for item in itertools.islice(obj, _MAX_ITEMS)])
        else:
            return value
        self.contents[id(obj)] = (obj, box)
        return box

    def kept(self) -> Iterator[Awaitable]:
        """What the cell's names, and the objects that it changed, hold at its end."""
        for name, value in self.final.names.items():
            if name != "_":
                yield from self.held(value)
        for _, attributes in self.stored.values():
            for value in attributes.values():
                yield from self.held(value)
        for _, box in self.contents.values():
            yield from self.held(box)

    # -- uses ----------------------------------------------------------------------------------------------------

    def use(self, value: Value | None, node: ast.AST, how: str, *, is_certain: bool) -> None:
        """The value is used as if it were its result."""
        found = options(value)
        if any(frame.is_library for frame in self.frames):
            return  # Paths through a library's code are too many to be sure of one.
        is_mixed = not all(isinstance(option, Awaitable) for option in found)
        if is_mixed and not (is_certain and all(isinstance(o, Awaitable) or is_data(o) for o in found)):
            return
        for option in found:
            if isinstance(option, Awaitable) and (
                is_certain or option.kind in ("coroutine", "future") or option.root.is_agent
            ):
                option.root.uses.append(Use(self.site or node, how, is_certain and not is_mixed))

    def use_elements(self, value: Value | None, node: ast.AST, how: str, *, is_certain: bool, depth: int = 3) -> None:
        """The value's elements are used as if they were results."""
        for item in value.items if isinstance(value, Box) and depth else ():
            self.use(item, node, how, is_certain=is_certain)
            self.use_elements(item, node, how, is_certain=is_certain, depth=depth - 1)

    def use_as_key(self, value: Value | None, node: ast.AST) -> None:
        """A container is asked for what stands under the value; tasks are keys at times, coroutines hardly ever."""
        if isinstance(value, Awaitable) and value.kind == "coroutine":
            self.use(value, node, "used as a key", is_certain=False)

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
            if awaitable.kind != "coroutine" or awaitable.is_each:
                continue
            is_known = not self.quiet and not any(frame.is_library for frame in self.frames)
            was_run = awaitable.is_closed or awaitable in scope.spent or awaitable.root in scope.spent
            was_run = was_run or (awaitable.root.is_repeated and awaitable is not awaitable.root)
            if was_run and is_known:
                self.reused.append((awaitable, self.site or node))
            scope.spent.add(awaitable)

    def hand_over_arguments(self, call: Call) -> None:
        for value in call.values:
            self.hand_over(value)

    def hand_over_unseen(self, call: Call, owner: Value | None = None) -> None:
        """The body of a function cannot be run through: it may await what it is given, and what it can reach."""
        self.hand_over_arguments(call)
        self.hand_over(owner)
        for _, attributes in self.stored.values():
            for value in attributes.values():
                self.hand_over(value)
        for _, box in self.contents.values():
            for item in box.items:
                self.hand_over(item)

    def hand_over_unless_used(self, call: Call) -> None:
        for value in call.values:
            if not any(awaitable.root.uses for awaitable in awaitables(value)):
                self.hand_over(value)

    def coroutine(self, call: Call, result: Callable[[], Value | None]) -> Awaitable:
        """The coroutine that the call makes."""
        return self.make(Awaitable("coroutine", call.node, result, maker=call.function))


def is_data(value: Value | None) -> bool:
    """Whether the value is ordinary data, and not None."""
    if isinstance(value, (Live, Instance)):
        cls = type(value.obj) if isinstance(value, Live) else value.cls
        return any(cls is data for data in BUILTIN_DATA)
    return isinstance(value, (Plain, Box))


def is_declared_data(value: Value | None) -> bool:
    """Whether an annotation says that only ordinary data stands there."""
    found = options(value)
    return all((isinstance(o, Live) and o.obj is None) or is_data(o) for o in found) and any(map(is_data, found))


def is_users_class(cls: type) -> bool:
    """Whether the class is the user's own, or one that only stores what it is given."""
    return cls is types.SimpleNamespace or objects.qualified_name(cls).startswith("__main__.")


def _stores_plainly(cls: type, name: str) -> bool:
    hook = objects.class_lookup(cls, "__setattr__")
    found = objects.class_lookup(cls, name)
    is_plain = objects.is_builtin_function(hook) or objects.qualified_name(hook).startswith("pydantic.")
    return is_plain and (found is objects.MISSING or not objects.is_data_descriptor(found) or _is_slot(found))


def _is_slot(found: object) -> bool:
    return objects.is_a(found, types.MemberDescriptorType)
