"""Whether awaited calls may wait at the same time: what their order may matter to."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator

from asyncmagic.lint.call_words import (
    ASKING,
    CLOCKS,
    MUTATING,
    ONE_AT_A_TIME,
    ONE_AT_A_TIME_LIBRARIES,
    ORDERED,
    READING,
    STATELESS,
    WRAPPERS,
)
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.kinds import function_name, source_of
from asyncmagic.lint.flow.sources import FUNCTIONS, all_arguments, facts, own_nodes
from asyncmagic.lint.flow.values import Awaitable, Bound, Class, Function, Live, Object, Value


def awaited_call(cell: Cell, node: ast.AST | None) -> ast.Call | None:
    """The call of an awaited expression that makes a coroutine there and then."""
    if not isinstance(node, ast.Await):
        return None
    if isinstance(node.value, ast.Name):
        return _started_just_before(cell, node)
    return _made_there(cell, node.value)


def _made_there(cell: Cell, call: ast.expr) -> ast.Call | None:
    if not isinstance(call, ast.Call):
        return None
    made = cell.flow.calls.get(call)
    if made is not None and function_name(made.function) in WRAPPERS and call.args:
        return _made_there(cell, call.args[0])
    value = cell.flow.values.get(call)
    if value is None:
        return call if _seems_to_ask(call) else None
    return call if isinstance(value, Awaitable) and value.kind == "coroutine" and value.node is call else None


def _started_just_before(cell: Cell, node: ast.Await) -> ast.Call | None:
    """`task = asyncio.create_task(call)`, and `await task` in the next statement."""
    statement = cell.statement_of(node)
    body = getattr(cell.parents.get(statement), "body", []) if statement is not None else []
    if not isinstance(body, list) or statement not in body[1:]:
        return None
    before = body[body.index(statement) - 1]
    if not isinstance(before, ast.Assign) or ast.unparse(before.targets[0]) != ast.unparse(node.value):
        return None
    started = _made_there(cell, before.value)
    return started if started is not before.value else None


def _seems_to_ask(call: ast.Call) -> bool:
    """Whether an unknown method with arguments asks its object for something, by its name."""
    if not isinstance(call.func, ast.Attribute) or not (call.args or call.keywords):
        return False
    return _word(call.func.attr) in ASKING and not _serves_one(None, call.func.value)


def _word(name: str) -> str:
    """The first word of a name: `insert` of `insert_one`."""
    return name.lstrip("_").partition("_")[0].lower()


def _serves_one(value: Value | None, owner: ast.expr) -> bool:
    """Whether an object serves one call at a time, by its library or by its name."""
    live = type(value.obj) if isinstance(value, Live) else getattr(value, "cls", None)
    library = str(getattr(live, "__module__", "")).partition(".")[0]
    if library in ONE_AT_A_TIME_LIBRARIES:
        return True
    name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return name.lower().rpartition("_")[2] in ONE_AT_A_TIME


def may_overlap(cell: Cell, call: ast.Call, targets: set[str], *, is_row: bool = False) -> bool:
    """Whether calls of the function may wait at the same time without changing what they do.

    `targets` are the names that each turn of a loop has its own values of; `is_row` for calls that stand side by side.
    """
    if _is_guarded(cell, call):
        return False
    source = called_source(cell, call)
    allowed: set[str] = set()
    if isinstance(call.func, ast.Attribute):
        owner = call.func.value
        is_users = source is not None and not source.is_library
        is_ordered = call.func.attr in ORDERED or (not is_users and _word(call.func.attr) in ORDERED)
        if is_ordered and not ast.unparse(owner).endswith(STATELESS):
            return False
        is_module = _is_module(cell, owner)
        if source is None and not is_module and _serves_one(cell.flow.values.get(owner), owner):
            return False
        is_each = isinstance(owner, ast.Name) and owner.id in targets
        given = argument_names(call) if targets else call.args or call.keywords
        if not is_module and not given and not is_each:
            return False
        if targets and not is_module and not (names(call, ast.Load) & targets):
            return False
        allowed = {"self"} if is_row or is_each else set()
    elif isinstance(call.func, ast.Name) and call.func.id in ORDERED:
        return False
    return not (_changes(cell, call) - allowed) and not _measures_itself(source)


def _is_guarded(cell: Cell, call: ast.Call) -> bool:
    """Whether a lock stands around the call, or its result stands where another mistake is."""
    for parent in cell.above(call):
        if isinstance(parent, ast.AsyncWith) and any(is_guard(item.context_expr) for item in parent.items):
            return True
        if isinstance(parent, FUNCTIONS):
            break
    awaited = cell.parents.get(call)
    outer = cell.parents.get(awaited) if isinstance(awaited, ast.Await) else None
    return isinstance(outer, ast.Call) and is_asyncios(cell, outer)


def is_asyncios(cell: Cell, node: ast.Call) -> bool:
    """Whether it is asyncio's function that is given results: then those are the mistake."""
    call = cell.flow.calls.get(node)
    return call is not None and function_name(call.function).startswith("asyncio.")


