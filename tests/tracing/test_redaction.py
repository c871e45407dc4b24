"""Keys are masked wherever a trace would repeat them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asyncmagic.tracing import Tracer, redaction
from asyncmagic.tracing.redaction import is_secret, redact, remember_secrets


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(redaction, "_known", {})
    redaction._unread.clear()
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
        ("https://host/v1?X-Amz-Signature=ab/c&size=9", "https://host/v1?X-Amz-Signature=***&size=9"),
        ("Redirect location: '/signed?sv=1&sig=ab%2Fc'", "Redirect location: '/signed?sv=1&sig=***'"),
        ("https://host/callback?code=4/0Ab&state=9", "https://host/callback?code=***&state=9"),
        ("https://host/?accessToken=abc123", "https://host/?accessToken=***"),
        ("POST /services/T0123ABC/B0123ABC/abcDEF123", "POST /services/***"),
        ("POST /api/webhooks/123456/abc-DEF_123", "POST /api/webhooks/***"),
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
        "https://host/?keyword=python&author=ann&max_tokens=8192&zipcode=10115&design=new",
        "/services/TypeScript/webhooks/12",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


def test_a_remembered_secret_is_masked_whatever_it_looks_like() -> None:
    remember_secrets(["my own password", "short", ""])
    assert redact("my own password is short") == "*** is short"


def test_a_secret_that_begins_with_another_is_masked_to_its_end() -> None:
    remember_secrets(["canary", "canary and its rest"])
    assert redact("canary and its rest") == "***"


def test_values_that_cannot_be_read_are_left_out() -> None:
    remember_secrets([1, "secret"])  # type: ignore[list-item]
    remember_secrets(["another secret"])
    assert redact("another secret") == "***"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Authorization",
            "X-Auth-Token",
            "Ocp-Apim-Subscription-Key",
            "X-Functions-Key",
            "X-Amz-Credential",
            "Cookie",
        ),
        *("key", "api_key", "apikey", "accessToken", "sig", "pwd", "pass", "code", "sessionid", "jwt", "Signature"),
    ],
)
def test_a_name_with_a_secret_word_is_that_of_a_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["keyword", "author", "max_tokens", "design", "passenger", "zipcode", "Accept-Encoding", "User-Agent"]
)
def test_other_names_are_not(name: str) -> None:
    assert not is_secret(name)


def test_only_the_newest_secrets_are_remembered() -> None:
    remember_secrets(f"secret number {number:03}" for number in range(300))
    assert redact("secret number 000") == "secret number 000"
    assert redact("secret number 299") == "***"


def test_the_message_of_an_error_is_redacted() -> None:
    tracer = Tracer()
    trace = tracer.start_trace("cell")
    tracer.end_trace(trace, error=ValueError("no such key: sk-canary-0123456789"))
    assert trace.root.message == "no such key: ***"
