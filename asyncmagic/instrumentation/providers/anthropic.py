"""Anthropic's messages."""

from __future__ import annotations

from typing import Any

from asyncmagic.instrumentation.answer import Answer, Json


def read_message(answer: Answer, data: Json) -> None:
    """A message, or one event of its stream."""
    match data.get("type"):
        case "message":
            _read_whole(answer, data)
            for index, block in enumerate(data.get("content") or ()):
                _read_block(answer, block, index)
        case "message_start":
            _read_whole(answer, data.get("message") or {})
        case "content_block_start":
            _read_block(answer, data.get("content_block") or {}, data.get("index"))
        case "content_block_delta":
            delta = data.get("delta") or {}
            answer.adds("text", delta.get("text"))
            answer.adds("reasoning", delta.get("thinking"))
            if delta.get("type") == "input_json_delta":
                answer.calls(arguments=delta.get("partial_json"), index=data.get("index"))
        case "message_delta":
            stop_reason = (data.get("delta") or {}).get("stop_reason")
            answer.finishes(stop_reason)
            _read_usage(answer, data.get("usage") or {})
            answer.is_complete = bool(stop_reason)
        case "message_stop":
            answer.is_complete = True
        case "error":
            answer.fails(data.get("error"))


def _read_whole(answer: Answer, message: Json) -> None:
    answer.says(model=message.get("model"), response_id=message.get("id"))
    answer.finishes(message.get("stop_reason"))
    _read_usage(answer, message.get("usage") or {})


def _read_block(answer: Answer, block: Json, index: Any) -> None:
    match block.get("type"):
        case "text":
            answer.adds("text", block.get("text"))
        case "thinking":
            answer.adds("reasoning", block.get("thinking"))
        case "tool_use" | "server_tool_use":
            answer.calls(
                name=block.get("name"), call_id=block.get("id"), arguments=block.get("input") or None, index=index
            )


def _read_usage(answer: Answer, usage: Json) -> None:
    # Anthropic counts the cached tokens apart; OpenTelemetry's input tokens include them.
    read = usage.get("input_tokens")
    cached = usage.get("cache_read_input_tokens")
    cache_write = usage.get("cache_creation_input_tokens")
    answer.uses(
        read=read + (cached or 0) + (cache_write or 0) if isinstance(read, int) else None,
        written=usage.get("output_tokens"),
        cached=cached,
        cache_write=cache_write,
        reasoning=(usage.get("output_tokens_details") or {}).get("thinking_tokens"),
    )


def messages(body: Json) -> list[Any]:
    """What the request asks, as a list of messages with their role."""
    system = [{"role": "system", "content": body["system"]}] if body.get("system") else []
    return [*system, *(body.get("messages") or ())]
