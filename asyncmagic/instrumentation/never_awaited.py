"""What a cell leaves undone: coroutines that never ran, tasks that nobody holds, exceptions that nobody read."""

from __future__ import annotations

import asyncio
import inspect
import sys
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from asyncmagic.diagnostics import Diagnostic

#: The label and the source of the cell that a file name stands for; None for any other file.
CellOf: TypeAlias = Callable[[str], tuple[str, str] | None]
Place: TypeAlias = tuple[str, int, str]
Origin: TypeAlias = tuple[str, int, str]
_DEPTH: Final = 6
_MOST_ITEMS: Final = 1000
#: Where Python's own hook stands.
_PYTHONS_OWN: Final = ("warnings", "_py_warnings")


class Aftermath:
    """Watches a cell for what static checking cannot see.

    Call `start(label)` in `pre_run_cell` and `finish(result, error, static)` in `post_run_cell`: it returns what the
    `static` diagnostics of that cell do not say already. `on_late(diagnostic, label, source)` is called for a
    coroutine of an earlier cell that is collected later, with that cell's label and source. From `start` to `close`
    Python's own "never awaited" warning is replaced for coroutines made in cells, and untouched for all others.
    Nothing here runs user code, and the user's coroutine origin tracking is as it was after every cell.
    """

    def __init__(
        self,
        namespace: Mapping[str, object],
        cell_of: CellOf,
        *,
        on_late: Callable[[Diagnostic, str, str], None] | None = None,
    ) -> None:
        self._namespace = namespace
        self._cell_of = cell_of
        self._on_late = on_late
        self._label: str | None = None
        self._depth: int | None = None
        self._users_depth = 0
        self._before: dict[str, int] = {}
        self._tasks: set[int] = set()
        self._lost: dict[tuple[str, tuple[Origin, ...]], int] = {}
        self._said: set[tuple[str, int]] = set()
        self._original: Any = None
        self._show: Any = None

    def start(self, label: str) -> None:
        """Begin to watch the cell of that label."""
        self._install()
        self._label = label
        self._said = {said for said in self._said if said[0] != label}
        if self._depth is None:
            self._depth = self._users_depth = sys.get_coroutine_origin_tracking_depth()
        sys.set_coroutine_origin_tracking_depth(max(self._depth, _DEPTH))
        self._before = dict(zip(self._namespace, map(id, self._namespace.values()), strict=True))
        self._tasks = {id(task) for task in _alive()}
        self._lost.clear()

    def finish(
        self, result: object = None, error: BaseException | None = None, static: Iterable[Diagnostic] = ()
    ) -> list[Diagnostic]:
        """End the cell and say what it left undone, beyond what `static` says."""
        if self._depth is not None:
            sys.set_coroutine_origin_tracking_depth(self._depth)
            self._depth = None
        label, self._label = self._label, None
        if label is None:
            return []
        try:
            return sorted(self._findings(label, result, error, list(static)))
        except Exception:
            return []
        finally:
            self._before.clear()
            self._lost.clear()

    def close(self) -> None:
        """Put everything back as it was."""
        if self._depth is not None:
            sys.set_coroutine_origin_tracking_depth(self._depth)
            self._depth = None
        if self._original is not None and getattr(warnings, "_warn_unawaited_coroutine", None) == self._collected:
            warnings._warn_unawaited_coroutine = self._original  # type: ignore[attr-defined]
        self._original = None

    # -- coroutines that are collected ---------------------------------------------------------------------------

    def _install(self) -> None:
        if self._original is None:
            self._original = getattr(warnings, "_warn_unawaited_coroutine", None)
            self._show = getattr(warnings, "_showwarnmsg_impl", None)
            if self._original is not None:
                warnings._warn_unawaited_coroutine = self._collected  # type: ignore[attr-defined]

    def _collected(self, coroutine: Any) -> None:
        """Python's hook: this coroutine goes, and was never awaited."""
        original = self._original
        try:
            is_recorded = getattr(warnings, "_showwarnmsg_impl", None) is not self._show
            if not is_recorded and self._takes(coroutine.cr_origin, coroutine.__name__):
                return
        except Exception:
            pass  # Python's own message follows.
        if original is None:
            return
        if self._users_depth or original.__module__ not in _PYTHONS_OWN:
            original(coroutine)
        else:
            # Its words as they are without us: where it was made is known only because we have asked, and it would
            # take this line for the place where it went.
            words = f"coroutine '{coroutine.__qualname__}' was never awaited"
            warnings.warn(words, RuntimeWarning, stacklevel=2, source=coroutine)

    def _takes(self, origin: tuple[Origin, ...] | None, name: str) -> bool:
        """Whether the lost coroutine is ours to tell of: it is told after the cell, or at once if it is an old one."""
        key = (name, origin or ())
        if key in self._lost:
            self._lost[key] += 1
            return True
        places = self._places(origin)
        if not places:
            return False
        if places[0][0] == self._label:
            self._lost[key] = 1
            return True
        return self._tell_late(places, name)

    def _tell_late(self, places: tuple[Place, ...], name: str) -> bool:
        label, line, source = places[0]
        if any((place[0], place[1]) in self._said for place in places):
            return True
        if self._on_late is None:
            return False
        self._said.add((label, line))
        self._on_late(_lost_diagnostic(name, 1, line, source), label, source)
        return True

    def _places(self, origin: tuple[Origin, ...] | None) -> tuple[Place, ...]:
        """Where in which cells a coroutine was made, the innermost frame first."""
        found = []
        for filename, line, _ in origin or ():
            cell = self._cell_of(filename)
            if cell is not None:
                found.append((cell[0], line, cell[1]))
        return tuple(found)

    # -- after the cell ------------------------------------------------------------------------------------------

    def _findings(
        self, label: str, result: object, error: BaseException | None, static: list[Diagnostic]
    ) -> Iterator[Diagnostic]:
        lines = {line for d in static for line in range(d.line, max(d.line, d.end_line) + 1)}
        self._said.update((label, line) for line in lines)
        for coroutine in _unstarted(self._values(result, error)):
            places = self._places(coroutine.cr_origin)
            if self._is_new(label, places):
                yield _left_diagnostic(coroutine.__name__, places[0][1], places[0][2])
        for (name, origin), count in list(self._lost.items()):
            places = self._places(origin)
            if self._is_new(label, places):
                yield _lost_diagnostic(name, count, places[0][1], places[0][2])
        unread: dict[tuple[Place, ...], list[asyncio.Task[Any]]] = {}
        for task in {id(task): task for task in _unread(self._values(result, error))}.values():
            unread.setdefault(self._places_of_task(task), []).append(task)
        for places, tasks in unread.items():
            if self._is_new(label, places):
                yield _unread_diagnostic(tasks, places[0][1], places[0][2])
        fresh = [t for t in _alive() if id(t) not in self._tasks and not t.cancelling() and not _has_callbacks(t)]
        held = {id(value) for value in self._held(result)} if fresh else set()
        for task in fresh:
            places = self._places_of_task(task)
            if self._is_new(label, places):
                tell = _running_diagnostic if id(task) in held else _dropped_diagnostic
                yield tell(task.get_name(), places[0][1], places[0][2])

    def _is_new(self, label: str, places: tuple[Place, ...]) -> bool:
        """Whether this is a mistake of the cell that has not been told, which from now on it is."""
        if not places or places[0][0] != label or any((place[0], place[1]) in self._said for place in places):
            return False
        self._said.add((label, places[0][1]))
        return True

    def _places_of_task(self, task: asyncio.Task[Any]) -> tuple[Place, ...]:
        coroutine = task.get_coro()
        return self._places(coroutine.cr_origin) if type(coroutine) is types.CoroutineType else ()

    def _values(self, result: object, error: BaseException | None) -> Iterator[object]:
        """The values that the cell has changed, its result, and the locals of the cell's frames under an error."""
        yield result
        before = self._before
        containers = (list, dict, set)
        yield from [
            value
            for name, value in self._namespace.items()
            if type(value) in containers or before.get(name) != id(value)
        ]
        traceback = error.__traceback__ if error is not None else None
        while traceback is not None:
            frame = traceback.tb_frame
            is_inner = frame.f_globals is not frame.f_locals
            if is_inner and self._cell_of(frame.f_code.co_filename) is not None:
                yield from list(frame.f_locals.values())
            traceback = traceback.tb_next

    def _held(self, result: object) -> Iterator[object]:
        for value in (result, *self._namespace.values()):
            yield value
            yield from _elements(value)


