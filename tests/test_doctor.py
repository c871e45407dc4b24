"""`%asynctrace doctor` says what is seen of the loop at hand."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from asyncmagic.doctor import report
from asyncmagic.session import Session

CALLBACKS = "a callback that blocks outside of any task is not"
READY = "a task counts as ready from when the loop saw it"


@pytest.fixture
def current() -> Iterator[Any]:
    """Sets the current loop: `current(loop)`."""
    loops: list[asyncio.AbstractEventLoop] = []

    def set_loop(loop: asyncio.AbstractEventLoop) -> None:
        loops.append(loop)
        asyncio.set_event_loop(loop)

    yield set_loop
    asyncio.set_event_loop(None)
    for loop in loops:
        loop.close()


def said(words: str) -> bool:
    return words in report(Session())


def test_the_stock_loop_hides_nothing(current: Any) -> None:
    current(asyncio.SelectorEventLoop())
    assert (said(CALLBACKS), said(READY)) == (False, sys.platform != "linux")


def test_a_loop_in_debug_mode_hides_no_callbacks(current: Any) -> None:
    loop = asyncio.SelectorEventLoop()
    loop.set_debug(True)
    current(loop)
    assert (said(CALLBACKS), said(READY)) == (False, sys.platform != "linux")


def test_where_there_is_no_loop_none_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = asyncio.DefaultEventLoopPolicy()
    monkeypatch.setattr(policy, "new_event_loop", lambda: pytest.fail("a loop was made"))
    monkeypatch.setattr(asyncio, "get_event_loop_policy", lambda: policy)
    assert said("event loop: none yet")


def test_uvloop_hides_callbacks_and_when_something_became_ready(current: Any) -> None:
    current(pytest.importorskip("uvloop").new_event_loop())
    assert (said(CALLBACKS), said(READY)) == (True, True)


def test_what_is_the_standard_librarys_is_watched_from_the_start() -> None:
    lines = report(Session()).splitlines()
    assert [line for line in lines if line.split()[1] in ("loop", "threads")] == [
        "ok  loop is watched while something is traced",
        "ok  threads is watched while something is traced",
    ]


def test_trio_is_named_where_it_is_imported(current: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    current(asyncio.SelectorEventLoop())
    monkeypatch.delitem(sys.modules, "trio", raising=False)
    assert not said("trio is imported")
    monkeypatch.setitem(sys.modules, "trio", ModuleType("trio"))
    assert said("trio is imported")


def test_litellm_calls_home_unless_it_is_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP", raising=False)
    assert not said("litellm")
    monkeypatch.setitem(sys.modules, "litellm", ModuleType("litellm"))
    assert said("litellm fetches its price list from GitHub")
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    assert not said("litellm")
