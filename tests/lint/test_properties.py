"""Whatever the cell and the namespace: checking raises nothing, runs nothing and changes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import asyncmagic
from tests.lint.cells import labelled_cells, marked_cells

NAMES = ["a", "b", "fetch", "client", "asyncio", "xs", "task"]
SOURCES = [cell.source for cell in [*labelled_cells(), *marked_cells()]]

expressions = st.recursive(
    st.sampled_from([*NAMES, "1", "None", "'t'", "lambda: fetch(1)", "[]", "{}"]),
    lambda inner: st.one_of(
        st.builds("await {}".format, inner),
        st.builds("{}({})".format, inner, inner),
        st.builds("{}.{}".format, st.sampled_from(NAMES), st.sampled_from(["value", "get", "close", "gather", "x"])),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("[{} for a in {}]".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("{} + {}".format, inner, inner),
        st.builds("asyncio.create_task({})".format, inner),
        st.builds("(await asyncio.gather(*{}))".format, inner),
        st.builds("{}[{}]".format, st.sampled_from(NAMES), inner),
        st.builds("f'{{{}}}'".format, st.sampled_from(NAMES)),
        st.builds("{{'k': {}}}".format, inner),
    ),
    max_leaves=8,
)
simple = st.one_of(
    expressions,
    st.builds("{} = {}".format, st.sampled_from([*NAMES, "a, b", "a.x", "xs[0]", "a, *b"]), expressions),
    st.builds("{} += {}".format, st.sampled_from(NAMES), expressions),
    st.builds("return {}".format, expressions),
    st.sampled_from(
        ["pass", "break", "continue", "del a", "global a", "import json as a", "from asyncio import sleep"]
    ),
)


def _indented(body: str) -> str:
    return "\n".join("    " + line for line in body.split("\n"))


def _block(head: str, body: str) -> str:
    return f"{head}\n{_indented(body)}"


statements = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(lambda a, b: f"{a}\n{b}", inner, inner),
        st.builds(lambda e, b: _block(f"if {e}:", b), expressions, inner),
        st.builds(lambda e, b: _block(f"for a in {e}:", b), expressions, inner),
        st.builds(lambda e, b: _block(f"async for a in {e}:", b), expressions, inner),
        st.builds(lambda e, b: _block(f"while {e}:", b), expressions, inner),
        st.builds(lambda e, b: _block(f"async with {e} as a:", b), expressions, inner),
        st.builds(lambda b, c: _block("try:", b) + "\n" + _block("except Exception as a:", c), inner, inner),
        st.builds(lambda b: _block("async def fetch(a, b=None):", b), inner),
        st.builds(lambda b: _block("def a(*xs, **task):", b), inner),
        st.builds(lambda b: _block("class b(a):", _block("async def get(self):", b)), inner),
        st.builds(lambda e, b: _block(f"match {e}:", _block("case a:", b)), expressions, inner),
    ),
    max_leaves=12,
)


class Touched(BaseException):
    """A property or a method of the user's was run."""


class Client:
    @property
    def value(self) -> Any:
        raise Touched

    async def get(self, key: object = None) -> object:
        raise Touched

    def close(self) -> object:
        raise Touched

    def __getattr__(self, name: str) -> object:
        raise Touched

    def __call__(self, *args: object) -> object:
        raise Touched

    def __iter__(self) -> Any:
        raise Touched

    def __repr__(self) -> str:
        raise Touched


async def fetch(a: object = None) -> object:
    raise Touched


def namespace() -> dict[str, object]:
    return {
        "a": Client(),
        "b": [Client(), 1, fetch],
        "fetch": fetch,
        "client": Client(),
        "asyncio": asyncio,
        "xs": {"k": fetch},
        "task": lambda c: fetch(c),
    }


def shape(names: dict[str, object]) -> list[tuple[str, int]]:
    found = [(name, id(value)) for name, value in names.items()]
    inside = [value for value in names.values() if type(value) in (list, dict)]
    return found + [(str(type(box)), id(item)) for box in inside for item in box]


def check_harmless(source: str) -> None:
    names = namespace()
    before = shape(names)
    found = asyncmagic.check(source, names)
    assert shape(names) == before
    count = source.count("\n") + 1
    for diagnostic in found:
        assert 1 <= diagnostic.line <= diagnostic.end_line <= count
        assert diagnostic.severity in ("error", "advice")


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(statements)
def test_any_program_is_checked_without_effect(source: str) -> None:
    check_harmless(source)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SOURCES), st.data())
def test_any_part_of_a_cell_is_checked_without_effect(source: str, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(source)))
    end = data.draw(st.integers(begin, len(source)))
    check_harmless(source[begin:end])


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_checked_without_effect(source: str) -> None:
    check_harmless(source)