def _elements(value: object) -> Iterator[object]:
    """The elements of an exact builtin container, at most a thousand, without running user code."""
    kind = type(value)
    items: Iterable[object] = ()
    if kind is dict:
        items = value.values()  # type: ignore[attr-defined]
    elif kind is list or kind is tuple or kind is set:
        items = value  # type: ignore[assignment]
    for count, item in enumerate(items):
        if count == _MOST_ITEMS:
            return
        yield item


def _unstarted(values: Iterable[object]) -> Iterator[types.CoroutineType[Any, Any, Any]]:
    """The coroutines among the values, or directly in them, that have not begun to run."""
    seen: set[int] = set()
    for value in values:
        for item in (value, *_elements(value)):
            if type(item) is types.CoroutineType and id(item) not in seen:
                seen.add(id(item))
                if inspect.getcoroutinestate(item) == inspect.CORO_CREATED:
                    yield item


def _unread(values: Iterable[object]) -> Iterator[asyncio.Task[Any]]:
    """The tasks among the values, or directly in them, that have failed and whose exception nobody has read."""
    for value in values:
        for item in (value, *_elements(value)):
            if type(item) is asyncio.Task and item.done() and not item.cancelled() and item._log_traceback:
                yield item


def _has_callbacks(task: asyncio.Task[Any]) -> bool:
    return bool(getattr(task, "_callbacks", None))


