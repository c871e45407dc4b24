"""reused-coroutine: a coroutine that has run is awaited again."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell

RULE = "reused-coroutine"


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
    seen: set[ast.AST] = set()
    for awaitable, node in cell.flow.reused:
        if node in seen:
            continue
        seen.add(node)
        what = cell.text(node.value) if isinstance(node, ast.Await) else cell.text(node)
        if awaitable.is_closed:
            message = f"the coroutine in `{what}` has run in an earlier cell: this raises RuntimeError"
        else:
            message = f"the coroutine in `{what}` is run a second time here: this raises RuntimeError"
        yield cell.diagnostic(
            RULE, node, message, "Call the async function again, or make a task, which may be awaited often"
        )
