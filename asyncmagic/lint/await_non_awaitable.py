"""await-non-awaitable: `await`, `async for` or `async with` on something that is not asynchronous."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow.kinds import is_async_function, is_async_iterable, is_awaitable, is_manager
from asyncmagic.lint.flow.values import AsyncGenerator, Either, Live, Value

RULE = "await-non-awaitable"


def check(cell: Cell) -> Iterator[Diagnostic]:
    """`await` needs a coroutine, a task or a future; on anything else the cell stops with a TypeError.

    Wrong:

        response = await client.get(url)
        data = await response.json()          # httpx has the body already: json() is an ordinary method

    Right:

        response = await client.get(url)
        data = response.json()
    """
    flow = cell.flow
    reported: set[ast.AST] = set()
    for awaited, value in flow.awaits:
        if awaited in reported or _is_guarded(cell, awaited) or _is_none_by_name(awaited.value, value):
            continue
        if is_awaitable(flow, value) is False:
            reported.add(awaited)
            yield _awaited(cell, awaited, value)
    for node in cell.nodes:
        if isinstance(node, ast.AsyncFor) or (isinstance(node, ast.comprehension) and node.is_async):
            yield from _iterated(cell, node.iter)
        elif isinstance(node, ast.AsyncWith):
            for item in node.items:
                value = flow.values.get(item.context_expr)
                if is_manager(flow, value, is_async=True) is False and not isinstance(value, Either):
                    text = cell.text(item.context_expr)
                    yield cell.diagnostic(
                        RULE, item.context_expr, f"`{text}` is no asynchronous context manager", "Use a plain `with`"
                    )


def _awaited(cell: Cell, node: ast.Await, value: Value | None) -> Diagnostic:
    text = cell.text(node.value)
    if isinstance(value, AsyncGenerator):
        message, hint = f"`{text}` is an asynchronous generator, which cannot be awaited", "Go over it with `async for`"
        return cell.diagnostic(RULE, node, message, hint)
    if not isinstance(node.value, ast.Call) and is_async_function(cell.flow, value):
        return cell.diagnostic(RULE, node, f"`{text}` is a function that is not called", f"Call it: `await {text}()`")
    start = cell.position(node)
    fix = cell.replaced(node, node.value) if start else None
    return cell.diagnostic(
        RULE, node, f"`{text}` is nothing that can be awaited: this raises TypeError", "Take the `await` away", fix=fix
    )


def _iterated(cell: Cell, node: ast.expr) -> Iterator[Diagnostic]:
    if is_async_iterable(cell.flow, cell.flow.values.get(node)) is False:
        text = cell.text(node)
        yield cell.diagnostic(RULE, node, f"`{text}` cannot be gone over with `async for`", "Use a plain `for`")


def _is_guarded(cell: Cell, node: ast.Await) -> bool:
    """Whether the cell asks first what the value is."""
    name = node.value.id if isinstance(node.value, ast.Name) else None
    for parent in cell.above(node):
        tested = ast.walk(parent.test) if isinstance(parent, (ast.If, ast.IfExp)) else ()
        if name is not None and any(isinstance(n, ast.Name) and n.id == name for n in tested):
            return True
        if isinstance(parent, ast.Try) and any(
            isinstance(n, ast.Name) and n.id == "TypeError" for h in parent.handlers if h.type for n in ast.walk(h.type)
        ):
            return True
    return False


def _is_none_by_name(node: ast.expr, value: Value | None) -> bool:
    """None in a variable or attribute is usually "not yet", which other code will change."""
    return isinstance(node, (ast.Name, ast.Attribute)) and isinstance(value, Live) and value.obj is None
