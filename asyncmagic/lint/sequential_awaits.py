"""sequential-awaits: independent calls that wait for one another."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.call_words import MUTATING
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.independence import (
    are_independent,
    argument_names,
    awaited_call,
    base_of,
    called_source,
    inside,
    is_asyncios,
    is_clock,
    is_guard,
    may_overlap,
    names,
)

RULE = "sequential-awaits"
_Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_Statement: TypeAlias = ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Return | ast.Expr
#: Methods that open what is read in the body of their `async with`.
_OPENING = frozenset({"get", "head", "options", "request", "stream"})


def check(cell: Cell) -> Iterator[Diagnostic]:
    """Calls that do not need each other's results can wait at the same time.

    Slow:

        pages = [await fetch(url) for url in urls]           # one after another

    Fast:

        pages = await asyncio.gather(*[fetch(url) for url in urls])
    """
    for node in cell.nodes:
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp)):
            yield from _comprehension(cell, node)
        elif isinstance(node, ast.For):
            yield from _loop(cell, node)
        elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            yield from _together(cell, node.elts)
        elif isinstance(node, ast.Dict):
            yield from _together(cell, node.values)
        elif isinstance(node, ast.BinOp):
            yield from _together(cell, [node.left, node.right])
        elif isinstance(node, ast.JoinedStr):
            yield from _together(cell, [part for part in node.values if _awaits(part)])
        elif isinstance(node, ast.Call) and not _shows(node) and not is_asyncios(cell, node):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            yield from _together(cell, [part for part in given if _awaits(part)])
        body = getattr(node, "body", None)
        for statements in (body, getattr(node, "orelse", None), getattr(node, "finalbody", None)):
            if isinstance(statements, list):
                yield from _row(cell, statements)


def _say(cell: Cell, node: ast.AST, what: str, hint: str, fix: str | None = None) -> Diagnostic:
    return cell.diagnostic(RULE, node, what, hint, fix=fix, severity="advice")


def _comprehension(cell: Cell, node: _Comprehension) -> Iterator[Diagnostic]:
    element = node.value if isinstance(node, ast.DictComp) else node.elt
    awaits = _awaits(node)
    if len(awaits) != 1 or not _always_awaits(element) or any(g.is_async for g in node.generators):
        return
    call = awaited_call(cell, awaits[0])
    if call is None or len(node.generators) > 1:
        return
    if isinstance(cell.parents.get(node), ast.Await):
        return  # That is another mistake.
    targets = names(node.generators[0].target)
    if not may_overlap(cell, call, targets):
        return
    fix = None
    if isinstance(node, ast.ListComp) and element is awaits[0]:
        text = cell.text(node, 10_000).replace("[await ", "[", 1)
        fix = cell.replaced_with(node, f"await asyncio.gather(*{text})") if _has_asyncio(cell) else None
    yield _say(
        cell,
        node,
        f"`{cell.text(call)}` is awaited for one element after another",
        "Start them together: `await asyncio.gather(*[… for …])`",
        fix,
    )


def _loop(cell: Cell, node: ast.For) -> Iterator[Diagnostic]:
    parts = [n for s in node.body for n in [s, *inside(s)]]
    first = min((n for n in parts if _waits(n)), key=_position, default=None)
    stops = (ast.Break, ast.Return, ast.AsyncFor, ast.Yield, ast.YieldFrom, ast.Raise)
    if first is None or any(isinstance(n, stops) or _shows_time(n) for n in parts):
        return
    managers = [item.context_expr for n in parts if isinstance(n, ast.AsyncWith) for item in n.items]
    call = awaited_call(cell, first) if isinstance(first, ast.Await) else _opened(cell, first)
    if call is None or any(m is not call and not _is_harmless(m) for m in managers):
        return
    targets = names(node.target)
    for step in node.body:
        if isinstance(step, ast.Assign) and _position(step) < _position(call) and names(step.value, ast.Load) & targets:
            targets |= names(step)
    if not may_overlap(cell, call, targets) or not names(call, ast.Load) & targets:
        return
    statement = cell.statement_of(first)
    if isinstance(statement, ast.Expr) and statement.value is first:
        return  # The result is not used: it is the effects that count, and perhaps their order.
    if _needs_earlier_turns(cell, node, call, parts):
        return
    others = [n for n in parts if isinstance(n, ast.Await) and n is not first]
    if not _depend_on(others, first, statement, cell) or not _keeps(parts):
        return
    yield _say(
        cell,
        first,
        f"`{cell.text(call)}` is awaited for one element after another",
        f"Start them together: `await asyncio.gather(*[{cell.text(call)} for {cell.text(node.target)} in …])`"
        if isinstance(first, ast.Await)
        else "Put what one turn does into an `async def`, and start them together: `await asyncio.gather(*[… for …])`",
    )


def _position(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _waits(node: ast.AST) -> bool:
    """An `await`, or what an `async with` opens, unless that only limits or holds what stands in it."""
    return isinstance(node, ast.Await) or (isinstance(node, ast.Call) and _opens(node))


def _opens(node: ast.expr) -> bool:
    """`session.get(url)` and the like, as an async manager."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _OPENING


