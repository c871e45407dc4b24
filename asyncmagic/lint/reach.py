"""Which functions of a cell run on its loop, and which code never runs."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from typing import Final

from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.annotations import class_name, class_of
from asyncmagic.lint.flow.kinds import function_name
from asyncmagic.lint.flow.ledger import is_users_class
from asyncmagic.lint.flow.sources import OPERATORS
from asyncmagic.lint.flow.values import Bound, Class, Descriptor, Function, Live, ManagerFactory, Object, Partial, Value

#: What calls the functions that it is given in the thread that it is called in, now or when the loop comes to it.
_CALLERS: Final = frozenset(
    [f"builtins.{name}" for name in ("map", "filter", "sorted", "min", "max", "list.sort")]
    + ["_functools.reduce", "re.sub", "re.Pattern.sub", "dataclasses.field", "collections.defaultdict", "timeit.timeit"]
    + [f"_asyncio.{cls}.add_done_callback" for cls in ("Task", "Future")]
    + [f"numpy.{name}" for name in ("vectorize", "apply_along_axis", "fromfunction", "frompyfunc")]
)
#: Packages of which that is true of every function: widgets' handlers run on the kernel's loop.
_CALLING_PACKAGES: Final = ("pandas.", "itertools.", "ipywidgets.", "traitlets.", "IPython.core.")
_TABLE_METHODS: Final = ("apply", "map", "applymap", "transform", "agg", "pipe", "assign", "progress_apply")
_LOOP_CALLERS: Final = frozenset(["call_soon", "call_soon_threadsafe", "call_later", "call_at", "add_signal_handler"])
#: What a class does when it is called.
_MAKERS: Final = ("__new__", "__init__", "__post_init__")
_ITEMS: Final = {ast.Load: "__getitem__", ast.Store: "__setitem__", ast.Del: "__delitem__"}
_TEXT: Final = ("__str__", "__repr__")
_TURNS: Final = ("__iter__", "__next__")
#: Builtins that call a special method of their first argument.
_BUILTINS: Final = {
    **dict.fromkeys(("list", "tuple", "set", "sorted", "sum", "min", "max", "enumerate", "iter", "next"), _TURNS),
    **dict.fromkeys(("print", "str", "format"), _TEXT),
    "repr": ("__repr__",),
    "len": ("__len__",),
    "bool": ("__bool__", "__len__"),
}


def definition(value: Value | None) -> ast.AST | None:
    """The function of the cell that a value is, or calls."""
    if isinstance(value, (Bound, Partial, ManagerFactory)):
        return definition(value.function)
    return value.node if isinstance(value, Function) else None


def run_in_place(cell: Cell) -> Iterator[tuple[ast.expr, Value | None]]:
    """The functions that run in the thread of the code around them, each with the expression that has it run.

    They are called, or given to what calls them, or stand behind a property, a decorator, or Python's syntax.
    """
    for node, call in cell.flow.calls.items():
        yield from ((node, function) for function in _called(cell, call.function))
        name = function_name(call.function) or class_name(call.function) or _pandas_method(cell, node)
        if _calls_arguments(name):
            yield from ((node, function) for value in call.values for function in _called(cell, value))
        if call.args and (names := _BUILTINS.get(name.removeprefix("builtins."))):
            yield from ((node, function) for function in _first_method(cell, call.args[0], names))
    for part in cell.nodes:
        yield from _behind_syntax(cell, part)
    if cell.displayed is not None:
        for name in ("_repr_html_", "__repr__"):
            yield cell.displayed, _method(cell, cell.flow.values.get(cell.displayed), name)


def _calls_arguments(name: str) -> bool:
    owner, _, method = name.rpartition(".")
    is_loop = owner.endswith("Loop") and method in _LOOP_CALLERS
    return name in _CALLERS or name.startswith(_CALLING_PACKAGES) or is_loop


def _pandas_method(cell: Cell, node: ast.Call) -> str:
    """The name of a method of what was got from a table: `orders.query(…)["id"].map`."""
    root: ast.expr = node.func
    while isinstance(root, (ast.Attribute, ast.Subscript, ast.Call)):
        root = root.func if isinstance(root, ast.Call) else root.value
    is_asked = isinstance(node.func, ast.Attribute) and node.func.attr in _TABLE_METHODS
    if not is_asked or not isinstance(root, ast.Name):
        return ""
    live = objects.namespace_get(cell.namespace, root.id)
    seen = [n for n in cell.nodes if isinstance(n, ast.Name) and n.id == root.id]
    names = (objects.qualified_name(type(live)), *(class_name(cell.flow.values.get(n)) for n in seen))
    return "pandas." if any(name.startswith("pandas.") for name in names) else ""


def _called(cell: Cell, value: Value | None) -> Iterator[Value | None]:
    """The functions that run when a value is called."""
    if isinstance(value, Class):
        yield from (cell.flow.member(value, name) for name in _MAKERS)
    elif isinstance(value, Live) and objects.is_a(value.obj, type):
        if is_users_class(value.obj):
            yield from (Live(objects.class_lookup(value.obj, name)) for name in _MAKERS)
    else:
        yield _method(cell, value, "__call__") or value


def _behind_syntax(cell: Cell, node: ast.AST) -> Iterator[tuple[ast.expr, Value | None]]:
    used: list[tuple[ast.expr, tuple[str, ...]]] = []
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        for decorator in node.decorator_list:
            yield from ((decorator, function) for function in _called(cell, cell.flow.values.get(decorator)))
            maker = decorator.func if isinstance(decorator, ast.Call) else decorator
            value = cell.flow.values.get(maker)
            if isinstance(node, ast.FunctionDef) and _calls_arguments(function_name(value) or class_name(value)):
                yield decorator, cell.flow.functions.get(node)
    elif isinstance(node, ast.With):
        used = [(item.context_expr, (name,)) for item in node.items for name in ("__enter__", "__exit__")]
    elif isinstance(node, ast.For) or (isinstance(node, ast.comprehension) and not node.is_async):
        used = [(node.iter, (name,)) for name in _TURNS]
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        yield node, _method(cell, cell.flow.values.get(node.value), node.attr, is_property=True)
    elif isinstance(node, ast.Subscript):
        used = [(node.value, (_ITEMS[type(node.ctx)],))]
    elif isinstance(node, ast.BinOp):
        used = [(node.left, (OPERATORS[type(node.op)],))]
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        used = [(node.comparators[0], ("__contains__",))]
    elif isinstance(node, ast.FormattedValue):
        used = [(node.value, _TEXT)]
    for owner, names in used:
        yield from ((owner, function) for function in _first_method(cell, cell.flow.values.get(owner), names))


def _first_method(cell: Cell, value: Value | None, names: tuple[str, ...]) -> list[Value]:
    found = (_method(cell, value, name) for name in names)
    return [function for function in found if function is not None][:1]


def _method(cell: Cell, value: Value | None, name: str, *, is_property: bool = False) -> Value | None:
    """The user's method that Python calls for an object, or the function of its property."""
    if isinstance(value, Object):
        found = cell.flow.member(value.cls, name)
        if isinstance(found, Descriptor) and found.kind == "property":
            return found.function if is_property else None
        return found if isinstance(found, Function) and not is_property else None
    cls = class_of(value)
    live = objects.class_lookup(cls, name) if cls is not None and is_users_class(cls) else None
    if not is_property:
        return Live(live) if objects.code_flags(live) else None
    if type(live) is property:
        return Live(live.fget)
    return Live(objects.instance_dict(live).get("func")) if objects.is_a(live, functools.cached_property) else None


