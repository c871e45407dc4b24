"""What a cell leaves undone is told once, at the line that made it, and Python's own warnings stay as they were."""

from __future__ import annotations

import asyncio
import builtins
import gc
import inspect
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.instrumentation.never_awaited import Aftermath

SETUP = "import asyncio\nasync def fetch(x=0):\n    await asyncio.sleep(0.01)\n    return x"


class Shell:
    """Runs cells as a kernel does: each in a running loop, watched from before to after."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
        self.cells: dict[str, tuple[str, str]] = {}
        self.late: list[tuple[str, int]] = []
        self.watch = Aftermath(self.names, self.cells.get, on_late=self._hear)
        self.last: Any = None

    def _hear(self, diagnostic: Diagnostic, label: str, source: str) -> None:
        self.late.append((label, diagnostic.line))

    async def _run(self, source: str, label: str, static: list[Diagnostic]) -> list[Diagnostic]:
        filename = f"<cell {label}>"
        self.cells[filename] = (label, source)
        self.watch.start(label)
        error = None
        try:
            code = compile(source, filename, "exec", flags=0x2000)
            result = eval(code, self.names)
            if inspect.iscoroutine(result):
                await result
        except Exception as caught:
            error = caught
        return self.watch.finish(self.last, error, static)

    def run(self, source: str, label: str = "1", static: list[Diagnostic] | None = None) -> list[tuple[str, int]]:
        async def main() -> list[Diagnostic]:
            found = await self._run(source, label, static or [])
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            return found

        return [(d.rule, d.line) for d in asyncio.run(main())]


@pytest.fixture
def shell() -> Iterator[Shell]:
    gc.collect()  # What other tests left behind goes now.
    found = Shell()
    exec(SETUP, found.names)
    yield found
    for value in list(found.names.values()):
        for item in value if type(value) is list else [value]:
            if inspect.iscoroutine(item):
                item.close()
    found.names.clear()
    gc.collect()
    found.watch.close()


def test_a_dropped_coroutine_is_told_at_the_line_that_made_it(shell: Shell) -> None:
    assert shell.run("x = 1\nfetch(1)") == [("missing-await", 2)]


def test_a_thousand_from_one_line_are_one_message(shell: Shell) -> None:
    found = asyncio.run(shell._run("for i in range(1000):\n    fetch(i)", "1", []))
    assert [(d.line, d.message) for d in found] == [
        (2, "the coroutine `fetch` made here was never awaited (1,000 times): it never ran")
    ]


def test_coroutines_in_names_and_containers_are_left(shell: Shell) -> None:
    assert shell.run("a = fetch(1)\nb = [fetch(2)]\nc = 3") == [("coroutine-left", 1), ("coroutine-left", 2)]


def test_a_displayed_coroutine_is_found_in_the_result(shell: Shell) -> None:
    shell.names["keep"] = None
    assert shell.run("async def g(): pass\nkeep = g()") == [("coroutine-left", 2)]


def test_what_was_there_before_the_cell_is_not_told_again(shell: Shell) -> None:
    shell.run("a = fetch(1)", "1")
    assert shell.run("b = 2", "2") == []


def test_a_coroutine_that_the_failing_cell_holds_is_told(shell: Shell) -> None:
    assert shell.run("def g():\n    c = fetch(1)\n    return c['x']\ng()") == [("coroutine-left", 2)]


def test_a_task_that_nobody_holds_is_a_mistake_and_a_kept_one_that_runs_on_is_not(shell: Shell) -> None:
    source = "asyncio.create_task(fetch(1))\nt = asyncio.create_task(fetch(2))\nawait asyncio.sleep(0)"
    found = asyncio.run(shell._run(source, "1", []))
    assert [(each.rule, each.line, each.severity) for each in found] == [
        ("dropped-task", 1, "error"),
        ("dropped-task", 2, "advice"),
    ]


def test_an_exception_that_nobody_has_read_is_told(shell: Shell) -> None:
    source = """async def bad():
    raise ValueError
