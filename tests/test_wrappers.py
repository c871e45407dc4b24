"""A library's blocking wrapper on the running loop is named together with its async twin."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from IPython.core.interactiveshell import ExecutionResult

from asyncmagic.wrappers import twin
from tests.test_cell import agents, run  # noqa: F401 - `run` is a fixture

CASES = [
    ("Runner.run_sync(agent, 'hi')", "Write `await Runner.run(agent, 'hi')`"),
    ("Runner().kickoff()", "Write `await Runner().kickoff_async()`"),
    ("asyncio.new_event_loop().run_until_complete(asyncio.Future())", "Write `await asyncio.Future()`"),
    ("None\nwith Twice():\n    Runner.run_sync(agent, 'hi')", "Write `await Runner.run(agent, 'hi')`"),
    ("Runner().invoke({'x': 1})", "Write `await Runner().ainvoke({'x': 1})`"),
]
SETUP = """
agent = None
class Runner:
    @classmethod
    def run_sync(cls, *args):
        coroutine = f(1, 0)
        try:
            asyncio.run(coroutine)
        finally:
            coroutine.close()
    kickoff = invoke = run_sync
class Twice:
    def __enter__(self): ...
    def __exit__(self, *error):
        raise RuntimeError("Cannot run the event loop while another loop is running")
"""


@pytest.mark.parametrize(("call", "advice"), CASES)
def test_the_twin_is_named(
    run: Callable[[str], ExecutionResult],  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    call: str,
    advice: str,
) -> None:
    run(SETUP).raise_error()
    assert isinstance(run(agents(f"x = {call}")).error_in_exec, RuntimeError)
    said = capsys.readouterr().err
    assert advice in said
    assert "%%agents --nest" in said


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("x = graph.invoke({'x': 1})", "await graph.ainvoke({'x': 1})"),
        ("print(make().invoke(1), 2)", "await make().ainvoke(1)"),
        ("x = lambda_.invoke(1)", None),
        ("x = subprocess.run(['ls'])", None),
        ("for x in", None),
    ],
)
def test_what_held_the_loop_has_a_twin_where_the_object_has_one(line: str, advice: str | None) -> None:
    class Graph:
        def ainvoke(self) -> None: ...

    assert twin(line, {"graph": Graph(), "lambda_": object()}) == advice
