"""`check` as users call it: any source, any namespace, never an exception, never an effect."""

from __future__ import annotations

import ast
import asyncio
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import asyncmagic
from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint import RULES, check, check_cells


async def fetch(x: int = 0) -> dict[str, int]:
    await asyncio.sleep(0)
    return {"x": x}


NAMESPACE = {"fetch": fetch, "asyncio": asyncio, "__name__": "__main__"}


def lines(source: str, **options: Any) -> list[tuple[int, str]]:
    return [(d.line, d.rule) for d in asyncmagic.check(source, NAMESPACE, **options)]


def test_a_diagnostic_names_the_rule_the_place_and_the_corrected_line() -> None:
    assert asyncmagic.check("x = 1\npage = fetch(1)\nprint(page['x'])", NAMESPACE) == [
        Diagnostic(
            line=2,
            column=7,
            rule="missing-await",
            message="`fetch(1)` makes a coroutine, not its result, and it is indexed on line 3",
            hint="Await it: `await fetch(1)`",
            fix="page = await fetch(1)",
            end_line=2,
            end_column=15,
        )
    ]


def test_the_correction_has_parentheses_where_python_wants_them() -> None:
    (found,) = asyncmagic.check("print(fetch(1)['x'])", NAMESPACE)
    assert found.fix == "print((await fetch(1))['x'])"


def test_columns_count_characters_not_bytes() -> None:
    (found,) = asyncmagic.check("é = 'ü'; fetch(1); y = 2", NAMESPACE)
    assert (found.column, found.end_column) == (9, 17)


def test_without_a_namespace_the_source_alone_is_looked_at() -> None:
    source = "import asyncio\nasync def f():\n    asyncio.sleep(1)\nf()\nx = 1"
    assert [(d.line, d.rule) for d in asyncmagic.check(source)] == [(3, "missing-await"), (4, "missing-await")]


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline\nfetch(1)\nx = 1",
        "!ls -la\nfetch(1)\nx = 1",
        "files = !ls\nfetch(1)\nx = 1",
        "fetch?\nfetch(1)\nx = 1",
        "%time x = 1\nfetch(1)\nx = 1",
        "x = %env HOME\nfetch(1)\nx = 1",
        "?fetch\nfetch(1);\n",
    ],
)
def test_ipython_syntax_leaves_the_line_numbers_alone(source: str) -> None:
    assert lines(source) == [(2, "missing-await")]


def test_a_shell_line_may_go_on_on_the_next_line() -> None:
    assert lines("!echo a \\\n  b\nfetch(1)\nx = 1") == [(3, "missing-await")]


def test_the_statement_after_a_timing_magic_is_checked_at_its_own_column() -> None:
    (found,) = asyncmagic.check("%time fetch(1)\nx = 1", NAMESPACE)
    assert (found.line, found.column, found.end_column) == (1, 6, 14)


@pytest.mark.parametrize("magic", ["%%time", "%%capture out", "%%timeit -n 1", "%%asynctrace", "\n%%time"])
def test_the_body_of_these_cell_magics_is_python(magic: str) -> None:
    assert lines(f"{magic}\nfetch(1)\nx = 1") == [(2 + magic.count("\n"), "missing-await")]


@pytest.mark.parametrize("magic", ["%%bash", "%%sql", "%%html", "%%javascript", "%%writefile x.py", "%%unknown"])
def test_cells_of_other_magics_are_left_alone(magic: str) -> None:
    assert lines(f"{magic}\nfetch(1)\nx = 1") == []


def test_what_an_agents_cell_starts_is_not_warned_about() -> None:
    source = "%%agents --limit 2\na = fetch(1)\nbs = [fetch(i) for i in range(3)]\nif 1:\n    c = fetch(2)\nfetch(3)"
    assert lines(source) == []
    assert lines(source.partition("\n")[2], agents=True) == []


