"""Reaching into a library, and leaving it as it was."""

from __future__ import annotations

import importlib
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from asyncmagic.instrumentation._patch import Watcher, guarded, patched, when_imported


class Library:
    def greet(self) -> str:
        return "hello"


ORIGINAL = Library.__dict__["greet"]


def louder(original: Any) -> Any:
    def greet(self: Library) -> str:
        return str(original(self)) + "!"

    return greet


def test_an_attribute_is_replaced_inside_the_block_only() -> None:
    with patched(Library, "greet", louder(ORIGINAL)):
        assert Library().greet() == "hello!"
    assert Library.__dict__["greet"] is ORIGINAL


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first in, first out", "last in, first out"])
def test_blocks_that_overlap_may_end_in_any_order(order: tuple[int, int]) -> None:
    blocks = ExitStack(), ExitStack()
    for block in blocks:
        block.enter_context(patched(Library, "greet", louder(Library.greet)))
    assert Library().greet() == "hello!!"
    for number in order:
        blocks[number].close()
    assert Library.__dict__["greet"] is ORIGINAL


def test_what_another_tool_put_over_it_stays() -> None:
    with patched(Library, "greet", louder(ORIGINAL)):
        theirs = Library.greet = louder(Library.greet)  # type: ignore[method-assign]
    try:
        assert Library.__dict__["greet"] is theirs
    finally:
        Library.greet = ORIGINAL  # type: ignore[method-assign]


def test_what_an_object_only_inherited_it_inherits_again() -> None:
    library = Library()
    with patched(library, "greet", lambda: "its own"):
        assert library.greet() == "its own"
    assert vars(library) == {}


def test_attributes_of_modules_can_be_replaced() -> None:
    module = SimpleNamespace(answer=42)
    with patched(module, "answer", replacement := (lambda: 43)):
        assert module.answer is replacement
    assert module.answer == 42


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that can be imported and has not been."""
    (tmp_path / "seldom_used.py").write_text("VALUE = 1\n")
    (tmp_path / "broken_module.py").write_text("VALUE = 1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield "seldom_used"
    sys.modules.pop("seldom_used", None)
    assert sys.meta_path == finders


@contextmanager
def noting(notes: list[str], module: ModuleType) -> Iterator[None]:
    notes.append(f"enter {module.__name__} {getattr(module, 'VALUE', None)}")
    yield
    notes.append("leave")


def test_a_module_that_is_imported_is_watched_at_once() -> None:
    notes: list[str] = []
    with when_imported("json", lambda module: noting(notes, module)):
        assert notes == ["enter json None"]
    assert notes == ["enter json None", "leave"]
    assert json.__spec__ is not None


def test_a_module_is_watched_as_soon_as_it_is_imported(module: str) -> None:
    notes: list[str] = []
    with when_imported(module, lambda module: noting(notes, module)):
        assert notes == []
        imported = importlib.import_module(module)
        assert notes == ["enter seldom_used 1"]
        assert imported.__spec__ is not None
        assert type(imported.__spec__.loader).__name__ == type(imported.__loader__).__name__ == "SourceFileLoader"
    assert notes == ["enter seldom_used 1", "leave"]


def test_two_can_wait_for_the_same_module(module: str) -> None:
    notes: list[str] = []
    with (
        when_imported(module, lambda module: noting(notes, module)),
        when_imported(module, lambda module: noting(notes, module)),
    ):
        importlib.import_module(module)
        assert notes == ["enter seldom_used 1"] * 2


def test_a_module_imported_after_the_block_is_not_watched(module: str) -> None:
    notes: list[str] = []
    with when_imported(module, lambda module: noting(notes, module)):
        pass
    importlib.import_module(module)
    assert notes == []


def test_an_import_that_fails_fails_as_ever_and_is_waited_for_on(module: str) -> None:
    notes: list[str] = []
    with when_imported("broken_module", lambda module: noting(notes, module)):
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                importlib.import_module("broken_module")
    assert notes == []


def test_a_watch_that_cannot_be_entered_leaves_the_import_alone(module: str, caplog: pytest.LogCaptureFixture) -> None:
    def broken(module: ModuleType) -> Any:
        raise AttributeError("that version has no such class")

    with when_imported(module, broken):
        assert importlib.import_module(module).VALUE == 1
    assert [record.message for record in caplog.records] == [
        "seldom_used could not be watched; your code is not affected"
    ]


class Counter(Watcher):
    def __repr__(self) -> str:
        return "the counter"

    @guarded
    def divide(self, number: int) -> float:
        return 1 / number

    @guarded
    def interrupt(self) -> None:
        raise KeyboardInterrupt


def test_the_first_failure_is_logged_and_switches_its_watcher_off(caplog: pytest.LogCaptureFixture) -> None:
    counter = Counter()
    assert [counter.divide(number) for number in (1, 0, 0, 1)] == [1.0, None, None, None]
    assert not counter.is_on
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.ERROR, "the counter failed in divide and is switched off; your code is not affected")
    ]


def test_an_interrupt_passes() -> None:
    counter = Counter()
    with pytest.raises(KeyboardInterrupt):
        counter.interrupt()
    assert counter.is_on
