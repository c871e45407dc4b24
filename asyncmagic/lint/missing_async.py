"""missing-async: a plain `for`, `with` or `def` where its asynchronous form is needed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell, Header
from asyncmagic.lint.flow.kinds import function_name, is_async_iterable, is_iterable, is_manager
from asyncmagic.lint.flow.sources import facts
from asyncmagic.lint.flow.values import AsyncGenerator, Value

RULE = "missing-async"
_CONSUMERS = frozenset(
    f"builtins.{name}"
    for name in [
        "list",
        "tuple",
        "set",
        "frozenset",
        "sum",
        "sorted",
        "next",
        "iter",
        "any",
        "all",
        "min",
        "max",
        "enumerate",
        "zip",
        "map",
        "filter",
        "dict",
        "len",
        "str.join",
    ]
)


def check(cell: Cell) -> Iterator[Diagnostic]:
    """Asynchronous generators and context managers need `async for` and `async with`; `await` needs `async def`.

    Wrong:

        for chunk in stream_answer(prompt):            # TypeError: 'async_generator' object is not iterable
            print(chunk)

    Right:

        async for chunk in stream_answer(prompt):
            print(chunk)
    """
    for node in cell.nodes:
        if isinstance(node, ast.For):
            yield from _loop(cell, node, node.iter)
        elif isinstance(node, ast.comprehension) and not node.is_async:
            yield from _loop(cell, node.iter, node.iter)
        elif isinstance(node, ast.With):
            yield from _with(cell, node)
        elif isinstance(node, ast.Call):
            yield from _call(cell, node)
        elif isinstance(node, (ast.Starred, ast.YieldFrom)):
            yield from _loop(cell, node, node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Tuple, ast.List)):
            yield from _loop(cell, node.value, node.value)
        elif isinstance(node, ast.Expr):
            yield from _dropped(cell, node)
        elif isinstance(node, ast.FunctionDef):
            yield from _definition(cell, node)
        elif isinstance(node, ast.Lambda) and facts(node).awaits:
            message = "a lambda cannot await: the cell does not run"
            yield cell.diagnostic(RULE, node, message, "Write an `async def`, or return the coroutine without `await`")


def _needs_async_for(cell: Cell, value: Value | None) -> bool:
    return is_async_iterable(cell.flow, value) is True and is_iterable(cell.flow, value) is False


def _loop(cell: Cell, node: ast.AST, iterated: ast.expr) -> Iterator[Diagnostic]:
    if _needs_async_for(cell, cell.flow.values.get(iterated)):
        text = cell.text(iterated)
        fix = cell.inserted(node, "async ") if isinstance(node, ast.For) and cell.can_await(node) else None
        yield cell.diagnostic(
            RULE,
            iterated,
            f"`{text}` is asynchronous: a plain loop over it raises TypeError",
            f"Write `async for … in {text}`",
            fix=fix,
        )


def _with(cell: Cell, node: ast.With) -> Iterator[Diagnostic]:
    for item in node.items:
        value = cell.flow.values.get(item.context_expr)
        if is_manager(cell.flow, value, is_async=False) is False and (
            is_manager(cell.flow, value, is_async=True) is True or isinstance(value, AsyncGenerator)
        ):
            text = cell.text(item.context_expr)
            fix = cell.inserted(node, "async ") if cell.can_await(node) else None
            yield cell.diagnostic(
                RULE,
                item.context_expr,
                f"`{text}` is an asynchronous context manager: a plain `with` on it fails",
                f"Write `async with {text}`",
                fix=fix,
            )


def _entered(cell: Cell, node: ast.expr) -> Iterator[Diagnostic]:
    value = cell.flow.values.get(node)
    if is_manager(cell.flow, value, is_async=False) is False and is_manager(cell.flow, value, is_async=True) is True:
        message = f"`{cell.text(node)}` is an asynchronous context manager: a plain stack cannot enter it"
        hint = "Use `contextlib.AsyncExitStack`, and await its `enter_async_context`"
        yield cell.diagnostic(RULE, node, message, hint)


def _call(cell: Cell, node: ast.Call) -> Iterator[Diagnostic]:
    call = cell.flow.calls.get(node)
    if call is not None and function_name(call.function).endswith("ExitStack.enter_context") and node.args:
        yield from _entered(cell, node.args[0])
    if call is None or function_name(call.function) not in _CONSUMERS:
        return
    name = function_name(call.function).rpartition(".")[2]
    for argument in node.args:
        if _needs_async_for(cell, cell.flow.values.get(argument)):
            text = cell.text(argument)
            hint = f"Write `await anext({text})`" if name == "next" else f"Write `[item async for item in {text}]`"
            yield cell.diagnostic(RULE, argument, f"`{text}` is asynchronous: `{name}()` cannot go over it", hint)


def _dropped(cell: Cell, node: ast.Expr) -> Iterator[Diagnostic]:
    value = cell.flow.values.get(node.value)
    is_made_here = isinstance(value, AsyncGenerator) and isinstance(node.value, ast.Call) and not value.is_used
    if is_made_here and node.value is not cell.displayed:
        text = cell.text(node.value)
        message = f"`{text}` makes an asynchronous generator, and nothing goes over it: it never runs"
        yield cell.diagnostic(RULE, node.value, message, f"Write `async for item in {text}: …`")


def _definition(cell: Cell, node: ast.FunctionDef) -> Iterator[Diagnostic]:
    """A plain function with `await` in it: Python refuses the whole cell."""
    if facts(node).awaits:
        fix = cell.inserted(node, "async ") if not node.decorator_list else None
        message = f"`{node.name}` awaits, but is a plain `def`: the cell does not run"
        yield cell.diagnostic(RULE, Header(node), message, f"Write `async def {node.name}`", fix=fix)
