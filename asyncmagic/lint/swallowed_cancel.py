"""swallowed-cancel: async code that catches its own cancellation and goes on."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.kinds import function_name
from asyncmagic.lint.flow.sources import facts, own_nodes
from asyncmagic.lint.flow.values import Bound, Function, Live

RULE = "swallowed-cancel"
_CATCHING = ("CancelledError", "BaseException")


def check(cell: Cell) -> Iterator[Diagnostic]:
    """Cancelling raises CancelledError at the `await`; code that swallows it cannot be stopped, nor time out.

    Wrong:

        try:
            await step()
        except BaseException:                      # also CancelledError
            log("failed")

    Right:

        try:
            await step()
        except Exception:
            log("failed")
    """
    for function in cell.nodes:
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        nodes = list(own_nodes(function))
        cancelled = _cancelled_here(nodes)
        for node in nodes:
            if isinstance(node, ast.Try) and _waits(node.body) and not _awaits_any(node.body, cancelled):
                yield from _try(cell, node, function)
            elif isinstance(node, ast.With) and _waits(node.body) and not _awaits_any(node.body, cancelled):
                yield from _suppress(cell, node)


def _cancelled_here(nodes: list[ast.AST]) -> set[str]:
    """What the function cancels itself, as written: waiting for it to end may well catch CancelledError."""
    found = {
        ast.unparse(n.func.value)
        for n in nodes
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr == "cancel"
    }
    loops = [n for n in nodes if isinstance(n, ast.For) and ast.unparse(n.target) in found]
    return found | {ast.unparse(loop.iter) for loop in loops}


def _waits(body: list[ast.stmt]) -> bool:
    return any(isinstance(n, (ast.Await, ast.AsyncFor, ast.AsyncWith)) for s in body for n in [s, *_inside(s)])


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield child
            yield from _inside(child)


def _awaits_any(body: list[ast.stmt], names: set[str]) -> bool:
    """Whether what is awaited in the statements is among the things that the function cancels."""
    awaited = [n.value for s in body for n in ast.walk(s) if isinstance(n, ast.Await)]
    for value in awaited:
        parts = [value, *value.args] if isinstance(value, ast.Call) else [value]
        for part in parts:
            if ast.unparse(part.value if isinstance(part, ast.Starred) else part) in names:
                return True
    return False


def _try(cell: Cell, node: ast.Try, function: ast.AsyncFunctionDef) -> Iterator[Diagnostic]:
    for handler in node.handlers:
        caught = _catches(handler.type)
        if not caught:
            continue
        if not _passes_on(cell, handler, function):
            name = f"`{ast.unparse(handler.type)}`" if handler.type is not None else "a bare `except`"
            wide = handler.type is None or caught == "BaseException"
            hint = "Catch `Exception` instead" if wide else "End the handler with `raise`"
            head = _Head(handler, "except" if handler.type is None else cell.lines[handler.lineno - 1])
            fix = _narrowed(cell, handler) if wide else None
            message = f"{name} swallows the task's cancellation: it cannot be stopped here"
            yield cell.diagnostic(RULE, head, message, hint, fix=fix, severity="advice")
        break  # Further handlers never see a CancelledError.
    for statement in node.finalbody:
        for child in [statement, *_inside(statement)]:
            if isinstance(child, ast.Return):
                message = "`return` in `finally` swallows the task's cancellation, and every other exception"
                yield cell.diagnostic(RULE, child, message, "Return after the `try` statement", severity="advice")


def _catches(node: ast.expr | None) -> str:
    """The name by which a handler catches CancelledError, empty if it does not."""
    if node is None:
        return "BaseException"
    for part in node.elts if isinstance(node, ast.Tuple) else [node]:
        name = part.attr if isinstance(part, ast.Attribute) else part.id if isinstance(part, ast.Name) else ""
        if name in _CATCHING:
            return name
    return ""


def _passes_on(cell: Cell, handler: ast.ExceptHandler, function: ast.AsyncFunctionDef) -> bool:
    """Whether the handler raises again, or hands the exception to someone who will."""
    for statement in handler.body:
        for child in [statement, *_inside(statement)]:
            if isinstance(child, ast.Raise):
                return True
            if isinstance(child, ast.Call) and _never_returns(cell, child):
                return True
            method = child.func.attr if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) else ""
            if method in ("set_exception", "uncancel", "throw", "_exit", "exit"):
                return True
    names = {handler.name} if handler.name else set()
    for statement in handler.body:
        for child in ast.walk(statement):
            if isinstance(child, ast.Assign) and isinstance(child.value, ast.Name) and child.value.id in names:
                names |= {t.id for t in child.targets if isinstance(t, ast.Name)}
    return any(
        isinstance(n, ast.Raise)
        and n.exc is not None
        and (ast.unparse(n.exc) in names or "CancelledError" in ast.unparse(n.exc))
        for n in own_nodes(function)
    )


def _never_returns(cell: Cell, call: ast.Call) -> bool:
    """Whether the call always raises: `self._convert_error(exc)`."""
    found = cell.flow.calls.get(call)
    function = found.function if found is not None else None
    while isinstance(function, Bound):
        function = function.function
    if isinstance(function, Live) and objects.is_a(function.obj, types.FunctionType):
        function = cell.flow.source_of(function.obj)
    if not isinstance(function, Function) or isinstance(function.node, ast.Lambda):
        return False
    returns = ast.unparse(function.node.returns) if function.node.returns is not None else ""
    body = facts(function.node)
    return (
        "NoReturn" in returns or "Never" in returns or not (body.returns or body.may_fall_through or body.is_generator)
    )


def _suppress(cell: Cell, node: ast.With) -> Iterator[Diagnostic]:
    for item in node.items:
        call = item.context_expr
        if not isinstance(call, ast.Call):
            continue
        found = cell.flow.calls.get(call)
        name = function_name(found.function) if found is not None else ""
        is_suppress = name == "contextlib.suppress" if name else ast.unparse(call.func).endswith("suppress")
        if is_suppress and any(_catches(arg) for arg in call.args):
            message = f"`{cell.text(call)}` swallows the task's cancellation: it cannot be stopped here"
            yield cell.diagnostic(RULE, call, message, "Suppress `Exception` instead", severity="advice")


def _narrowed(cell: Cell, handler: ast.ExceptHandler) -> str | None:
    if handler.type is None:
        line, column = cell.position(handler)
        return cell.edited(line, line, [(line, column + len("except"), " Exception")])
    return cell.replaced_with(handler.type, "Exception")


class _Head(ast.AST):
    """The `except` line of a handler, to point at."""

    def __init__(self, handler: ast.ExceptHandler, text: str) -> None:
        self.lineno = self.end_lineno = handler.lineno
        self.col_offset = handler.col_offset
        last = handler.type
        is_same = last is not None and last.end_lineno == handler.lineno
        self.end_col_offset = (last.end_col_offset or 0) if last is not None and is_same else handler.col_offset + 6