def is_guard(manager: ast.expr) -> bool:
    """Whether an async manager keeps others out, by its name."""
    text = ast.unparse(manager).lower()
    return any(word in text for word in ("lock", "sem", "transaction", "limit", "throttle", "mutex", "begin("))


def are_independent(cell: Cell, a: ast.Call, b: ast.Call) -> bool:
    """Whether neither of two calls, side by side, needs what the other does."""
    are_methods = isinstance(a.func, ast.Attribute) and isinstance(b.func, ast.Attribute)
    if are_methods and _are_of_two(cell, a.func, b.func):
        return True
    sources = [called_source(cell, a), called_source(cell, b)]
    if _changes(cell, a) or _changes(cell, b):
        return False
    if ast.unparse(a.func) == ast.unparse(b.func):
        return bool(a.args or a.keywords) or isinstance(a.func, ast.Name)
    shared = argument_names(a) & argument_names(b)
    if any(source is None or source.is_library for source in sources):
        return are_methods and all(_is_known_to_ask(cell, call) for call in (a, b)) and _are_data(cell, shared)
    return all(_is_data(cell, name) or all(map(_only_reads, sources)) for name in shared)


def _is_known_to_ask(cell: Cell, call: ast.Call) -> bool:
    """Whether a method of which the source is not the user's asks for something, by its name."""
    return isinstance(call.func, ast.Attribute) and _word(call.func.attr) in ASKING


def _are_data(cell: Cell, shared: set[str]) -> bool:
    """Whether the names stand for data, by their value or by what they are called."""
    endings = ("id", "uid", "key", "name", "url", "path", "query", "question", "city", "text", "date", "topic")
    return all(_is_data(cell, name) or name.lower().endswith(endings) for name in shared)


def _only_reads(function: Function | None) -> bool:
    """Whether the function hands none of its arguments, as they are, to others that could change them."""
    given = _arguments(function) if function is not None else set()
    for node in own_nodes(function.node) if function is not None else ():
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in READING):
            if any(isinstance(part, ast.Name) and part.id in given for part in node.args):
                return False
            if any(isinstance(k.value, ast.Name) and k.value.id in given for k in node.keywords):
                return False
    return True


def _are_of_two(cell: Cell, a: ast.expr, b: ast.expr) -> bool:
    """Whether the functions are one method of two different objects."""
    if not (isinstance(a, ast.Attribute) and isinstance(b, ast.Attribute)) or a.attr != b.attr:
        return False
    owners = [cell.flow.values.get(a.value), cell.flow.values.get(b.value)]
    return len({id(owner.obj) for owner in owners if isinstance(owner, Live)}) == 2 and not _is_module(cell, a.value)


