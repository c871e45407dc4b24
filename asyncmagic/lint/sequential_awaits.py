"""sequential-awaits: independent calls that wait for one another."""

from __future__ import annotations

import ast
import itertools
import types
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.kinds import function_name
from asyncmagic.lint.flow.sources import FUNCTIONS, facts, own_nodes
from asyncmagic.lint.flow.values import Awaitable, Bound, Function, Live, Partial, Value

RULE = "sequential-awaits"
_Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.DictComp
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
#: What awaits the coroutine that it is given.
_WRAPPERS = frozenset({"asyncio.tasks.wait_for", "asyncio.tasks.shield"})
#: Methods whose calls depend on their order, whatever they are given.
_ORDERED = frozenset(
    [
        "read",
        "readline",
        "readlines",
        "readexactly",
        "readuntil",
        "recv",
        "receive",
        "next",
        "send",
        "write",
        "writelines",
        "drain",
        "put",
        "commit",
        "begin",
        "execute",
        "rollback",
        "connect",
        "close",
        "open",
        "start",
        "stop",
        "acquire",
        "release",
        "join",
        "wait",
        "sleep",
        "push",
        "pop",
        "seek",
        "flush",
        "login",
        "goto",
        "click",
        "fill",
        "type",
        "press",
        "insert",
        "update",
        "delete",
        "append",
        "step",
        "asend",
        "anext",
        "save",
        "set",
        "add",
        "remove",
        "clear",
        "publish",
        "emit",
        "enter_async_context",
    ]
)
#: Functions that change nothing of what they are given.
_READING = frozenset(
    ["len", "str", "repr", "int", "float", "sum", "min", "max", "sorted", "range", "list", "dict", "set", "tuple"]
)
_MUTATING = frozenset(
    [
        "append",
        "extend",
        "add",
        "update",
        "insert",
        "pop",
        "remove",
        "clear",
        "put",
        "put_nowait",
        "set",
        "setdefault",
        "write",
    ]
)


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
        elif isinstance(node, ast.Call) and not _shows(node) and not _is_asyncios(cell, node):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            yield from _together(cell, [part for part in given if _awaits(part)])
        body = getattr(node, "body", None)
        for statements in (body, getattr(node, "orelse", None), getattr(node, "finalbody", None)):
            if isinstance(statements, list):
                yield from _row(cell, statements)


def _call(cell: Cell, node: ast.AST | None) -> ast.Call | None:
    """The call of an awaited expression that makes a coroutine there and then."""
    if not isinstance(node, ast.Await) or not isinstance(node.value, ast.Call):
        return None
    made = cell.flow.calls.get(node.value)
    if made is not None and function_name(made.function) in _WRAPPERS and node.value.args:
        inner = node.value.args[0]
        value = cell.flow.values.get(inner)
        is_made_there = isinstance(value, Awaitable) and value.kind == "coroutine" and value.node is inner
        return inner if isinstance(inner, ast.Call) and is_made_there else None
    value = cell.flow.values.get(node.value)
    if not isinstance(value, Awaitable) or value.kind != "coroutine" or value.node is not node.value:
        return None
    return node.value


def _say(cell: Cell, node: ast.AST, what: str, hint: str, fix: str | None = None) -> Diagnostic:
    return cell.diagnostic(RULE, node, what, hint, fix=fix, severity="advice")


