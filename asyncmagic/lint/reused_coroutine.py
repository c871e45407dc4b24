"""reused-coroutine: a coroutine that has run is awaited again."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell, Header
from asyncmagic.lint.flow.kinds import function_name

RULE = "reused-coroutine"
_REMEMBERING = frozenset(["functools.lru_cache", "functools.cache", "functools.cached_property"])


def check(cell: Cell) -> Iterator[Diagnostic]:
    """A coroutine runs once; awaiting it again raises "cannot reuse already awaited coroutine".

    Wrong:

        answer = ask("why?")
        first = await answer
        second = await answer                     # RuntimeError

    Right:

        first = await ask("why?")
        second = await ask("why?")                # or a task, which may be awaited often:
        task = asyncio.create_task(ask("why?"))
    """
    for node in cell.nodes:
        if isinstance(node, ast.AsyncFunctionDef):
            yield from _cached(cell, node)
    seen: set[ast.AST] = set()
    for awaitable, node in cell.flow.reused:
        if node in seen:
            continue
        seen.add(node)
        what = cell.text(node.value) if isinstance(node, ast.Await) else cell.text(node)
        if isinstance(cell.parents.get(node), ast.arguments):
            message = (
                f"the default `{what}` is made once, when the function is defined: its coroutine can be run only once"
            )
        elif awaitable.is_closed:
            message = f"the coroutine in `{what}` has run in an earlier cell: this raises RuntimeError"
        else:
            message = f"the coroutine in `{what}` is run a second time here: this raises RuntimeError"
        yield cell.diagnostic(
            RULE, node, message, "Call the async function again, or make a task, which may be awaited often"
        )


def _cached(cell: Cell, node: ast.AsyncFunctionDef) -> Iterator[Diagnostic]:
    """An async function whose coroutine is remembered: the second who asks gets one that has run."""
    for decorator in node.decorator_list:
        function = decorator.func if isinstance(decorator, ast.Call) else decorator
        if function_name(cell.flow.values.get(function)) in _REMEMBERING:
            message = (
                f"`{cell.text(decorator)}` remembers the coroutine of `{node.name}`, which can be awaited only once"
            )
            hint = "Keep the results in a dict of your own, or use `alru_cache` of the package async_lru"
            yield cell.diagnostic(RULE, Header(node), message, hint)
