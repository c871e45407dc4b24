"""What making an instance of a class does with the awaitables that it is given."""

from __future__ import annotations

import ast
import types

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.annotations import linear
from asyncmagic.lint.flow.bodies import Bodies
from asyncmagic.lint.flow.containers import result_of
from asyncmagic.lint.flow.ledger import Call, is_declared_data, is_users_class
from asyncmagic.lint.flow.values import Awaitable, Box, Class, Function, Instance, Live, Object, Value, either

_COROUTINE_METHODS = ("__await__", "send", "throw", "close")


class Instances(Bodies):
    """Makes instances."""

    #: The objects of classes of the cell that it makes itself.
    constructed: list[Object]

    def instantiate(self, call: Call, cls: type) -> Value | None:
        """Make an instance of a live class."""
        meta = objects.class_lookup(type(cls), "__call__")
        is_odd = objects.is_a(meta, types.FunctionType) and not objects.qualified_name(type(cls)).startswith("abc.")
        if is_odd or objects.qualified_name(cls) == "typing.Any":
            self.hand_over_unless_used(call)
            return None
        if isinstance(made := self._declared_by_new(cls), Box):
            self.hand_over_unless_used(call)
            return made
        new = Instance(cls)
        if issubclass(cls, BaseException):
            self.use_as_data(call)
        fields = objects.field_names(cls)
        given = _given(call, fields or [])
        for name, value in given.items():
            self._check_field(call, value, self._declared_field(cls, name))
        init = objects.class_lookup(cls, "__init__")
        if is_users_class(cls) and (fields is not None or cls is types.SimpleNamespace):
            new.attributes.update((name, value) for name, value in given.items() if value is not None)
            self._run_method(objects.class_lookup(cls, "__post_init__"), Call(call.node, None, [], call.scope), new)
        elif is_users_class(cls):
            self._run_method(init, call, new)
        else:
            self.hand_over_unless_used(call)
        return self.made_object(call, new)

    def _declared_by_new(self, cls: type) -> Value | None:
        """What a class that makes something else than an instance says that it makes."""
        maker = objects.class_lookup(cls, "__new__")
        function = maker.__func__ if type(maker) is staticmethod else None
        if type(function) is not types.FunctionType or "return" not in function.__annotations__:
            return None
        return self.annotation(function.__annotations__["return"], function.__globals__, Live(cls))

    def made_object(self, call: Call, new: Value | None) -> Value | None:
        """A new object; one with all methods of a coroutine is a coroutine, mostly around another."""
        if not isinstance(new, (Instance, Object)):
            return new
        if not all(self.has_special(new, name) for name in _COROUTINE_METHODS):
            return new
        inner = [value for value in call.values if isinstance(value, Awaitable)]

        def result() -> Value | None:
            declared = self.awaited_by(new)
            return either(*map(result_of, inner)) if declared is None and inner else declared

        return self.make(Awaitable("coroutine", call.node, result, maker=call.function, instance=new))

    def _run_method(self, method: object, call: Call, new: Value) -> None:
        """Run through a live method; of one that is not the user's, only that it was given its arguments is known."""
        is_users = type(method) is types.FunctionType and method.__module__ == "__main__"
        source = self.source_of(method) if is_users else None  # type: ignore[arg-type]
        if source is not None:
            self.invoke(source, call, new)
        else:
            self.hand_over_unless_used(call)

    def _declared_field(self, cls: type, name: str) -> Value | None:
        for base in objects.mro(cls):
            declared = objects.class_dict(base).get("__annotations__")
            if type(declared) is dict and name in declared:
                return self.annotation(declared[name], {"__builtins__": None})
        return None

    def _check_field(self, call: Call, value: Value | None, declared: Value | None) -> None:
        if is_declared_data(declared):
            self.use(value, call.node, "stored where data is declared", is_certain=True)

    def construct(self, call: Call, cls: Class) -> Value | None:
        """Make an object of a class whose source is known."""
        maker = self.member(cls, "__new__")
        if isinstance(maker, Function) and not isinstance(maker.node, ast.Lambda) and maker.node.returns is not None:
            made = self.annotation_node(maker.node.returns, maker.scope)
            if isinstance(made, Box):
                self.hand_over_unless_used(call)
                return made
        new = Object(cls, {})
        if self.is_reporting:
            self.constructed.append(new)
        init = self.member(cls, "__init__")
        if isinstance(init, Function) and self.is_cell_code(init.node):
            self.invoke(init, call, new)
        elif isinstance(init, Live) and _is_own_init(init.obj) and cls.more is None:
            self._run_method(init.obj, call, new)
        else:
            hints = _annotated_names(cls)
            given = _given(call, list(hints))
            for name, value in given.items():
                if name in hints:
                    self._check_field(call, value, self.annotation_node(hints[name], cls.scope))
            new.attributes.update((name, value) for name, value in given.items() if value is not None)
            for name in hints.keys() - given.keys():
                if isinstance(default := self.member(cls, name), Box):
                    new.attributes[name] = Box(default.kind, list(default.items), default.keys)
            if not hints or not self.is_cell_code(cls.node):
                self.hand_over_unless_used(call)
            post = self.member(cls, "__post_init__")
            if isinstance(post, Function) and self.is_cell_code(post.node):
                self.invoke(post, Call(call.node, None, [], call.scope), new)
        return self.made_object(call, new)


def _given(call: Call, fields: list[str]) -> dict[str, Value | None]:
    """The arguments of a call by the names of the fields."""
    return ({} if call.starred else dict(zip(fields, call.args, strict=False))) | call.keywords


def _is_own_init(init: object) -> bool:
    """Whether `__init__` is a function of its own, and not that of Pydantic's models, which fills the fields."""
    return type(init) is types.FunctionType and objects.qualified_name(init) != "pydantic.main.BaseModel.__init__"


def _annotated_names(cls: Class) -> dict[str, ast.expr]:
    """The annotated names of a class body and of those of its bases: the fields of a dataclass."""
    return {
        statement.target.id: statement.annotation
        for base in reversed(linear(cls))
        if isinstance(base, Class)
        for statement in base.node.body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }
