"""What the OpenAI Agents SDK has of its own: its tracing, and agents that are tools."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.frameworks.conftest import Notebook, notebook, outline, tree
from tests.frameworks.programs.openai_agents import PROGRAM

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(PROGRAM.missing), reason=f"no {PROGRAM.missing} here")]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with notebook(tmp_path_factory.mktemp("kernel"), "%load_ext asyncmagic", PROGRAM.source) as book:
        yield book


def test_the_sdks_own_tracing_makes_no_difference(book: Notebook) -> None:
    book.run("""
        import agents
        agents.set_trace_processors([])
        agents.set_tracing_disabled(False)
    """)
    assert outline(book.trace(PROGRAM.cell)) == PROGRAM.tree.strip()
    book.run("agents.set_tracing_disabled(True)")


def test_an_agent_used_as_a_tool_stands_below_it(book: Notebook) -> None:
    trace = book.trace("""
        helper = Agent(name="Helper", model="gpt-5")
        boss = Agent(name="Boss", model="gpt-5", tools=[helper.as_tool("ask_helper", "Ask.")])
        answer = Runner.run(boss, ask())
    """)
    assert outline(trace) == tree("""
        answer
            invoke_agent Boss
                chat gpt-5
                    POST /v1/responses
                execute_tool ask_helper
                    invoke_agent Helper
                        chat gpt-5
                            POST /v1/responses
                chat gpt-5
                    POST /v1/responses
    """)
