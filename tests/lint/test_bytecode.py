"""Functions without source (made by `exec`, sent over a wire) are read from their bytecode."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Callable
from typing import Any

import pytest

from asyncmagic import check
from asyncmagic.lint.flow.bytecode import tree_from_bytecode

SETUP = """
import asyncio, functools, time
async def fetch(x, delay=0.01):
    await asyncio.sleep(delay)
    return {"x": x}
go = lambda x: fetch(x)
def add(a, b): return a + b
def slow():
    time.sleep(0.01)
    return 1
def logged(fn):
    @functools.wraps(fn)
    def wrapper(*a, **k):
        print("call", fn.__name__)
        return fn(*a, **k)
    return wrapper
@logged
async def load(x): return x
def either(x):
    return fetch(x) if x else x
"""

CELLS = [
    ("go(1)\nv = await go(2)", [("missing-await", 1)]),
    ("load(1)\nv = await load(2)", [("missing-await", 1)]),
    ("x = await add(1, 2)", [("await-non-awaitable", 1)]),
    ("r = await (await fetch(1))", [("await-non-awaitable", 1)]),
    ("r = await asyncio.to_thread(slow())", [("api-misuse", 1)]),
    ("either(1)\nx = add(1, 2)\ny = await go(1)", []),
]


@pytest.mark.parametrize(("cell", "expected"), CELLS)
@pytest.mark.parametrize("other_text", [None, "pass"])
def test_what_they_return_is_known(
    cell: str, expected: list[tuple[str, int]], other_text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python 3.13 keeps the text of `python -c` under the same name, "<string>".
    monkeypatch.delitem(linecache.cache, "<string>", raising=False)
    if other_text is not None:
        monkeypatch.setitem(linecache.cache, "<string>", (4, None, [other_text], "<string>"))
    namespace: dict[str, Any] = {"text": other_text}
    exec(f"{SETUP}\n{hash(other_text)}", namespace)
    assert [(found.rule, found.line) for found in check(cell, namespace)] == expected


def _wrapper(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def wrapper(*a: Any, **k: Any) -> Any:
        return fn(*a, **k)

    return wrapper


READ = [
    (lambda a, b: a.foo(b, q=a)[0], "def _(a, b):\n    return a.foo(b, q=a)[0]"),
    (lambda a, *rest, k=None: [a, *rest] if a else k, None),
    (_wrapper(print), "def _(*a, **k):\n    return fn(*a, **k)"),
]


@pytest.mark.parametrize(("function", "source"), READ, ids=["call", "branch", "wrapper"])
def test_a_straight_line_is_read_and_nothing_else(function: Any, source: str | None) -> None:
    tree = tree_from_bytecode(function)
    assert (ast.unparse(tree) if tree is not None else None) == source
