"""The syntax trees of live functions, and what their names are to them."""

from __future__ import annotations

import ast
import functools
import linecache
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from asyncmagic.lint.flow.bytecode import tree_from_bytecode
from asyncmagic.lint.flow.values import FunctionNode

FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_MAX_LINES: Final = 400
_trees: WeakKeyDictionary[types.CodeType, FunctionNode | None] = WeakKeyDictionary()


_N = TypeVar("_N", bound=ast.AST)
_T = TypeVar("_T")


#: The methods behind the operators.
OPERATORS: Final[dict[type[ast.operator], str]] = {
    ast.Add: "__add__",
    ast.Sub: "__sub__",
    ast.Mult: "__mul__",
    ast.Div: "__truediv__",
    ast.FloorDiv: "__floordiv__",
    ast.Mod: "__mod__",
    ast.Pow: "__pow__",
    ast.MatMult: "__matmul__",
    ast.LShift: "__lshift__",
    ast.RShift: "__rshift__",
    ast.BitAnd: "__and__",
    ast.BitOr: "__or__",
    ast.BitXor: "__xor__",
}


def _remembered(ask: Callable[[_N], _T]) -> Callable[[_N], _T]:
    """Ask about a node once, and remember it for as long as somebody else holds the node: cells come and go."""
    known: WeakKeyDictionary[_N, _T] = WeakKeyDictionary()

    @functools.wraps(ask)
    def remember(node: _N) -> _T:
        if node not in known:
            known[node] = ask(node)
        return known[node]

    return remember


def function_tree(function: types.FunctionType) -> FunctionNode | None:
    """The syntax tree of a live function, from the source that it was compiled from or from its bytecode."""
    code = function.__code__
    if code not in _trees:
        try:
            tree = _parse(code, function.__globals__)
        except Exception:  # Some other text stands under that name.
            tree = None
        _trees[code] = tree or tree_from_bytecode(function)
    return _trees[code]


def _parse(code: types.CodeType, module_globals: dict[str, object]) -> FunctionNode | None:
    cached = linecache.cache.get(code.co_filename)
    if cached is None and not code.co_filename.endswith(".py"):
        return None
    lines = linecache.getlines(code.co_filename, module_globals)
    first, last = code.co_firstlineno - 1, _last_line(code)
    if last - first > _MAX_LINES:
        return None
    for extra in (0, 1, 3, 8):
        text = "".join(lines[first : last + extra])
        try:
            tree = ast.parse("if 1:\n" + text if text[:1].isspace() else text)
        except SyntaxError:
            continue
        first_statement = tree.body[0].body[0] if isinstance(tree.body[0], ast.If) else tree.body[0]
        if isinstance(first_statement, FUNCTIONS) and _is_compiled_to(first_statement, code):
            return first_statement
        found = [n for n in ast.walk(tree) if isinstance(n, FUNCTIONS) and _is_compiled_to(n, code)]
        return found[0] if len(found) == 1 else None
    return None


def _last_line(code: types.CodeType) -> int:
    last = max((end for _, end, _, _ in code.co_positions() if end), default=code.co_firstlineno)
    nested = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return max([last, *(_last_line(const) for const in nested)])


def _is_compiled_to(node: FunctionNode, code: types.CodeType) -> bool:
    name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
    arguments = [arg.arg for arg in positional(node) + node.args.kwonlyargs]
    return name == code.co_name and tuple(arguments) == code.co_varnames[: len(arguments)]


def positional(node: FunctionNode) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args]


def all_arguments(node: FunctionNode) -> list[ast.arg]:
    stars = [arg for arg in (node.args.vararg, node.args.kwarg) if arg]
    return [*positional(node), *node.args.kwonlyargs, *stars]


def defaults(node: FunctionNode) -> dict[str, ast.expr]:
    """The arguments that have a default, and that default."""
    names = [arg.arg for arg in positional(node)][len(positional(node)) - len(node.args.defaults) :]
    by_keyword = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return dict(zip(names, node.args.defaults, strict=True)) | {a.arg: d for a, d in by_keyword if d is not None}


def body_of(node: FunctionNode) -> list[ast.stmt]:
    if isinstance(node, ast.Lambda):
        return [ast.copy_location(ast.Return(node.body), node.body)]
    return node.body


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function or module without those of the functions and classes inside it."""
    body = getattr(node, "body", [])
    todo: list[ast.AST] = list(reversed(body)) if isinstance(body, list) else [body]
    while todo:
        child = todo.pop()
        yield child
        if not isinstance(child, (*FUNCTIONS, ast.ClassDef)):
            todo.extend(reversed(list(ast.iter_child_nodes(child))))
        elif not isinstance(child, ast.Lambda):
            todo.extend(child.decorator_list)


@_remembered
def names_in(node: ast.AST) -> frozenset[str]:
    """Every name and attribute that stands in the node."""
    names = (part.id for part in ast.walk(node) if isinstance(part, ast.Name))
    return frozenset(names) | {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a function's syntax says of its names: `makers` are the statements that bind a name only once."""

    local: frozenset[str]
    captured: frozenset[str]
    makers: dict[str, ast.stmt]
    returns: tuple[ast.Return, ...]
    yields: tuple[ast.Yield, ...]
    awaits: bool
    is_generator: bool
    may_fall_through: bool


