"""Keys are masked wherever a trace would repeat them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asyncmagic.tracing import Tracer, redaction
from asyncmagic.tracing.redaction import redact, remember_secrets


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(redaction, "_known", {})
    yield


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Incorrect API key provided: sk-proj-ab12****wxyz. Find", "Incorrect API key provided: *** Find"),
        ("key=AIzaSyA-1234567890abcdef", "key=***"),
        ("https://host/v1?alt=sse&key=abc123 failed", "https://host/v1?alt=sse&key=*** failed"),
        ("https://host/v1?api_key=abc123", "https://host/v1?api_key=***"),
        ("https://ann:secret@host/v1", "https://***@host/v1"),
        ("{'Authorization': 'Bearer abc.def-ghi'}", "{'Authorization': 'Bearer ***'}"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.s5V-x is no token", "*** is no token"),
        ("POST /bot123456789:AAFakeTokenOfABot_0123456789/send", "POST /bot***/send"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
    ],
)
def test_what_looks_like_a_key_is_masked(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "ask-for-something-else in the task-manager",
        "context_length_exceeded: 8193 tokens > 8192",
        "/v1/chat/completions",
        "gpt-5-mini-2025-08-07",
        "file.py:12: the token is missing",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_a_remembered_secret_is_masked_whatever_it_looks_like() -> None:
    remember_secrets(["my own password", "short", ""])
    assert redact("my own password is short") == "*** is short"


def test_only_the_newest_secrets_are_remembered() -> None:
    remember_secrets(f"secret number {number:03}" for number in range(100))
    assert redact("secret number 000") == "secret number 000"
    assert redact("secret number 099") == "***"


def test_the_message_of_an_error_is_redacted() -> None:
    tracer = Tracer()
    trace = tracer.start_trace("cell")
    tracer.end_trace(trace, error=ValueError("no such key: sk-canary-0123456789"))
    assert trace.root.message == "no such key: ***"
