"""Calls made with aiohttp: seen as those of httpx are, once each, and nothing of aiohttp stays patched."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import asyncmagic
from asyncmagic.simulator import Server

aiohttp = pytest.importorskip("aiohttp")

QUESTION = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
STREAM = {**QUESTION, "stream": True, "stream_options": {"include_usage": True}}


def traced(simulator: Server, use: Callable[[Any, str], Awaitable[None]]) -> list[Any]:
    """Run `use(session, base_url)` in a trace and return its spans, the root left out."""

    async def main() -> list[Any]:
        async with asyncmagic.trace("aiohttp") as trace, aiohttp.ClientSession() as session:
            await use(session, str(simulator.base_url))
        return [span for span in trace.spans if span.kind in ("chat", "http")]

    return asyncio.run(main())


def test_a_chat_call_is_a_chat_span_with_its_attempt(simulator: Server) -> None:
    async def use(session: Any, base_url: str) -> None:
        async with session.post(f"{base_url}/chat/completions", json=QUESTION) as answer:
            await answer.json()

    chat, attempt = traced(simulator, use)
    [exchange] = simulator.log
    assert (chat.name, chat.outcome, attempt.parent_id) == ("chat m", "done", chat.span_id)
    assert attempt.attributes["http.response.status_code"] == 200
    assert chat.attributes["gen_ai.usage.input_tokens"] == exchange.input_tokens
    assert chat.attributes["gen_ai.usage.output_tokens"] == exchange.output_tokens


def test_a_streamed_answer_has_its_first_chunk_and_its_tokens(simulator: Server) -> None:
    async def use(session: Any, base_url: str) -> None:
        async with session.post(f"{base_url}/chat/completions", json=STREAM) as answer:
            async for _ in answer.content:
                pass

    chat, _ = traced(simulator, use)
    [exchange] = simulator.log
    assert chat.attributes["gen_ai.usage.output_tokens"] == exchange.output_tokens
    assert chat.attributes["gen_ai.response.time_to_first_chunk"] > 0


def test_a_refused_call_keeps_its_status_and_the_users_exception(simulator: Server) -> None:
    async def use(session: Any, base_url: str) -> None:
        body = {**QUESTION, "model": "m-500"}
        with pytest.raises(aiohttp.ClientResponseError):
            async with session.post(f"{base_url}/chat/completions", json=body, raise_for_status=True):
                pass

    chat, attempt = traced(simulator, use)
    assert (chat.outcome, attempt.attributes["http.response.status_code"]) == ("failed", 500)


def test_other_requests_are_plain_http_spans(simulator: Server) -> None:
    async def use(session: Any, base_url: str) -> None:
        async with session.get(f"{base_url}/models?key=sk-canary-1234567890") as answer:
            await answer.read()

    [span] = traced(simulator, use)
    assert (span.kind, span.outcome) == ("http", "done")
    assert "sk-canary" not in str(span.to_dict())


def test_nothing_of_aiohttp_stays_patched(simulator: Server) -> None:
    before = dict(vars(aiohttp.ClientSession))

    async def use(session: Any, base_url: str) -> None:
        assert dict(vars(aiohttp.ClientSession)) != before

    traced(simulator, use)
    assert dict(vars(aiohttp.ClientSession)) == before
