"""Every framework under `%%agents`: agents, tools and handoffs by their own names, each below its own agent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.frameworks.conftest import KEPT, Notebook, notebook, outline
from tests.frameworks.program import Program

pytestmark = pytest.mark.slow

FRAMEWORKS = ("openai_agents", "langgraph", "autogen", "crewai")


@pytest.fixture(scope="module", params=FRAMEWORKS)
def program(request: pytest.FixtureRequest) -> Program:
    program: Program = import_module(f"tests.frameworks.programs.{request.param}").PROGRAM
    if program.missing:
        pytest.skip(f"{program.missing} cannot be imported in this environment")
    return program


@pytest.fixture(scope="module")
def book(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with notebook(tmp_path_factory.mktemp("kernel"), "%load_ext asyncmagic", program.source) as book:
        yield book


def test_every_agent_keeps_its_own_calls_tools_and_handoffs(program: Program, book: Notebook) -> None:
    assert outline(book.trace(program.cell)) == program.tree.strip()


def test_a_second_run_gives_the_same_trace(program: Program, book: Notebook) -> None:
    assert outline(book.trace(program.cell)) == program.tree.strip()


def test_arguments_and_results_of_tools_are_kept_with_content_alone(program: Program, book: Notebook) -> None:
    def tool(options: str) -> dict[str, object]:
        trace = book.trace(program.one_tool, options)
        (span,) = (span for span in trace.spans if span.kind == "execute_tool")
        assert str(span.attributes.pop("gen_ai.tool.call.id")).startswith("call_")
        return span.attributes

    known = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather"}
    assert tool("") == known
    kept = tool("--content")
    arguments, result = kept.pop("gen_ai.tool.call.arguments"), kept.pop("gen_ai.tool.call.result")
    assert kept == known
    assert result == f"sunny in {json.loads(str(arguments))['city']}"


def test_everything_is_left_as_it_was(program: Program, book: Notebook) -> None:
    book.run(KEPT)
    before = book.value(program.state)
    trace = book.trace(f"hooked = changed()\n{program.one_tool}")
    assert any(span.kind == "execute_tool" for span in trace.spans)
    assert book.value("len(hooked) > 5, changed()") == "(True, [])"
    assert book.value(program.state) == before
    book.run("%unload_ext asyncmagic")
    assert (book.value("changed()"), book.value(program.state)) == ("[]", before)
    book.run(program.one_tool.replace("a = ", "await "))
    book.run("%load_ext asyncmagic")
    assert outline(book.trace(program.cell)) == program.tree.strip()


@pytest.mark.parametrize("cells", ["library first", "in the cell itself"])
def test_it_does_not_matter_when_the_library_is_imported(program: Program, cells: str, tmp_path: Path) -> None:
    load = "%load_ext asyncmagic"
    if cells == "library first":
        with notebook(tmp_path, program.source, load) as book:
            assert outline(book.trace(program.cell)) == program.tree.strip()
    else:
        with notebook(tmp_path, load) as book:
            assert outline(book.trace(program.source + program.cell)) == program.tree.strip()
