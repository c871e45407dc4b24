"""Every rule: its marked cells, the labelled cells, and the corrections that it writes."""

from __future__ import annotations

import ast
import json
from collections import Counter

import pytest

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint import RULES, check, registry
from tests.lint.cells import MarkedCell, labelled_cells, live_namespace, marked_cells, missing_library

CELLS = {cell.name: cell for cell in [*marked_cells(), *labelled_cells()]}


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said is tested here, not how soon: on a busy machine a check may need longer than it is given."""
    monkeypatch.setattr("asyncmagic.lint._SECONDS", 20.0)


@pytest.fixture(params=CELLS)
def cell(request: pytest.FixtureRequest) -> MarkedCell:
    found = CELLS[request.param]
    if missing := missing_library(found):
        pytest.skip(f"{missing} is not installed")
    return found


def said(cell: MarkedCell) -> list[Diagnostic]:
    with live_namespace(cell) as namespace:
        return check(cell.source, namespace)


def test_what_is_marked_is_reported_and_nothing_else(cell: MarkedCell) -> None:
    found = said(cell)
    open_marks = list(cell.expected)
    for diagnostic in found:
        match = [e for e in open_marks if e.rule == diagnostic.rule and diagnostic.line in e.lines]
        assert match, f"not marked: {diagnostic}"
        open_marks.remove(match[0])
    assert open_marks == []


def test_a_correction_is_python_and_cures_the_mistake(cell: MarkedCell) -> None:
    for diagnostic in said(cell):
        if diagnostic.fix is None:
            continue
        lines = cell.source.split("\n")
        new = diagnostic.fix.split("\n")
        assert new != lines[diagnostic.line - 1 : diagnostic.end_line]
        corrected = [*lines[: diagnostic.line - 1], *new, *lines[diagnostic.end_line :]]
        plain = "\n".join("" if line.lstrip().startswith(("%", "!")) or "= !" in line else line for line in corrected)
        compile(plain, "<corrected>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        with live_namespace(cell) as namespace:
            again = check("\n".join(corrected), namespace, rules=[diagnostic.rule])
        place = (diagnostic.line, diagnostic.column)
        assert [d for d in again if (d.line, d.column) == place and d.message == diagnostic.message] == []


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_explains_itself_with_a_wrong_and_a_right_example(rule: str) -> None:
    text = registry[rule].__doc__ or ""
    assert ("Wrong:" in text and "Right:" in text) or ("Slow:" in text and "Fast:" in text)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_cells_of_its_own(rule: str) -> None:
    counts = Counter(e.rule for cell in CELLS.values() for e in cell.expected)
    assert counts[rule] >= 5


def test_the_labelled_cells_have_the_rules_names() -> None:
    kinds = {e.rule for cell in labelled_cells() for e in cell.expected}
    assert kinds <= set(RULES), json.dumps(sorted(kinds))
