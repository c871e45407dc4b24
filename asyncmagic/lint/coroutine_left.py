"""coroutine-left: the cell ends, and a name holds a coroutine that has not run."""

from __future__ import annotations

from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.fates import left, left_in_objects

RULE = "coroutine-left"


def check(cell: Cell) -> Iterator[Diagnostic]:
    """A coroutine kept in a name has not run, and will not until something awaits it.

    Wrong:

        answers = [ask(q) for q in questions]                       # a list of coroutines, no answers

    Right:

        answers = await asyncio.gather(*[ask(q) for q in questions])
    """
    if cell.is_agents:
        return  # What is left in a name is started when the cell ends.
    for node, _, _ in [*left(cell, "missing-await"), *left(cell, "async-callback"), *left_in_objects(cell)]:
        yield cell.diagnostic(
            RULE,
            node,
            f"`{cell.text(node)}` makes a coroutine that is still waiting to run when the cell ends",
            "Await it here, or in a later cell",
        )
