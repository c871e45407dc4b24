"""The rules, and `check`, which applies them to a cell without running it."""

from __future__ import annotations

import ast
import functools
import gc
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from asyncmagic.diagnostics import Diagnostic, is_silenced
from asyncmagic.registry import Registry

if TYPE_CHECKING:
    from asyncmagic.lint.cell import Cell

#: Rule -> the function that checks it.
RULES: Final[dict[str, str]] = {
    "missing-await": "asyncmagic.lint.missing_await:check",
    "coroutine-left": "asyncmagic.lint.coroutine_left:check",
    "dropped-task": "asyncmagic.lint.dropped_task:check",
    "reused-coroutine": "asyncmagic.lint.reused_coroutine:check",
    "await-non-awaitable": "asyncmagic.lint.await_non_awaitable:check",
    "missing-async": "asyncmagic.lint.missing_async:check",
    "async-callback": "asyncmagic.lint.async_callback:check",
    "asyncio-run": "asyncmagic.lint.asyncio_run:check",
    "blocking-call": "asyncmagic.lint.blocking_call:check",
    "sequential-awaits": "asyncmagic.lint.sequential_awaits:check",
    "atomic-update": "asyncmagic.lint.atomic_update:check",
    "swallowed-cancel": "asyncmagic.lint.swallowed_cancel:check",
    "unchecked-exceptions": "asyncmagic.lint.unchecked_exceptions:check",
    "api-misuse": "asyncmagic.lint.api_misuse:check",
}
registry: Final = Registry("rule", RULES, "asyncmagic.lint")
_SECONDS: Final = 0.05


def check(
    source: str,
    namespace: Mapping[str, object] | None = None,
    *,
    rules: Iterable[str] | None = None,
    agents: bool = False,
) -> list[Diagnostic]:
    """Say what is wrong with the awaits of a cell, before it runs.

    `source` is a notebook cell or plain Python; `namespace` holds the live objects that its names mean. Nothing is
    run and nothing changed. `rules` names the rules to apply (all, if not given; `KeyError` for an unknown one);
    `agents` treats the source as the body of `%%agents`. Returns the diagnostics in the order of their places, and
    an empty list for what is not Python and for what would take longer than 50 ms to look at.
    """
    checks = [(name, registry[name]) for name in (_all_rules() if rules is None else rules)]
    with _collector_paused():
        return _check(source, {} if namespace is None else namespace, checks, agents)


def check_cells(
    sources: Iterable[str], *, rules: Iterable[str] | None = None, is_script: bool = False
) -> Iterator[list[Diagnostic]]:
    """Check the cells of a notebook in their order, each knowing what the earlier ones import and define.

    `is_script` says that the one source is a Python file, whose top level cannot await.
    """
    from asyncmagic.lint.plain import definitions

    checks = [(name, registry[name]) for name in (_all_rules() if rules is None else rules)]
    before: list[ast.stmt] = []
    for source in sources:
        with _collector_paused():
            yield _check(source, {}, checks, False, before, is_script)
        before += definitions(source)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Syntax trees are many small objects: one full collection would take longer than the whole check."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@functools.cache
def _all_rules() -> tuple[str, ...]:
    return tuple(registry)


def _one_for_each(found: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """One message for one mistake: how a call of asyncio fails explains what else looks wrong in it."""
    found = list(found)
    refused = [diagnostic for diagnostic in found if diagnostic.rule == "api-misuse"]
    for diagnostic in found:
        is_explained = diagnostic.rule in ("missing-await", "await-non-awaitable") and any(
            (other.line, other.column) <= (diagnostic.end_line, diagnostic.end_column)
            and (diagnostic.line, diagnostic.column) <= (other.end_line, other.end_column)
            for other in refused
        )
        if not is_explained:
            yield diagnostic


def _check(
    source: str,
    namespace: Mapping[str, object],
    checks: list[tuple[str, Callable[[Cell], Iterable[Diagnostic]]]],
    agents: bool,
    before: Sequence[ast.stmt] = (),
    is_script: bool = False,
) -> list[Diagnostic]:
    from asyncmagic.lint.cell import Cell
    from asyncmagic.lint.flow import OutOfTime

    found: dict[tuple[str, int], Diagnostic] = {}
    try:
        deadline = time.perf_counter() + _SECONDS
        cell = Cell(source, namespace, deadline=deadline, agents=agents, before=before, is_script=is_script)
        if not cell.is_python:
            return []
        for name, rule in checks:
            for diagnostic in rule(cell):
                if diagnostic.line > 0 and not is_silenced(diagnostic, source):
                    found.setdefault((name, diagnostic.line), diagnostic)
    except OutOfTime:
        return []
    except Exception:  # A checker that fails says nothing.
        return []
    return sorted(_one_for_each(found.values()))
