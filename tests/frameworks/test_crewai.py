"""What CrewAI has of its own: crews that wait in threads, agents without a crew, and flows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asyncmagic import simulator
from tests.frameworks.conftest import Notebook, notebook, outline, tree
from tests.frameworks.programs.crewai import PROGRAM

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(PROGRAM.missing), reason=f"no {PROGRAM.missing} here")]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with notebook(tmp_path_factory.mktemp("kernel"), "%load_ext asyncmagic", PROGRAM.source) as book:
        yield book


def test_twelve_crews_wait_for_their_models_at_once(book: Notebook) -> None:
    executor = "asyncio.get_running_loop()._default_executor"
    with simulator.start(latency=1.0, tokens_per_second=None, jitter=0.0) as slow:
        book.run(f"import os; quick = os.environ['OPENAI_BASE_URL']; os.environ['OPENAI_BASE_URL'] = '{slow.base_url}'")
        book.run(
            f"crews = [Crew(agents=[a], tasks=[Task(description='do', expected_output='x', agent=a)]) "
            f"for a in [agent(f'R{{i}}') for i in range(12)]]; before = {executor}"
        )
        trace = book.trace("done = [crew.akickoff() for crew in crews]")
        book.run("os.environ['OPENAI_BASE_URL'] = quick")
        assert slow.most_in_flight >= 10
    assert sum(span.kind == "chat" for span in trace.spans) == 12
    assert book.value(f"{executor} is before") == "True"


def test_stop_says_which_call_goes_on_in_its_thread(book: Notebook) -> None:
    book.run("""
        import signal

        async def stop():
            while not any(span.name.endswith("-hang") for span in asyncmagic.last_trace().spans):
                await asyncio.sleep(0.01)
            signal.raise_signal(signal.SIGINT)
    """)
    cell = book.kernel.run("%%agents\na = solo('A', model='gpt-5-hang').akickoff()\nb = stop()", timeout=60)
    assert cell.error is not None and cell.error["ename"] == "KeyboardInterrupt"
    assert [line for line in cell.stderr.splitlines() if line.startswith("asyncmagic")] == [
        "asyncmagic: chat gpt-5-hang of A still runs: what is in a thread cannot be cancelled."
    ]


def test_an_agent_needs_no_crew(book: Notebook) -> None:
    assert outline(book.trace("a = agent('Alpha', [get_weather]).kickoff_async(ask())")) == tree("""
        a
            invoke_agent Alpha
                chat gpt-5
                    POST /v1/chat/completions
                execute_tool get_weather
                chat gpt-5
                    POST /v1/chat/completions
    """)


def test_a_flow_holds_its_methods_and_they_their_crews(book: Notebook) -> None:
    book.run("""
        from crewai.flow.flow import Flow, listen, start

        class Report(Flow):
            @start()
            async def plan(self):
                return await agent("Planner").kickoff_async(ask())

            @listen(plan)
            async def write(self, plan):
                return await solo("Writers").akickoff()
    """)
    assert outline(book.trace("a = Report().kickoff_async()")) == tree("""
        a
            Report (span)
                plan (span)
                    invoke_agent Planner
                        chat gpt-5
                            POST /v1/chat/completions
                write (span)
                    invoke_agent Writers
                        invoke_agent Writers
                            chat gpt-5
                                POST /v1/chat/completions
                            execute_tool get_weather
                            chat gpt-5
                                POST /v1/chat/completions
    """)
