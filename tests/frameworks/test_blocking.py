"""The frameworks' blocking entry points in a cell: named together with what to await instead; `--nest` runs them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from tests.frameworks.conftest import notebook, outline
from tests.frameworks.program import Program

pytestmark = pytest.mark.slow

#: AutoGen has none: all that its agents and teams do is awaited.
CALLS = {
    "openai_agents": ("Runner.run_sync(agent('A'), ask())", "await Runner.run(agent('A'), ask())"),
    "langgraph": ("agent('A', [look_up]).invoke(question())", "await agent('A', [look_up]).ainvoke(question())"),
    "crewai": ("solo('A').kickoff()", "await solo('A').kickoff_async()"),
}


@pytest.mark.parametrize("framework", CALLS)
def test_a_blocking_call_is_named_with_its_twin_and_can_be_nested(framework: str, tmp_path: Path) -> None:
    program: Program = import_module(f"tests.frameworks.programs.{framework}").PROGRAM
    if program.missing:
        pytest.skip(f"{program.missing} cannot be imported in this environment")
    call, twin = CALLS[framework]
    with notebook(tmp_path, "%load_ext asyncmagic", program.source, latency=0.15) as book:
        book.run(f"%%agents\nx = {twin}")  # a first call imports much, which holds the loop as well
        cell = book.kernel.run(f"%%agents\nx = {call}", timeout=60)
        if framework == "langgraph":  # it runs, and nothing else does meanwhile
            (said,) = (shown["text/plain"] for shown in cell.displays if "blocking-call" in shown["text/plain"])
            assert f"Write `{twin}`" in said
        else:
            assert cell.status == "error"
            assert f"Write `{twin}`, or start with `%%agents --nest`.\n" in cell.stderr
        book.run("async def tick():\n    for _ in range(10):\n        await asyncio.sleep(0.01)\n    return 'ticked'")
        state = book.value(program.state)
        trace = book.trace(f"ticker = tick()\nx = {call}\nwas = ticker.done()", "--nest")
        assert book.value("was, ticker, bool(x)") == "(True, 'ticked', True)"
        assert "invoke_agent A" in outline(trace)
        assert "open" not in outline(trace)
        assert book.value(program.state) == state
