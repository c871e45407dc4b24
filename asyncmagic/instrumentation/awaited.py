"""The expression that a suspended coroutine awaits, shortened from its source: `client.fetch(…)`."""

from __future__ import annotations

import ast
import linecache
import re
from opcode import opmap
from types import CodeType

from asyncmagic.instrumentation.places import Position, line_at, source_at

_GET_AWAITABLE = opmap["GET_AWAITABLE"]
#: What GET_AWAITABLE says of the `__aenter__` of an `async with`.
_ENTERS = 1
_MOST = 60


def awaited(code: CodeType, instruction: int) -> str:
    """Return what is awaited at an instruction (`frame.f_lasti`) of some code; "" if its source does not tell."""
    try:
        expressions = _expressions(code, instruction)
    except Exception:
        # Without columns, or with another source than was compiled, the line is all there is.
        return _in_line(linecache.getline(code.co_filename, line_at(code, instruction)))
    text = ", ".join(short for each in expressions if (short := _short(each)) != "…")
    return text if len(text) <= _MOST else f"…{text[-_MOST:]}"


def _expressions(code: CodeType, instruction: int) -> list[ast.expr]:
    positions = list(code.co_positions())
    match _parse(code.co_filename, positions[instruction // 2]):
        case ast.Await(value=expression) | ast.YieldFrom(value=expression) | ast.AsyncFor(iter=expression):
            return [expression]
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp() as comprehension:
            return [each.iter for each in comprehension.generators if each.is_async]
        case ast.AsyncWith(items=items):
            # Since Python 3.13 each item has a position of its own. Before, what is entered was computed just now,
            # and what is left cannot be told from the others.
            operations = code.co_code
            while operations[instruction] != _GET_AWAITABLE:
                instruction -= 2
            if len(items) > 1 and operations[instruction + 1] == _ENTERS:
                entered = _parse(code.co_filename, positions[instruction // 2 - 2])
                return [entered] if isinstance(entered, ast.expr) else []
            return [item.context_expr for item in items]
        case ast.expr() as item:
            return [item]
    return []


def _parse(file: str, position: Position) -> ast.AST:
    source = source_at(file, position)
    if not source.startswith("async "):
        return ast.parse(f"({source}\n)", mode="eval").body
    line, _, column, _ = position
    margin = linecache.getline(file, line or 0).encode()[:column].decode()
    # The statement's other lines have kept their margin.
    tree = ast.parse(f"if margin:\n{margin}{source}" if margin else source)
    return next(node for node in ast.walk(tree) if isinstance(node, ast.AsyncFor | ast.AsyncWith))


def _short(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_short(value)}.{name}"
        case ast.Call(func=function):
            return f"{_short(function)}(…)"
        case ast.Subscript(value=value):
            return f"{_short(value)}[…]"
        case ast.Await(value=value) | ast.NamedExpr(value=value):
            return _short(value)
    return "…"


def _in_line(source: str) -> str:
    found = re.search(r"\b(?:await|async for .* in|async with)\s+([\w.]+)(\(?)", source)
    if found is None:
        return ""
    return f"{found[1]}(…)" if found[2] else found[1]
