"""missing-await: something awaitable is made, and dropped or used as if it were its result."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.fates import lost, misused
from asyncmagic.lint.flow.values import Awaitable, Box

RULE = "missing-await"


def check(cell: Cell) -> Iterator[Diagnostic]:
    """A coroutine that nothing awaits does not run, and is not the value that you want.

    Wrong:

        page = fetch(url)
        print(page.title)        # AttributeError: 'coroutine' object has no attribute 'title'

    Right:

        page = await fetch(url)
        print(page.title)
    """
    for node, why, use in [*misused(cell, RULE), *lost(cell, RULE)]:
        yield _diagnostic(cell, node, why, use)


def _diagnostic(cell: Cell, node: ast.AST, why: str, use: ast.AST | None) -> Diagnostic:
    expression = node if isinstance(node, ast.expr) else None
    fix = cell.awaited_fix(expression) if expression is not None else None
    if isinstance(cell.flow.values.get(node), Box):
        fix, hint = None, f"Gather them: `await asyncio.gather(*{cell.text(node)})`"
    elif cell.is_script and cell.function_of(node) is None:
        value = cell.flow.values.get(node)
        is_coroutine = expression is not None and isinstance(value, Awaitable) and value.kind == "coroutine"
        fix = cell.run_fix(expression) if is_coroutine and expression is not None else None
        run = f"asyncio.run({cell.text(node)})" if is_coroutine else "asyncio.run(main())"
        hint = f"Run it: `{run}`" if is_coroutine else f"Await it in an `async def main()`, and run that: `{run}`"
    elif cell.can_await(node):
        hint = f"Await it: `await {cell.text(node)}`"
    else:
        hint = "A plain function cannot await: make it `async def`, and await it where it is called"
    line = getattr(use, "lineno", None)
    where = f" on line {line}" if line and line != getattr(node, "lineno", None) else ""
    return cell.diagnostic(RULE, node, f"`{cell.text(node)}` {why}{where}", hint, fix=fix)
