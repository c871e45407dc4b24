"""What was asked, in OpenTelemetry's shape: messages with a role and parts, whatever the provider's own shape is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from asyncmagic.instrumentation.answer import Json


def to_json(asked: Iterable[Any]) -> str:
    """Return the messages of a request as JSON; pictures and files are named by their kind, not copied."""
    return json.dumps([_message(each) for each in asked], ensure_ascii=False)


def _message(said: Any) -> Json:
    if not isinstance(said, dict):
        return {"role": "user", "parts": list(_parts(said))}
    role = said.get("role")
    if role is None:
        role = "tool" if "output" in said else "assistant" if "type" in said else "user"
    if role == "tool" and "tool_call_id" in said:
        parts = [_result(said["tool_call_id"], said.get("content"))]
    elif "content" in said or "parts" in said or "tool_calls" in said:
        parts = [*_parts(said.get("content") or said.get("parts")), *_parts(said.get("tool_calls"))]
    else:
        parts = list(_parts(said))
    return {"role": "assistant" if role == "model" else role, "parts": parts}


def _parts(content: Any) -> Iterator[Json]:
    if isinstance(content, list):
        for each in content:
            yield from _parts(each)
    elif isinstance(content, str):
        yield {"type": "text", "content": content}
    elif isinstance(content, dict):
        yield _part(content)


def _part(part: Json) -> Json:
    kind = part.get("type") or next(iter(part), "unknown")
    match kind:
        case "function" | "function_call" | "tool_use" | "functionCall":
            call = part.get("function") or part.get("functionCall") or part
            arguments = call.get("arguments") or call.get("input") or call.get("args")
            call_id = part.get("call_id") or part.get("id") or call.get("id")
            return {"type": "tool_call", "id": call_id, "name": call.get("name"), "arguments": arguments}
        case "function_call_output":
            return _result(part.get("call_id"), part.get("output"))
        case "tool_result":
            return _result(part.get("tool_use_id"), part.get("content"))
        case "functionResponse":
            answer = part["functionResponse"]
            return _result(answer.get("id") or answer.get("name"), answer.get("response"))
    text = part.get("text")
    return {"type": "text", "content": text} if isinstance(text, str) else {"type": kind}


def _result(call_id: Any, result: Any) -> Json:
    return {"type": "tool_call_response", "id": call_id, "result": result}
