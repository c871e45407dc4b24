"""atomic-update: a shared value is read, then awaited, then written: updates in between are lost."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.sources import facts, own_nodes, positional
from asyncmagic.lint.flow.values import Live, Value
from asyncmagic.lint.reach import definition

RULE = "atomic-update"
_LOCKS = ("lock", "mutex", "sem", "condition", "cond", "guard")
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
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
    pauses = sorted(_position(n) for n in nodes if _pauses(n))
    shared = _Shared(cell, function, nodes)
    for node in nodes:
        target = _target(node)
        if target is None or not shared.has(target) or _is_locked(cell, node, function, nodes):
            continue
        if _loses(cell, node, target, nodes, pauses):
            text = cell.text(target)
            yield cell.diagnostic(
                RULE,
                node,
                f"`{text}` is read before the `await` and written after it: what other tasks write meanwhile is lost",
                f"Await first, then read and write `{text}`; or hold an `asyncio.Lock`",
                severity="advice",
            )


def _pauses(node: ast.AST) -> bool:
    """Whether other tasks may run at the node."""
    if isinstance(node, _COMPREHENSIONS):
        return any(generator.is_async for generator in node.generators)
    return isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith))


def _target(node: ast.AST) -> ast.expr | None:
    if isinstance(node, ast.AugAssign):
        return node.target
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        return node.targets[0]
    return None


def _position(node: ast.AST) -> _Position:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


class _Shared:
    """Which places other tasks see too."""

    def __init__(self, cell: Cell, function: ast.AsyncFunctionDef, nodes: list[ast.AST]) -> None:
        self.cell = cell
        self.function = function
        self.outer = {name for n in nodes if isinstance(n, (ast.Global, ast.Nonlocal)) for name in n.names}
        self.facts = facts(function)
        self.arguments = [arg.arg for arg in positional(function)]
        is_method = isinstance(cell.parents.get(function), ast.ClassDef)
        self.this = self.arguments[0] if self.arguments and is_method else None

    def has(self, target: ast.expr) -> bool:
        if isinstance(target, ast.Name):
            return target.id in self.outer
        return isinstance(target, (ast.Attribute, ast.Subscript)) and self._is_reached(target)

    def _is_reached(self, place: ast.expr, depth: int = 3) -> bool:
        """Whether the place stands in something shared, or in a local name for such a thing."""
        while isinstance(place, (ast.Attribute, ast.Subscript)):
            place = place.value
        if not isinstance(place, ast.Name):
            return False
        name = place.id
        if name == self.this or name in self.outer or name not in self.facts.local or self._is_given_to_many(name):
            return True
        maker = self.facts.makers.get(name)
        value = maker.value if isinstance(maker, ast.Assign) else None
        is_part = isinstance(value, (ast.Attribute, ast.Subscript))
        return is_part and value is not None and depth > 0 and self._is_reached(value, depth - 1)

    def _is_given_to_many(self, name: str) -> bool:
        """Whether the calls that the cell makes side by side give the argument one and the same object."""
        if name not in self.arguments or name in self.facts.makers:
            return False
        given: list[str] = []
        for node, call in self.cell.flow.calls.items():
            if definition(call.function) is not self.function or isinstance(self.cell.parents.get(node), ast.Await):
                continue
            place = self.arguments.index(name) - (self.this is not None)
            parts = [k.value for k in node.keywords if k.arg == name] or node.args[place : place + 1]
            turns = [n for n in self.cell.above(node) if isinstance(n, (ast.For, *_COMPREHENSIONS))]
            own = {n.id for turn in turns for n in ast.walk(turn) if isinstance(n, ast.Name) and _is_bound(n)}
            if not parts or not isinstance(parts[0], ast.Name) or parts[0].id in own:
                return False
            given += [parts[0].id] * (2 if turns else 1)
        return len(given) > 1 and len(set(given)) == 1


def _is_bound(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _is_locked(cell: Cell, node: ast.AST, function: ast.AST, nodes: list[ast.AST]) -> bool:
    """Whether the update stands under an asynchronous lock (or under what may be one)."""
    if any(isinstance(n, ast.Await) and ast.unparse(n.value).endswith(".acquire()") for n in nodes):
        return True
    for parent in cell.above(node):
        if parent is function:
            return False
        # Under a plain `with`, a lock of asyncio is meant for one: missing-async says what is wrong.
        if isinstance(parent, (ast.AsyncWith, ast.With)) and any(_may_lock(cell, i.context_expr) for i in parent.items):
            return True
    return False


def _may_lock(cell: Cell, manager: ast.expr) -> bool:
    value = cell.flow.values.get(manager)
    if _admits_many(cell, manager, value):
        return False
    cls = getattr(value, "cls", "")
    kinds = (ast.unparse(manager), str(cls), type(getattr(value, "obj", None)).__name__)
    return value is None or any(word in kind.lower() for kind in kinds for word in _LOCKS)


def _admits_many(cell: Cell, manager: ast.expr, value: Value | None) -> bool:
    """Whether it is a semaphore that lets more than one task in."""
    if isinstance(value, Live) and type(value.obj).__name__ in ("Semaphore", "BoundedSemaphore"):
        count = objects.instance_dict(value.obj).get("_value")
        return type(count) is int and count > 1
    text = ast.unparse(manager)
    made = [
        n.value
        for n in cell.nodes
        if isinstance(n, ast.Assign)
        and isinstance(n.value, ast.Call)
        and any(ast.unparse(t) == text for t in n.targets)
    ]
    return bool(made) and all(
        ast.unparse(call.func).endswith("Semaphore")
        and [a.value for a in call.args if isinstance(a, ast.Constant) and type(a.value) is int and a.value > 1]
        for call in made
    )


def _loses(cell: Cell, node: ast.AST, target: ast.expr, nodes: list[ast.AST], pauses: list[_Position]) -> bool:
    value: ast.expr = node.value  # type: ignore[attr-defined]
    inside = [_position(n) for n in ast.walk(value) if _pauses(n)]
    text = ast.unparse(target)
    if isinstance(node, ast.AugAssign):
        return bool(inside) or _is_weighed_before(cell, node, text, nodes, pauses)
    if inside:
        first = min(inside)
        if any(position < first for position in _reads(value, text)):
            return True
        return _is_checked_before(cell, node, target) or _is_written_back(node, value, text, nodes, pauses)
    return _is_written_back(node, value, text, nodes, pauses) or _is_checked_before(cell, node, target, pauses)


def _is_written_back(node: ast.AST, value: ast.expr, text: str, nodes: list[ast.AST], pauses: list[_Position]) -> bool:
    """`before = shared … await … shared = before + 1`, perhaps by way of other names."""
    read: dict[str, _Position] = {}
    for other in sorted((n for n in nodes if isinstance(n, (ast.Assign, ast.AugAssign))), key=_position):
        if other is node or _position(other) > _position(node):
            continue
        target = other.targets[0] if isinstance(other, ast.Assign) else other.target
        pairs = [(target, other.value)]
        if isinstance(target, ast.Tuple) and isinstance(other.value, ast.Tuple):
            pairs = list(zip(target.elts, other.value.elts, strict=False))
        for name, given in pairs:
            if not isinstance(name, ast.Name):
                continue
            reads = [*_reads(given, text), *(read[used] for used in _computed_from(given) if used in read)]
            if isinstance(other, ast.AugAssign) and name.id in read:
                continue
            if reads:
                read[name.id] = max(reads)
            else:
                read.pop(name.id, None)
    return any(
        read[name] < pause < _position(node) for name in _computed_from(value) if name in read for pause in pauses
    )


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


def _computed_from(node: ast.AST) -> Iterator[str]:
    """The names whose values go into an expression, other than through an awaited call."""
    if isinstance(node, ast.Name):
        yield node.id
    if not isinstance(node, ast.Await):
        for child in ast.iter_child_nodes(node):
            yield from _computed_from(child)


def _is_weighed_before(
    cell: Cell, node: ast.AugAssign, text: str, nodes: list[ast.AST], pauses: list[_Position]
) -> bool:
    """Whether a comparison with the old value allowed it: `if balance < price: raise … await … balance -= price`."""
    around = list(cell.above(node))
    weighed = []
    for other in nodes:
        if not isinstance(other, ast.If) or _position(other) > _position(node):
            continue
        test = other.test
        is_order = isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE))
        allows = other in around or isinstance(other.body[-1], (ast.Return, ast.Raise))
        if is_order and allows and _reads(test, text):
            weighed.append(_position(other))
    return bool(weighed) and any(max(weighed) < pause < _position(node) for pause in pauses)


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
    if function.name == "__anext__":
        return True
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
