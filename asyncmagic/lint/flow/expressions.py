"""The value of every expression of a cell."""

from __future__ import annotations

import ast
import asyncio
import types
from abc import abstractmethod
from collections.abc import Sequence

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.annotations import class_name, instance_of
from asyncmagic.lint.flow.calls import Calls
from asyncmagic.lint.flow.containers import any_item, boxed, element, live_item, next_view, result_of, view
from asyncmagic.lint.flow.ledger import Call, is_data
from asyncmagic.lint.flow.sources import FUNCTIONS, OPERATORS
from asyncmagic.lint.flow.values import (
    AsyncGenerator,
    Awaitable,
    Box,
    Class,
    Either,
    Function,
    Instance,
    Live,
    Module,
    Object,
    Plain,
    Returning,
    Scope,
    Value,
    awaitables,
    either,
    known,
    nothing,
    options,
)

_COROUTINE_ATTRIBUTES = frozenset(dir(types.CoroutineType))
_TASK_ATTRIBUTES = frozenset(dir(asyncio.Task))
#: What only tells something of a task.
_TASK_QUESTIONS = frozenset(["cancelled", "cancelling", "done", "get_loop", "get_name", "set_name"])


class Expressions(Calls):
    """Evaluates expressions."""

    values: dict[ast.AST, Value | None]
    calls: dict[ast.Call, Call]
    awaits: list[tuple[ast.Await, Value | None]]

    @abstractmethod
    def bind(self, target: ast.expr, value: Value | None, scope: Scope) -> None:
        """Give the names of a target the value that is assigned to it."""

    def evaluate_quietly(self, node: ast.expr, scope: Scope) -> Value | None:
        self.quiet += 1
        try:
            return self.evaluate(node, scope)
        finally:
            self.quiet -= 1

    def evaluate(self, node: ast.expr, scope: Scope) -> Value | None:
        """The value of an expression, after what evaluating it does."""
        method = getattr(self, f"_{type(node).__name__}", None)
        value: Value | None = method(node, scope) if method else self._others(node, scope)
        if self.is_reporting:
            self.values[node] = value
        return value

    def _others(self, node: ast.expr, scope: Scope) -> Value | None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.evaluate(child, scope)
        return None

    def _Constant(self, node: ast.Constant, scope: Scope) -> Value | None:
        return Live(node.value)

    def _Name(self, node: ast.Name, scope: Scope) -> Value | None:
        return self.lookup(node.id, scope)

    def _Await(self, node: ast.Await, scope: Scope) -> Value | None:
        value = self.evaluate(node.value, scope)
        if self.is_reporting:
            self.awaits.append((node, value))
        self.spend(value, node, scope)
        for awaitable in awaitables(value):
            awaitable.is_awaited = awaitable.root.is_awaited = True
        return self.awaited(value, node)

    def awaited(self, value: Value | None, node: ast.AST) -> Value | None:
        if isinstance(value, (Awaitable, Either)):
            result = result_of(value)
            return self.remade(result, node)
        return self.awaited_by(value) if isinstance(value, (Live, Instance, Object)) else None

    def remade(self, result: Value | None, node: ast.AST) -> Value | None:
        """A result that is itself a coroutine was made by the await."""
        if isinstance(result, Awaitable) and result.kind == "coroutine" and result.node is not None:
            new = Awaitable("coroutine", node, result.result, maker=result.maker, is_handed_on=result.is_handed_on)
            new.returned = result.returned or self._returned(result.node)
            return self.make(new)
        if isinstance(result, Box) and not result.is_shared:
            seen = [isinstance(item, Awaitable) and item.root.is_registered for item in result.items]
            pairs = zip(result.items, seen, strict=True)
            items = [item if is_seen else self.remade(item, node) for item, is_seen in pairs]
            return Box(result.kind, items, result.keys)
        return result

    def _returned(self, node: ast.AST) -> ast.AST | None:
        """The expression, if it stands in an async function of the cell."""
        parent: ast.AST | None = node
        while parent is not None and not isinstance(parent, FUNCTIONS):
            parent = self.parents.get(parent)
        return node if isinstance(parent, ast.AsyncFunctionDef) else None

    def _Call(self, node: ast.Call, scope: Scope) -> Value | None:
        function = self.evaluate(node.func, scope)
        args: list[Value | None] = []
        starred: set[int] = set()
        for arg in node.args:
            if isinstance(arg, ast.Starred):
                value = boxed(self, self.evaluate(arg.value, scope))
                self.use(value, arg, "unpacked", is_certain=True)
                if isinstance(value, Box) and value.keys is not None and self.frames and not self.is_reporting:
                    args.extend(value.items)
                else:
                    starred.add(len(args))
                    args.append(value)
            else:
                args.append(self.evaluate(arg, scope))
        keywords: dict[str, Value | None] = {}
        has_unknown = False
        for keyword in node.keywords:
            value = self.evaluate(keyword.value, scope)
            if keyword.arg is None and isinstance(value, Box) and value.keys is not None and not self.is_reporting:
                pairs = zip(value.keys, value.items, strict=False)
                keywords.update((key, item) for key, item in pairs if type(key) is str)
            elif keyword.arg is None:
                has_unknown = True
                self.use(value, keyword.value, "unpacked", is_certain=True)
                self.hand_over(value)
            else:
                keywords[keyword.arg] = value
        call = Call(node, function, args, scope, keywords, frozenset(starred), has_unknown)
        if self.is_reporting:
            self.calls[node] = call
        return self.call(call)

    def _Attribute(self, node: ast.Attribute, scope: Scope) -> Value | None:
        value = self.evaluate(node.value, scope)
        self._use_attribute(value, node)
        found = self.attribute(value, node.attr, node)
        if found is None and isinstance(value, Module):
            return Returning(nothing, f"{value.name}.{node.attr}")
        return found

    def _use_attribute(self, value: Value | None, node: ast.Attribute) -> None:
        found = [option for option in options(value) if isinstance(option, Awaitable)]
        if not found:
            return
        for option in found:
            if option.kind == "awaitable":
                return
            allowed = _COROUTINE_ATTRIBUTES if option.kind == "coroutine" else _TASK_ATTRIBUTES
            if option.kind == "task" and node.attr in _TASK_QUESTIONS:
                return
            is_own = option.instance is not None
            if node.attr in allowed or is_own:
                self.hand_over(value)
                return
        self.use(value, node, f"asked for `.{node.attr}`", is_certain=True)

    def _Subscript(self, node: ast.Subscript, scope: Scope) -> Value | None:
        value = self.evaluate(node.value, scope)
        index = self.evaluate(node.slice, scope)
        if isinstance(value, Class):
            return self.of_one(value, node.slice, scope)
        self.use(value, node, "indexed", is_certain=True)
        self.use_as_key(index, node.slice)
        return either(*(self._item(option, index, node) for option in options(value)))

    def _item(self, value: Value | None, index: Value | None, node: ast.Subscript) -> Value | None:
        key = (
            index.obj
            if isinstance(index, Live) and (type(index.obj) is int or type(index.obj) is str)
            else objects.MISSING
        )
        if isinstance(value, Box):
            if isinstance(node.slice, ast.Slice):
                return Box(value.kind, [view(item) for item in value.items], None, value.is_shared)
            if value.keys is not None and key in value.keys:
                return value.items[value.keys.index(key)]
            if value.keys is not None and key == -1 and value.items:
                return value.items[-1]
            return any_item(value)
        if type(key) is str and class_name(value).startswith("pandas."):
            return self._column()
        if isinstance(value, Live):
            is_generic = objects.is_a(value.obj, type) and objects.has_method(value.obj, "__class_getitem__")
            return value if is_generic else live_item(self, value.obj, key)
        return None

    def _column(self) -> Value | None:
        return instance_of(self.attribute(self.import_module("pandas"), "Series", ast.Pass()), is_exact=False)

    def _Lambda(self, node: ast.Lambda, scope: Scope) -> Value | None:
        function = Function(node, scope)
        self.note_function(function)
        return function

    @abstractmethod
    def note_function(self, function: Function) -> None:
        """Remember a function that the cell makes, to look into it later."""

    def _NamedExpr(self, node: ast.NamedExpr, scope: Scope) -> Value | None:
        value = self.evaluate(node.value, scope)
        self.bind(node.target, value, scope)
        return value

    def test(self, node: ast.expr, scope: Scope) -> bool | None:
        """Evaluate a condition and return what it is known to be."""
        value = self.evaluate(node, scope)
        is_made_here = isinstance(node, ast.NamedExpr) and isinstance(node.value, ast.Call)
        self.use(value, node, "tested: it is always true", is_certain=is_made_here)
        if isinstance(node, ast.Constant):
            return bool(node.value)
        if isinstance(node, (ast.Call, ast.UnaryOp)) and isinstance(value, Live) and type(value.obj) is bool:
            return value.obj
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Is, ast.IsNot)) and len(node.ops) == 1:
            right = node.comparators[0]
            left = self.evaluate_quietly(node.left, scope)
            if isinstance(right, ast.Constant) and right.value is None and known(left) is not None:
                nones = {isinstance(option, Live) and option.obj is None for option in options(left)}
                if len(nones) == 1 and isinstance(node.left, ast.Name) and node.left.id in scope.names:
                    return nones.pop() is isinstance(node.ops[0], ast.Is)
        return None

    def _IfExp(self, node: ast.IfExp, scope: Scope) -> Value | None:
        self.test(node.test, scope)
        return either(self.evaluate(node.body, scope), self.evaluate(node.orelse, scope))

    def _BoolOp(self, node: ast.BoolOp, scope: Scope) -> Value | None:
        found = []
        for index, child in enumerate(node.values):
            value = self.evaluate(child, scope)
            if index < len(node.values) - 1:
                self.use(value, child, "tested: it is always true", is_certain=isinstance(child, ast.Call))
            found.append(value)
        return either(*found)

    def _UnaryOp(self, node: ast.UnaryOp, scope: Scope) -> Value | None:
        value = self.evaluate(node.operand, scope)
        is_not = isinstance(node.op, ast.Not)
        self.use(value, node, "tested: it is always true" if is_not else "used as a number", is_certain=not is_not)
        if is_not:
            return Live(not value.obj) if isinstance(value, Live) and type(value.obj) is bool else Instance(bool)
        return value if isinstance(value, Live) and (type(value.obj) is int or type(value.obj) is float) else Plain()

    def _BinOp(self, node: ast.BinOp, scope: Scope) -> Value | None:
        left, right = self.evaluate(node.left, scope), self.evaluate(node.right, scope)
        if isinstance(node.op, (ast.Add, ast.Mult)) and (isinstance(left, Box) or isinstance(right, Box)):
            boxes = [side for side in (left, right) if isinstance(side, Box)]
            items = [item for box in boxes for item in box.items]
            for awaitable in awaitables(boxes[0]) if isinstance(node.op, ast.Mult) else ():
                awaitable.is_repeated = True
            others: list[Value | None] = [None] if len(boxes) == 1 and isinstance(node.op, ast.Add) else []
            return Box(boxes[0].kind, items + others)
        is_text = isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant)
        for side in (left, right):
            self.use(side, node, "used in an expression", is_certain=not is_text)
            if isinstance(side, Box):
                self.use_elements(side, node, "turned into text", is_certain=False)
        if any(isinstance(side, (Live, Instance, Object)) and not is_data(side) for side in (left, right)):
            return self._operated(node, left, right)
        return Plain()

    def _operated(self, node: ast.BinOp, left: Value | None, right: Value | None) -> Value | None:
        """What an operator that the left side's class defines gives."""
        method = self.attribute(left, OPERATORS[type(node.op)], node)
        return self.call_value(method, [right], node) if method is not None else None

    def _Compare(self, node: ast.Compare, scope: Scope) -> Value | None:
        sides = [self.evaluate(side, scope) for side in (node.left, *node.comparators)]
        is_identity = all(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops)
        for index, side in enumerate(sides):
            op = node.ops[max(0, index - 1)]
            is_certain = isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) or (
                isinstance(op, (ast.In, ast.NotIn)) and index > 0
            )
            self.use(side, node, "compared", is_certain=is_certain)
        return Instance(bool) if is_identity else Plain()

    def _JoinedStr(self, node: ast.JoinedStr, scope: Scope) -> Value | None:
        for part in node.values:
            self.evaluate(part, scope)
        return Instance(str)

    def _FormattedValue(self, node: ast.FormattedValue, scope: Scope) -> Value | None:
        value = self.evaluate(node.value, scope)
        self.use(value, node, "formatted", is_certain=False)
        self.use_elements(value, node, "formatted", is_certain=False)
        if node.format_spec is not None:
            self.evaluate(node.format_spec, scope)
        return None

    def _Starred(self, node: ast.Starred, scope: Scope) -> Value | None:
        value = self.evaluate(node.value, scope)
        self.use(value, node, "unpacked", is_certain=True)
        return value

    def _sequence(self, kind: type, elements: Sequence[ast.expr], scope: Scope) -> Value | None:
        items: list[Value | None] = []
        has_star = False
        for child in elements:
            value = self.evaluate(child, scope)
            if isinstance(child, ast.Starred):
                has_star = True
                is_box = isinstance(value, Box) and value.kind is not dict
                items.extend(value.items if is_box else [element(self, value)])  # type: ignore[union-attr]
            else:
                items.append(value)
        return Box(kind, items, None if has_star or kind is set else list(range(len(items))))

    def _List(self, node: ast.List, scope: Scope) -> Value | None:
        return self._sequence(list, node.elts, scope)

    def _Tuple(self, node: ast.Tuple, scope: Scope) -> Value | None:
        return self._sequence(tuple, node.elts, scope)

    def _Set(self, node: ast.Set, scope: Scope) -> Value | None:
        return self._sequence(set, node.elts, scope)

    def _Dict(self, node: ast.Dict, scope: Scope) -> Value | None:
        keys: list[object] | None = []
        items: list[Value | None] = []
        for key, child in zip(node.keys, node.values, strict=True):
            value = self.evaluate(child, scope)
            if key is None:
                keys = None
                self.use(value, child, "unpacked", is_certain=True)
                items.extend(value.items if isinstance(value, Box) else [None])
                continue
            self.hand_over(self.evaluate(key, scope))
            items.append(value)
            if keys is not None and isinstance(key, ast.Constant):
                keys.append(key.value)
            else:
                keys = None
        return Box(dict, items, keys)

    def _comprehension(
        self, kind: type, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, scope: Scope
    ) -> Value | None:
        inner = Scope({}, parent=scope, node=node, captured=scope.captured, spent=scope.spent)
        inner.local = frozenset(n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name))
        first = node.generators[0]
        source = self.evaluate(first.iter, scope)
        item = self.iterated(source, first.iter, is_async=bool(first.is_async))
        value = self._one_turn(node, inner, item)
        if not self.quiet and any(isinstance(child, ast.Await) for child in ast.walk(node)):
            self._one_turn(node, inner, next_view(item))  # What it awaits may have been run by the turn before.
        self.stands_for_many(value)
        return Box(kind, [value])

    def _one_turn(
        self,
        node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
        scope: Scope,
        item: Value | None,
    ) -> Value | None:
        """Evaluate the element with the first target bound to the item."""
        for generator in node.generators:
            if generator is not node.generators[0]:
                source = self.evaluate(generator.iter, scope)
                item = self.iterated(source, generator.iter, is_async=bool(generator.is_async))
            self.stands_for_many(item)
            self.bind(generator.target, item, scope)
            for condition in generator.ifs:
                self.test(condition, scope)
        if isinstance(node, ast.DictComp):
            self.evaluate(node.key, scope)
            return self.evaluate(node.value, scope)
        return self.evaluate(node.elt, scope)

    def iterated(self, source: Value | None, node: ast.AST, *, is_async: bool) -> Value | None:
        """What a `for` over the value binds."""
        self.use(source, node, "iterated over", is_certain=True)
        if is_async:
            if isinstance(source, AsyncGenerator):
                source.is_used = True
                return source.item()
            return (
                element(self, source) if isinstance(source, Box) else self.remade(self._async_item(source, node), node)
            )
        return element(self, source)

    def _async_item(self, source: Value | None, node: ast.AST) -> Value | None:
        """What `async for` over an object with `__aiter__` binds."""
        if not isinstance(source, (Live, Instance, Object)):
            return None
        self.quiet += 1
        try:
            made = self.call_value(self.attribute(source, "__aiter__", node), [], node)
            if isinstance(made, AsyncGenerator):
                return made.item()
            return result_of(self.call_value(self.attribute(made, "__anext__", node), [], node))
        finally:
            self.quiet -= 1

    def _ListComp(self, node: ast.ListComp, scope: Scope) -> Value | None:
        return self._comprehension(list, node, scope)

    def _SetComp(self, node: ast.SetComp, scope: Scope) -> Value | None:
        return self._comprehension(set, node, scope)

    def _DictComp(self, node: ast.DictComp, scope: Scope) -> Value | None:
        return self._comprehension(dict, node, scope)

    def _GeneratorExp(self, node: ast.GeneratorExp, scope: Scope) -> Value | None:
        return self._comprehension(types.GeneratorType, node, scope)

    def _Yield(self, node: ast.Yield, scope: Scope) -> Value | None:
        value = self.evaluate(node.value, scope) if node.value is not None else Live(None)
        if self.frames:
            self.frames[-1].yields.append(value)
        for awaitable in awaitables(value):
            awaitable.is_direct = False  # Whoever asks for it may await it: a mistake is where it is used.
        self.hand_over(value)
        return None

    def _YieldFrom(self, node: ast.YieldFrom, scope: Scope) -> Value | None:
        value = self.evaluate(node.value, scope)
        self.use(value, node, "iterated over", is_certain=True)
        if self.frames:
            self.frames[-1].yields.append(element(self, value))
        self.hand_over(value)
        return None
