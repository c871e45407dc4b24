"""Turn a `%%agents` cell into ordinary async Python that IPython itself runs: its lines first, then its syntax tree.

The source step replaces the magic's own line by `await __asyncmagic__(…)`, so that IPython sees an async cell whose
body keeps its lines. The tree step wraps that body in `async with cell(…):` and passes what the cell makes at its top
level through `Run.adopt`.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

_Target = TypeVar("_Target", bound=ast.expr)

#: Under this name the code that we put into the cell finds its helpers, among the built-ins: no name of ours enters the
#: user's namespace, and a loop at the cell's top level pays for nothing dearer in each of its turns.
MARK = "__asyncmagic__"

_CELL = re.compile(r"%%(agents|asynctrace)(?=\s|$)[ \t]*(.*)")
_OUTER = re.compile(r"%%(time|capture)(?=\s|$)[ \t]*(.*)")
_LINE = re.compile(r"(\s*)%asynctrace[ \t]+(.*\bawait\b.*)")
_FUTURE = re.compile(r"^from\s+__future__\s+import", re.MULTILINE)

#: A task serves these as well as the coroutine would.
AWAITERS = frozenset({"gather", "wait", "wait_for", "as_completed", "shield"})
#: Built-in functions that look at a value and run nothing.
LOOKERS = frozenset(
    {"all", "any", "bool", "dict", "display", "enumerate", "filter", "id", "isinstance", "iter", "len", "list", "map"}
    | {
        "max",
        "min",
        "next",
        "print",
        "range",
        "repr",
        "reversed",
        "set",
        "sorted",
        "str",
        "sum",
        "tuple",
        "type",
        "zip",
    }
)
#: Attributes that a coroutine has and a task has not.
COROUTINE_ATTRIBUTES = frozenset(
    {"send", "throw", "close", "cr_await", "cr_code", "cr_frame", "cr_running", "cr_origin"}
)


# -- the source


def rewrite_source(lines: list[str]) -> list[str]:
    """Replace the line of `%%agents`, `%%asynctrace` and `%asynctrace … await …` by an await; the others stay."""
    if not lines:
        return lines
    if not lines[0].startswith("%%"):
        return [_rewrite_line(line) for line in lines]
    header, outer = 0, []
    while header < len(lines) and (match := _OUTER.match(lines[header])):
        outer.append((match[1], match[2].strip()))
        header += 1
    match = _CELL.match(lines[header]) if header < len(lines) else None
    if match is None or match[2].startswith("?"):
        return lines
    header += 1
    while header < len(lines) and (below := _OUTER.match(lines[header])):
        outer.append((below[1], below[2].strip()))
        header += 1
    body = lines[header:]
    if not "".join(body).strip():
        return lines
    mark = f"await {MARK}({match[1]!r}, {match[2].rstrip()!r}, {outer!r})\n"
    blank = ["\n"] * (header - 1)
    if _FUTURE.search("".join(body)):
        # A __future__ import has to come first, so the mark goes last.
        return ["\n", *blank, *_ended(body), mark]
    return [mark, *blank, *body]


def _rewrite_line(line: str) -> str:
    match = _LINE.fullmatch(line.rstrip("\n"))
    return f"{match[1]}await {MARK}('await', {match[2]!r}, [])\n" if match and _awaits(match[2]) else line


def _awaits(statement: str) -> bool:
    try:
        return any(isinstance(node, ast.Await) for node in ast.walk(ast.parse(statement)))
    except SyntaxError:
        return False


def _ended(lines: list[str]) -> list[str]:
    return lines if lines[-1].endswith("\n") else [*lines[:-1], lines[-1] + "\n"]


def unmarked(line: str) -> str:
    """Return the user's own first line for the one that `rewrite_source` put in its place."""
    try:
        call = ast.parse(line.strip().removeprefix("await ")).body[0]
        kind, arguments, _ = ast.literal_eval(ast.Tuple(call.value.args, ast.Load()))  # type: ignore[attr-defined]
    except (SyntaxError, ValueError, AttributeError, IndexError):
        return line
    return f"%asynctrace {arguments}\n" if kind == "await" else f"%%{kind} {arguments}".rstrip() + "\n"


# -- the tree


