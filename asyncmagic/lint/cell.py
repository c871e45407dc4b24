"""Cell: what a rule looks at. The source, its tree, the live namespace, and what flows through it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from asyncmagic.diagnostics import Diagnostic, Severity
from asyncmagic.lint.flow import Flow, objects
from asyncmagic.lint.flow.sources import facts, own_nodes
from asyncmagic.lint.flow.values import Bound, Function, Live, Scope, Value
from asyncmagic.lint.plain import plain_python


class Cell:
    """One cell, read but not run. `deadline` is the `time.perf_counter()` at which looking at it stops."""

    def __init__(
        self,
        source: str,
        namespace: Mapping[str, object],
        *,
        deadline: float,
        agents: bool = False,
        before: Sequence[ast.stmt] = (),
        is_script: bool = False,
    ) -> None:
        self.source = source
        self.lines = source.split("\n")
        self.namespace = namespace
        self.deadline = deadline
        self.is_script = is_script
        body = plain_python(source)
        self.is_python = body is not None
        self.tree = body.tree if body is not None else ast.Module([], [])
        #: Statements of earlier cells stand above line 1: they are known, and nothing is said about them.
        self.tree.body = [*before, *self.tree.body]
        self.is_agents = agents or (body is not None and body.is_agents)

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The parent of every node."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def flow(self) -> Flow:
        """The value of every expression and the fate of every awaitable."""
        return Flow(self.tree, self.namespace, self.parents, self.deadline, adopts=self.is_agents)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the cell, outer ones first."""
        return list(ast.walk(self.tree))

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around a node, the nearest first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def function_of(self, node: ast.AST) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | None:
        """The function whose body the node stands in; None at the top level of the cell."""
        child = node
        for parent in self.above(node):
            if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                body = parent.body if isinstance(parent.body, list) else [parent.body]
                if child in body:
                    return parent
            child = parent
        return None

    def statement_of(self, node: ast.AST) -> ast.stmt | None:
        """The innermost statement that the node stands in."""
        for parent in (node, *self.above(node)):
            if isinstance(parent, ast.stmt):
                return parent
        return None

    def can_await(self, node: ast.AST) -> bool:
        """Whether `await` is allowed at the node: in `async def`, and at the top level of a notebook's cell."""
        function = self.function_of(node)
        return not self.is_script if function is None else isinstance(function, ast.AsyncFunctionDef)

    @cached_property
    def displayed(self) -> ast.expr | None:
        """The expression whose value the notebook shows."""
        if self.tree.body and isinstance(last := self.tree.body[-1], ast.Expr):
            return None if self.source.rstrip().endswith(";") else last.value
        return None

    def calls_inside(self, function: Value | None) -> Iterator[tuple[Function, ast.Call, Value | None, Scope]]:
        """The calls in a live plain function of the user's: its source, each call, what is called, the names there."""
        target = function.function if isinstance(function, Bound) else function
        live = target.obj if isinstance(target, Live) else None
        if live is None or not objects.code_flags(live) or getattr(live, "__module__", "") != "__main__":
            return
        if objects.is_coroutine_function(live) or objects.is_generator_function(live):
            return
        source = self.flow.source_of(live)  # type: ignore[arg-type]
        if source is None:
            return
        scope = self.flow.function_scope(source)
        scope.makers = dict(facts(source.node).makers)
        for node in own_nodes(source.node):
            if isinstance(node, ast.Call):
                yield source, node, self.flow.evaluate_quietly(node.func, scope), scope

    def text(self, node: ast.AST, limit: int = 60) -> str:
        """The source of a node on one line, shortened."""
        segment = ast.get_source_segment(self.source, node) if getattr(node, "lineno", 0) > 0 else None
        found = " ".join((segment or ast.unparse(node)).split())
        return found if len(found) <= limit else found[: limit - 1] + "…"

    def diagnostic(
        self,
        rule: str,
        node: ast.AST,
        message: str,
        hint: str = "",
        *,
        fix: str | None = None,
        severity: Severity = "error",
    ) -> Diagnostic:
        """A diagnostic that points at the node."""
        line, end_line = getattr(node, "lineno", 1), getattr(node, "end_lineno", 1)
        return Diagnostic(
            line=line,
            column=self._characters(line, getattr(node, "col_offset", 0)),
            rule=rule,
            message=message,
            hint=hint,
            fix=fix,
            end_line=end_line,
            end_column=self._characters(end_line, getattr(node, "end_col_offset", 0)),
            severity=severity,
        )

    def _characters(self, line: int, offset: int) -> int:
        """A column in characters; syntax trees count bytes."""
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return len(text.encode()[:offset].decode(errors="ignore"))

    def edited(self, first: int, last: int, edits: list[tuple[int, int, str]]) -> str | None:
        """The lines `first` to `last` with `(line, column, text)` inserted; None if that is not Python."""
        if first < 1:
            return None
        lines = list(self.lines)
        for line, column, text in sorted(edits, reverse=True):
            old = lines[line - 1]
            lines[line - 1] = old[:column] + text + old[column:]
        try:
            compile("\n".join(lines), "<fix>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except (SyntaxError, ValueError):
            if plain_python("\n".join(lines)) is None:
                return None
        return "\n".join(lines[first - 1 : last])

    def position(self, node: ast.AST) -> tuple[int, int]:
        """The line and column, in characters, where a node begins."""
        line = getattr(node, "lineno", 1)
        return line, self._characters(line, getattr(node, "col_offset", 0))

    def inserted(self, node: ast.AST, text: str) -> str | None:
        """The first line of a node with the text before the node; None if that is not Python."""
        line, column = self.position(node)
        return self.edited(line, line, [(line, column, text)])

    def replaced(self, node: ast.expr, part: ast.expr) -> str | None:
        """The node's line with the node reduced to one part of it; None if that is not Python."""
        return self.replaced_with(node, ast.get_source_segment(self.source, part) or "")

    def replaced_with(self, node: ast.expr, text: str) -> str | None:
        """The node's line with other text in the node's place; None if that is not Python."""
        if not text or "\n" in text or node.lineno < 1 or node.lineno != node.end_lineno or node.end_col_offset is None:
            return None
        line, start = self.position(node)
        old = self.lines[line - 1]
        new = old[:start] + text + old[self._characters(line, node.end_col_offset) :]
        return new if plain_python("\n".join([*self.lines[: line - 1], new, *self.lines[line:]])) else None

    def run_fix(self, node: ast.expr) -> str | None:
        """The node's line with the coroutine run by `asyncio.run`, at the top level of a Python file."""
        if not self.is_script or self.function_of(node) is not None:
            return None
        return self.replaced_with(node, f"asyncio.run({self.text(node, 10_000)})")

    def awaited_fix(self, node: ast.expr) -> str | None:
        """The node's lines with `await` before the node, in parentheses where Python wants them."""
        if not self.can_await(node) or node.end_lineno is None or node.end_col_offset is None:
            return None
        statement = self.statement_of(node)
        if statement is None or statement.end_lineno is None:
            return None
        start = (node.lineno, self._characters(node.lineno, node.col_offset))
        end = (node.end_lineno, self._characters(node.end_lineno, node.end_col_offset))
        parent = self.parents.get(node)
        is_tight = (
            (isinstance(parent, (ast.Attribute, ast.Subscript)) and parent.value is node)
            or (isinstance(parent, ast.Call) and parent.func is node)
            or (isinstance(parent, ast.Await))
            or (isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow))
        )
        edits = [(*start, "(await "), (*end, ")")] if is_tight else [(*start, "await ")]
        return self.edited(node.lineno, node.end_lineno, edits)


class Header(ast.AST):
    """The first line of a definition, to point at."""

    def __init__(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.lineno = self.end_lineno = node.lineno
        self.col_offset = node.col_offset
        keywords = "def " if isinstance(node, ast.FunctionDef) else "async def "
        self.end_col_offset = node.col_offset + len(keywords) + len(node.name)
