"""Every name behind the three doors loads, explains itself, is tested, and stands in the README."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from asyncmagic.exporters import EXPORTERS
from asyncmagic.instrumentation import INSTRUMENTORS
from asyncmagic.lint import registry as RULES

ROOT = Path(__file__).resolve().parent.parent
DOORS = {"lint": RULES, "exporters": EXPORTERS, "instrumentation": INSTRUMENTORS}
every_name = pytest.mark.parametrize(
    ("room", "name", "reference"),
    [
        pytest.param(room, name, reference, id=f"{room}-{name}")
        for room, table in DOORS.items()
        for name, reference in table.references.items()
        if reference.startswith("asyncmagic.")
    ],
)


@every_name
def test_a_name_loads_without_its_library_and_takes_one_argument(room, name, reference):
    signature = inspect.signature(DOORS[room][name])
    required = [one for one in signature.parameters.values() if one.default is one.empty]
    assert [one.kind for one in required] == [inspect.Parameter.POSITIONAL_OR_KEYWORD]


@every_name
def test_a_name_has_a_docstring_that_says_what_it_does(room, name, reference):
    function = DOORS[room][name]
    documentation = function.__doc__ or (room == "lint" and inspect.getmodule(function).__doc__)
    assert len((documentation or "").split()) >= 5


@every_name
def test_a_name_has_its_test(room, name, reference):
    stem = reference.split(":")[0].split(".")[-1]
    tests = [f"tests/{room}/test_{stem}.py", f"tests/frameworks/test_{stem}.py"]
    if room == "lint":
        tests = [f"tests/lint/cases/{stem}.py"]
    assert any((ROOT / test).is_file() for test in tests), f"write {tests[0]}"


@every_name
def test_a_name_has_its_line_in_the_readme(room, name, reference):
    assert f"`{name}`" in (ROOT / "README.md").read_text("utf-8")
