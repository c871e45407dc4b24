"""What became of the awaitables that a cell makes: lost, left behind, or used as if they were results."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow.sources import names_in
from asyncmagic.lint.flow.values import Awaitable, Box, Object, Use, awaitables

Finding = tuple[ast.AST, str, ast.AST | None]


def _made(cell: Cell, rule: str) -> dict[ast.AST, list[Awaitable]]:
    """The coroutines (and gathers) that the cell makes, by the expression that makes them."""
    found: dict[ast.AST, list[Awaitable]] = defaultdict(list)
    returned: dict[ast.AST, list[Awaitable]] = defaultdict(list)
    for awaitable in cell.flow.made:
        if awaitable.kind in ("coroutine", "future") and awaitable.rule == rule and awaitable.node is not None:
            found[awaitable.node].append(awaitable)
            if awaitable.returned is not None:
                returned[awaitable.returned].append(awaitable)
    for node, group in returned.items():
        # Nobody awaits what the function returned: the mistake is where it was returned, not at each call.
        if not any(awaitable.is_served for awaitable in group):
            for awaitable in group:
                assert awaitable.node is not None
                found[awaitable.node].remove(awaitable)
            found[node] = group
    return {node: group for node, group in found.items() if group}


def misused(cell: Cell, rule: str) -> Iterator[Finding]:
    """The awaitables used where only their result makes sense, and where."""
    for node, group in _made(cell, rule).items():
        uses = [use for awaitable in group for use in awaitable.uses]
        certain = [use for use in uses if use.is_certain]
        is_served = any(awaitable.is_served for awaitable in group)
        if certain or (uses and not is_served):
            use = (certain or uses)[0]
            yield node, _says(use, group[0]), use.node
    if rule == "missing-await":
        yield from _misused_others(cell)


def _misused_others(cell: Cell) -> Iterator[Finding]:
    """Tasks, and awaitables from before the cell, used as results: the place of the use is the mistake."""
    seen: set[int] = set()
    for value in list(cell.flow.values.values()):
        for awaitable in awaitables(value):
            root = awaitable.root
            if id(root) in seen or (root.is_registered and root.kind in ("coroutine", "future")):
                continue
            seen.add(id(root))
            for use in root.uses:
                if use.is_certain or root.is_agent:
                    node = _operand(cell, use.node, root)
                    what = f"is {_article(root)}, not its result"
                    if isinstance(cell.flow.values.get(node), Box):
                        what = f"holds {root.kind if root.kind in _PLURAL else 'awaitable'}s, not their results"
                    if root.is_direct and root.kind == "coroutine" and root.node is not None:
                        yield root.node, _says(use, root), use.node
                    else:
                        yield node, f"{what}: it is {use.how}", None
                    break


def _operand(cell: Cell, node: ast.AST, root: Awaitable) -> ast.AST:
    """The part of an expression that is the awaitable: `x` in `x.title`, `len(x)` and `x + 1`."""
    for part in ast.iter_child_nodes(node):
        if any(awaitable.root is root for awaitable in awaitables(cell.flow.values.get(part))):
            return part
    return node.value if isinstance(node, (ast.Attribute, ast.Subscript)) else node


_PLURAL = ("task", "future", "coroutine")


def _article(awaitable: Awaitable) -> str:
    return {"task": "a task", "future": "a future", "coroutine": "a coroutine"}.get(awaitable.kind, "an awaitable")


def _says(use: Use, awaitable: Awaitable) -> str:
    return f"makes {_article(awaitable)}, not its result, and it is {use.how}"


def lost(cell: Cell, rule: str) -> Iterator[Finding]:
    """The coroutines that nothing can await any more."""
    kept = {id(awaitable.root) for awaitable in cell.flow.kept()}
    for node, group in _made(cell, rule).items():
        if any(awaitable.uses for awaitable in group):
            continue
        is_served = any(awaitable.is_served for awaitable in group)
        gone = [a for a in group if a.is_overwritten or (not is_served and not a.is_served and id(a) not in kept)]
        if gone:
            is_future = gone[0].kind == "future"
            what = "a future" if is_future else "a coroutine"
            yield node, f"makes {what}, and nothing awaits it" + ("" if is_future else ": it never runs"), None


def left(cell: Cell, rule: str) -> Iterator[Finding]:
    """The coroutines that the cell leaves in its names."""
    kept = {id(awaitable.root) for awaitable in cell.flow.kept()}
    for node, group in _made(cell, rule).items():
        is_served = any(a.is_served or a.uses or a.is_overwritten for a in group)
        if not is_served and any(id(a) in kept and a.kind == "coroutine" for a in group):
            yield node, "", None


def left_in_objects(cell: Cell) -> Iterator[Finding]:
    """What methods have put into the objects that the cell's names hold, and no async method of them asks for."""
    seen: set[ast.AST] = set()
    for value in cell.flow.final.names.values():
        for part in cell.flow.reachable(value):
            if not isinstance(part, Object) or not cell.flow.is_cell_code(part.cls.node):
                continue
            methods = [m for m in part.cls.node.body if isinstance(m, (ast.FunctionDef, ast.AsyncFunctionDef))]
            awaiting = [m for m in methods if isinstance(m, ast.AsyncFunctionDef) or m.name == "__await__"]
            asked = {name for method in awaiting for name in names_in(method)}
            held = [v for name, v in part.attributes.items() if name not in asked]
            for awaitable in (a for v in held for a in awaitables(v)):
                node = awaitable.node
                is_left = awaitable.kind == "coroutine" and not (awaitable.root.is_served or awaitable.root.uses)
                is_new = node is not None and node not in seen and cell.flow.is_cell_code(node)
                if node is not None and is_left and is_new and not awaitable.is_registered:
                    seen.add(node)
                    yield node, "", None