def is_consumed(cell: Cell, node: ast.AST) -> bool:
    """Whether an iterator is run through where it is made."""
    parent = cell.parents.get(node)
    if isinstance(parent, (ast.For, ast.comprehension)):
        return parent.iter is node
    if isinstance(parent, ast.Call) and node in parent.args:
        call = cell.flow.calls.get(parent)
        name = function_name(call.function) if call is not None else ""
        return name in ("builtins.dict", "builtins.any", "builtins.all") or (
            _BUILTINS.get(name.removeprefix("builtins.")) is _TURNS
            and name not in ("builtins.iter", "builtins.enumerate")
        )
    return isinstance(parent, ast.Starred)


def called_on_loop(cell: Cell, run: list[tuple[ast.expr, Value | None]]) -> set[ast.AST]:
    """The plain functions of the cell that code on its loop has run, directly or through one another."""
    callers: dict[ast.AST, set[ast.AST | None]] = {}
    for node, function in run:
        callee = definition(function)
        if isinstance(callee, (ast.FunctionDef, ast.Lambda)):
            callers.setdefault(callee, set()).add(cell.function_of(node))
    reached: set[ast.AST] = set()
    while grown := {
        callee
        for callee, found in callers.items()
        if callee not in reached
        and any(c is None or isinstance(c, ast.AsyncFunctionDef) or c in reached for c in found)
    }:
        reached |= grown
    return reached


def is_dead(cell: Cell, node: ast.AST) -> bool:
    """Whether a constant condition keeps the node from running."""
    child = node
    for parent in cell.above(node):
        if isinstance(parent, (ast.If, ast.While)) and child is not parent.test:
            verdict = bool(parent.test.value) if isinstance(parent.test, ast.Constant) else None
            if verdict is not None and (child in parent.body) != verdict:
                return True
        child = parent
    return False
