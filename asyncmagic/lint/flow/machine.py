"""Flow: one run through a cell's statements, path by path, on values instead of objects."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Mapping, Sequence

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.annotations import class_name
from asyncmagic.lint.flow.containers import element, merge, next_view, put, result_of
from asyncmagic.lint.flow.functions import Functions
from asyncmagic.lint.flow.ledger import Call, OutOfTime, is_declared_data
from asyncmagic.lint.flow.sources import facts
from asyncmagic.lint.flow.values import (
    Awaitable,
    Box,
    Instance,
    Live,
    Manager,
    Object,
    Plain,
    Scope,
    Value,
    awaitables,
    either,
)

__all__ = ["Call", "Flow", "OutOfTime"]

_State = tuple[dict[str, Value | None], set[Awaitable]]
_Ends = tuple[list[_State], list[_State]]


class Flow(Functions):
    """What happens in a cell: the value of every expression, the fate of every awaitable.

    `values` and `calls` hold what was seen on the way, `made` every awaitable that the cell makes, `reused` the
    coroutines run twice, `final` the cell's names at its end. `namespace` is read, never run and never written.
    """

    def __init__(
        self,
        tree: ast.Module,
        namespace: Mapping[str, object],
        parents: dict[ast.AST, ast.AST],
        deadline: float,
        *,
        adopts: bool = False,
    ) -> None:
        self.tree = tree
        self.parents = parents
        self.deadline = deadline
        self.patience = max(0.0, deadline - time.perf_counter())
        self.own_deadline = time.thread_time() + self.patience
        self.adopts = adopts
        self._namespace = namespace
        self.values = {}
        self.calls = {}
        self.awaits = []
        self.made = []
        self.reused = []
        self.frames = []
        self.stored = {}
        self.contents = {}
        self.functions = {}
        self._summaries = {}
        self._module_scopes = {}
        self._loops: list[_Ends] = []
        self._pending = []
        self._reported = set()
        self._waiting = set()
        self._objects = {}
        self.constructed = []
        self.final = Scope({}, outside=self.outside_cell, node=tree, captured=facts(tree).captured)
        self.execute(tree.body, self.final)
        self.look_into_functions()

    def is_cell_code(self, node: ast.AST) -> bool:
        return node in self.parents

    def _execute_quietly(self, node: ast.stmt, scope: Scope) -> None:
        self.quiet += 1
        try:
            self.execute([node], scope)
        finally:
            self.quiet -= 1

    # -- statements ----------------------------------------------------------------------------------------------

    def execute(self, body: Sequence[ast.stmt], scope: Scope) -> bool:
        """Run through the statements; False if their end cannot be reached."""
        for node in body:
            self.check_time()
            method: Callable[[ast.stmt, Scope], bool | None] | None
            method = getattr(self, f"_do_{type(node).__name__}", None)
            if method is not None and method(node, scope) is False:
                return False
        return True

    def _execute_perhaps(self, body: Sequence[ast.stmt], scope: Scope) -> bool:
        """Run through statements that may be left out, or cut short."""
        self.branches += 1
        try:
            return self.execute(body, scope)
        finally:
            self.branches -= 1

    def _do_Expr(self, node: ast.Expr, scope: Scope) -> None:
        value = self._adopt(node.value, self.evaluate(node.value, scope), scope)
        is_shown = node is self.tree.body[-1] if self.tree.body else False
        if isinstance(node.value, (ast.Name, ast.Attribute, ast.Subscript)) and not (is_shown or self.adopts):
            self.use(value, node.value, "not awaited", is_certain=True)

    def _adopt(self, node: ast.expr, value: Value | None, scope: Scope) -> Value | None:
        """In `%%agents`, what stands at the top level of the cell is started."""
        if not self.adopts or self.frames or scope.node is not self.tree:
            return value
        is_display = (
            isinstance(value, Box) and value.kind in (list, tuple, set, dict) and not isinstance(node, ast.Name)
        )
        for awaitable in [value] if isinstance(value, Awaitable) else value.items if is_display else []:  # type: ignore[union-attr]
            if isinstance(awaitable, Awaitable) and awaitable.kind == "coroutine":
                awaitable.kind, awaitable.is_handed_on, awaitable.is_agent = "task", True, True
        return value

    def _do_Assign(self, node: ast.Assign, scope: Scope) -> None:
        value = self._adopt(node.value, self.evaluate(node.value, scope), scope)
        for target in node.targets:
            self.bind(target, value, scope)

    def _do_AnnAssign(self, node: ast.AnnAssign, scope: Scope) -> None:
        if node.value is not None:
            value = self._adopt(node.value, self.evaluate(node.value, scope), scope)
            self.bind(node.target, value, scope)

    def _do_AugAssign(self, node: ast.AugAssign, scope: Scope) -> None:
        value = self.evaluate(node.value, scope)
        old = self.evaluate_quietly(node.target, scope) if isinstance(node.target, ast.Name) else None
        if isinstance(node.op, (ast.Add, ast.BitOr)) and isinstance(value, Box):
            if any(True for _ in self.held(value)):
                old = self.opened(old)
            if not isinstance(old, Box) or old.is_shared:
                self.hand_over(value)
            if isinstance(old, Box):
                merge(self, old, value)
            return
        self.use(value, node, "used in an expression", is_certain=True)
        self.use(old, node, "used in an expression", is_certain=True)
        if isinstance(node.target, ast.Name):
            self.bind(node.target, None if old is None else Plain(), scope)
        elif isinstance(node.target, (ast.Attribute, ast.Subscript)):
            self.evaluate(node.target.value, scope)

    def bind(self, target: ast.expr, value: Value | None, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            self.bind_name(target.id, value, scope)
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, value, scope)
        elif isinstance(target, ast.Starred):
            self.bind(target.value, Box(list, [value]), scope)
        elif isinstance(target, ast.Attribute):
            owner = self.evaluate(target.value, scope)
            if class_name(owner).startswith("ipywidgets."):
                self.use(value, target, "shown in a widget", is_certain=True)
            self.set_attribute(owner, target.attr, value)
        elif isinstance(target, ast.Subscript):
            self._store_item(target, value, scope)

    def bind_name(self, name: str, value: Value | None, scope: Scope) -> None:
        if scope.names.get(name) is not value:
            self._lose(name, scope)
        is_outer = scope.node is not self.tree and scope.local and name not in scope.local
        if name in scope.captured or is_outer:
            self.hand_over(value)
            value = None if isinstance(value, Live) and value.obj is None else value
        scope.names[name] = value

    def _lose(self, name: str, scope: Scope) -> None:
        """The name no longer holds what it held."""
        old = scope.names.get(name)
        is_lost = isinstance(old, Awaitable) and not old.root.is_served and old.source is None
        if is_lost and isinstance(old, Awaitable) and not self._is_reachable(old, scope, besides=name):
            old.is_overwritten = True

    def _is_reachable(self, awaitable: Awaitable, scope: Scope, besides: str = "") -> bool:
        return any(
            other is awaitable for name, value in scope.names.items() if name != besides for other in awaitables(value)
        )

    def _unpack(self, target: ast.Tuple | ast.List, value: Value | None, scope: Scope) -> None:
        self.use(value, target, "unpacked", is_certain=True)
        has_star = any(isinstance(child, ast.Starred) for child in target.elts)
        if isinstance(value, Box) and value.keys is not None and len(value.items) == len(target.elts) and not has_star:
            items = value.items
        else:
            items = [element(self, value) for _ in target.elts]
        for child, item in zip(target.elts, items, strict=True):
            self.bind(child, item, scope)

    def _store_item(self, target: ast.Subscript, value: Value | None, scope: Scope) -> None:
        owner = self.evaluate(target.value, scope)
        index = self.evaluate(target.slice, scope)
        self.hand_over(index)
        self.use(owner, target, "given an item", is_certain=True)
        if any(True for _ in self.held(value)):
            owner = self.opened(owner)
        if isinstance(owner, Box):
            if owner.is_shared:
                self.hand_over(value)
            put(self, owner, index.obj if isinstance(index, Live) else None, value)
            return
        if class_name(owner).startswith(("pandas.", "numpy.")):
            self.use(value, target, "stored as data", is_certain=False)
            self.use_elements(value, target, "stored as data", is_certain=False)
            return
        self.hand_over(value)

    def _do_Return(self, node: ast.Return, scope: Scope) -> bool:
        value = self.evaluate(node.value, scope) if node.value is not None else Live(None)
        if self.frames:
            self.frames[-1].returns.append(value)
            self.frames[-1].spent.append(set(scope.spent))
        if not self.frames or self.frames[-1].is_reported:
            function = self.frames[-1].node if self.frames else None
            hint = function.returns if isinstance(function, ast.AsyncFunctionDef) else None
            if hint is not None and is_declared_data(self.annotation_node(hint, scope)):
                self.use(value, node, "returned where data is declared", is_certain=True)
            self.hand_over(value)
        return False

    def _do_Raise(self, node: ast.Raise, scope: Scope) -> bool:
        for child in (node.exc, node.cause):
            if child is not None:
                self.use(self.evaluate(child, scope), child, "raised", is_certain=True)
        return False

    def _do_Assert(self, node: ast.Assert, scope: Scope) -> None:
        self.test(node.test, scope)
        if node.msg is not None:
            self.evaluate(node.msg, scope)

    def _do_Delete(self, node: ast.Delete, scope: Scope) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._lose(target.id, scope)
                scope.names[target.id] = None

    def _do_Global(self, node: ast.Global, scope: Scope) -> None:
        return None

    # -- paths ---------------------------------------------------------------------------------------------------

    def _save(self, scope: Scope) -> _State:
        return dict(scope.names), set(scope.spent)

    def _restore(self, scope: Scope, state: _State) -> None:
        scope.names, scope.spent = dict(state[0]), set(state[1])

    def _join(self, scope: Scope, states: Sequence[_State]) -> None:
        if not states:
            return
        if len(states) == 1:
            self._restore(scope, states[0])
            return
        names: dict[str, Value | None] = {}
        for name in dict.fromkeys(name for state in states for name in state[0]):
            found = [state[0][name] if name in state[0] else self._outer(name, scope) for state in states]
            names[name] = found[0] if all(value is found[0] for value in found) else either(*found)
        scope.names = names
        scope.spent = set.intersection(*(state[1] for state in states))

    def _outer(self, name: str, scope: Scope) -> Value | None:
        return self.outside_cell(name) if scope.node is self.tree else None

    def _do_If(self, node: ast.If, scope: Scope) -> bool:
        verdict = self.test(node.test, scope)
        before = self._save(scope)
        ends: list[_State] = []
        if verdict is not False:
            if self._execute_perhaps(node.body, scope):
                ends.append(self._save(scope))
            self._restore(scope, before)
        if verdict is not True and self._execute_perhaps(node.orelse, scope):
            ends.append(self._save(scope))
        self._join(scope, ends)
        return bool(ends)

    def _loop(self, body: Sequence[ast.stmt], scope: Scope, start: Callable[[], bool | None]) -> _Ends:
        """Run through a loop's body twice; return the states after its last turn and those at a `break`."""
        ends: list[_State] = []
        breaks: list[_State] = []
        for _ in range(2):
            verdict = start()
            if verdict is not True:
                ends.append(self._save(scope))
            if verdict is False:
                return ends, breaks
            self._loops.append(([], breaks))
            falls_through = self._execute_perhaps(body, scope)
            continues, _ = self._loops.pop()
            if falls_through:
                continues.append(self._save(scope))
            if not continues:
                return ends, breaks
            self._join(scope, continues)
        if verdict is not True:
            ends.append(self._save(scope))
        return ends, breaks

    def _do_For(self, node: ast.For | ast.AsyncFor, scope: Scope) -> bool:
        source = self.evaluate(node.iter, scope)
        item = self.iterated(source, node.iter, is_async=isinstance(node, ast.AsyncFor))

        def start() -> None:
            self.stands_for_many(item)
            self.bind(node.target, next_view(item), scope)

        before = self._save(scope)
        ends, breaks = self._loop(node.body, scope, start)
        runs_at_least_once = (
            isinstance(source, Box) and source.kind in (list, tuple) and bool(source.items) and not source.is_shared
        )
        after = ends[1:] if runs_at_least_once else [before, *ends]
        for awaitable in awaitables(item):
            if awaitable.is_awaited and isinstance(source, Box):
                for state in after:
                    state[1].update(part for part in awaitables(source) if part.is_awaited)
        return self._after_loop(node, scope, after, breaks)

    _do_AsyncFor = _do_For

    def _do_While(self, node: ast.While, scope: Scope) -> bool:
        ends, breaks = self._loop(node.body, scope, lambda: self.test(node.test, scope))
        return self._after_loop(node, scope, ends, breaks)

    def _after_loop(
        self, node: ast.For | ast.AsyncFor | ast.While, scope: Scope, ends: list[_State], breaks: list[_State]
    ) -> bool:
        self._join(scope, ends)
        last = list(breaks)
        if ends and self.execute(node.orelse, scope):
            last.append(self._save(scope))
        self._join(scope, last)
        return bool(last)

    def _do_Break(self, node: ast.Break, scope: Scope) -> bool:
        if self._loops:
            self._loops[-1][1].append(self._save(scope))
        return False

    def _do_Continue(self, node: ast.Continue, scope: Scope) -> bool:
        if self._loops:
            self._loops[-1][0].append(self._save(scope))
        return False

    def _do_Try(self, node: ast.Try, scope: Scope) -> bool:
        before = self._save(scope)
        begun = 1 + next((n for n, statement in enumerate(node.body) if _awaits(statement)), len(node.body))
        body_ends = self._execute_perhaps(node.body[:begun], scope)
        before = before[0], set(scope.spent)  # What raised had begun to run its coroutine.
        body_ends = body_ends and self._execute_perhaps(node.body[begun:], scope)
        after = self._save(scope)
        ends = []
        if body_ends and self.execute(node.orelse, scope):
            ends.append(self._save(scope))
        for handler in node.handlers:
            self._join(scope, [before, after])
            if handler.type is not None:
                self.evaluate(handler.type, scope)
            if handler.name:
                scope.names[handler.name] = None
            if self._execute_perhaps(handler.body, scope):
                ends.append(self._save(scope))
        self._join(scope, ends or [before, after])
        return self.execute(node.finalbody, scope) and bool(ends)

    _do_TryStar = _do_Try

    def _do_With(self, node: ast.With | ast.AsyncWith, scope: Scope) -> bool:
        is_async = isinstance(node, ast.AsyncWith)
        for item in node.items:
            value = self.evaluate(item.context_expr, scope)
            instance = value.instance if isinstance(value, Awaitable) else None
            if instance is not None and self.has_special(instance, "__aenter__"):
                self.hand_over(value)
                entered = self._entered(instance, item.context_expr, is_async=is_async) or result_of(value)
            else:
                self.use(value, item.context_expr, "entered as a context manager", is_certain=True)
                entered = self._entered(value, item.context_expr, is_async=is_async)
            if item.optional_vars is not None:
                self.bind(item.optional_vars, entered, scope)
        return self.execute(node.body, scope)

    _do_AsyncWith = _do_With

    def _entered(self, value: Value | None, node: ast.AST, *, is_async: bool) -> Value | None:
        if isinstance(value, Manager):
            return value.entered()
        if isinstance(value, (Instance, Live, Object)):
            method = self.attribute(value, "__aenter__" if is_async else "__enter__", node)
            cls = type(value.obj) if isinstance(value, Live) else value.cls
            if isinstance(cls, type) and not is_async and _is_c_method(objects.class_lookup(cls, "__enter__")):
                return None if objects.qualified_name(cls).startswith("_thread") else value
            self.quiet += 1
            try:
                result = self.call_value(method, [], node)
                return self.awaited(result, node) if is_async else result
            finally:
                self.quiet -= 1
        return None

    def _do_Match(self, node: ast.Match, scope: Scope) -> bool:
        value = self.evaluate(node.subject, scope)
        self.use(value, node.subject, "matched", is_certain=False)
        before = self._save(scope)
        ends = [before]
        for case in node.cases:
            self._restore(scope, before)
            for part in ast.walk(case.pattern):
                name = getattr(part, "name", None) or getattr(part, "rest", None)
                if isinstance(name, str):
                    scope.names[name] = None
            if case.guard is not None:
                self.test(case.guard, scope)
            if self._execute_perhaps(case.body, scope):
                ends.append(self._save(scope))
        self._join(scope, ends)
        return True


def _awaits(node: ast.AST) -> bool:
    return any(isinstance(child, ast.Await) for child in ast.walk(node))


def _is_c_method(method: object) -> bool:
    return objects.is_builtin_function(method)
