"""The text is readable, speaks of the prompt's topic and is made of its tokens."""

from __future__ import annotations

from random import Random

import pytest

from asyncmagic.simulator import text


@pytest.mark.parametrize(
    ("message", "topic"),
    [
        ("Tell me three facts about solar power", "solar power"),
        ("What is the weather in Paris?", "the weather in Paris"),
        ("Current Task: Research heat pumps\n\nThis is the expected result: a list", "heat pumps"),
        ("solar", "solar"),
        ("Please write", "your question"),
        ("", "your question"),
        ("Plan a long journey through the high mountains of Peru and Chile", "Plan a long journey through"),
    ],
)
def test_the_topic_is_what_the_message_is_about(message: str, topic: str) -> None:
    assert text.topic(message) == topic


def test_a_field_for_a_place_takes_the_place_that_the_message_names() -> None:
    message = "What is the weather in New York today?"
    assert text.value("city", message) == "New York"
    assert text.value("query", message) == "the weather in New York today"
    assert text.value("city", "weather?") == "Paris"


def test_the_same_seed_writes_the_same_text_and_names_the_topic_and_the_finding() -> None:
    written = text.write("whales", Random(1), source="count_whales", finding="42\n")
    assert written == text.write("whales", Random(1), source="count_whales", finding="42\n")
    assert "whales" in written
    assert " The tool count_whales says: 42. " in written


@pytest.mark.parametrize("message", ["Hello, world!", "  two\n\nlines ", "extraordinarily", "日本語 ok", ""])
def test_joined_tokens_are_the_text(message: str) -> None:
    assert "".join(text.tokens(message)) == message


def test_long_words_are_several_tokens() -> None:
    assert text.tokens("An extraordinary day.") == ["An", " extraord", "inary", " day", "."]