class Rewriter(ast.NodeTransformer):
    """IPython's AST transformer for the cells that `rewrite_source` marked; every other cell passes untouched."""

    def __init__(self, namespace: Mapping[str, object]) -> None:
        self.namespace = namespace

    def visit_Module(self, node: ast.Module) -> ast.Module:
        for index in (0, -1) if node.body else ():
            if (arguments := _mark_of(node.body[index])) and arguments[0] != "await":
                mark = node.body.pop(index)
                node.body = self._wrapped(node.body, mark, *arguments)
                return ast.fix_missing_locations(node)
        self.generic_visit(node)
        return ast.fix_missing_locations(node)

    def _wrapped(
        self, body: list[ast.stmt], mark: ast.stmt, kind: str, arguments: str, outer: list[tuple[str, str]]
    ) -> list[ast.stmt]:
        """Return the body inside `async with cell(…)`, and after it the value of its last expression, if it has one."""
        imports = [statement for statement in body if _is_future_import(statement)]
        body = [statement for statement in body if not _is_future_import(statement)]
        if kind == "agents":
            adopt: ast.NodeTransformer = _Adopt(handed_over(body), self.namespace)
        else:
            adopt = _Keep()
        last = body[-1] if body else None
        if isinstance(last, ast.Expr):
            last.is_last = True  # type: ignore[attr-defined]
        inside: list[ast.stmt] = [adopt.visit(statement) for statement in body] or [ast.Pass()]
        settings = (ast.Constant(kind), ast.Constant(arguments), ast.Constant(repr(outer)))
        block = ast.AsyncWith(items=[ast.withitem(_helper("cell", *settings))], body=inside)
        whole = [*imports, ast.copy_location(block, mark)]
        for node in ast.walk(block.items[0].context_expr):
            ast.copy_location(node, mark)
        if isinstance(last, ast.Expr):
            whole.append(ast.copy_location(ast.Expr(_located(_helper("result"), last)), last))
        return whole

    def visit_Expr(self, statement: ast.Expr) -> ast.Expr | list[ast.stmt]:
        """Return what `%asynctrace await …` stands for: the statement inside a trace, then its value."""
        mark = _mark_of(statement)
        if mark is None:
            return statement
        body = ast.parse(mark[1]).body
        for node in body:
            for inner in ast.walk(node):
                if hasattr(inner, "lineno"):
                    inner.lineno = inner.end_lineno = statement.lineno  # type: ignore[attr-defined]
        return self._wrapped(body, statement, *mark)


def _mark_of(node: ast.stmt) -> tuple[str, str, list[tuple[str, str]]] | None:
    match node:
        case ast.Expr(value=ast.Await(value=ast.Call(func=ast.Name(id=name), args=arguments))) if name == MARK:
            kind, line, outer = (ast.literal_eval(argument) for argument in arguments)
            return kind, line, outer
    return None


def _is_future_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _located(node: ast.expr, at: ast.AST) -> ast.expr:
    for inner in ast.walk(node):
        if not hasattr(inner, "lineno"):
            ast.copy_location(inner, at)
    return node


def _helper(name: str, *arguments: ast.expr) -> ast.Call:
    """Return `__asyncmagic__.name(*arguments)`."""
    return ast.Call(ast.Attribute(ast.Name(MARK, ast.Load()), name, ast.Load()), list(arguments), [])


class _TopLevel(ast.NodeTransformer):
    """Visits what runs at the cell's own level: blocks of if, for, while, with and try, but no function body."""

    def _leave(self, node: ast.AST) -> ast.AST:
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = visit_GeneratorExp = _leave