@_remembered
def facts(node: ast.AST) -> Facts:
    """What the syntax of a function, class or module body says of its names."""
    local: set[str] = {arg.arg for arg in all_arguments(node)} if isinstance(node, FUNCTIONS) else set()
    outer: set[str] = set()
    captured: set[str] = set()
    makers: dict[str, list[ast.stmt | None]] = {}
    returns: list[ast.Return] = []
    yields: list[ast.Yield] = []
    is_generator = awaits = False

    def bound(name: str, maker: ast.stmt | None) -> None:
        local.add(name)
        makers.setdefault(name, []).append(maker)

    whole: set[ast.Name] = set()
    for child in own_nodes(node):
        if isinstance(child, ast.Name):
            if not isinstance(child.ctx, ast.Load) and child not in whole:
                bound(child.id, None)
        elif isinstance(child, ast.Assign):
            if len(child.targets) == 1 and isinstance(target := child.targets[0], ast.Name):
                whole.add(target)
                bound(target.id, child)
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound(child.name, child)
            captured |= facts(child).captured if isinstance(child, ast.ClassDef) else free_names(child)
        elif isinstance(child, ast.Lambda):
            captured |= free_names(child)
        elif isinstance(child, (ast.Import, ast.ImportFrom)):
            for alias in child.names:
                bound((alias.asname or alias.name).partition(".")[0], child)
        elif isinstance(child, ast.ExceptHandler) and child.name:
            bound(child.name, None)
        elif isinstance(child, (ast.Global, ast.Nonlocal)):
            outer.update(child.names)
        elif isinstance(child, ast.Return):
            returns.append(child)
        elif _is_asynchronous(child):
            awaits = True
        elif isinstance(child, (ast.Yield, ast.YieldFrom)):
            is_generator = True
            yields += [child] if isinstance(child, ast.Yield) else []
    body = getattr(node, "body", [])
    return Facts(
        frozenset(local - outer),
        frozenset(captured),
        {name: found[0] for name, found in makers.items() if len(found) == 1 and found[0] is not None},
        tuple(returns),
        tuple(yields),
        awaits,
        is_generator,
        isinstance(body, list) and not _always_leaves(body),
    )


def _is_asynchronous(node: ast.AST) -> bool:
    """Whether Python allows the node in `async def` alone."""
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp)):
        return any(generator.is_async for generator in node.generators)
    return isinstance(node, (ast.Await, ast.AsyncFor, ast.AsyncWith))


def _always_leaves(body: list[ast.stmt]) -> bool:
    """Whether the end of the statements cannot be reached, as far as their form says."""
    last = body[-1] if body else None
    if isinstance(last, (ast.Return, ast.Raise)):
        return True
    if isinstance(last, ast.If):
        return _always_leaves(last.body) and _always_leaves(last.orelse)
    if isinstance(last, (ast.With, ast.AsyncWith)):
        return _always_leaves(last.body)
    if isinstance(last, ast.Try):
        handlers = all(_always_leaves(handler.body) for handler in last.handlers)
        return _always_leaves(last.finalbody) or (handlers and _always_leaves(last.orelse or last.body))
    return isinstance(last, ast.While) and isinstance(last.test, ast.Constant) and bool(last.test.value)


@_remembered
def free_names(node: FunctionNode) -> frozenset[str]:
    """The names that the function reads and does not bind."""
    loads = {n.id for n in own_nodes(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    found = facts(node)
    return frozenset((loads | found.captured) - found.local)


def is_placeholder(node: FunctionNode) -> bool:
    """Whether the user's function says itself that what it does is written elsewhere, as in a Protocol or a base class.

    Running through it would tell nothing: it is abstract, or there is nothing in it but a text, `...`, or the raising
    of `NotImplementedError`.
    """
    if isinstance(node, ast.Lambda):
        return False
    if any("abstractmethod" in ast.unparse(decorator) for decorator in node.decorator_list):
        return True
    rest = node.body[1:] if _is_text(node.body[0]) else node.body
    return all(_says_nothing(statement) for statement in rest)


def _says_nothing(node: ast.stmt) -> bool:
    is_dots = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...
    return is_dots or (isinstance(node, ast.Raise) and "NotImplemented" in ast.unparse(node))


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def is_generator(node: FunctionNode) -> bool:
    return facts(node).is_generator
