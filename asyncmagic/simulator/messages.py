"""Anthropic's messages, plain and streaming."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from asyncmagic.simulator.answer import Answer, Frame, Plan, Prompt, Tool, Turn, role, think
from asyncmagic.simulator.chat import content_text
from asyncmagic.simulator.schema import Json

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def plan(body: Json) -> Plan:
    """Answer a request to `/v1/messages`."""
    prompt = _prompt(body)
    answer = think(prompt)
    frames = _frames(body, answer) if prompt.stream else None
    return Plan(prompt, answer.usage, {} if frames else _whole(body, answer), frames, answer)


def _prompt(body: Json) -> Prompt:
    turns = [Turn("system", content_text(body["system"]))] if body.get("system") else []
    for message in body["messages"]:
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            match block["type"]:
                case "text":
                    turns.append(Turn(role(message["role"]), block["text"]))
                case "tool_use":
                    turns.append(Turn("assistant", json.dumps(block["input"]), block["name"]))
                case "tool_result":
                    turns.append(Turn("tool", content_text(block.get("content"))))
    choice = body.get("tool_choice") or {"type": "auto"}
    tools = [tool for tool in body.get("tools") or [] if "input_schema" in tool]
    wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return Prompt(
        model=body["model"],
        turns=tuple(turns),
        stream=bool(body.get("stream")),
        tools=tuple(Tool(tool["name"], tool.get("description") or "", tool["input_schema"]) for tool in tools),
        tool_choice=choice.get("name") or {"any": "required"}.get(choice["type"], choice["type"]),
        schema=wanted.get("schema"),
        max_tokens=body["max_tokens"],
        has_cache="cache_control" in json.dumps(body),
    )


def _whole(body: Json, answer: Answer) -> Json:
    block: Json = {"type": "text", "text": answer.text, "citations": None}
    if answer.call is not None:
        block = {**_tool_use(answer), "input": json.loads(answer.call.arguments)}
    stop = _STOP_REASONS[answer.finish_reason]
    return {**_message(body, answer), "content": [block], "stop_reason": stop, "usage": _usage(answer)}


def _message(body: Json, answer: Answer) -> Json:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**_usage(answer), "output_tokens": 1},
    }


def _tool_use(answer: Answer) -> Json:
    assert answer.call is not None
    return {"type": "tool_use", "id": answer.call.id.replace("call_", "toolu_"), "name": answer.call.name, "input": {}}


def _frames(body: Json, answer: Answer) -> Iterator[Frame]:
    def event(kind: str, *, tokens: int = 0, **fields: Any) -> Frame:
        return Frame(f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode(), tokens)

    yield event("message_start", message=_message(body, answer))
    block = _tool_use(answer) if answer.call is not None else {"type": "text", "text": ""}
    yield event("content_block_start", index=0, content_block=block)
    yield event("ping")
    for piece in answer.pieces:
        delta = (
            {"type": "input_json_delta", "partial_json": piece}
            if answer.call
            else {"type": "text_delta", "text": piece}
        )
        yield event("content_block_delta", tokens=1, index=0, delta=delta)
    yield event("content_block_stop", index=0)
    stop = {"stop_reason": _STOP_REASONS[answer.finish_reason], "stop_sequence": None}
    yield event("message_delta", delta=stop, usage={"output_tokens": answer.usage.output})
    yield event("message_stop")


def _usage(answer: Answer) -> Json:
    # Anthropic counts cached input apart: the total is the sum of the three.
    return {
        "input_tokens": answer.usage.input - answer.usage.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.usage.cached,
        "output_tokens": answer.usage.output,
        "service_tier": "standard",
    }
