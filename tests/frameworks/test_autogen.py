"""What AutoGen has of its own: runtimes started elsewhere, agents as tools, and streams that the user reads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.frameworks.conftest import Notebook, notebook, outline, tree
from tests.frameworks.programs.autogen import PROGRAM

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(PROGRAM.missing), reason=f"no {PROGRAM.missing} here")]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with notebook(tmp_path_factory.mktemp("kernel"), "%load_ext asyncmagic", PROGRAM.source) as book:
        yield book


def test_members_on_a_runtime_started_elsewhere_find_their_team(book: Notebook) -> None:
    book.run("""
        from autogen_core import SingleThreadedAgentRuntime
        runtime = SingleThreadedAgentRuntime()
        runtime.start()

        def pair(name):
            members = [agent(f"{name}1"), agent(f"{name}2")]
            stop = MaxMessageTermination(3)
            return RoundRobinGroupChat(members, name=name, termination_condition=stop, runtime=runtime)
    """)
    trace = book.trace("a = pair('A').run(task=ask())\nb = pair('B').run(task=ask())")
    assert outline(trace) == tree("""
        a
            invoke_agent A
                invoke_agent A1
                    chat gpt-5
                        POST /v1/chat/completions
                invoke_agent A2
                    chat gpt-5
                        POST /v1/chat/completions
        b
            invoke_agent B
                invoke_agent B1
                    chat gpt-5
                        POST /v1/chat/completions
                invoke_agent B2
                    chat gpt-5
                        POST /v1/chat/completions
    """)


def test_an_agent_used_as_a_tool_stands_below_it(book: Notebook) -> None:
    trace = book.trace("""
        from autogen_agentchat.tools import AgentTool
        boss = agent("Boss", [AgentTool(agent("Helper", description="Helps."))])
        answer = boss.run(task=ask())
    """)
    assert outline(trace) == tree("""
        answer
            invoke_agent Boss
                chat gpt-5
                    POST /v1/chat/completions
                execute_tool Helper
                    invoke_agent Helper
                        chat gpt-5
                            POST /v1/chat/completions
    """)


def test_what_the_reader_of_a_stream_starts_is_its_own(book: Notebook) -> None:
    book.run("""
        async def reader(breaks):
            async for _ in team("S").run_stream(task=ask()):
                with asyncmagic.span("reading"):
                    await asyncio.sleep(0)
                if breaks:
                    break
    """)
    trace = book.trace("a = reader(False)\nb = reader(True)")
    assert {trace[span.parent_id or 0].name for span in trace.spans if span.kind == "span"} == {"a", "b"}


def test_the_librarys_own_opentelemetry_doubles_nothing(book: Notebook) -> None:
    book.run("""
        from opentelemetry import trace as api
        from opentelemetry.sdk.trace import TracerProvider
        api.set_tracer_provider(TracerProvider())
        del os.environ["AUTOGEN_DISABLE_RUNTIME_TRACING"]
    """)
    assert outline(book.trace(PROGRAM.cell)) == PROGRAM.tree.strip()
