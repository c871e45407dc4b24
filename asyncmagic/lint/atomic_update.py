"""atomic-update: a shared value is read, then awaited, then written: updates in between are lost."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow.sources import facts, own_nodes
from asyncmagic.lint.reach import definition

RULE = "atomic-update"
_LOCKS = ("lock", "mutex", "sem", "condition", "cond", "guard")
_Position = tuple[int, int]


def check(cell: Cell) -> Iterator[Diagnostic]:
    """Another task may change the value during the `await`; writing the old one back undoes its work.

    Wrong:

        async def add(url):
            global total
            total += await size(url)              # reads total, waits, writes

    Right:

        async def add(url):
            global total
            found = await size(url)
            total += found
    """
    for function in cell.nodes:
        if isinstance(function, ast.AsyncFunctionDef) and not _runs_alone(cell, function):
            yield from _function(cell, function)


def _function(cell: Cell, function: ast.AsyncFunctionDef) -> Iterator[Diagnostic]:
    nodes = list(own_nodes(function))
    shared = {name for n in nodes if isinstance(n, (ast.Global, ast.Nonlocal)) for name in n.names}
    local = facts(function).local
    awaits = sorted(_position(n) for n in nodes if isinstance(n, ast.Await))
    arguments = [*function.args.posonlyargs, *function.args.args]
    this = arguments[0].arg if arguments and isinstance(cell.parents.get(function), ast.ClassDef) else None
    for node in nodes:
        target = _target(node)
        if target is None or not _is_shared(target, shared, local, this) or _is_locked(cell, node, function):
            continue
        value = node.value  # type: ignore[attr-defined]
        if _loses(cell, node, target, value, nodes, awaits):
            text = cell.text(target)
            yield cell.diagnostic(
                RULE,
                node,
                f"`{text}` is read before the `await` and written after it: what other tasks write meanwhile is lost",
                f"Await first, then read and write `{text}`; or hold an `asyncio.Lock`",
                severity="advice",
            )


def _target(node: ast.AST) -> ast.expr | None:
    if isinstance(node, ast.AugAssign):
        return node.target
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        return node.targets[0]
    return None


def _position(node: ast.AST) -> _Position:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _is_shared(target: ast.expr, shared: set[str], local: frozenset[str], this: str | None) -> bool:
    """Whether other tasks see the target too."""
    if isinstance(target, ast.Name):
        return target.id in shared
    base: ast.expr = target
    while isinstance(base, (ast.Attribute, ast.Subscript)):
        base = base.value
    if not isinstance(target, (ast.Attribute, ast.Subscript)) or not isinstance(base, ast.Name):
        return False
    return base.id == this or base.id in shared or base.id not in local


def _is_locked(cell: Cell, node: ast.AST, function: ast.AST) -> bool:
    """Whether the update stands under an asynchronous lock (or under what may be one)."""
    for parent in cell.above(node):
        if parent is function:
            return False
        if isinstance(parent, ast.AsyncWith):
            for item in parent.items:
                text = ast.unparse(item.context_expr).lower()
                if any(word in text for word in _LOCKS) or cell.flow.values.get(item.context_expr) is None:
                    return True
                kind = str(getattr(cell.flow.values[item.context_expr], "cls", ""))
                if any(word in kind.lower() for word in _LOCKS):
                    return True
                live = type(getattr(cell.flow.values[item.context_expr], "obj", None)).__name__
                if any(word in live.lower() for word in _LOCKS):
                    return True
    return False


def _loses(
    cell: Cell,
    node: ast.AST,
    target: ast.expr,
    value: ast.expr,
    nodes: list[ast.AST],
    awaits: list[_Position],
) -> bool:
    inside = [_position(n) for n in ast.walk(value) if isinstance(n, ast.Await)]
    if isinstance(node, ast.AugAssign):
        return bool(inside)
    text = ast.unparse(target)
    if inside:
        first = min(inside)
        if any(position < first for position in _reads(value, text)):
            return True
        return _is_checked_before(cell, node, target)
    # before = shared … await … shared = before + 1
    for other in nodes:
        if isinstance(other, ast.Assign) and isinstance(other.targets[0], ast.Name) and other is not node:
            name = other.targets[0].id
            if _reads(other.value, text) and _uses(value, name) and other.lineno < getattr(node, "lineno", 0):
                is_fresh = any(
                    isinstance(n, ast.Assign)
                    and _stores(n, name)
                    and other.lineno < n.lineno < getattr(node, "lineno", 0)
                    for n in nodes
                )
                if not is_fresh and any(_position(other) < awaited < _position(node) for awaited in awaits):
                    return True
    return _is_checked_before(cell, node, target, awaits)


def _reads(node: ast.expr, text: str) -> list[_Position]:
    kinds = (ast.Name, ast.Attribute, ast.Subscript)
    return [
        _position(n)
        for n in ast.walk(node)
        if (isinstance(n, kinds) and isinstance(n.ctx, ast.Load) and ast.unparse(n) == text) or _got(n) == text
    ]


def _got(node: ast.AST) -> str | None:
    """What `counts.get(key, 0)` reads: `counts[key]`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"):
        return None
    return f"{ast.unparse(node.func.value)}[{ast.unparse(node.args[0])}]" if node.args else None


def _uses(node: ast.expr, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))


def _stores(node: ast.Assign, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for t in node.targets for n in ast.walk(t))


def _is_checked_before(cell: Cell, node: ast.AST, target: ast.expr, awaits: list[_Position] | None = None) -> bool:
    """Whether a condition on the same place decided about the write, and an `await` stands between."""
    base = ast.unparse(target.value if isinstance(target, ast.Subscript) else target)
    child: ast.AST = node
    for parent in cell.above(node):
        if isinstance(parent, (ast.AsyncFunctionDef, ast.FunctionDef)):
            return False
        if isinstance(parent, ast.If) and child in parent.body and _reads(parent.test, base):
            if awaits is None:
                return True
            return any(_position(parent) < awaited < _position(node) for awaited in awaits)
        child = parent
    return False


def _runs_alone(cell: Cell, function: ast.AsyncFunctionDef) -> bool:
    """Whether the cell calls the function only by awaiting it directly, one call after another."""
    name, is_method = function.name, isinstance(cell.parents.get(function), ast.ClassDef)
    calls = []
    for node, call in cell.flow.calls.items():
        called = node.func.attr if is_method and isinstance(node.func, ast.Attribute) else None
        if definition(call.function) is function or called == name:
            calls.append(node)
        if any(definition(value) is function for value in call.values):
            return False
    return bool(calls) and all(
        isinstance(cell.parents.get(node), ast.Await) and cell.function_of(node) is None for node in calls
    )
