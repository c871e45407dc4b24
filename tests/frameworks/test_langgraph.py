"""What LangGraph has of its own: nodes, and streams that the user reads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.frameworks.conftest import Notebook, notebook, outline, tree
from tests.frameworks.programs.langgraph import PROGRAM

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(PROGRAM.missing), reason=f"no {PROGRAM.missing} here")]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with notebook(tmp_path_factory.mktemp("kernel"), "%load_ext asyncmagic", PROGRAM.source) as book:
        yield book


def test_nodes_stand_by_their_names_and_hold_what_they_start(book: Notebook) -> None:
    book.run("""
        async def ask_model():
            return await ChatOpenAI(model="gpt-5").ainvoke(ask())

        async def plan(state):
            with asyncmagic.span("planning"):
                return {"messages": await asyncio.gather(ask_model(), ask_model())}

        async def write(state):
            return await agent("poet", []).ainvoke(state)

        graph = StateGraph(MessagesState)
        graph.add_node("plan", plan)
        graph.add_node("write", write)
        graph.add_edge(START, "plan")
        graph.add_edge("plan", "write")
        graph = graph.compile()
    """)
    assert outline(book.trace("done = graph.ainvoke(question())")) == tree("""
        done
            invoke_agent LangGraph
                plan (span)
                    planning (span)
                        ask_model
                            chat gpt-5
                                POST /v1/chat/completions
                        ask_model
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
            async for _ in team("s").astream(question()):
                with asyncmagic.span("reading"):
                    await asyncio.sleep(0)
            with asyncmagic.span("after"):
                pass
            try:
                await agent("f", [], "gpt-5-400").ainvoke(question())
            except Exception:
                with asyncmagic.span("excepting"):
                    pass
    """)
    trace = book.trace("a = reader()")
    places = {(span.name, trace[span.parent_id or 0].name) for span in trace.spans if span.kind == "span"}
    assert places == {("reading", "a"), ("after", "a"), ("excepting", "a")}


def test_the_blocking_calls_are_seen_too(book: Notebook) -> None:
    assert outline(book.trace("a = asyncio.to_thread(agent('a', [look_up]).invoke, question())")) == tree("""
        a
            Pregel.invoke (thread)
                invoke_agent a
                    chat gpt-5
                        POST /v1/chat/completions
                    execute_tool look_up · failed: LookupError
                    chat gpt-5
                        POST /v1/chat/completions
    """)