class _Keep(_TopLevel):
    """Keeps the value of the last expression; starts nothing."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        if getattr(node, "is_last", False):
            node.value = _located(_helper("keep", node.value), node.value)
        return node


class _Adopt(_TopLevel):
    """Passes the values of assignments and expression statements through the run, which starts their coroutines."""

    def __init__(self, handed: frozenset[str], namespace: Mapping[str, object]) -> None:
        self.handed = handed
        self.modules = {name for name, value in namespace.items() if value is asyncio} | {"asyncio"}
        self.runners = {name for name, value in namespace.items() if value is asyncio.run}

    def visit_Import(self, node: ast.Import) -> ast.Import:
        self.modules.update(alias.asname or alias.name for alias in node.names if alias.name == "asyncio")
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.ImportFrom:
        if node.module == "asyncio":
            self.runners.update(alias.asname or alias.name for alias in node.names if alias.name == "run")
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        self.generic_visit(node)
        is_last = getattr(node, "is_last", False)
        if isinstance(node.value, ast.Constant | ast.Await | ast.Yield | ast.YieldFrom) and not is_last:
            return node
        changed = _literal(sorted(set(_names(node.value))))
        arguments = (node.value, ast.Constant(node.lineno), changed, ast.Constant(is_last))
        node.value = _located(_helper("adopt_expression", *arguments), node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        self.generic_visit(node)
        node.value = self._adopted(node.value, node.targets)
        node.targets = [_placed(target) for target in node.targets]
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AnnAssign:
        self.generic_visit(node)
        if node.value is not None:
            node.value = self._adopted(node.value, [node.target])
            if isinstance(node.target, ast.Subscript | ast.Attribute):
                node.target = _placed(node.target)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AugAssign:
        self.generic_visit(node)
        node.value = self._adopted(node.value, [node.target])
        return node

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.NamedExpr:
        self.generic_visit(node)
        node.value = self._adopted(node.value, [node.target])
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """`asyncio.run(x)` and `loop.run_until_complete(x)` become `await x` on the loop that is running."""
        self.generic_visit(node)
        if not self._may_run_a_loop(node.func) or any(isinstance(argument, ast.Starred) for argument in node.args):
            return node
        call = _helper("run_here", node.func, *node.args)
        call.keywords = node.keywords
        return ast.copy_location(ast.Await(_located(call, node)), node)

    def _may_run_a_loop(self, function: ast.expr) -> bool:
        match function:
            case ast.Attribute(attr="run_until_complete"):
                return True
            case ast.Attribute(value=ast.Name(id=name), attr="run"):
                return name in self.modules
            case ast.Name(id=name):
                return name in self.runners
        return False

    def _adopted(self, value: ast.expr, targets: Sequence[ast.expr]) -> ast.expr:
        if isinstance(value, ast.Constant | ast.Await | ast.Compare | ast.JoinedStr | ast.Lambda | ast.UnaryOp):
            return value
        names = sorted({name for target in targets for name in _names(target)})
        start = not self.handed.intersection(names)
        arguments = (ast.Constant(value.lineno), _label(targets[0]), _literal(names), ast.Constant(start))
        return _located(_helper("adopt", value, *arguments), value)


def _literal(names: Sequence[str]) -> ast.expr:
    return ast.Tuple([ast.Constant(name) for name in names], ast.Load())


def _label(target: ast.expr) -> ast.expr:
    """Return what the agents of an assignment are called, in the shape of its target."""
    if isinstance(target, ast.Tuple | ast.List):
        return ast.Tuple([_label(element) for element in target.elts], ast.Load())
    return ast.Constant(ast.unparse(target))


def _names(target: ast.expr) -> Iterator[str]:
    """Yield the names whose values assigning to `target`, or calling it, may change: `a` for `a[0].b`, `(a, *b)`."""
    match target:
        case ast.Name(id=name):
            yield name
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for element in elements:
                yield from _names(element)
        case (
            ast.Starred(value=inner)
            | ast.Subscript(value=inner)
            | ast.Attribute(value=inner)
            | ast.Call(func=ast.Attribute(value=inner))
        ):
            yield from _names(inner)


def _placed(target: _Target) -> _Target:
    """Let the run remember what is assigned into an object: `place(d)[k]` for `d[k]`, `place(a).b` for `a.b`."""
    if isinstance(target, ast.Tuple | ast.List):
        target.elts = [_placed(element) for element in target.elts]
    elif isinstance(target, ast.Starred):
        target.value = _placed(target.value)
    elif isinstance(target, ast.Subscript | ast.Attribute):
        target.value = _located(_helper("place", target.value), target.value)
    return target


def _called_name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def handed_over(body: Sequence[ast.stmt]) -> frozenset[str]:
    """Return the names that the cell hands to something that may need the coroutine itself, not a task for it."""
    handed: set[str] = set()
    same: list[tuple[set[str], set[str]]] = []
    for statement in body:
        for node in ast.walk(statement):
            match node:
                case ast.Call() if _called_name(node) not in AWAITERS | LOOKERS:
                    for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                        handed.update(_passed(argument))
                case ast.Attribute(value=ast.Name(id=name), attr=attribute) if attribute in COROUTINE_ATTRIBUTES:
                    handed.add(name)
                case ast.Assign(targets=targets, value=value):
                    same.append(({name for target in targets for name in _names(target)}, set(_passed(value))))
                case ast.For(target=target, iter=iterated) | ast.comprehension(target=target, iter=iterated):
                    same.append((set(_names(target)), set(_passed(iterated))))
    changed = True
    while changed:
        before = len(handed)
        for names, sources in same:
            if handed & names:
                handed |= sources
        changed = len(handed) > before
    return frozenset(handed)


def _passed(argument: ast.expr) -> Iterator[str]:
    """Yield the names whose own values an expression passes on: `c`, `*c`, `[c, d]`, `{"k": c}`, `c[0]`."""
    match argument:
        case ast.Name(id=name):
            yield name
        case ast.Starred(value=inner) | ast.Subscript(value=inner):
            yield from _passed(inner)
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            for element in elements:
                yield from _passed(element)
        case ast.Dict(values=values):
            for value in values:
                yield from _passed(value)
        case ast.Call(args=arguments) if _called_name(argument) in LOOKERS:
            for inner in arguments:
                yield from _passed(inner)
