"""unchecked-exceptions: results that may be exceptions, and nobody looks."""

from __future__ import annotations

import ast
import builtins
import types
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow.kinds import function_name, source_of
from asyncmagic.lint.flow.sources import positional
from asyncmagic.lint.flow.values import Awaitable, Bound, Function, Live, Module, Value, awaitables

RULE = "unchecked-exceptions"
_SHOWING = frozenset({"builtins.print", "builtins.repr", "pprint.pprint"})
#: Modules whose functions compute with what they are given.
_COMPUTING = frozenset({"builtins", "collections", "json", "math", "numpy", "pandas", "statistics"})


def check(cell: Cell) -> Iterator[Diagnostic]:
    """`gather(..., return_exceptions=True)` and `asyncio.wait` raise nothing: failures pass unseen.

    Wrong:

        await asyncio.gather(*jobs, return_exceptions=True)
        print("all done")                            # even if all failed

    Right:

        results = await asyncio.gather(*jobs, return_exceptions=True)
        failed = [r for r in results if isinstance(r, BaseException)]
    """
    for node, _ in cell.flow.awaits:
        call = cell.flow.calls.get(node.value) if isinstance(node.value, ast.Call) else None
        if call is None or not isinstance(node.value, ast.Call) or node is cell.displayed:
            continue
        name = function_name(call.function)
        if name == "asyncio.tasks.gather" and _returns_exceptions(node.value):
            yield from _gather(cell, node, node.value)
        elif name == "asyncio.tasks.wait" and _may_hold_tasks(call.argument(0, "fs")):
            yield from _wait(cell, node, node.value)


def _may_hold_tasks(value: Value | None) -> bool:
    """Whether `asyncio.wait` takes the value at all."""
    return not isinstance(value, Awaitable) and all(found.kind != "coroutine" for found in awaitables(value))


def _returns_exceptions(call: ast.Call) -> bool:
    return any(
        k.arg == "return_exceptions" and isinstance(k.value, ast.Constant) and k.value.value is True
        for k in call.keywords
    )


def _scope(cell: Cell, node: ast.AST) -> ast.AST:
    return cell.function_of(node) or cell.tree


def _gather(cell: Cell, node: ast.Await, call: ast.Call) -> Iterator[Diagnostic]:
    if _reaps_cancelled(cell, node, call):
        return
    statement = cell.parents.get(node)
    if isinstance(statement, ast.Expr):
        yield _say(cell, node, "and nobody looks at what it returns: failures pass unseen")
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        if statement is cell.tree.body[-1]:
            return  # The next cell may look.
        if names and not _are_checked(cell, names, node):
            yield _say(cell, node, "and the results are used without looking for exceptions among them")


def _say(cell: Cell, node: ast.Await, what: str) -> Diagnostic:
    return cell.diagnostic(
        RULE,
        node,
        f"`{cell.text(node.value)}` returns exceptions instead of raising them, {what}",
        "Look for them with `isinstance(result, BaseException)`, or leave `return_exceptions` out",
        severity="advice",
    )


def _reaps_cancelled(cell: Cell, node: ast.AST, call: ast.Call) -> bool:
    """Whether the awaited tasks were cancelled before: their CancelledError is no news."""
    given = [part for a in call.args for part in (a.elts if isinstance(a, (ast.List, ast.Tuple, ast.Set)) else [a])]
    gathered = {ast.unparse(a.value if isinstance(a, ast.Starred) else a) for a in given}
    for other in ast.walk(_scope(cell, node)):
        if isinstance(other, ast.Call) and isinstance(other.func, ast.Attribute) and other.func.attr == "cancel":
            owner = ast.unparse(other.func.value)
            loops = [p for p in cell.above(other) if isinstance(p, (ast.For, ast.comprehension, ast.ListComp))]
            iterated = {ast.unparse(p.iter) for p in loops if isinstance(p, ast.For)}
            iterated |= {ast.unparse(g.iter) for p in loops if isinstance(p, ast.ListComp) for g in p.generators}
            if owner in gathered or iterated & gathered:
                return True
    return False


def _are_checked(cell: Cell, names: set[str], node: ast.AST) -> bool:
    """Whether the cell looks at the results as possible exceptions, shows them, or gives them to others."""
    if _are_looked_at(cell, names, _scope(cell, node), node):
        return True
    return isinstance(cell.displayed, ast.Name) and cell.displayed.id in names


def _are_looked_at(cell: Cell, names: set[str], scope: ast.AST, made: ast.AST | None = None, depth: int = 3) -> bool:
    """Whether a function or a cell looks at what stands in the names, after it was made."""
    related = set(names)
    first_line = getattr(made, "lineno", -(10**9))
    before = set(ast.walk(made)) if made is not None else set()
    for other in ast.walk(scope):
        if isinstance(other, (ast.For, ast.comprehension)) and _loads(other.iter) & related:
            related |= {name for target in _targets_of(other, related) for name in _stores(target)}
    for other in ast.walk(scope):
        if getattr(other, "lineno", 10**9) < first_line or other in before:
            continue
        if isinstance(other, ast.Call) and _call_looks(cell, other, names, related, depth):
            return True
        if (
            isinstance(other, ast.Attribute)
            and other.attr in ("__traceback__", "__class__", "args")
            and _loads(other) & related
        ):
            return True
        if isinstance(other, ast.MatchClass) and "Exception" in ast.unparse(other.cls):
            return True
        if isinstance(other, (ast.Return, ast.Yield)) and other.value is not None and _is_whole(other.value, names):
            return True
        if isinstance(other, ast.Raise) and other.exc is not None and _loads(other.exc) & related:
            return True
    return isinstance(scope, ast.Lambda) and _is_whole(scope.body, names)


