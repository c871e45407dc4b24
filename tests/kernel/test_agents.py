"""`%%agents` in a real kernel: the loop that is running, interrupts, Cancel from the page, outputs."""

from __future__ import annotations

import contextlib
import re
import time

import pytest

from tests.kernel.conftest import Cell, Kernel

pytestmark = pytest.mark.slow

SETUP = """
import asyncio, time
log = []
async def f(x, seconds=0.4):
    try:
        await asyncio.sleep(seconds)
        return x * 2
    finally:
        log.append(x)
async def bad(x):
    await asyncio.sleep(0.05)
    raise ValueError(f"bad {x}")
"""


@pytest.fixture
def ready(kernel: Kernel) -> Kernel:
    assert kernel.run(SETUP).status == "ok"
    return kernel


def value(kernel: Kernel, expression: str) -> str:
    result = kernel.run(expression).result
    assert result is not None
    text: str = result["text/plain"]
    return text


def test_twenty_agents_run_together_on_the_same_loop(ready: Kernel) -> None:
    ready.run("before = id(asyncio.get_running_loop())")
    cell = ready.run("%%agents\ninside = id(asyncio.get_running_loop())\nxs = [f(i) for i in range(20)]\nxs")
    assert cell.status == "ok"
    assert cell.result is not None
    assert cell.result["text/plain"] == str([2 * i for i in range(20)])
    assert cell.seconds < 1.5
    assert value(ready, "inside == before == id(asyncio.get_running_loop())") == "True"


def test_a_limit_queues_the_others(ready: Kernel) -> None:
    cell = ready.run("%%agents --limit 2 -o trace\nxs = [f(i, 0.3) for i in range(6)]")
    assert cell.status == "ok"
    assert 0.9 <= cell.seconds < 2.0
    ends = "sorted(round((s.end - trace.root.start) / 0.3e9) for s in trace.spans if s.kind == 'task')"
    assert value(ready, ends) == "[1, 1, 2, 2, 3, 3]"


def test_an_interrupt_stops_fifty_agents_and_keeps_what_was_finished(ready: Kernel) -> None:
    ready.run("log.clear()")
    cell = ready.submit(
        "%%agents\nquick = f('q', 0.1)\nxs = [f(i, 30) for i in range(50)]\nprint('started', flush=True)"
    )
    ready.read_until(lambda: "started" in cell.stdout)
    wait(ready, 0.4)
    ready.interrupt()
    cell.wait(5)
    assert cell.error is not None
    assert cell.error["ename"] == "KeyboardInterrupt"
    assert cell.error["evalue"] == "stopped; 1 of 51 agents had finished"
    assert value(ready, "(quick, len(log), {type(x).__name__ for x in xs})") == "('qq', 51, {'CancelledError'})"


def test_an_interrupt_is_quick(ready: Kernel) -> None:
    cell = ready.submit(
        "%%agents\nprint('started', flush=True)\nxs = [f(i, 30) for i in range(50)]\nawait asyncio.sleep(30)"
    )
    ready.read_until(lambda: "started" in cell.stdout)
    wait(ready, 0.3)
    ready.interrupt()
    cell.wait(5)
    assert cell.seconds < 2.5
    assert ready.run("1 + 1").status == "ok"


def test_an_interrupt_reaches_code_that_blocks_the_loop(ready: Kernel) -> None:
    cell = ready.submit(
        "%%agents\nasync def blocks():\n    print('started', flush=True)\n    time.sleep(20)\na = blocks()\nb = f(1, 0)"
    )
    ready.read_until(lambda: "started" in cell.stdout)
    ready.interrupt()
    cell.wait(10)
    assert cell.error is not None
    assert cell.error["ename"] == "KeyboardInterrupt"
    assert cell.seconds < 8
    assert ready.run("1 + 1").status == "ok"


def test_a_failure_points_into_the_users_code(ready: Kernel) -> None:
    cell = ready.run("%%agents\na = bad(1)\nb = f(2, 0)")
    assert cell.error is not None
    assert (cell.error["ename"], cell.error["evalue"]) == ("ValueError", "bad 1")
    shown = "\n".join(cell.error["traceback"])
    assert "in bad(x)" in plain(shown)
    assert "runner.py" not in shown
    assert value(ready, "b") == "4"


def test_nothing_is_hooked_when_nothing_is_traced(ready: Kernel) -> None:
    state = (
        "(sorted(vars(asyncio.get_running_loop())), asyncio.get_running_loop().get_task_factory(),"
        " [f.__qualname__ for f in (__import__('httpx').AsyncClient.send, asyncio.to_thread)])"
    )
    before = value(ready, state)
    ready.run("%%agents\na = f(1, 0)")
    assert value(ready, state) == before


def test_nest_lets_a_blocking_wrapper_run_for_this_cell_alone(ready: Kernel) -> None:
    code = (
        "def wrapper():\n    return asyncio.new_event_loop and asyncio.get_event_loop().run_until_complete(f(3, 0.1))\n"
    )
    ready.run(code)
    assert ready.run("%%agents\nx = wrapper()").error is not None
    cell = ready.run("%%agents --nest\nx = wrapper()\ny = f(1)\nx")
    assert cell.status == "ok", cell.error
    assert value(ready, "(x, y, hasattr(asyncio, '_nest_patched'))") == "(6, 2, False)"
    assert ready.run("%%agents\nz = f(1, 0)").status == "ok"


