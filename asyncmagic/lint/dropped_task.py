"""dropped-task: a task is started and nothing holds it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow.values import Awaitable, awaitables

RULE = "dropped-task"
#: Methods of a task that do not give it back.
_KEEP_NOTHING = frozenset(["add_done_callback", "set_name", "get_name", "done", "cancelled"])
_IGNORE_RESULTS = frozenset(
    [
        "add_done_callback",
        "add_signal_handler",
        "call_at",
        "call_later",
        "call_soon",
        "call_soon_threadsafe",
        "observe",
        "on_click",
    ]
)


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
        is_asked = _is_asked_and_dropped(cell, node)
        is_served &= not (is_asked or _is_returned_to_nobody(cell, node))
        lost = [t for t in group if t.is_overwritten or not (is_served or id(t) in kept)]
        if any(task.is_overwritten for task in lost) or (lost and (is_asked or not _is_read(cell, node))):
            text = cell.text(node)
            yield cell.diagnostic(
                RULE,
                node,
                f"nothing holds the task that `{text}` starts: Python may collect it while it runs",
                "Keep it in a variable and await it, or start it in an `asyncio.TaskGroup`",
                fix=_kept(cell, node),
            )


def _is_asked_and_dropped(cell: Cell, node: ast.AST) -> bool:
    """Whether all that happens to the task is `create_task(…).add_done_callback(…)`, which does not return it."""
    attribute = cell.parents.get(node)
    return isinstance(attribute, ast.Attribute) and attribute.attr in _KEEP_NOTHING


def _is_returned_to_nobody(cell: Cell, node: ast.AST) -> bool:
    """Whether a lambda returns the task to somebody who ignores what it returns."""
    function = cell.parents.get(node)
    call = cell.parents.get(function) if isinstance(function, ast.Lambda) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in _IGNORE_RESULTS


def _is_read(cell: Cell, node: ast.AST) -> bool:
    """Whether a name that holds the task is read somewhere."""
    statement = cell.statement_of(node)
    if not isinstance(statement, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
        return False
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    scope = cell.function_of(node) or cell.tree
    names = {
        n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    loads = {n.id for n in ast.walk(scope) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return bool(names & loads)


def _kept(cell: Cell, node: ast.AST) -> str | None:
    return cell.inserted(node, "task = ") if isinstance(cell.parents.get(node), ast.Expr) else None
