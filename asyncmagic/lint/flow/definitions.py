"""What definitions and imports bind: functions, classes, modules and their names."""

from __future__ import annotations

import ast
import types
from abc import abstractmethod

from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.expressions import Expressions
from asyncmagic.lint.flow.ledger import Call
from asyncmagic.lint.flow.values import Awaitable, Class, Function, Live, Scope, Value


class Definitions(Expressions):
    """Runs through definitions and imports."""

    @abstractmethod
    def bind_name(self, name: str, value: Value | None, scope: Scope) -> None:
        """Give a name a value."""

    def _do_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef, scope: Scope) -> None:
        for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)):
            value = self.evaluate(default, scope)
            if isinstance(value, Awaitable) and value.kind == "coroutine" and not self.quiet:
                self.reused.append((value, default))
            self.hand_over(value)
        name = self._qualified_name(node, scope)
        function = Function(node, scope, name, bool(name), scope.cls)
        self.note_function(function)
        self.bind_name(node.name, self._decorated(node, function, scope), scope)

    def _qualified_name(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, scope: Scope) -> str:
        """The name of what a library's source defines; empty in the cell itself."""
        module = self.lookup("__name__", scope) if not self.is_cell_code(node) else None
        qualified = node.name if scope.cls is None else f"{scope.cls.node.name}.{node.name}"
        return f"{module.obj}.{qualified}" if isinstance(module, Live) else ""

    _do_AsyncFunctionDef = _do_FunctionDef

    def _decorated(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, value: Value, scope: Scope
    ) -> Value | None:
        result: Value | None = value
        for decorator in reversed(node.decorator_list):
            function = self.evaluate(decorator, scope)
            made = self.call(Call(decorator, function, [result], scope))
            result = value if made is None and isinstance(value, Class) else made
        return result

    def _do_ClassDef(self, node: ast.ClassDef, scope: Scope) -> None:
        bases = tuple(self.evaluate(base, scope) for base in node.bases)
        for keyword in node.keywords:
            self.evaluate(keyword.value, scope)
        inner = Scope({}, parent=scope, node=node)
        new = inner.cls = Class(node, inner, bases, name=self._qualified_name(node, scope))
        self.execute(node.body, inner)
        self.bind_name(node.name, self._decorated(node, new, scope), scope)

    def _do_Import(self, node: ast.Import, scope: Scope) -> None:
        for alias in node.names:
            if alias.asname:
                scope.names[alias.asname] = self.import_module(alias.name)
            else:
                root = alias.name.partition(".")[0]
                self.import_module(alias.name)
                scope.names[root] = self.import_module(root)

    def _do_ImportFrom(self, node: ast.ImportFrom, scope: Scope) -> None:
        name = node.module or ""
        if node.level:
            package = self.lookup("__package__", scope)
            parts = str(package.obj).split(".") if isinstance(package, Live) and package.obj else []
            if len(parts) < node.level:
                name = ""
            else:
                name = ".".join([*parts[: len(parts) - node.level + 1], *([name] if name else [])])
        module = self.import_module(name) if name else None
        for alias in node.names:
            if alias.name != "*":
                found = self.attribute(module, alias.name, node)
                scope.names[alias.asname or alias.name] = found
                continue
            if isinstance(module, Live) and type(module.obj) is types.ModuleType:
                exported = objects.instance_dict(module.obj)
                scope.names.update((key, self.lift(obj)) for key, obj in exported.items() if key[:1] != "_")
