"""The OpenAI Agents SDK under `%%agents`: agents, tools and handoffs by their own names, each where it belongs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frameworks.conftest import Notebook, needs, notebook, outline, tree

pytestmark = [pytest.mark.slow, needs("agents")]

PROGRAM = """
from agents import Agent, Runner, RunConfig, function_tool

@function_tool
async def get_weather(city: str) -> str:
    "The weather in a city."
    await asyncio.sleep(0.01)
    return f"sunny in {city}"

@function_tool
def look_up(city: str) -> str:
    "Look a city up."
    raise LookupError("no such city")

def agent(name, tool=get_weather, model="gpt-5"):
    writer = Agent(name="Writer", model="gpt-5")
    return Agent(name=name, model=model, tools=[tool], handoffs=[writer])

async def stream(agent):
    return await consume(Runner.run_streamed(agent, ask()).stream_events())
"""

CELL = """
alpha = Runner.run(agent("Alpha"), ask())
beta = Runner.run(agent("Beta", look_up, "gpt-5-429"), ask())
gamma = stream(agent("Gamma"))
delta = cancelled(Runner.run(agent("Delta", model="gpt-5-hang"), ask()))
epsilon = failing(Runner.run(Agent(name="Epsilon", model="gpt-5-400"), ask()))
"""

TREE = tree("""
    alpha
        invoke_agent Alpha
            chat gpt-5
                POST /v1/responses
            execute_tool get_weather
            chat gpt-5
                POST /v1/responses
            handoff Alpha → Writer ⇒ invoke_agent Writer
        invoke_agent Writer
            chat gpt-5
                POST /v1/responses
    beta
        invoke_agent Beta
            chat gpt-5-429
                POST /v1/responses · failed: 429
                POST /v1/responses
            execute_tool look_up · failed: LookupError
            chat gpt-5-429
                POST /v1/responses · failed: 429
                POST /v1/responses
            handoff Beta → Writer ⇒ invoke_agent Writer
        invoke_agent Writer
            chat gpt-5
                POST /v1/responses
    gamma
        invoke_agent Gamma
            chat gpt-5
                POST /v1/responses
            execute_tool get_weather
            chat gpt-5
                POST /v1/responses
            handoff Gamma → Writer ⇒ invoke_agent Writer
        invoke_agent Writer
            chat gpt-5
                POST /v1/responses
    delta
        invoke_agent Delta · cancelled: CancelledError
            chat gpt-5-hang · cancelled: CancelledError
                POST /v1/responses · cancelled: CancelledError
    epsilon
        invoke_agent Epsilon · failed: openai.BadRequestError
            chat gpt-5-400 · failed: 400
                POST /v1/responses · failed: 400
""")

PATCHED = """
import agents.tracing.spans as spans
[getattr(kind, name).__code__.co_filename == spans.__file__
 for kind in (spans.SpanImpl, spans.NoOpSpan) for name in ("start", "finish", "set_error")]
"""


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with notebook(tmp_path_factory.mktemp("kernel"), "%load_ext asyncmagic", PROGRAM) as book:
        yield book


def test_every_agent_keeps_its_own_calls_tools_and_handoffs(book: Notebook) -> None:
    assert outline(book.trace(CELL)) == TREE


def test_a_second_run_gives_the_same_trace(book: Notebook) -> None:
    assert outline(book.trace(CELL)) == outline(book.trace(CELL)) == TREE


def test_the_sdks_own_tracing_makes_no_difference(book: Notebook) -> None:
    book.run("""
        import agents
        agents.set_trace_processors([])
        agents.set_tracing_disabled(False)
    """)
    assert outline(book.trace(CELL)) == TREE
    book.run("agents.set_tracing_disabled(True)")


def test_an_agent_used_as_a_tool_stands_below_it(book: Notebook) -> None:
    trace = book.trace("""
        helper = Agent(name="Helper", model="gpt-5")
        boss = Agent(name="Boss", model="gpt-5", tools=[helper.as_tool("ask_helper", "Ask.")])
        answer = Runner.run(boss, "hi")
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


def test_arguments_and_results_are_kept_with_content_alone(book: Notebook) -> None:
    def tool(options: str) -> dict[str, object]:
        trace = book.trace('a = Runner.run(agent("Alpha"), "hi")', options)
        return {
            name: value
            for span in trace.spans
            if span.kind == "execute_tool"
            for name, value in span.attributes.items()
            if name.startswith("gen_ai.")
        }

    known = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather"}
    assert tool("") == known
    kept = tool("--content")
    arguments, result = kept.pop("gen_ai.tool.call.arguments"), kept.pop("gen_ai.tool.call.result")
    assert kept == known
    assert result == f"sunny in {json.loads(str(arguments))['city']}"


def test_the_sdk_is_left_as_it_was(book: Notebook) -> None:
    assert book.value(PATCHED) == str([True] * 6)
    book.trace('a = Runner.run(agent("Alpha"), "hi")')
    assert book.value(PATCHED) == str([True] * 6)
    book.run("%unload_ext asyncmagic")
    assert book.value(PATCHED) == str([True] * 6)
    assert book.run("await Runner.run(agent('Alpha'), 'hi')").status == "ok"
    book.run("%load_ext asyncmagic")


def test_the_sdk_may_be_imported_first(tmp_path: Path) -> None:
    with notebook(tmp_path, PROGRAM, "%load_ext asyncmagic") as book:
        assert outline(book.trace(CELL)) == TREE


def test_the_sdk_may_be_imported_in_the_cell_itself(tmp_path: Path) -> None:
    with notebook(tmp_path, "%load_ext asyncmagic") as book:
        assert outline(book.trace(PROGRAM + CELL)) == TREE
