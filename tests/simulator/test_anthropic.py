"""Anthropic's own client talks to the simulator as to the real service."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic

from asyncmagic.simulator import Server, start

ASKED: Any = {
    "model": "claude-sonnet-5",
    "max_tokens": 200,
    "messages": [{"role": "user", "content": "Tell me about solar power"}],
}
TOOL = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def client(server: Server, **options: Any) -> Anthropic:
    return Anthropic(base_url=server.anthropic_base_url, api_key="canary", **options)


def test_a_stream_is_the_plain_message_in_the_true_order_of_events(simulator: Server) -> None:
    async def main() -> Any:
        async with AsyncAnthropic(base_url=simulator.anthropic_base_url, api_key="canary") as anthropic_client:
            plain = await anthropic_client.messages.create(**ASKED)
            stream = await anthropic_client.messages.create(**ASKED, stream=True)
            return plain, [event async for event in stream]

    plain, events = asyncio.run(main())
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert [event.type for event in events] == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * len(deltas),
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert "".join(deltas) == plain.content[0].text
    assert "solar power" in plain.content[0].text
    assert (plain.stop_reason, events[-2].delta.stop_reason) == ("end_turn", "end_turn")
    assert events[0].message.usage.input_tokens == plain.usage.input_tokens == 12
    assert events[-2].usage.output_tokens == plain.usage.output_tokens == len(deltas)
    assert plain._request_id == simulator.log[0].request_id


@pytest.mark.parametrize("stream", [False, True])
def test_a_message_uses_a_tool_and_takes_its_result(simulator: Server, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]

    def answer(anthropic_client: Anthropic) -> Any:
        asked: Any = {**ASKED, "messages": messages, "tools": [TOOL]}
        if not stream:
            return anthropic_client.messages.create(**asked)
        with anthropic_client.messages.stream(**asked) as events:
            return events.get_final_message()

    with client(simulator) as anthropic_client:
        first = answer(anthropic_client)
        [use] = first.content
        assert (first.stop_reason, use.type, use.name, use.input) == (
            "tool_use",
            "tool_use",
            "get_weather",
            {"city": "Oslo"},
        )
        block = {"type": "tool_use", "id": use.id, "name": use.name, "input": use.input}
        result = {"type": "tool_result", "tool_use_id": use.id, "content": [{"type": "text", "text": "sunny"}]}
        messages += [{"role": "assistant", "content": [block]}, {"role": "user", "content": [result]}]
        assert "The tool get_weather says: sunny." in answer(anthropic_client).content[0].text


def test_cached_input_is_counted_apart_and_only_where_the_cache_is_asked_for(simulator: Server) -> None:
    messages: list[Any] = [
        {"role": "user", "content": "Tell me about whales"},
        {"role": "assistant", "content": "Whales are large."},
        {"role": "user", "content": [{"type": "text", "text": "And dolphins?"}]},
    ]
    with client(simulator) as anthropic_client:
        without = anthropic_client.messages.create(**{**ASKED, "messages": messages}).usage
        messages[2]["content"][0]["cache_control"] = {"type": "ephemeral"}
        cached = anthropic_client.messages.create(**{**ASKED, "messages": messages}).usage
    assert (without.input_tokens, without.cache_read_input_tokens) == (26, 0)
    assert (cached.input_tokens, cached.cache_read_input_tokens) == (18, 8)
    assert [(exchange.input_tokens, exchange.cached_tokens) for exchange in simulator.log] == [(26, 0), (26, 8)]


def test_max_tokens_cuts_the_message(simulator: Server) -> None:
    with client(simulator) as anthropic_client:
        message = anthropic_client.messages.create(**{**ASKED, "max_tokens": 3})
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 3)


def test_a_structured_message_fits_its_schema(simulator: Server) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "additionalProperties": False}
    with client(simulator) as anthropic_client:
        message = anthropic_client.messages.create(
            **ASKED, output_config={"format": {"type": "json_schema", "schema": schema}}
        )
    assert message.content[0].text == '{"ok": true}'


def test_errors_are_anthropics(simulator: Server) -> None:
    with client(simulator, max_retries=0) as anthropic_client:
        for name, error, kind in [
            ("claude-429", anthropic.RateLimitError, "rate_limit_error"),
            ("claude-500", anthropic.InternalServerError, "api_error"),
            ("claude-529", anthropic.OverloadedError, "overloaded_error"),
        ]:
            with pytest.raises(error) as caught:
                anthropic_client.messages.create(**{**ASKED, "model": name})
            assert caught.value.body["error"]["type"] == kind


def test_a_429_is_retried_and_a_dropped_stream_breaks() -> None:
    async def main(server: Server) -> None:
        async with AsyncAnthropic(base_url=server.anthropic_base_url, api_key="canary") as anthropic_client:
            await anthropic_client.messages.create(**{**ASKED, "model": "claude-429"})
            with pytest.raises(Exception, match=r"Connection error|peer closed connection"):
                async with anthropic_client.messages.stream(**{**ASKED, "model": "claude-drop2"}) as stream:
                    await stream.until_done()

    with start(latency=0, tokens_per_second=None, retry_after=0.01) as server:
        asyncio.run(main(server))
        facts = [(exchange.status, exchange.retry_count, exchange.outcome) for exchange in server.log]
    assert facts == [(429, 0, "complete"), (200, 1, "complete"), (200, 0, "dropped")]
