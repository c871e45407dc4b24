"""dropped-task: a task is started and nothing holds it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow.values import Awaitable, awaitables

RULE = "dropped-task"


def check(cell: Cell) -> Iterator[Diagnostic]:
    """The loop holds its tasks weakly: one that nothing else holds may vanish while it runs, its errors unread.

    Wrong:

        asyncio.create_task(poll(url))

    Right:

        poller = asyncio.create_task(poll(url))       # and later: await poller
    """
    made: dict[ast.AST, list[Awaitable]] = defaultdict(list)
    for awaitable in cell.flow.made:
        if awaitable.kind == "task" and awaitable.node is not None:
            made[awaitable.node].append(awaitable)
    kept = {id(a.root) for a in cell.flow.kept()}
    shown = {id(a.root) for a in awaitables(cell.flow.values.get(cell.displayed))} if cell.displayed else set()
    for node, group in made.items():
        is_served = any(task.is_served or task.uses or id(task) in shown for task in group)
        is_served &= not _is_only_given_a_callback(cell, node)
        lost = [t for t in group if t.is_overwritten or not (is_served or id(t) in kept)]
        if lost and not _is_read(cell, node):
            text = cell.text(node)
            yield cell.diagnostic(
                RULE,
                node,
                f"nothing holds the task that `{text}` starts: Python may collect it while it runs",
                "Keep it in a variable and await it, or start it in an `asyncio.TaskGroup`",
                fix=_kept(cell, node),
            )


def _is_only_given_a_callback(cell: Cell, node: ast.AST) -> bool:
    """Whether all that happens to the task is `create_task(…).add_done_callback(…)`, which returns nothing."""
    attribute = cell.parents.get(node)
    if not (isinstance(attribute, ast.Attribute) and attribute.attr in ("add_done_callback", "set_name")):
        return False
    call = cell.parents.get(attribute)
    return isinstance(call, ast.Call) and isinstance(cell.parents.get(call), ast.Expr)


def _is_read(cell: Cell, node: ast.AST) -> bool:
    """Whether a name that holds the task is read somewhere."""
    statement = cell.statement_of(node)
    if not isinstance(statement, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
        return False
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    scope = cell.function_of(node) or cell.tree
    names = {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    loads = {n.id for n in ast.walk(scope) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return bool(names & loads)


def _kept(cell: Cell, node: ast.AST) -> str | None:
    return cell.inserted(node, "task = ") if isinstance(cell.parents.get(node), ast.Expr) else None
