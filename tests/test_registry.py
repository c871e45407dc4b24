"""The registry behind the three doors: built-in names first, other packages' entry points after them."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from asyncmagic.registry import Registry, load


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry with two lines of its own, and a package outside that adds one and repeats another."""
    outside = [EntryPoint("csv", "json:dumps", "test.formats"), EntryPoint("text", "json:loads", "test.formats")]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: outside if group == "test.formats" else [])
    return Registry("format", {"text": "textwrap:dedent", "html": "html:escape"}, "test.formats")


def test_built_in_names_come_first_and_then_those_of_other_packages(table: Registry) -> None:
    assert list(table) == ["text", "html", "csv"]
    assert len(table) == 3
    assert ("csv" in table, "pdf" in table) == (True, False)


def test_a_name_gives_its_function_and_a_built_in_one_cannot_be_replaced(table: Registry) -> None:
    import json
    import textwrap

    assert table["text"] is textwrap.dedent
    assert table["csv"] is json.dumps


def test_an_unknown_name_lists_the_known_ones(table: Registry) -> None:
    with pytest.raises(KeyError, match="no format is called 'pdf'; known are text, html, csv"):
        table["pdf"]


def test_nothing_is_imported_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    table = Registry("format", {"zen": "this:s"}, "test.nothing")
    assert dict(table.references) == {"zen": "this:s"}
    assert list(table) == ["zen"]
    assert "this" not in sys.modules


def test_a_reference_to_something_missing_says_so() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        load("no_such_module:name")
    with pytest.raises(AttributeError, match="no_such_name"):
        load("json:no_such_name")
