"""What the model decides that no SDK test shows: the frameworks' hand-offs and last words."""

from __future__ import annotations

import json

import pytest

from asyncmagic.simulator.answer import Prompt, Tool, Turn, think

ASKED = Turn("user", "Tell me about whales")


def test_the_answer_depends_on_the_conversation_and_the_model() -> None:
    texts = {
        think(Prompt(model, turns)).text
        for model in ("gpt-5", "gpt-5-mini")
        for turns in ((ASKED,), (Turn("system", "Be brief."), ASKED))
    }
    assert len(texts) == 4
    assert all("whales" in text for text in texts)


@pytest.mark.parametrize(
    "name", ["transfer_to_writer", "transfer_back_to_lead", "handoff_to_x", "delegate_work_to_coworker"]
)
def test_a_hand_off_is_made_once(name: str) -> None:
    tools = (Tool(name, "", {}),)
    call = think(Prompt("gpt-5", (ASKED,), tools=tools)).call
    assert call is not None
    assert call.name == name
    turns = (ASKED, Turn("assistant", "{}", name), Turn("tool", "done"))
    assert think(Prompt("gpt-5", turns, tools=tools)).call is None


def test_a_question_to_a_coworker_is_never_asked() -> None:
    tools = (Tool("ask_question_to_coworker", "", {}),)
    assert think(Prompt("gpt-5", (ASKED,), tools=tools)).call is None


def test_work_goes_to_a_coworker_that_exists() -> None:
    parameters = {"type": "object", "properties": {"task": {"type": "string"}, "coworker": {"type": "string"}}}
    description = "Delegate a task to one of the following coworkers: Writer, Editor\nThe input …"
    tools = (Tool("delegate_work_to_coworker", description, parameters),)
    call = think(Prompt("gpt-5", (ASKED,), tools=tools)).call
    assert call is not None
    assert json.loads(call.arguments) == {"task": "whales", "coworker": "Writer"}


def test_the_last_finding_is_told_and_a_hand_off_is_none() -> None:
    turns = (
        ASKED,
        Turn("assistant", "{}", "count"),
        Turn("assistant", "{}", "transfer_to_writer"),
        Turn("tool", "42"),
        Turn("tool", "transferred"),
    )
    assert " The tool count says: 42. " in think(Prompt("gpt-5", turns)).text


def test_frameworks_get_the_words_they_wait_for() -> None:
    crew = think(Prompt("gpt-5", (Turn("system", "Final Answer: the final answer"), ASKED))).text
    team = think(Prompt("gpt-5", (Turn("system", "Reply with TERMINATE when done."), ASKED))).text
    assert crew.startswith("Thought: I now know the final answer.\nFinal Answer: ")
    assert team.endswith(" TERMINATE")


def test_usage_counts_the_prompt_the_tools_the_cache_and_the_reasoning() -> None:
    turns = (ASKED, Turn("assistant", "Large."), Turn("user", "And dolphins?"))
    plain = think(Prompt("gpt-5", turns)).usage
    assert (plain.input, plain.cached, plain.reasoning) == (24, 8, 0)
    with_tool = think(Prompt("gpt-5", turns, tools=(Tool("count", "", {}),), tool_choice="none")).usage
    assert with_tool.input == 24 + 3
    reasoned = think(Prompt("gpt-5", turns, reasoning_effort="low")).usage
    assert (reasoned.reasoning, reasoned.output - plain.output) == (16, 16)
