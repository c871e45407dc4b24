"""Functions: each one that the cell defines is looked into once, with what the cell shows that it is given."""

from __future__ import annotations

import ast

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.annotations import instance_of
from asyncmagic.lint.flow.definitions import Definitions
from asyncmagic.lint.flow.known_libraries import CALLBACKS
from asyncmagic.lint.flow.ledger import Frame, is_data
from asyncmagic.lint.flow.sources import all_arguments, body_of, defaults, names_in, positional
from asyncmagic.lint.flow.values import (
    Awaitable,
    Bound,
    Box,
    Class,
    Function,
    Instance,
    Live,
    ManagerFactory,
    Object,
    Scope,
    Value,
    either,
    options,
)

_CONSTANTS = (bool, bytes, float, int, str)


class Functions(Definitions):
    """Looks into functions."""

    functions: dict[ast.AST, Function]
    _pending: list[Function]
    _reported: set[ast.AST]
    _waiting: set[ast.AST]
    #: By class of the cell, the object on which its methods are looked into.
    _objects: dict[ast.AST, Object]

    def note_function(self, function: Function) -> None:
        if not self.quiet and function.node not in self.functions and self.is_cell_code(function.node):
            self.functions[function.node] = function
            self._pending.append(function)

    def look_into_functions(self) -> None:
        """Run through every function that the cell defines."""
        for function in self._pending:
            self._report_after_callers(function)

    def _report_after_callers(self, function: Function) -> None:
        """Report a function after those that mention it: they know what it is given."""
        name = getattr(function.node, "name", "")
        if function.node in self._waiting:
            return
        self._waiting.add(function.node)
        for caller in self._pending:
            if name in names_in(caller.node):
                self._report_after_callers(caller)
        self._report_function(function)

    def _report_function(self, function: Function) -> None:
        """Run through a function of the cell with nothing known of its arguments but their annotations."""
        if function.node in self._reported:
            return
        self._reported.add(function.node)
        node = function.node
        owner = function.owner if isinstance(function.owner, Class) else None
        this = self._own_object(owner) if owner is not None else None
        scope = self.function_scope(function)
        scope.names.update((arg.arg, None) for arg in all_arguments(node))
        for arg in (*positional(node), *node.args.kwonlyargs):
            if arg.annotation is not None:
                scope.names[arg.arg] = self.annotation_node(arg.annotation, function.scope)
        slots = positional(node)
        self._bind_seen_arguments(function, scope)
        if this is not None and slots and not isinstance(node, ast.Lambda):
            decorators = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
            if "classmethod" in decorators:
                scope.names[slots[0].arg] = owner
            elif "staticmethod" not in decorators:
                scope.names[slots[0].arg] = this
        before = dict(this.attributes) if this is not None else {}
        frame = Frame(node, is_reported=True)
        self.frames.append(frame)
        try:
            self.execute(body_of(node), scope)
            if isinstance(node, ast.AsyncFunctionDef) and any(map(is_data, frame.returns)):
                for value in frame.returns:
                    if isinstance(value, Awaitable) and value.kind == "coroutine" and value.node is not None:
                        self.use(value, value.node, "returned where other paths return data", is_certain=True)
        finally:
            self.frames.pop()
        if this is not None:
            this.attributes |= {name: either(old, this.attributes.get(name)) for name, old in before.items()}

    def _bind_seen_arguments(self, function: Function, scope: Scope) -> None:
        """Give arguments their defaults, and the values that the cell's own calls of the function give them."""
        given = self._seen_arguments(function)
        if given is None:
            return
        for arg, value in zip(positional(function.node), self._given_by_library(function), strict=False):
            given.setdefault(arg.arg, []).append(value)
        for name, default in defaults(function.node).items():
            if _is_thing(value := self.evaluate_quietly(default, function.scope)):
                given.setdefault(name, []).append(value)
        for name, values in given.items():
            value = self._given(values) if name in scope.names else None
            if value is not None and (scope.names[name] is None or isinstance(value, Box)):
                scope.names[name] = value

    def _given_by_library(self, function: Function) -> list[Value | None]:
        """What a library that the cell hands the function to calls it with."""
        for call in self.calls.values():
            called = call.function.function if isinstance(call.function, Bound) else call.function
            name = objects.qualified_name(called.obj) if isinstance(called, Live) else getattr(called, "name", "")
            place, classes = CALLBACKS.get(name, (0, ()))
            handed = call.argument(place) if classes else None
            if isinstance(handed, Function) and handed.node is function.node:
                return [self._instance_of(path) for path in classes]
        return []

    def _instance_of(self, path: str) -> Value | None:
        module, _, name = path.rpartition(".")
        return instance_of(self.attribute(self.import_module(module), name, ast.Pass()))

    def _given(self, values: list[Value | None]) -> Value | None:
        """What an argument is, if all that it was seen to be given are known objects, or containers of such."""
        are_known = all(
            _is_thing(value)
            or (isinstance(value, Box) and self.is_interesting(value) and not any(True for _ in self.held(value)))
            for given in values
            for value in options(given)
        )
        return either(*(self._of_its_kind(self.copied(value)) for value in values)) if are_known else None

    def _of_its_kind(self, value: Value | None) -> Value | None:
        """A number or text as any of its type: the next call may bring another."""
        kind = type(value.obj) if isinstance(value, Live) else None
        return Instance(kind) if kind is not None and any(kind is known for known in _CONSTANTS) else value

    def _seen_arguments(self, function: Function) -> dict[str, list[Value | None]] | None:
        """What the cell's calls of a function give each of its arguments; None where one call is not clear."""
        slots = [arg.arg for arg in positional(function.node)]
        given: dict[str, list[Value | None]] = {}
        for call in self.calls.values():
            if self._called(call.function) is not function.node:
                continue
            if call.starred or call.has_unknown_keywords:
                return None
            is_method = isinstance(call.function, (Bound, Class))
            for name, value in [*zip(slots[is_method:], call.args, strict=False), *call.keywords.items()]:
                given.setdefault(name, []).append(value)
        return given

    def _called(self, callee: Value | None) -> ast.AST | None:
        """The function of the cell that runs when the value is called."""
        if isinstance(callee, Class):
            callee = self.member(callee, "__init__")
        if isinstance(callee, (Bound, ManagerFactory)):
            callee = callee.function
        return callee.node if isinstance(callee, Function) else None

    def _own_object(self, cls: Class) -> Object:
        """The object on which all methods of a class of the cell are looked into, `__init__` before the others."""
        if cls.node not in self._objects:
            self._objects[cls.node] = Object(cls, {})
            init = self.member(cls, "__init__")
            if isinstance(init, Function) and self.is_cell_code(init.node):
                if init.owner is cls:
                    self._report_function(init)
                elif isinstance(init.owner, Class):
                    self._objects[cls.node].attributes.update(self._own_object(init.owner).attributes)
        self._take_from_instances(self._objects[cls.node])
        return self._objects[cls.node]

    def _take_from_instances(self, this: Object) -> None:
        """What the objects of the class that the cell makes were given, or were filled with later."""
        made = [new for new in self.constructed if new.cls.node is this.cls.node]
        for name in {name for new in made for name in new.attributes}:
            value = self._given([new.attributes.get(name) for new in made])
            if value is not None and (isinstance(value, Box) or this.attributes.get(name) is None):
                this.attributes[name] = value


def _is_thing(value: Value | None) -> bool:
    """Whether the value is a known object, other than None."""
    if isinstance(value, Live):
        return value.obj is not None
    return isinstance(value, (Instance, Object, Function))