def _targets_of(loop: ast.For | ast.comprehension, names: set[str]) -> list[ast.expr]:
    """What a loop binds to the results: of `for url, page in zip(urls, pages)`, `page` alone."""
    source, target = loop.iter, loop.target
    if isinstance(source, ast.Call) and isinstance(source.func, ast.Name) and isinstance(target, ast.Tuple):
        if source.func.id == "zip" and len(source.args) == len(target.elts):
            return [part for part, given in zip(target.elts, source.args, strict=True) if _loads(given) & names]
        if source.func.id == "enumerate":
            return target.elts[1:]
    return [target]


def _call_looks(cell: Cell, call: ast.Call, names: set[str], related: set[str], depth: int) -> bool:
    found = cell.flow.calls.get(call)
    name = function_name(found.function) if found is not None else ""
    if found is None and isinstance(call.func, ast.Name) and hasattr(builtins, call.func.id):
        name = f"builtins.{call.func.id}"  # In a function from before the cell.
    arguments = [a.value if isinstance(a, ast.Starred) else a for a in [*call.args, *(k.value for k in call.keywords)]]
    given = set().union(*(_loads(a) for a in arguments)) if arguments else set()
    if name in ("builtins.isinstance", "builtins.type", "builtins.issubclass"):
        return bool(given & related)
    whole = any(_is_whole(argument, related if name in _SHOWING else names) for argument in arguments)
    looks = None
    if found is not None and depth and any(_is_whole(argument, related) for argument in arguments):
        looks = _source_looks(cell, found.function, call, related, depth - 1)
    if looks is not None:
        return looks
    if name in ("builtins.map", "builtins.filter"):
        return found is not None and whole and _each_is_looked_at(cell, found.args[0] if found.args else None)
    if name in _SHOWING:
        return whole
    if _module_of(cell, call.func) in _COMPUTING:
        return False
    return whole and name.partition(".")[0] not in _COMPUTING


def _module_of(cell: Cell, function: ast.expr) -> str:
    """The library of which `np.stack` is a function."""
    while isinstance(function, ast.Attribute):
        function = function.value
    value = cell.flow.values.get(function)
    if isinstance(value, Live) and type(value.obj) is types.ModuleType:
        return value.obj.__name__.partition(".")[0]
    return value.name.partition(".")[0] if isinstance(value, Module) else ""


def _source_looks(cell: Cell, value: Value | None, call: ast.Call, names: set[str], depth: int) -> bool | None:
    """Whether the called function looks at those of the names that it is given; None where its source is not known."""
    function = _users_function(cell, value)
    if function is None or any(isinstance(part, ast.Starred) for part in call.args):
        return None
    slots = [arg.arg for arg in positional(function.node)][isinstance(value, Bound) :]
    if len(slots) < len(call.args) or any(k.arg is None for k in call.keywords):
        return None
    pairs = [*zip(slots, call.args, strict=False), *((k.arg or "", k.value) for k in call.keywords)]
    inner = {name for name, argument in pairs if _is_whole(argument, names)}
    return _are_looked_at(cell, inner, function.node, depth=depth)


def _each_is_looked_at(cell: Cell, value: Value | None) -> bool:
    """Whether the function that `map` or `filter` calls with each result looks at it, as far as can be known."""
    function = _users_function(cell, value)
    if function is None:
        return value is None or not function_name(value).startswith("builtins.")
    return _are_looked_at(cell, {arg.arg for arg in positional(function.node)}, function.node, depth=1)


def _users_function(cell: Cell, value: Value | None) -> Function | None:
    """The source of a function or method of the user's own."""
    source = source_of(cell.flow, value)
    return source if source is not None and not source.is_library else None


def _is_whole(node: ast.expr, names: set[str]) -> bool:
    """Whether the expression is one of the names, or a tuple or list with one."""
    if isinstance(node, (ast.Tuple, ast.List)):
        return any(_is_whole(part, names) for part in node.elts)
    return isinstance(node, ast.Name) and node.id in names


def _stores(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _loads(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _wait(cell: Cell, node: ast.Await, call: ast.Call) -> Iterator[Diagnostic]:
    """`asyncio.wait` whose tasks nobody asks for their result."""
    scope = _scope(cell, node)
    statement = cell.statement_of(node)
    tasks = (_loads(call.args[0]) if call.args else set()) | (_stores(statement) if statement is not None else set())
    for other in ast.walk(scope):
        if isinstance(other, (ast.For, ast.comprehension)) and _loads(other.iter) & tasks:
            tasks |= _stores(other.target)
    for other in ast.walk(scope):
        if getattr(other, "lineno", 0) <= node.lineno:
            continue
        if isinstance(other, ast.Attribute) and other.attr in ("result", "exception", "add_done_callback"):
            return
        if isinstance(other, (ast.Await, ast.Return)) and other.value is not None:
            counted = {name for call in ast.walk(other.value) if _counts(call) for name in _loads(call)}
            if _loads(other.value) & tasks - counted:
                return
    if isinstance(cell.parents.get(node), ast.Return) or _reaps_cancelled(
        cell, node, ast.Call(call.func, call.args, [])
    ):
        return
    yield cell.diagnostic(
        RULE,
        node,
        f"`{cell.text(call)}` never raises, and nobody asks its tasks for their result: failures pass unseen",
        "Ask each task that is done for its `.result()`",
        severity="advice",
    )


def _counts(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("len", "bool")
