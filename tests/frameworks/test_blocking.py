"""The frameworks' blocking entry points in a cell: they are named together with what to await instead."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from tests.frameworks.conftest import notebook
from tests.frameworks.program import Program

pytestmark = pytest.mark.slow

CALLS = {
    "openai_agents": ("Runner.run_sync(agent('A'), 'hi')", "await Runner.run(agent('A'), 'hi')"),
    "crewai": ("solo('A').kickoff()", "await solo('A').kickoff_async()"),
}


@pytest.mark.parametrize("framework", CALLS)
def test_a_blocking_call_is_named_with_its_twin(framework: str, tmp_path: Path) -> None:
    program: Program = import_module(f"tests.frameworks.programs.{framework}").PROGRAM
    if program.missing:
        pytest.skip(f"{program.missing} cannot be imported in this environment")
    call, twin = CALLS[framework]
    with notebook(tmp_path, "%load_ext asyncmagic", program.source) as book:
        cell = book.kernel.run(f"%%agents\nx = {call}")
        assert cell.status == "error"
        # These libraries look for a running loop themselves: --nest cannot help.
        assert f"`{call}` blocks, and this loop is running already. Write `{twin}`.\n" in cell.stderr
        assert book.run(f"%%agents\nx = {twin}\nbool(x)").status == "ok"
