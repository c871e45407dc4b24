"""Subshells of ipykernel 7 have threads and loops of their own: cells in them are traced as any other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kernel.conftest import Cell, Kernel

pytestmark = pytest.mark.slow


def subshell(kernel: Kernel) -> str:
    """Open a subshell and return its id."""
    info = kernel.client.kernel_info(reply=True, timeout=10)
    if "kernel subshells" not in info["content"].get("supported_features", ()):
        pytest.skip("this ipykernel has no subshells")
    control = kernel.client.control_channel
    control.send(kernel.client.session.msg("create_subshell_request", {}))
    reply = control.get_msg(timeout=10)
    name: str = reply["content"]["subshell_id"]
    return name


def submit(kernel: Kernel, code: str, subshell_id: str) -> Cell:
    """Send the code as a cell of that subshell."""
    content: dict[str, Any] = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
    message = kernel.client.session.msg("execute_request", {**content, "allow_stdin": False, "stop_on_error": True})
    message["header"]["subshell_id"] = subshell_id
    kernel.client.shell_channel.send(message)
    cell = kernel._cells[message["header"]["msg_id"]] = Cell(kernel, message["header"]["msg_id"])
    return cell


AGENTS = """\
%%agents -o {name} --no-timeline
import asyncio, threading
async def {name}_agent(i):
    await asyncio.sleep(0.3)
    return threading.current_thread().name
{name}_threads = [{name}_agent(i) for i in range(3)]"""


def test_cells_in_a_subshell_and_in_the_main_shell_are_traced_at_once(bare_kernel: Kernel) -> None:
    bare_kernel.run("%load_ext asyncmagic")
    other = submit(bare_kernel, AGENTS.format(name="sub"), subshell(bare_kernel))
    main = bare_kernel.run(AGENTS.format(name="main"))
    other.wait()
    assert (main.error, other.error) == (None, None)
    said = bare_kernel.run(
        "for trace in main, sub:\n"
        "    tasks = [span for span in trace.spans if span.kind == 'task']\n"
        "    print([span.name for span in tasks], {span.outcome for span in tasks},\n"
        "          {state for span in tasks for _, state, _ in span.states} >= {'running', 'waiting'},\n"
        "          {span.parent_id for span in tasks} == {trace.root.span_id})\n"
        "print(set(main_threads) != set(sub_threads))"
    )
    assert said.stdout.splitlines() == [
        "['main_threads[0]', 'main_threads[1]', 'main_threads[2]'] {'done'} True True",
        "['sub_threads[0]', 'sub_threads[1]', 'sub_threads[2]'] {'done'} True True",
        "True",
    ], (said.error, said.stdout)