def _comprehension(cell: Cell, node: _Comprehension) -> Iterator[Diagnostic]:
    element = node.value if isinstance(node, ast.DictComp) else node.elt
    awaits = _awaits(node)
    if len(awaits) != 1 or not _always_awaits(element) or any(g.is_async for g in node.generators):
        return
    call = _call(cell, awaits[0])
    if call is None or len(node.generators) > 1:
        return
    if isinstance(cell.parents.get(node), ast.Await):
        return  # That is another mistake.
    targets = _names(node.generators[0].target)
    if not _may_overlap(cell, call, targets):
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
    inside = [n for s in node.body for n in [s, *_own(s)]]
    awaits = [n for n in inside if isinstance(n, ast.Await)]
    stops = (ast.Break, ast.Return, ast.Continue, ast.AsyncWith, ast.AsyncFor, ast.Yield, ast.YieldFrom, ast.Raise)
    if not awaits or any(isinstance(n, stops) for n in inside):
        return
    first = min(awaits, key=lambda n: (n.lineno, n.col_offset))
    call = _call(cell, first)
    if call is None:
        return
    targets = _names(node.target)
    if not _may_overlap(cell, call, targets) or not _names(call, ast.Load) & targets:
        return
    statement = cell.statement_of(first)
    if isinstance(statement, ast.Expr) and statement.value is first:
        return  # The result is not used: it is the effects that count, and perhaps their order.
    stored = {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    if (stored - targets) & _names(call, ast.Load):
        return
    mutated = {
        n.func.value.id
        for n in inside
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and isinstance(n.func.value, ast.Name)
    }
    if mutated & {name for arg in [*call.args, *(k.value for k in call.keywords)] for name in _names(arg, ast.Load)}:
        return
    items = {
        ast.unparse(n.value)
        for n in inside
        if isinstance(n, (ast.Subscript, ast.Attribute)) and isinstance(n.ctx, ast.Store)
    }
    if items & {ast.unparse(n) for n in ast.walk(call) if isinstance(n, ast.Name)}:
        return
    if not _depend_on(awaits, first, statement, cell) or not _keeps(inside):
        return
    yield _say(
        cell,
        first,
        f"`{cell.text(call)}` is awaited for one element after another",
        f"Start them together: `await asyncio.gather(*[{cell.text(call)} for {cell.text(node.target)} in …])`",
    )


def _depend_on(awaits: list[ast.Await], first: ast.Await, statement: ast.stmt | None, cell: Cell) -> bool:
    """Whether the other awaits of the turn work on what the first one gave."""
    known = _names(statement, ast.Store) if statement is not None else set()
    for other in sorted(awaits, key=lambda n: (n.lineno, n.col_offset)):
        if other is first or any(part is first for part in ast.walk(other)):
            continue
        if not known & _names(other.value, ast.Load):
            return False
        found = cell.statement_of(other)
        known |= _names(found, ast.Store) if found is not None else set()
    return True


def _keeps(inside: list[ast.AST]) -> bool:
    """Whether the loop keeps its results, rather than only showing them turn by turn."""
    shows = any(isinstance(n, ast.Call) and _shows(n) for n in inside)
    keeps = any(
        (isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr in _MUTATING)
        or (isinstance(n, (ast.Subscript, ast.Attribute)) and isinstance(n.ctx, ast.Store))
        or isinstance(n, ast.AugAssign)
        for n in inside
    )
    return keeps or not shows


def _row(cell: Cell, statements: list[ast.stmt]) -> Iterator[Diagnostic]:
    """Assignments that follow one another, each from a call that needs nothing of the others."""
    row: list[tuple[ast.Assign, ast.Call]] = []
    for statement in [*statements, None]:
        call = _call(cell, statement.value) if isinstance(statement, ast.Assign) else None
        if (
            call is not None
            and isinstance(statement, ast.Assign)
            and all(_are_independent(cell, earlier, (statement, call)) for earlier in row)
        ):
            row.append((statement, call))
            continue
        if len(row) > 1:
            names = ", ".join(cell.text(s.targets[0]) for s, _ in row)
            calls = ", ".join(cell.text(c) for _, c in row)
            yield _say(
                cell,
                row[1][0].value,
                f"these {len(row)} awaits wait one after another, and do not need each other",
                f"Write `{names} = await asyncio.gather({calls})`",
            )
        row = []
        if call is not None and isinstance(statement, ast.Assign) and _may_overlap(cell, call, set(), is_row=True):
            row = [(statement, call)]


def _awaits(node: ast.AST) -> list[ast.Await]:
    return [n for n in ast.walk(node) if isinstance(n, ast.Await)]


def _shows(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Name) and node.func.id in ("print", "display")


def _is_asyncios(cell: Cell, node: ast.Call) -> bool:
    """Whether it is asyncio's function that is given results: then those are the mistake."""
    call = cell.flow.calls.get(node)
    return call is not None and function_name(call.function).startswith("asyncio.")


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
        call = _call(cell, awaits[0]) if len(awaits) == 1 else None
        if call is None or not _may_overlap(cell, call, set(), is_row=True):
            return
        row.append(call)
    if len(row) > 1 and all(_calls_are_independent(cell, a, b) for a, b in itertools.combinations(row, 2)):
        calls = ", ".join(cell.text(call) for call in row)
        yield _say(
            cell,
            cell.parents[row[1]],
            f"these {len(row)} awaits wait one after another, and do not need each other",
            f"Await them together: `await asyncio.gather({calls})`",
        )


def _are_independent(cell: Cell, a: tuple[ast.Assign, ast.Call], b: tuple[ast.Assign, ast.Call]) -> bool:
    stored_a, stored_b = _names(a[0], ast.Store), _names(b[0], ast.Store)
    if stored_a & (_names(b[1], ast.Load) | stored_b) or not _may_overlap(cell, b[1], set(), is_row=True):
        return False
    owners = {_base(t) for t in (*a[0].targets, *b[0].targets) if isinstance(t, ast.Attribute)}
    if owners & (_names(a[1], ast.Load) | _names(b[1], ast.Load)):
        return False
    if any(not isinstance(target, (ast.Name, ast.Tuple, ast.Attribute)) for target in (*a[0].targets, *b[0].targets)):
        return False
    return _calls_are_independent(cell, a[1], b[1])


def _calls_are_independent(cell: Cell, a: ast.Call, b: ast.Call) -> bool:
    are_methods = isinstance(a.func, ast.Attribute) and isinstance(b.func, ast.Attribute)
    if are_methods and _are_of_two(cell, a.func, b.func):
        return True
    sources = [_source(cell, a), _source(cell, b)]
    if any(source is not None and _effects(source) for source in sources):
        return False
    if ast.unparse(a.func) == ast.unparse(b.func):
        return bool(a.args or a.keywords) or isinstance(a.func, ast.Name)
    shared = _argument_names(a) & _argument_names(b)
    if are_methods or None in sources:
        return False
    return all(_is_data(cell, name) or all(map(_only_reads, sources)) for name in shared)


def _only_reads(function: Function | None) -> bool:
    """Whether the function hands none of its arguments, as they are, to others that could change them."""
    names = _arguments(function) if function is not None else set()
    for node in own_nodes(function.node) if function is not None else ():
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in _READING):
            if any(isinstance(part, ast.Name) and part.id in names for part in node.args):
                return False
            if any(isinstance(k.value, ast.Name) and k.value.id in names for k in node.keywords):
                return False
    return True


