"""The rewriting keeps every line where it was, and knows which names need the coroutine itself."""

from __future__ import annotations

import ast

import pytest

from asyncmagic.rewrite import MARK, Rewriter, handed_over, rewrite_source, unmarked

LINES = [
    "%%agents\nx = 1\n",
    "%%agents --limit 3\nx = 1\n",
    "%%time\n%%agents\nx = 1\n",
    "%%agents\n%%time\nx = '''\n%%agents\n'''\n",
    "%%asynctrace --name 'a b'\nx = 1",
    "%%agents\nfrom __future__ import annotations\nx: y = 1\n",
    "x = 1\n%asynctrace await f(x)\ny = 2\n",
]


@pytest.mark.parametrize("source", LINES)
def test_every_line_of_the_body_stays_where_it_was(source: str) -> None:
    before = source.splitlines()
    after = "".join(rewrite_source(source.splitlines(keepends=True))).splitlines()
    is_future = "__future__" in source
    assert len(after) == len(before) + is_future
    kept = [(number, line) for number, line in enumerate(before) if "%%" not in line[:2] and "%asynctrace" not in line]
    assert kept == [(number, after[number]) for number, _ in kept]
    assert sum(MARK in line for line in after) == 1


UNTOUCHED = [
    "",
    "x = 1\n",
    "%%bash\nawait\n",
    "%%agents?\n",
    "%%agentsx\nx = 1\n",
    "%%agents\n   \n",
    "# comment\n%%agents\nx\n",
    "%asynctrace on\n",
    "%asynctrace lint explain missing-await\n",
]


@pytest.mark.parametrize("source", UNTOUCHED)
def test_other_cells_are_left_alone(source: str) -> None:
    lines = source.splitlines(keepends=True)
    assert rewrite_source(lines) == lines


def test_rewriting_twice_is_rewriting_once() -> None:
    once = rewrite_source(["%%agents -o x\n", "f()\n"])
    assert rewrite_source(once) == once


@pytest.mark.parametrize("line", ["%%agents --limit 3 -o 'x'", "%%asynctrace", "%asynctrace await f('a')"])
def test_the_users_own_first_line_can_be_had_back(line: str) -> None:
    marked = rewrite_source([line + "\n", "x\n"])[0]
    assert unmarked(marked) == line + "\n"


HANDED = [
    ("c = f()\nawait c", set()),
    ("c = f()\nawait asyncio.gather(c, *d)", set()),
    ("c = f()\nasyncio.create_task(c)", {"c"}),
    ("c = f()\ngroup.create_task(coro=c)", {"c"}),
    ("c = f()\nd = c\nasyncio.run(d)", {"c", "d"}),
    ("cs = [f()]\nfor c in cs:\n    start(c)", {"c", "cs"}),
    ("cs = [f()]\nts = [start(c) for c in cs]", {"c", "cs"}),
    ("cs = [f()]\nfor i, c in enumerate(cs):\n    start(c)", {"c", "cs"}),
    ("cs = [f()]\nprint(len(cs), cs[0])", set()),
    ("c = f()\nc.close()", {"c"}),
    ("cs = []\ncs.append(f())", set()),
    ("c = f()\nkeep([c])", {"c"}),
    ("c = f()\nkeep(g(c))", {"c"}),
    ("def later():\n    return start(c)\nc = f()", {"c"}),
]


@pytest.mark.parametrize(("body", "names"), HANDED, ids=[body for body, _ in HANDED])
def test_which_names_are_handed_over(body: str, names: set[str]) -> None:
    assert handed_over(ast.parse(body).body) == names


def test_the_rewritten_tree_compiles_and_keeps_line_numbers() -> None:
    source = "%%agents\nx = f()\nif x:\n    y = [g() for _ in range(3)]\nx\n"
    tree = ast.parse("".join(rewrite_source(source.splitlines(keepends=True))))
    rewritten = Rewriter({}).visit(tree)
    compile(rewritten, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assigned = [node.lineno for node in ast.walk(rewritten) if isinstance(node, ast.Assign)]
    assert assigned == [2, 4]