def test_a_file_is_told_to_run_what_its_top_level_cannot_await() -> None:
    source = "import asyncio\nasync def main(): return [1]\nprint(main()[0])\nasyncio.gather(main())"
    (found,) = check_cells([source], is_script=True)
    assert [(d.line, d.fix) for d in found] == [(3, "print(asyncio.run(main())[0])"), (4, None)]
    assert "asyncio.run(main())" in found[1].hint


def test_a_function_body_in_an_agents_cell_is_checked_as_ever() -> None:
    assert lines("%%agents\nasync def f():\n    fetch(1)\na = f()") == [(3, "missing-await")]


def test_asyncio_run_in_an_agents_cell_is_no_mistake() -> None:
    assert lines("%%agents\nr = asyncio.run(fetch(1))") == []


def test_using_an_agent_before_it_is_done_is_a_mistake() -> None:
    assert lines("%%agents\na = fetch(1)\nprint(a['x'])") == [(3, "missing-await")]


def test_noqa_silences_a_line_or_one_rule_on_it() -> None:
    assert lines("fetch(1)  # noqa\nx = 1") == []
    assert lines("fetch(1)  # noqa: missing-await\nx = 1") == []
    assert lines("fetch(1)  # noqa: blocking-call, missing-await\nx = 1") == []
    assert lines("fetch(1)  # noqa: blocking-call\nx = 1") == [(1, "missing-await")]


def test_only_the_rules_that_are_asked_for_apply() -> None:
    source = "fetch(1)\nasyncio.run(fetch(2))"
    assert lines(source, rules=["asyncio-run"]) == [(2, "asyncio-run")]


def test_an_unknown_rule_is_named_together_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match="missing-await"):
        lines("x = 1", rules=["mising-await"])


@pytest.mark.parametrize("source", ["", "\n\n", "def f(:", "x = (", "\x00", "fetch(1", "await", "  x = 1", "é" * 10])
def test_what_is_not_python_gives_silence(source: str) -> None:
    assert lines(source) == []


def test_deep_nesting_gives_silence() -> None:
    assert lines("(" * 5000 + ")" * 5000) == []
    assert lines("x = " + "-" * 3000 + "1") == []
    assert lines("x = " + " + ".join(["1"] * 3000)) == []


def test_a_function_that_calls_itself_ends() -> None:
    assert lines("def f(n):\n    return f(n - 1) if n else fetch(1)\nasync def g():\n    return await g()\nf(3)") == []


def test_a_cell_of_five_thousand_lines_takes_no_longer_than_allowed() -> None:
    source = "\n".join(f"x{i} = fetch({i})" for i in range(5000))
    asyncmagic.check("x = 1", NAMESPACE)

    def least(work: Callable[[str], object]) -> float:
        taken = []
        for _ in range(3):
            begin = time.thread_time()
            work(source)
            taken.append(time.thread_time() - begin)
        return min(taken)

    # Parsing cannot be stopped; the rest stops after 50 ms. Without that it takes seconds.
    assert least(lambda source: asyncmagic.check(source, NAMESPACE)) < 0.1 + 4 * least(ast.parse)


def test_a_million_names_cost_nothing() -> None:
    namespace: dict[str, object] = {f"n{i}": i for i in range(1_000_000)}
    namespace["fetch"] = fetch
    begin = time.thread_time()
    found = asyncmagic.check("fetch(1)\nx = 1", namespace)
    assert time.thread_time() - begin < 0.05
    assert [d.rule for d in found] == ["missing-await"]


class UserCodeRan(BaseException):
    """Not an Exception, so that no safety net hides it."""


def hostile_objects() -> dict[str, object]:
    """Things about which everything raises or lies. Made here, for pytest looks at what stands in a module."""

    def refuse(*args: object, **kwargs: object) -> Any:
        raise UserCodeRan

    names = [
        f"__{name}__"
        for name in ["getattr", "getattribute", "repr", "str", "eq", "hash", "bool", "len", "iter", "getitem", "call"]
    ]
    names += [
        f"__{name}__" for name in ["await", "enter", "aenter", "contains", "format", "instancecheck", "subclasscheck"]
    ]
    body = dict.fromkeys(names, refuse) | {name: property(refuse) for name in ("__class__", "__dict__", "value")}
    hostile = object.__new__(type("Hostile", (), body))
    meta = type("Meta", (type,), dict.fromkeys(names, refuse))
    cls = type.__new__(meta, "HostileClass", (), {"__module__": "__main__"})
    return {
        "object": hostile,
        "class": cls,
        "instance": object.__new__(cls),
        "attribute": SimpleNamespace(value=hostile),
        "dict": {"x": hostile},
        "list": [hostile],
        "function": lambda: hostile,
    }