def argument_names(call: ast.Call) -> set[str]:
    return {name for arg in [*call.args, *(k.value for k in call.keywords)] for name in names(arg, ast.Load)}


def _is_data(cell: Cell, name: str) -> bool:
    value = cell.flow.lookup(name, cell.flow.final)
    return isinstance(value, Live) and type(value.obj) in (str, int, float, bool, bytes, type(None))


def _is_module(cell: Cell, node: ast.expr) -> bool:
    value = cell.flow.values.get(node)
    return isinstance(value, Live) and type(value.obj).__name__ == "module"


def called_source(cell: Cell, call: ast.Call) -> Function | None:
    """The source of the called function, where it is known."""
    found = cell.flow.calls.get(call)
    return source_of(cell.flow, found.function) if found is not None else None


def _measures_itself(function: Function | None) -> bool:
    """Whether a function of the user's looks at the clock: then its calls are meant to run alone."""
    if function is None or function.is_library:
        return False
    calls = (n.func for n in own_nodes(function.node) if isinstance(n, ast.Call))
    return any(is_clock(called) for called in calls)


def is_clock(called: ast.expr) -> bool:
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    return name in CLOCKS or ast.unparse(called) in ("time.time", "loop.time")


def _changes(cell: Cell, call: ast.Call) -> set[str]:
    """The outer names and arguments whose objects a call changes: then the order of such calls may matter."""
    source = called_source(cell, call)
    return _effects(cell, source, _owner(cell, call)) if source is not None else set()


def _owner(cell: Cell, call: ast.Call) -> Class | type | None:
    """The class of the object whose method is called."""
    found = cell.flow.calls.get(call)
    owner = found.function.owner if found is not None and isinstance(found.function, Bound) else None
    if isinstance(owner, Object):
        return owner.cls
    return type(owner.obj) if isinstance(owner, Live) else None


def _effects(cell: Cell, function: Function, owner: Class | type | None, depth: int = 2) -> set[str]:
    local, given, found = facts(function.node).local, _arguments(function), set()
    nodes = list(own_nodes(function.node))
    counted = {n.target for n in nodes if isinstance(n, ast.AugAssign) and _only_counts(n)}
    for node in nodes:
        base = None
        if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
            base = base_of(node) if node not in counted else None
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATING:
            base = base_of(node.func)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in local:
            found |= {node.id} - {n.id for n in counted if isinstance(n, ast.Name)}
        elif isinstance(node, ast.Call) and depth and not function.is_library:
            method = _own_method(cell, owner, node)
            found |= _effects(cell, method, owner, depth - 1) & {"self"} if method is not None else set()
        if base is not None and (base not in local or base in given):
            found.add(base)
    return found


def _only_counts(node: ast.AugAssign) -> bool:
    """`self.calls += 1`: whatever the order, the sum is the same."""
    return isinstance(node.op, (ast.Add, ast.Sub)) and isinstance(node.value, ast.Constant)


def _own_method(cell: Cell, owner: Class | type | None, call: ast.Call) -> Function | None:
    """The method of the same object that a method calls."""
    called = call.func
    if not (isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "self"):
        return None
    if isinstance(owner, Class):
        method = owner.scope.names.get(called.attr)
        return method if isinstance(method, Function) else None
    live = objects.class_lookup(owner, called.attr) if owner is not None else None
    return cell.flow.source_of(live) if objects.is_a(live, types.FunctionType) else None


def _arguments(function: Function) -> set[str]:
    return {arg.arg for arg in all_arguments(function.node)}


def base_of(node: ast.expr) -> str | None:
    """The name that an attribute or item is asked of: `a` of `a.b[0]`."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def names(node: ast.AST, ctx: type[ast.expr_context] = ast.Store) -> set[str]:
    """The names that stand in a node, bound there or read."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ctx)}


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """What stands in a node, without functions and classes."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            yield child
            yield from inside(child)
