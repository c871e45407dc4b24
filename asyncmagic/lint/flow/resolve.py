"""From names, attributes and annotations to values."""

from __future__ import annotations

import ast
import asyncio
import functools
import inspect
import sys
import types
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.annotations import Annotations, class_of, linear
from asyncmagic.lint.flow.blocks import Blocks, module_blocks
from asyncmagic.lint.flow.objects import MISSING
from asyncmagic.lint.flow.sources import facts, function_tree, own_nodes
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
    Lookup,
    Module,
    Object,
    Plain,
    Scope,
    Value,
    either,
    nothing,
    present,
)

#: Standard modules that a check may import: they have no side effect that a user could notice.
_HARMLESS: Final = frozenset(
    [
        "asyncio",
        "collections",
        "concurrent.futures",
        "contextlib",
        "dataclasses",
        "datetime",
        "functools",
        "inspect",
        "itertools",
        "json",
        "logging",
        "math",
        "os",
        "os.path",
        "pathlib",
        "queue",
        "random",
        "re",
        "string",
        "subprocess",
        "sys",
        "threading",
        "time",
        "typing",
        "unittest.mock",
        "urllib.request",
        "socket",
        "operator",
        "types",
        "statistics",
        "uuid",
    ]
)


class Resolver(Annotations):
    """Finds what names, attributes and annotations mean."""

    _namespace: Mapping[str, object]
    _module_scopes: dict[str, Scope]
    #: What the cell puts into live objects, which stay as they are: attributes, and the content of containers, by `id`.
    stored: dict[int, tuple[object, dict[str, Value | None]]]
    contents: dict[int, tuple[object, Box]]

    @property
    @abstractmethod
    def is_hurried(self) -> bool:
        """Whether what is left of the time is needed for the cell itself: libraries are looked into no further."""

    @abstractmethod
    def evaluate(self, node: ast.expr, scope: Scope) -> Value | None:
        """Return what an expression is."""

    @abstractmethod
    def call_value(self, function: Value | None, args: Sequence[Value | None], node: ast.AST) -> Value | None:
        """Return what a call of that value gives."""

    @abstractmethod
    def execute(self, body: Sequence[ast.stmt], scope: Scope) -> bool:
        """Go through statements; return whether the end of them may be reached."""

    # -- names ---------------------------------------------------------------------------------------------------

    def lookup(self, name: str, scope: Scope) -> Value | None:
        """What a name means in a scope."""
        current: Scope | None = scope
        while current is not None:
            if name in current.hints and current.names.get(name) is None:
                hint, outer = current.hints.pop(name)
                current.names[name] = self.annotation_node(hint, outer)
            if name in current.names and (current is scope or current.cls is None):
                return current.names[name] if current is scope else _unless_none(current.names[name])
            if name in current.local:
                return self._made_on_demand(name, current)
            if current.parent is None and current.outside is not None:
                return _unless_none(current.outside(name))
            current = current.parent
        return None

    def _made_on_demand(self, name: str, scope: Scope) -> Value | None:
        """A local name of a library function, by the one statement that binds it."""
        maker = scope.makers.pop(name, None)
        if maker is not None:
            self.execute([_only(maker, name)], scope)
        return scope.names.get(name)

    def outside_cell(self, name: str) -> Value | None:
        """A name of the namespace, else of the builtins."""
        found = objects.namespace_get(self._namespace, name)
        if found is MISSING:
            found = objects.builtin(name)
        return None if found is MISSING else self.lift(found)

    def lift(self, obj: object) -> Value:
        """The value that stands for a real object."""
        kind = type(obj)
        if kind is types.CoroutineType:
            closed = inspect.getcoroutinestate(obj) == inspect.CORO_CLOSED  # type: ignore[arg-type]
            return Awaitable("coroutine", None, nothing, is_handed_on=True, is_closed=closed)
        if kind is types.AsyncGeneratorType:
            return AsyncGenerator(None, nothing)
        if issubclass(kind, asyncio.Future):
            which: Any = "task" if issubclass(kind, asyncio.Task) else "future"
            return Awaitable(which, None, nothing, is_handed_on=True)
        if id(obj) in self.contents:
            return self.contents[id(obj)][1]
        return Live(obj)

    def import_module(self, name: str) -> Value | None:
        """An imported module, or the source of one that is not."""
        module = sys.modules.get(name)
        if module is None and name in _HARMLESS:
            __import__(name)
            module = sys.modules[name]
        if module is not None:
            return Live(module)
        return None if self.is_hurried else self.module_source(name)

    def module_source(self, name: str) -> Module | None:
        """A module as its source text says it is."""
        if name not in self._module_scopes:
            found = module_blocks(name)
            if found is None:
                return None
            blocks, is_package = found
            package = name if is_package else name.rpartition(".")[0]
            scope = Scope({"__package__": Live(package), "__name__": Live(name)})
            scope.outside = self._source_lookup(name, blocks, scope)
            self._module_scopes[name] = scope
        lookup = self._module_scopes[name].outside
        return Module(name, lookup) if lookup is not None else None

    def _source_lookup(self, module: str, blocks: Blocks, scope: Scope) -> Lookup:
        running: set[str] = set()

        def lookup(name: str) -> Value | None:
            if self.is_hurried or name in running:
                return None
            running.add(name)
            try:
                return self._defined_in(module, blocks, scope, name)
            finally:
                running.discard(name)

        return lookup

    def _defined_in(self, module: str, blocks: Blocks, scope: Scope, name: str) -> Value | None:
        """A name of a module by the statement that binds it, an import of all names, or a submodule."""
        node = blocks.statement(name)
        if node is not None:
            self._execute_quietly(_only(node, name), scope)
            made = scope.names.get(name)
            members = blocks.members(name) if isinstance(made, Class) and made.more is None else None
            if isinstance(made, Class) and members is not None:
                made.more = self._member_lookup(made, members)
            return made
        for star in blocks.star_imports() if name[:1] != "_" else ():
            self._execute_quietly(ast.ImportFrom(star.module, [ast.alias(name)], star.level), scope)
            if scope.names.get(name) is not None:
                return scope.names[name]
        hook = blocks.statement("__getattr__") if name != "__getattr__" else None
        for lazy in ast.walk(hook) if hook is not None else ():
            alias = next((a for a in lazy.names if a.name == name), None) if isinstance(lazy, ast.ImportFrom) else None
            if isinstance(lazy, ast.ImportFrom) and alias is not None:
                self._execute_quietly(ast.ImportFrom(lazy.module, [ast.alias(name)], lazy.level), scope)
                return scope.names.get(name)
        found = objects.builtin(name)
        return self.import_module(f"{module}.{name}") if found is MISSING else self.lift(found)

    def _member_lookup(self, cls: Class, blocks: Blocks) -> Lookup:
        def lookup(name: str) -> Value | None:
            node = blocks.statement(name)
            if node is not None:
                self._execute_quietly(node, cls.scope)
            return cls.scope.names.setdefault(name, None)

        return lookup

    @abstractmethod
    def _execute_quietly(self, node: ast.stmt, scope: Scope) -> None:
        """Go through a statement of other source, and note nothing of it."""

    # -- functions -----------------------------------------------------------------------------------------------

    def source_of(self, function: types.FunctionType) -> Function | None:
        """A live function as its source, its closure filled with the live objects."""
        tree = function_tree(function)
        if tree is None:
            return None
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
        names = {name: objects.cell_content(cell) for name, cell in cells}
        module = function.__globals__
        closure = Scope(
            {name: None if obj is MISSING else self.lift(obj) for name, obj in names.items()},
            outside=self._module_lookup(module),
        )
        is_library = function.__module__ != "__main__" and function.__code__.co_filename.endswith(".py")
        return Function(tree, closure, objects.qualified_name(function), is_library)

    def _module_lookup(self, module: dict[str, object]) -> Lookup:
        def lookup(name: str) -> Value | None:
            found = module.get(name, MISSING)
            if found is MISSING:
                found = objects.builtin(name)
            return None if found is MISSING else self.lift(found)

        return lookup

    def function_scope(self, function: Function) -> Scope:
        """A new scope for one run through the function's body."""
        found = facts(function.node)
        return Scope({}, parent=function.scope, node=function.node, local=found.local, captured=found.captured)

    # -- attributes ----------------------------------------------------------------------------------------------

    def attribute(self, value: Value | None, name: str, node: ast.AST) -> Value | None:
        """What `value.name` is."""
        if isinstance(value, Either):
            found = [self.attribute(option, name, node) for option in present(value)]
            return either(*found) if found else None
        if isinstance(value, Live):
            return _unless_none(self._live_attribute(value, name, node))
        if isinstance(value, Instance):
            return self._instance_attribute(value.cls, value, name, node)
        if isinstance(value, Object):
            if name in value.attributes:
                return _unless_none(value.attributes[name])
            found_here = self.member(value.cls, name)
            if found_here is None or isinstance(found_here, Instance):
                return self._declared_in_source(value, name) or found_here
            return _unless_none(self._bind(found_here, value, node))
        if isinstance(value, Class):
            found_member = self.member(value, name)
            if isinstance(found_member, Descriptor) and found_member.kind == "staticmethod":
                return found_member.function
            if isinstance(found_member, Descriptor):
                return Bound(found_member.function, value) if found_member.kind == "classmethod" else None
            return _unless_none(found_member)
        if isinstance(value, Module):
            return value.lookup(name)
        if isinstance(value, (Awaitable, AsyncGenerator, Box)):
            cls = class_of(value)
            method = objects.class_lookup(cls, name) if cls else MISSING
            return None if method is MISSING else Bound(Live(method), value)
        return None

    def _live_attribute(self, value: Live, name: str, node: ast.AST) -> Value | None:
        obj = value.obj
        if id(obj) in self.stored and name in self.stored[id(obj)][1]:
            return self.stored[id(obj)][1][name]
        if issubclass(type(obj), types.ModuleType):
            found = objects.instance_dict(obj).get(name, MISSING)
            if found is not MISSING:
                return self.lift(found)
            return self._lazy_attribute(objects.instance_dict(obj), name)
        if objects.is_class(obj):
            return self._class_attribute(obj, value, name)  # type: ignore[arg-type]
        if objects.is_mock(obj):
            return self._mock_attribute(obj, name)
        return self._instance_attribute(type(obj), value, name, node)

    def _lazy_attribute(self, module: Mapping[str, object], name: str) -> Value | None:
        """An attribute that a live module does not have yet: a submodule, or what its `__getattr__` will import."""
        module_name = module.get("__name__")
        if type(module_name) is not str:
            return None
        found = self.import_module(f"{module_name}.{name}")
        if found is None and "__getattr__" in module:
            source = self.module_source(module_name)
            found = source.lookup(name) if source is not None else None
        return found

    def _class_attribute(self, cls: type, owner: Value, name: str) -> Value | None:
        found = objects.class_lookup(cls, name)
        if found is MISSING:
            return None
        if type(found) is staticmethod:
            return self.lift(found.__func__)
        if type(found) is classmethod:
            return Bound(self.lift(found.__func__), owner)
        if objects.is_a(found, types.FunctionType) or objects.is_builtin_function(found):
            return Live(found)
        return None if objects.is_descriptor(found) else self.lift(found)

    def _mock_attribute(self, obj: object, name: str) -> Value | None:
        state = objects.instance_dict(obj)
        children = state.get("_mock_children")
        if name in state:
            return self.lift(state[name])
        if type(children) is dict and name in children:
            return self.lift(children[name])
        mock = sys.modules["unittest.mock"]
        if state.get("_spec_class") is not None or objects.class_lookup(type(obj), name) is not MISSING:
            return None
        return Instance(mock.AsyncMock) if objects.is_async_mock(obj) else None

    def _instance_attribute(self, cls: type, owner: Live | Instance, name: str, node: ast.AST) -> Value | None:
        own = objects.instance_dict(owner.obj) if isinstance(owner, Live) else {}
        found = objects.class_lookup(cls, name)
        if objects.answers_everything(cls):
            return None
        if name in own and (found is MISSING or not objects.is_data_descriptor(found)):
            return self.lift(own[name])
        if isinstance(owner, Instance) and name in owner.attributes:
            return owner.attributes[name]
        if found is MISSING or (found is None and isinstance(owner, Instance)):
            if isinstance(owner, Live):
                return None
            return self._declared_attribute(cls, name, owner, node)
        if isinstance(owner, Live):
            value = objects.slot_value(found, owner.obj)
            if value is not MISSING:
                return self.lift(value)
        return self._bind(self.lift(found), owner, node)

    def _bind(self, member: Value | None, owner: Value, node: ast.AST) -> Value | None:
        """A class attribute as seen from an instance."""
        if isinstance(member, Function):
            return Bound(member, owner)
        if isinstance(member, Descriptor):
            if member.kind == "property":
                return self.call_value(Bound(member.function, owner), [], node)
            return member.function if member.kind == "staticmethod" else Bound(member.function, owner)
        if not isinstance(member, Live):
            return member
        obj = member.obj
        if type(obj) is staticmethod:
            return self.lift(obj.__func__)
        if type(obj) is classmethod:
            return Bound(self.lift(obj.__func__), owner)
        if objects.is_a(obj, types.FunctionType) or objects.is_builtin_function(obj):
            return Bound(member, owner)
        getter: object = obj.fget if type(obj) is property else None
        if issubclass(type(obj), functools.cached_property):
            getter = objects.instance_dict(obj).get("func")
        if objects.is_a(getter, types.FunctionType):
            return self.call_value(Bound(Live(getter), owner), [], node)
        if type(obj) is functools.partialmethod:
            return self._bind(self.lift(obj.func), owner, node)
        if type(obj) is functools._lru_cache_wrapper:
            return Bound(member, owner)
        return None if objects.is_descriptor(obj) else member

    def _declared_attribute(self, cls: type, name: str, owner: Value, node: ast.AST) -> Value | None:
        """An attribute that only annotations or `__init__` speak of."""
        for base in objects.mro(cls):
            declared = objects.class_dict(base).get("__annotations__")
            if type(declared) is dict and name in declared:
                module = sys.modules.get(str(objects.class_dict(base).get("__module__")))
                scope = objects.instance_dict(module) if module else {}
                return self.annotation(declared[name], scope, owner)
        init = objects.class_lookup(cls, "__init__")
        source = self.source_of(init) if type(init) is types.FunctionType else None
        return self._set_in_init(source, name) if source is not None else None

    def _declared_in_source(self, value: Object, name: str) -> Value | None:
        """An attribute that the class body only annotates, or that `__init__` sets."""
        for statement in value.cls.node.body:
            target = statement.target if isinstance(statement, ast.AnnAssign) else None
            if isinstance(statement, ast.AnnAssign) and isinstance(target, ast.Name) and target.id == name:
                return self.annotation_node(statement.annotation, value.cls.scope, value)
        init = self.member(value.cls, "__init__")
        return self._set_in_init(init, name) if isinstance(init, Function) else None

    def _set_in_init(self, source: Function, name: str) -> Value | None:
        """What `__init__` sets an attribute to."""
        if isinstance(source.node, ast.Lambda) or not source.node.args.args:
            return None
        this = source.node.args.args[0].arg
        for child in own_nodes(source.node):
            targets = child.targets if isinstance(child, ast.Assign) else []
            target = child.target if isinstance(child, ast.AnnAssign) else targets[0] if targets else None
            value = child.value if isinstance(child, (ast.Assign, ast.AnnAssign)) else None
            if _is_attribute_of(target, this, name) and value is not None:
                if isinstance(child, ast.AnnAssign):
                    return self.annotation_node(child.annotation, source.scope)
                scope = self.function_scope(source)
                self._bind_annotated(source, scope)
                found = self.evaluate_quietly(value, scope)
                self.hand_over(found)  # What stands in it is for others to await.
                return _unless_none(found)
        return None

    @abstractmethod
    def hand_over(self, value: Value | None) -> None:
        """The value goes where it may be awaited."""

    def _bind_annotated(self, function: Function, scope: Scope) -> None:
        """Let the arguments of which nothing else is known be what their annotations say."""
        for arg in (*function.node.args.posonlyargs, *function.node.args.args, *function.node.args.kwonlyargs):
            if arg.annotation is not None:
                scope.hints[arg.arg] = (arg.annotation, function.scope)

    @abstractmethod
    def evaluate_quietly(self, node: ast.expr, scope: Scope) -> Value | None:
        """Return what an expression is, and note nothing of it."""

    def member(self, cls: Class, name: str) -> Value | None:
        """A member of a class of the cell, through its bases."""
        found = cls.scope.names.get(name)
        if found is None and cls.more is not None:
            found = cls.more(name)
        if found is not None or (cls.more is None and name in cls.scope.names):
            return found
        for base in linear(cls)[1:]:
            if isinstance(base, Class):
                found = base.scope.names.get(name)
                if found is None and base.more is not None:
                    found = base.more(name)
                if found is not None:
                    return found
            elif base is not object:
                member = objects.class_dict(base).get(name, MISSING)
                if member is not MISSING:
                    return self.lift(member)
        return None

    def has_special(self, value: Value | None, name: str) -> bool | None:
        """Whether the type of the value has a special method; None where that is not known."""
        if isinstance(value, Either):
            answers = {self.has_special(option, name) for option in value.options}
            return answers.pop() if len(answers) == 1 else None
        if isinstance(value, Object):
            chain_is_known = _bases_are_known(value.cls)
            return True if self.member(value.cls, name) is not None else False if chain_is_known else None
        if isinstance(value, (Plain, Function, Class, Module)):
            return False if not isinstance(value, Plain) or name.startswith("__a") else None
        if isinstance(value, Live) and objects.is_mock(value.obj):
            return None
        cls = class_of(value)
        if cls is None:
            return None
        if objects.has_method(cls, name):
            return True
        if isinstance(value, Instance) and not value.is_exact:
            if cls is object:
                return None
            return None if any(objects.has_method(c, name) for c in objects.loaded_subclasses(cls)) else False
        return False


def _unless_none(value: Value | None) -> Value | None:
    """None in an attribute or an outer name mostly means "not yet": other code will change it."""
    if isinstance(value, Either):
        rest = [option for option in value.options if not (isinstance(option, Live) and option.obj is None)]
        return either(*rest) if rest else None
    return None if isinstance(value, Live) and value.obj is None else value


def _only(node: ast.stmt, name: str) -> ast.stmt:
    """An import statement reduced to what it binds to one name."""
    if isinstance(node, ast.ImportFrom):
        names = [alias for alias in node.names if (alias.asname or alias.name) == name]
        return ast.copy_location(ast.ImportFrom(node.module, names or node.names, node.level), node)
    return node


def _bases_are_known(cls: Class) -> bool:
    return all(
        (isinstance(base, Class) and _bases_are_known(base)) or (isinstance(base, Live) and objects.is_class(base.obj))
        for base in cls.bases
    )


def _is_attribute_of(node: ast.expr | None, owner: str, name: str) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == owner
    )