USES = """
h.value
h.value.other(1)
await h
await h.value
x = h + 1
h()
for i in h: pass
async for i in h: pass
with h as y: pass
async with h as y: pass
[i for i in h]
h[0]
h["x"]["y"]
print(h, f"{h}")
h.value = 1
h == 1 or h in [h]
asyncio.create_task(h)
await asyncio.gather(*h)
def f(a: h) -> h: return h
f(h)
class C(h): pass
match h:
    case 1: pass
"""


@pytest.mark.parametrize("hostile", ["object", "class", "instance", "attribute", "dict", "list", "function"])
def test_no_code_of_hostile_objects_is_run(hostile: str) -> None:
    namespace = {"h": hostile_objects()[hostile], "asyncio": asyncio, "fetch": fetch}
    for source in [USES, *USES.strip().split("\n")[:19]]:
        asyncmagic.check(source, namespace)
    assert [d.rule for d in asyncmagic.check("h.value\nfetch(1)\nx = 1", namespace)] == ["missing-await"]


def test_a_namespace_that_raises_has_no_names() -> None:
    class Bad(dict[str, object]):
        def __getitem__(self, key: str) -> object:
            raise UserCodeRan

        get = __getitem__  # type: ignore[assignment]

    assert asyncmagic.check("fetch(1)\nx = 1", Bad()) == []


def test_a_property_is_not_run_to_see_what_it_gives() -> None:
    ran = []

    class Client:
        @property
        def session(self) -> Client:
            ran.append(1)
            return self

        async def get(self, url: str) -> str:
            return url

    found = asyncmagic.check("client.session.get('x')\nx = 1", {"client": Client()})
    assert ([d.rule for d in found], ran) == ([], []) or ([d.rule for d in found], ran) == (["missing-await"], [])


def test_the_check_imports_nothing_that_the_cell_would_import() -> None:
    before = set(sys.modules)
    asyncmagic.check("import xml.dom.minidom\nxml.dom.minidom.parse('x')\nimport wsgiref.handlers", {})
    assert {name for name in set(sys.modules) - before if name.startswith(("xml.", "wsgiref"))} == set()


def test_every_rule_answers_to_its_name() -> None:
    assert list(RULES) == [
        *["missing-await", "coroutine-left", "dropped-task", "reused-coroutine", "await-non-awaitable"],
        *["missing-async", "async-callback", "asyncio-run", "blocking-call", "sequential-awaits"],
        *["atomic-update", "swallowed-cancel", "unchecked-exceptions", "api-misuse"],
    ]


@pytest.mark.parametrize(
    ("use", "message", "fix"),
    [
        ("print(len(x))", "`x` is a task, not its result: it is used as a value", "print(len(await x))"),
        ("y = x + 1", "`x` is a task, not its result: it is used in an expression", "y = await x + 1"),
        ("y = x.title", "`x` is a task, not its result: it is asked for `.title`", "y = (await x).title"),
        ("y = sum(xs)", "`xs` holds tasks, not their results: it is added up", None),
    ],
)
def test_the_part_that_is_to_be_awaited_is_named(use: str, message: str, fix: str | None) -> None:
    source = (
        f"async def nap(n): return n\nx = nap(1)\nxs = [nap(n) for n in range(3)]\n{use}\nawait asyncio.gather(*xs)"
    )
    (found,) = check(source, {"asyncio": asyncio}, agents=True)
    assert (found.rule, found.line, found.message, found.fix) == ("missing-await", 4, message, fix)