def _opened(cell: Cell, node: ast.AST) -> ast.Call | None:
    parent = cell.parents.get(node)
    is_manager = isinstance(parent, ast.withitem) and isinstance(cell.parents[parent], ast.AsyncWith)
    return node if is_manager and isinstance(node, ast.Call) else None


def _is_harmless(manager: ast.expr) -> bool:
    """Whether every turn may have such an async manager of its own at the same time."""
    name = ast.unparse(manager).partition("(")[0].rpartition(".")[2]
    return not is_guard(manager) and name in ("timeout", "ClientSession", "AsyncClient")


def _shows_time(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and is_clock(node.func)


def _needs_earlier_turns(cell: Cell, loop: ast.For, call: ast.Call, parts: list[ast.AST]) -> bool:
    """Whether the call, or whether it is made, depends on what earlier turns of the loop left."""
    stored = {n.id for n in parts if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    carried = {name for name in stored if not _is_fresh(loop.body, name)} - names(loop.target)
    changed = {base for n in parts if (base := _changed(n)) is not None}
    needed = set(argument_names(call)) | names(call.func, ast.Load)
    for other in parts:
        if isinstance(other, ast.If) and _position(other) < _position(call):
            decides = any(n is call or isinstance(n, ast.Continue) for n in ast.walk(other))
            needed |= names(other.test, ast.Load) if decides else set()
    for statement in reversed(loop.body):
        if isinstance(statement, ast.Assign) and names(statement, ast.Store) & needed:
            needed |= names(statement.value, ast.Load) if _position(statement) < _position(call) else set()
    if needed & carried:
        return True
    owner = base_of(call.func.value) if isinstance(call.func, ast.Attribute) else None
    shared = needed & (changed - (stored - carried))
    if shared == {owner} and isinstance(call.func, ast.Attribute):
        # The object's other attributes do not matter to a method that does not read them.
        places = {ast.unparse(place) for n in parts if (place := _place(n)) is not None and base_of(place) == owner}
        source = called_source(cell, call)
        known = {ast.unparse(n) for n in ast.walk(source.node) if isinstance(n, ast.Attribute)} if source else set()
        callee = ast.unparse(call.func.value)
        is_apart = not places & known if source is not None else callee != owner and callee not in places
        return owner in places or owner in argument_names(call) or not is_apart
    return bool(shared)


def _is_fresh(body: list[ast.stmt], name: str) -> bool:
    """Whether every turn binds the name anew before it reads it."""
    for statement in body:
        if not any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(statement)):
            continue
        if isinstance(statement, (ast.For, ast.AsyncWith, ast.With)):
            header = [statement.iter] if isinstance(statement, ast.For) else [i.context_expr for i in statement.items]
            bound = [statement.target] if isinstance(statement, ast.For) else [i.optional_vars for i in statement.items]
            if any(name in names(part, ast.Load) for part in header):
                return False
            return any(part is not None and name in names(part) for part in bound) or _is_fresh(statement.body, name)
        if isinstance(statement, ast.Try):
            return _is_fresh(statement.body, name)
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
            return False
        return name in names(statement) and name not in names(statement.value, ast.Load)
    return True


def _place(node: ast.AST) -> ast.expr | None:
    """What a node changes: `a.b` of `a.b.append(x)`, of `a.b[0] = x` and of `a.b = x`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATING:
        return node.func.value
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
        return node.value
    return node if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) else None


def _changed(node: ast.AST) -> str | None:
    place = _place(node)
    return base_of(place) if place is not None else None


def _depend_on(others: list[ast.Await], first: ast.AST, statement: ast.stmt | None, cell: Cell) -> bool:
    """Whether the other awaits of the turn work on what the first one gave."""
    known = names(statement, ast.Store) if statement is not None else set()
    for other in sorted(others, key=_position):
        if any(part is first for part in ast.walk(other)):
            continue
        if not known & names(other.value, ast.Load):
            return False
        found = cell.statement_of(other)
        known |= names(found, ast.Store) if found is not None else set()
    return True


def _keeps(parts: list[ast.AST]) -> bool:
    """Whether the loop keeps its results, rather than only showing them turn by turn."""
    shows = any(isinstance(n, ast.Call) and _shows(n) for n in parts)
    return not shows or any(_place(n) is not None or isinstance(n, ast.AugAssign) for n in parts)


def _row(cell: Cell, statements: list[ast.stmt]) -> Iterator[Diagnostic]:
    """Statements that follow one another, each with a call that needs nothing of the others."""
    row: list[tuple[_Statement, ast.Call]] = []
    for statement in [*statements, None]:
        step = _only_call(cell, statement)
        if step is not None and row and all(_are_independent(cell, earlier, step) for earlier in row):
            row.append(step)
            continue
        if len(row) > 1:
            calls = ", ".join(cell.text(c) for _, c in row)
            bound = [s.targets[0] for s, _ in row if isinstance(s, ast.Assign) and isinstance(s.value, ast.Await)]
            left = ", ".join(cell.text(target) for target in bound) + " = " if len(bound) == len(row) else ""
            yield _say(
                cell,
                cell.parents[row[1][1]],
                f"these {len(row)} awaits wait one after another, and do not need each other",
                f"Write `{left}await asyncio.gather({calls})`",
            )
        row = []
        if step is not None and may_overlap(cell, step[1], set(), is_row=True):
            row = [step]


def _only_call(cell: Cell, statement: ast.stmt | None) -> tuple[_Statement, ast.Call] | None:
    """A statement and the call of its one `await`, if it binds, keeps or returns what comes of it."""
    if isinstance(statement, ast.Expr):
        kept = statement.value
        is_kept = isinstance(kept, ast.Call) and isinstance(kept.func, ast.Attribute) and kept.func.attr in MUTATING
        if not is_kept:
            return None
    elif not isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return)):
        return None
    value = statement.value
    awaits = _awaits(value) if value is not None else []
    if value is None or len(awaits) != 1 or not _always_awaits(value):
        return None
    call = awaited_call(cell, awaits[0])
    return (statement, call) if call is not None else None


def _awaits(node: ast.AST) -> list[ast.Await]:
    return [n for n in ast.walk(node) if isinstance(n, ast.Await)]


def _shows(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id in ("print", "display")


def _always_awaits(element: ast.expr) -> bool:
    """Whether the one `await` in an expression is reached whatever else is in it."""
    inside = list(ast.walk(element))
    return any(isinstance(n, ast.Await) for n in inside) and not any(
        isinstance(n, (ast.IfExp, ast.BoolOp, ast.NamedExpr, ast.Lambda, *_COMPREHENSIONS)) for n in inside
    )


def _together(cell: Cell, parts: Sequence[ast.expr]) -> Iterator[Diagnostic]:
    """Results of calls that need nothing of one another, side by side in one expression."""
    row: list[ast.Call] = []
    for part in parts:
        awaits = _awaits(part)
        call = awaited_call(cell, awaits[0]) if len(awaits) == 1 else None
        if call is None or not may_overlap(cell, call, set(), is_row=True):
            return
        row.append(call)
    if len(row) > 1 and all(are_independent(cell, a, b) for a, b in itertools.combinations(row, 2)):
        calls = ", ".join(cell.text(call) for call in row)
        yield _say(
            cell,
            cell.parents[row[1]],
            f"these {len(row)} awaits wait one after another, and do not need each other",
            f"Await them together: `await asyncio.gather({calls})`",
        )


def _are_independent(cell: Cell, a: tuple[_Statement, ast.Call], b: tuple[_Statement, ast.Call]) -> bool:
    """Whether the second call needs nothing that the first statement binds or changes."""
    bound = names(a[0], ast.Store)
    changed = {base for n in ast.walk(a[0]) if (base := _changed(n)) is not None}
    targets = [t for s, _ in (a, b) if isinstance(s, ast.Assign) for t in s.targets]
    owners = {base_of(t) for t in targets if isinstance(t, ast.Attribute)}
    needed = names(b[1], ast.Load)
    if (bound | changed) & needed or owners & (names(a[1], ast.Load) | needed):
        return False
    if not isinstance(a[0], ast.AugAssign) and bound & names(b[0], ast.Store):
        return False
    return may_overlap(cell, b[1], set(), is_row=True) and are_independent(cell, a[1], b[1])


def _has_asyncio(cell: Cell) -> bool:
    return cell.flow.lookup("asyncio", cell.flow.final) is not None