def wait(kernel: Kernel, seconds: float) -> None:
    """Let some time of the running cell pass, reading what it sends."""
    with contextlib.suppress(TimeoutError):
        kernel.read_until(lambda: False, seconds)


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def cancel(kernel: Kernel, cell: Cell, index: int | None) -> None:
    """Press a Cancel button: of the span drawn as number `index`, or of the whole run."""
    opened = next(m for m in cell.of_type("comm_open") if "_esm" in m["content"]["data"].get("state", {}))
    content = {"type": "cancel", "index": index}
    kernel.send_comm(opened["content"]["comm_id"], {"method": "custom", "content": content})


def test_cancel_on_the_page_stops_the_run_while_it_runs(ready: Kernel) -> None:
    cell = ready.submit(
        "%%agents\nprint('started', flush=True)\nquick = f('q', 0.1)\nxs = [f(i, 30) for i in range(3)]"
    )
    ready.read_until(lambda: "started" in cell.stdout)
    wait(ready, 0.6)
    cancel(ready, cell, None)
    cell.wait(8)
    assert cell.error is not None
    assert (cell.error["ename"], cell.error["evalue"]) == (
        "KeyboardInterrupt",
        "cancelled from the page; 1 of 4 agents had finished",
    )
    assert value(ready, "quick") == "'qq'"


def test_cancel_of_one_row_leaves_the_others_alone(ready: Kernel) -> None:
    cell = ready.submit("%%agents\nprint('started', flush=True)\nslow = f(1, 30)\nother = f(2, 1.5)")
    ready.read_until(lambda: "started" in cell.stdout)
    wait(ready, 0.6)
    cancel(ready, cell, 1)
    cell.wait(8)
    assert cell.status == "ok", cell.error
    assert cell.seconds < 8
    assert value(ready, "('slow' in globals(), other)") == "(False, 4)"


def test_a_saved_cell_holds_a_picture_and_no_widget(ready: Kernel) -> None:
    cell = ready.run("%%agents\na = f(1, 0.1)")
    (shown,) = cell.displays
    assert {"text/html", "image/svg+xml", "text/plain"} <= set(shown)
    assert "application/vnd.jupyter.widget-view+json" not in shown
    assert 'src="data:image/svg+xml' in shown["text/html"]


def test_a_forgotten_await_is_said_once_before_the_cell_runs(ready: Kernel) -> None:
    cell = ready.run("f(1)\nprint('ran')")
    (shown,) = cell.displays
    assert shown["text/plain"].startswith("missing-await: `f(1)` makes a coroutine, and nothing awaits it")
    assert "Write:  await f(1)" in shown["text/plain"]
    assert cell.outputs[0]["output_type"] == "display_data"
    assert "never awaited" not in cell.stderr


def test_stop_reaches_a_blocking_call_in_a_task_that_an_agent_started(ready: Kernel) -> None:
    ready.run("def hold():\n    time.sleep(20)\nasync def deep():\n    hold()")
    ready.run("async def outer():\n    await asyncio.gather(deep())")
    cell = ready.submit("%%agents\nprint('on', flush=True)\na = outer()")
    ready.read_until(lambda: "on" in cell.stdout)
    time.sleep(0.3)
    ready.interrupt()
    cell.wait(10)
    assert cell.status == "error"
    assert cell.seconds < 3
    assert value(ready, "1 + 1") == "2"


def test_a_second_stop_does_not_wait_for_slow_cleaning_up(ready: Kernel) -> None:
    ready.run(
        "async def slow():\n    try:\n        await asyncio.sleep(60)\n    finally:\n        await asyncio.sleep(30)"
    )
    cell = ready.submit("%%agents\nprint('on', flush=True)\na = slow()")
    ready.read_until(lambda: "on" in cell.stdout)
    time.sleep(0.3)
    ready.interrupt()
    time.sleep(0.7)
    ready.interrupt()
    cell.wait(10)
    assert cell.error is not None
    assert (cell.error["ename"], cell.seconds < 3) == ("KeyboardInterrupt", True)
    assert value(ready, "(await asyncio.sleep(0), asyncio.current_task().cancelling())[1]") == "0"


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt"])
def test_an_agent_that_wants_to_end_the_program_leaves_the_kernel_alive(ready: Kernel, kind: str) -> None:
    cell = ready.run(f"%%agents\nasync def leave():\n    raise {kind}('no key')\na = leave()\nb = f(1)")
    assert cell.status == "error"
    assert value(ready, "b") == "2"


def test_a_cell_leaves_nothing_of_the_users_alive(ready: Kernel) -> None:
    ready.run("import gc, weakref\nclass Big:\n    pass\nasync def big():\n    return Big()\nalive = weakref.WeakSet()")
    ready.run("%%agents\na = big()\nb = [big()]\nNone")
    ready.run("alive.update([a, *b])\ndel a, b")
    ready.run("0")
    assert value(ready, "gc.collect() and len(alive)") == "0"
