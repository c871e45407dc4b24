"""LangGraph under `%%agents`: graphs, nodes, tools and handoffs by their own names, each where it belongs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frameworks.conftest import Notebook, needs, notebook, outline, tree

pytestmark = [pytest.mark.slow, needs("langgraph", "langchain_openai")]

PROGRAM = """
import warnings
warnings.simplefilter("ignore")
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, create_react_agent
from langgraph.types import Command

@tool
async def get_weather(city: str) -> str:
    "The weather in a city."
    await asyncio.sleep(0.01)
    return f"sunny in {city}"

@tool
def look_up(city: str) -> str:
    "Look a city up."
    raise LookupError("no such city")

@tool
def transfer_to_writer() -> Command:
    "Hand over to the writer."
    return Command(goto="writer", graph=Command.PARENT)

def agent(name, tools, model="gpt-5"):
    return create_react_agent(ChatOpenAI(model=model), ToolNode(tools, handle_tool_errors=True), name=name)

def team(name, tool=get_weather, model="gpt-5"):
    graph = StateGraph(MessagesState)
    graph.add_node(name, agent(name, [tool, transfer_to_writer], model), destinations=("writer",))
    graph.add_node("writer", agent("writer", []))
    graph.add_edge(START, name)
    return graph.compile(name=f"{name}-team")

def question():
    return {"messages": [("user", ask())]}

async def stream(graph):
    return await consume(graph.astream(question(), stream_mode="messages"))
"""

CELL = """
alpha = team("a").ainvoke(question())
beta = team("b", look_up, "gpt-5-429").ainvoke(question())
gamma = stream(team("c"))
delta = cancelled(team("d", model="gpt-5-hang").ainvoke(question()))
epsilon = failing(agent("e", [], "gpt-5-400").ainvoke(question()))
"""

TREE = tree("""
    alpha
        invoke_agent a-team
            invoke_agent a
                chat gpt-5
                    POST /v1/chat/completions
                execute_tool get_weather
                chat gpt-5
                    POST /v1/chat/completions
                execute_tool transfer_to_writer
                handoff a → writer ⇒ invoke_agent writer
            invoke_agent writer
                chat gpt-5
                    POST /v1/chat/completions
    beta
        invoke_agent b-team
            invoke_agent b
                chat gpt-5-429
                    POST /v1/chat/completions · failed: 429
                    POST /v1/chat/completions
                execute_tool look_up · failed: LookupError
                chat gpt-5-429
                    POST /v1/chat/completions · failed: 429
                    POST /v1/chat/completions
                execute_tool transfer_to_writer
                handoff b → writer ⇒ invoke_agent writer
            invoke_agent writer
                chat gpt-5
                    POST /v1/chat/completions
    gamma
        invoke_agent c-team
            invoke_agent c
                chat gpt-5
                    POST /v1/chat/completions
                execute_tool get_weather
                chat gpt-5
                    POST /v1/chat/completions
                execute_tool transfer_to_writer
                handoff c → writer ⇒ invoke_agent writer
            invoke_agent writer
                chat gpt-5
                    POST /v1/chat/completions
    delta
        invoke_agent d-team · cancelled: CancelledError
            invoke_agent d · cancelled: CancelledError
                chat gpt-5-hang · cancelled: CancelledError
                    POST /v1/chat/completions · cancelled: CancelledError
    epsilon
        invoke_agent e · failed: langchain_openai.chat_models.base.OpenAIInvalidRequestError
            chat gpt-5-400 · failed: 400
                POST /v1/chat/completions · failed: 400
""")

HOOKS = "import langchain_core.tracers.context as context; len(context._configure_hooks)"


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with notebook(tmp_path_factory.mktemp("kernel"), "%load_ext asyncmagic", PROGRAM) as book:
        yield book


def test_every_agent_keeps_its_own_calls_tools_and_handoffs(book: Notebook) -> None:
    assert outline(book.trace(CELL)) == TREE


def test_a_second_run_gives_the_same_trace(book: Notebook) -> None:
    assert outline(book.trace(CELL)) == outline(book.trace(CELL)) == TREE


def test_nodes_stand_by_their_names(book: Notebook) -> None:
    book.run("""
        async def plan(state):
            return {"messages": [await ChatOpenAI(model="gpt-5").ainvoke(state["messages"])]}

        async def write(state):
            return await agent("poet", []).ainvoke(state)

        graph = StateGraph(MessagesState)
        graph.add_node("plan", plan)
        graph.add_node("write", write)
        graph.add_edge(START, "plan")
        graph.add_edge("plan", "write")
        book = graph.compile()
    """)
    assert outline(book.trace("book_done = book.ainvoke(question())")) == tree("""
        book_done
            invoke_agent LangGraph
                plan (span)
                    chat gpt-5
                        POST /v1/chat/completions
                write (span)
                    invoke_agent poet
                        chat gpt-5
                            POST /v1/chat/completions
    """)


def test_what_the_reader_of_a_stream_starts_is_its_own(book: Notebook) -> None:
    book.run("""
        async def reader():
            try:
                async for _ in team("s").astream(question()):
                    with asyncmagic.span("reading"):
                        await asyncio.sleep(0)
            finally:
                with asyncmagic.span("after"):
                    pass
            try:
                await agent("f", [], "gpt-5-400").ainvoke(question())
            except Exception:
                with asyncmagic.span("excepting"):
                    pass
    """)
    trace = book.trace("a = reader()")
    assert [trace[span.parent_id or 0].name for span in trace.spans if span.kind == "span"] == ["a"] * 4


def test_arguments_and_results_are_kept_with_content_alone(book: Notebook) -> None:
    def tool(options: str) -> dict[str, object]:
        trace = book.trace("a = agent('a', [get_weather]).ainvoke(question())", options)
        (span,) = (span for span in trace.spans if span.kind == "execute_tool")
        return {name: value for name, value in span.attributes.items() if name.startswith("gen_ai.")}

    known = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather"}
    call = tool("")
    assert str(call.pop("gen_ai.tool.call.id")).startswith("call_")
    assert call == known
    kept = tool("--content")
    arguments, result = kept.pop("gen_ai.tool.call.arguments"), kept.pop("gen_ai.tool.call.result")
    assert result == f"sunny in {json.loads(str(arguments))['city']}"


def test_the_library_is_left_as_it_was(book: Notebook) -> None:
    before = book.value(HOOKS)
    book.trace("a = agent('a', []).ainvoke(question())")
    assert book.value(HOOKS) == before
    book.run("%unload_ext asyncmagic")
    assert book.run("await agent('a', []).ainvoke(question())").status == "ok"
    book.run("%load_ext asyncmagic")


def test_the_library_may_be_imported_first(tmp_path: Path) -> None:
    with notebook(tmp_path, PROGRAM, "%load_ext asyncmagic") as book:
        assert outline(book.trace(CELL)) == TREE


def test_the_library_may_be_imported_in_the_cell_itself(tmp_path: Path) -> None:
    with notebook(tmp_path, "%load_ext asyncmagic") as book:
        assert outline(book.trace(PROGRAM + CELL)) == TREE
