"""swallowed-cancel: async code that catches its own cancellation and goes on."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterable, Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.kinds import function_name
from asyncmagic.lint.flow.sources import FUNCTIONS, own_nodes
from asyncmagic.lint.flow.values import Box, Live, Value
from asyncmagic.lint.passing_on import passes_on

RULE = "swallowed-cancel"


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
        cancelled = _cancelled_near(cell, function, nodes)
        is_manager = any("contextmanager" in ast.unparse(decorator) for decorator in function.decorator_list)
        for node in nodes:
            if not isinstance(node, (ast.Try, ast.TryStar, ast.With)) or not _waits(node.body, is_manager):
                continue
            if not _awaits_any(node.body, cancelled):
                yield from _suppress(cell, node) if isinstance(node, ast.With) else _try(cell, node, function)
        if function.name == "__aexit__" and isinstance(cell.parents.get(function), ast.ClassDef):
            yield from _exit(cell, function, nodes)


def _cancelled_near(cell: Cell, function: ast.AST, nodes: list[ast.AST]) -> set[str]:
    """What the function, or its class, cancels, as written: waiting for it to end may well catch CancelledError."""
    owner = cell.parents.get(function)
    near = ast.walk(owner) if isinstance(owner, ast.ClassDef) else iter(nodes)
    found = {ast.unparse(n.value) for n in near if isinstance(n, ast.Attribute) and n.attr == "cancel"}
    loops = [n for n in nodes if isinstance(n, (ast.For, ast.comprehension)) and ast.unparse(n.target) in found]
    return found | {ast.unparse(loop.iter) for loop in loops}


def _waits(body: list[ast.stmt], is_manager: bool) -> bool:
    """Whether a cancellation can be raised in the statements; in a context manager's also at its `yield`."""
    kinds = (ast.Await, ast.AsyncFor, ast.AsyncWith, *((ast.Yield,) if is_manager else ()))
    return any(isinstance(n, kinds) or getattr(n, "is_async", 0) for n in _inside(body))


def _inside(body: Iterable[ast.AST], leave_out: tuple[type[ast.AST], ...] = ()) -> Iterator[ast.AST]:
    """The nodes in the statements, without those of functions and classes made there."""
    for child in body:
        yield child
        if not isinstance(child, (*FUNCTIONS, ast.ClassDef, *leave_out)):
            yield from _inside(ast.iter_child_nodes(child), leave_out)


def _awaited(body: list[ast.stmt]) -> Iterator[ast.expr]:
    """What is awaited in the statements, and what the awaited calls are given."""
    for node in _inside(body):
        if isinstance(node, ast.Await):
            yield node.value
            for part in node.value.args if isinstance(node.value, ast.Call) else ():
                yield part.value if isinstance(part, ast.Starred) else part


def _awaits_any(body: list[ast.stmt], names: set[str]) -> bool:
    """Whether what is awaited in the statements is among the things that are cancelled."""
    return any(ast.unparse(part) in names for part in _awaited(body))


def _awaits_only_others(body: list[ast.stmt]) -> bool:
    """Whether only tasks made elsewhere are awaited: the cancellation that is caught may be theirs."""
    waits = [n for n in _inside(body) if isinstance(n, (ast.Await, ast.AsyncFor, ast.AsyncWith))]
    return bool(waits) and all(
        isinstance(n, ast.Await) and isinstance(n.value, (ast.Name, ast.Attribute, ast.Subscript)) for n in waits
    )