def _are_of_two(cell: Cell, a: ast.expr, b: ast.expr) -> bool:
    """Whether the functions are one method of two different objects."""
    if not (isinstance(a, ast.Attribute) and isinstance(b, ast.Attribute)) or a.attr != b.attr:
        return False
    owners = [cell.flow.values.get(a.value), cell.flow.values.get(b.value)]
    return len({id(owner.obj) for owner in owners if isinstance(owner, Live)}) == 2 and not _is_module(cell, a.value)


def _argument_names(call: ast.Call) -> set[str]:
    return {name for arg in [*call.args, *(k.value for k in call.keywords)] for name in _names(arg, ast.Load)}


def _is_data(cell: Cell, name: str) -> bool:
    value = cell.flow.lookup(name, cell.flow.final)
    return isinstance(value, Live) and type(value.obj) in (str, int, float, bool, bytes, type(None))


def _may_overlap(cell: Cell, call: ast.Call, targets: set[str], *, is_row: bool = False) -> bool:
    """Whether calls of the function may wait at the same time without changing what they do."""
    for parent in cell.above(call):
        if isinstance(parent, ast.AsyncWith) and any(
            word in ast.unparse(item.context_expr).lower()
            for item in parent.items
            for word in ("lock", "sem", "transaction")
        ):
            return False
        if isinstance(parent, FUNCTIONS):
            break
    if isinstance(call.func, ast.Attribute):
        if call.func.attr in _ORDERED:
            return False
        is_module = isinstance(cell.flow.values.get(call.func.value), Live) and _is_module(cell, call.func.value)
        given = _argument_names(call) if targets else call.args or call.keywords
        if not is_module and not given:
            return False
        if targets and not is_module and not (_names(call, ast.Load) & targets):
            return False
    elif isinstance(call.func, ast.Name) and call.func.id in _ORDERED:
        return False
    source = _source(cell, call)
    return source is None or not _effects(source) - ({"self"} if is_row else set())


def _is_module(cell: Cell, node: ast.expr) -> bool:
    value = cell.flow.values.get(node)
    return isinstance(value, Live) and type(value.obj).__name__ == "module"


def _source(cell: Cell, call: ast.Call) -> Function | None:
    """The source of the called function, where it is the user's own."""
    found = cell.flow.calls.get(call)
    function: Value | None = found.function if found is not None else None
    while isinstance(function, (Bound, Partial)):
        function = function.function
    if isinstance(function, Live) and objects.is_a(function.obj, types.FunctionType):
        return cell.flow.source_of(function.obj)
    return function if isinstance(function, Function) else None


def _effects(function: Function) -> set[str]:
    """The outer names and arguments whose objects the function changes: then the order of its calls may matter."""
    local, found = facts(function.node).local, set()
    for node in own_nodes(function.node):
        base = None
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            found.update(node.names)
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
            base = _base(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATING:
            base = _base(node.func)
        if base is not None and (base not in local or base in _arguments(function)):
            found.add(base)
    return found


def _arguments(function: Function) -> set[str]:
    return {arg.arg for arg in [*function.node.args.posonlyargs, *function.node.args.args]}


def _base(node: ast.expr) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _names(node: ast.AST, ctx: type[ast.expr_context] = ast.Store) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ctx)}


def _own(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            yield child
            yield from _own(child)


def _has_asyncio(cell: Cell) -> bool:
    return cell.flow.lookup("asyncio", cell.flow.final) is not None