t = asyncio.create_task(bad())
u = asyncio.create_task(bad())
await asyncio.sleep(0)
await asyncio.sleep(0)
u.exception()
"""
    assert shell.run(source) == [("unchecked-exceptions", 3)]


def test_tasks_of_one_line_that_failed_are_one_message(shell: Shell) -> None:
    source = """async def bad():
    raise ValueError
tasks = [asyncio.create_task(bad(), name=f"bad {i}") for i in range(3)]
await asyncio.sleep(0)
await asyncio.sleep(0)
"""
    (found,) = asyncio.run(shell._run(source, "1", []))
    assert found.message == "the task `bad 0` and 2 more started here failed with ValueError: nobody has read it"


def test_a_task_that_is_being_cancelled_does_not_run_on(shell: Shell) -> None:
    assert shell.run("t = asyncio.create_task(fetch())\nawait asyncio.sleep(0)\nt.cancel()") == []


def test_what_the_static_check_has_said_is_not_said_twice(shell: Shell) -> None:
    static = [Diagnostic(1, 0, "missing-await", "m", end_line=1)]
    assert shell.run("fetch(1)\nfetch(2)", static=static) == [("missing-await", 2)]


def test_a_mistake_in_a_helper_of_the_cell_is_the_one_that_was_said(shell: Shell) -> None:
    static = [Diagnostic(2, 0, "missing-await", "m", end_line=2)]
    assert shell.run("go = lambda: fetch(1)\ngo()", static=static) == []


def test_a_coroutine_collected_later_is_told_with_its_own_cell(shell: Shell) -> None:
    shell.run("class Box: pass\nbox = Box()\nbox.kept = fetch(1)", "1")
    assert shell.run("del box", "2") == []
    gc.collect()
    assert shell.late == [("1", 3)]


def test_what_was_told_as_left_is_not_told_again_when_it_goes(shell: Shell) -> None:
    assert shell.run("a = fetch(1)", "1") == [("coroutine-left", 1)]
    assert shell.run("a = None", "2") == []
    assert shell.late == []


def test_a_coroutine_of_other_code_keeps_pythons_own_warning(shell: Shell) -> None:
    async def elsewhere() -> None: ...

    shell.names["elsewhere"] = elsewhere
    shell.watch.start("1")
    with pytest.warns(RuntimeWarning) as log:
        elsewhere()
    (entry,) = log
    assert (str(entry.message), entry.filename) == (f"coroutine '{elsewhere.__qualname__}' was never awaited", __file__)
    assert shell.watch.finish() == []


def test_a_user_who_records_warnings_records_them(shell: Shell) -> None:
    lines = ["import warnings", "with warnings.catch_warnings(record=True) as log:"]
    shell.run("\n".join([*lines, "    warnings.simplefilter('always')", "    fetch(1)"]))
    assert ["never awaited" in str(entry.message) for entry in shell.names["log"]] == [True]


def test_the_users_own_origin_tracking_is_as_before(shell: Shell) -> None:
    sys.set_coroutine_origin_tracking_depth(2)
    try:
        shell.run("x = 1")
        assert sys.get_coroutine_origin_tracking_depth() == 2
    finally:
        sys.set_coroutine_origin_tracking_depth(0)


def test_closing_puts_pythons_hook_back() -> None:
    before = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]
    watch = Aftermath({}, {}.get)
    watch.start("1")
    assert warnings._warn_unawaited_coroutine != before  # type: ignore[attr-defined]
    watch.close()
    assert warnings._warn_unawaited_coroutine is before  # type: ignore[attr-defined]


def test_ten_thousand_names_cost_little(shell: Shell) -> None:
    shell.names.update({f"n{i}": i for i in range(10_000)})

    def least(work: Callable[[], object]) -> float:
        taken = []
        for _ in range(5):
            begin = time.thread_time()
            work()
            taken.append(time.thread_time() - begin)
        return min(taken)

    def watch() -> None:
        shell.watch.start("1")
        shell.watch.finish()

    assert least(watch) < 30 * least(lambda: [name for name, value in shell.names.items() if callable(value)])