def _try(cell: Cell, node: ast.Try | ast.TryStar, function: ast.AsyncFunctionDef) -> Iterator[Diagnostic]:
    for handler in node.handlers:
        caught = _catches(cell, handler.type)
        if not caught:
            continue
        is_wide = caught is BaseException
        if not (not is_wide and _awaits_only_others(node.body)) and not passes_on(cell, handler, function):
            name = f"`{ast.unparse(handler.type)}`" if handler.type is not None else "a bare `except`"
            hint = "Catch `Exception` instead" if is_wide else "End the handler with `raise`"
            head = _Head(handler, "except" if handler.type is None else cell.lines[handler.lineno - 1])
            fix = _narrowed(cell, handler) if is_wide else None
            message = f"{name} swallows the task's cancellation: it cannot be stopped here"
            yield cell.diagnostic(RULE, head, message, hint, fix=fix, severity="advice")
        break  # Further handlers never see a CancelledError.
    jumps = [n for n in _inside(node.finalbody, (ast.For, ast.While)) if isinstance(n, (ast.Break, ast.Continue))]
    for child in [n for n in _inside(node.finalbody) if isinstance(n, ast.Return)] + jumps:
        word = cell.text(child).split()[0]
        message = f"`{word}` in `finally` swallows the task's cancellation, and every other exception"
        hint = f"{word.capitalize()} after the `try` statement"
        yield cell.diagnostic(RULE, child, message, hint, severity="advice")


def _catches(cell: Cell, node: ast.expr | None) -> type[BaseException] | None:
    """The class by which a handler catches CancelledError."""
    if node is None:
        return BaseException
    found = [catching for part in _parts(node) if (catching := _catches_by(cell, part)) is not None]
    return max(found, key=lambda cls: cls is BaseException, default=None)


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _catches_by(cell: Cell, node: ast.expr) -> type[BaseException] | None:
    if isinstance(node, ast.Call):
        is_cancelled = ast.unparse(node.func).endswith("get_cancelled_exc_class")
        return asyncio.CancelledError if is_cancelled else None
    value = cell.flow.evaluate_quietly(node, cell.flow.final)
    if value is not None:
        return _catching(value)
    text = ast.unparse(node)
    if text.rpartition(".")[2] == "CancelledError" and "futures" not in text:
        return asyncio.CancelledError
    return BaseException if text == "BaseException" else None


def _catching(value: Value | None) -> type[BaseException] | None:
    """What of a class, or a tuple of classes, a CancelledError is an instance of."""
    many: Iterable[Value | None] = value.items if isinstance(value, Box) else ()
    if isinstance(value, Live) and type(value.obj) is tuple:
        many = map(Live, value.obj)
    elif isinstance(value, Live) and objects.is_class(value.obj):
        if value.obj is BaseException:
            return BaseException
        is_trios = objects.qualified_name(value.obj) in ("trio.Cancelled", "trio._core._exceptions.Cancelled")
        return asyncio.CancelledError if is_trios or value.obj is asyncio.CancelledError else None
    found = [catching for part in many if (catching := _catching(part)) is not None]
    return found[0] if found else None


def _suppress(cell: Cell, node: ast.With) -> Iterator[Diagnostic]:
    for item in node.items:
        call = item.context_expr
        if not isinstance(call, ast.Call):
            continue
        found = cell.flow.calls.get(call)
        name = function_name(found.function) if found is not None else ""
        is_suppress = name == "contextlib.suppress" if name else ast.unparse(call.func).endswith("suppress")
        caught = [catching for arg in call.args if (catching := _catches(cell, arg)) is not None]
        if is_suppress and caught and not (BaseException not in caught and _awaits_only_others(node.body)):
            message = f"`{cell.text(call)}` swallows the task's cancellation: it cannot be stopped here"
            yield cell.diagnostic(RULE, call, message, "Suppress `Exception` instead", severity="advice")


def _exit(cell: Cell, function: ast.AsyncFunctionDef, nodes: list[ast.AST]) -> Iterator[Diagnostic]:
    """`__aexit__` that returns True whatever the exception was."""
    given = {arg.arg for arg in function.args.args[1:]} | {a.arg for a in [function.args.vararg] if a is not None}
    asked = (n.test for n in nodes if isinstance(n, (ast.If, ast.IfExp)))
    if any(isinstance(n, ast.Name) and n.id in given for test in asked for n in ast.walk(test)):
        return
    for node in function.body:
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant) and node.value.value is True:
            message = "`return True` swallows every exception of the block, the task's cancellation too"
            hint = "Return True only `if exc_type is not None and issubclass(exc_type, Exception)`"
            yield cell.diagnostic(RULE, node, message, hint, severity="advice")


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