def _alive() -> set[asyncio.Task[Any]]:
    try:
        return asyncio.all_tasks(asyncio.get_running_loop())
    except RuntimeError:
        return set()


def _at(rule: str, line: int, source: str, message: str, hint: str) -> Diagnostic:
    lines = source.split("\n")
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    column = len(text) - len(text.lstrip())
    return Diagnostic(line, column, rule, message, hint, end_line=line, end_column=len(text.rstrip()))


def _lost_diagnostic(name: str, count: int, line: int, source: str) -> Diagnostic:
    many = f" ({count:,} times)" if count > 1 else ""
    message = f"the coroutine `{name}` made here was never awaited{many}: it never ran"
    return _at("missing-await", line, source, message, "Await it")


def _left_diagnostic(name: str, line: int, source: str) -> Diagnostic:
    message = f"the coroutine `{name}` made here is still waiting to run"
    return _at("coroutine-left", line, source, message, "Await it here, or in a later cell")


def _unread_diagnostic(tasks: list[asyncio.Task[Any]], line: int, source: str) -> Diagnostic:
    # Not `task.exception()`: that would count as reading it.
    first, *others = tasks
    names = f"the task `{first.get_name()}`" + (f" and {len(others)} more" if others else "")
    message = f"{names} started here failed with {type(first._exception).__name__}: nobody has read it"
    return _at("unchecked-exceptions", line, source, message, "Await the task, or ask it for its `.exception()`")


def _dropped_diagnostic(name: str, line: int, source: str) -> Diagnostic:
    message = f"nothing holds the task `{name}` made here: Python may collect it while it runs"
    return _at("dropped-task", line, source, message, "Keep it in a variable, or start it in an `asyncio.TaskGroup`")


def _running_diagnostic(name: str, line: int, source: str) -> Diagnostic:
    message = f"the task `{name}` still runs at the end of the cell"
    found = _at("dropped-task", line, source, message, "Await it in a later cell for its result, or cancel it")
    return replace(found, severity="advice")
