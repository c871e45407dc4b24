"""OpenAI's Responses API, plain and streaming, with `previous_response_id`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from asyncmagic.simulator.answer import Answer, Frame, Plan, Prompt, Tool, Turn, Usage, role, think, unique_id
from asyncmagic.simulator.chat import content_text, tool_choice
from asyncmagic.simulator.schema import Json

_REMEMBERED = 1000


class Responses:
    """Answers requests to `/v1/responses`; remembers the last thousand for `previous_response_id`."""

    def __init__(self) -> None:
        self._items: dict[str, list[Json]] = {}

    def __call__(self, body: Json) -> Plan:
        asked = body.get("input") or []
        items = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
        items = [*self._items.get(body.get("previous_response_id") or "", []), *items]
        prompt = _prompt(body, items)
        answer = think(prompt)
        item = _item(answer)
        self._items[f"resp_{answer.id}"] = [*items, item]
        if len(self._items) > _REMEMBERED:
            del self._items[next(iter(self._items))]
        frames = _frames(body, answer, item) if prompt.stream else None
        return Plan(prompt, answer.usage, {} if frames else _response(body, answer, [item]), frames, answer)


def _prompt(body: Json, items: list[Json]) -> Prompt:
    turns = [Turn("system", body["instructions"])] if body.get("instructions") else []
    for item in items:
        match item.get("type", "message"):
            case "function_call":
                turns.append(Turn("assistant", item["arguments"], item["name"]))
            case "function_call_output":
                turns.append(Turn("tool", content_text(item["output"])))
            case "message":
                turns.append(Turn(role(item["role"]), content_text(item.get("content"))))
    functions = [tool for tool in body.get("tools") or [] if tool.get("type") == "function"]
    wanted = (body.get("text") or {}).get("format") or {}
    return Prompt(
        model=body["model"],
        turns=tuple(turns),
        stream=bool(body.get("stream")),
        tools=tuple(Tool(f["name"], f.get("description") or "", f.get("parameters") or {}) for f in functions),
        tool_choice=tool_choice(body.get("tool_choice")),
        schema={"type": "object"} if wanted.get("type") == "json_object" else wanted.get("schema"),
        max_tokens=body.get("max_output_tokens"),
        reasoning_effort=(body.get("reasoning") or {}).get("effort"),
    )


def _item(answer: Answer) -> Json:
    status = "incomplete" if answer.finish_reason == "length" else "completed"
    if answer.call is not None:
        return {
            "id": f"fc_{unique_id()}",
            "type": "function_call",
            "status": status,
            "arguments": answer.call.arguments,
            "call_id": answer.call.id,
            "name": answer.call.name,
        }
    part = {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}
    return {
        "id": f"msg_{unique_id()}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [part],
    }


def _response(body: Json, answer: Answer, output: list[Json], *, is_done: bool = True) -> Json:
    is_cut = answer.finish_reason == "length"
    status = "in_progress" if not is_done else "incomplete" if is_cut else "completed"
    return {
        "id": f"resp_{answer.id}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if is_done and is_cut else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": body["model"],
        "output": output,
        "parallel_tool_calls": bool(body.get("parallel_tool_calls", True)),
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None, **(body.get("reasoning") or {})},
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": {"format": {"type": "text"}, **(body.get("text") or {})},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation") or "disabled",
        "usage": _usage(answer.usage) if is_done else None,
        "user": None,
        "metadata": body.get("metadata") or {},
    }


def _frames(body: Json, answer: Answer, item: Json) -> Iterator[Frame]:
    number = -1

    def event(kind: str, *, tokens: int = 0, early: bool = False, **fields: Any) -> Frame:
        nonlocal number
        number += 1
        data = json.dumps({"type": kind, "sequence_number": number, **fields})
        return Frame(f"event: {kind}\ndata: {data}\n\n".encode(), tokens, early)

    begun = _response(body, answer, [], is_done=False)
    yield event("response.created", early=True, response=begun)
    yield event("response.in_progress", early=True, response=begun)
    place: Json = {"item_id": item["id"], "output_index": 0}
    if answer.call is not None:
        opened = {**item, "status": "in_progress", "arguments": ""}
        yield event("response.output_item.added", output_index=0, item=opened)
        for piece in answer.pieces:
            yield event("response.function_call_arguments.delta", tokens=1, **place, delta=piece)
        done: Json = {"arguments": answer.call.arguments, "name": answer.call.name}
        yield event("response.function_call_arguments.done", **place, **done)
    else:
        part = item["content"][0]
        place["content_index"] = 0
        yield event("response.output_item.added", output_index=0, item={**item, "status": "in_progress", "content": []})
        yield event("response.content_part.added", **place, part={**part, "text": ""})
        for piece in answer.pieces:
            yield event("response.output_text.delta", tokens=1, **place, delta=piece, logprobs=[])
        yield event("response.output_text.done", **place, text=answer.text, logprobs=[])
        yield event("response.content_part.done", **place, part=part)
    yield event("response.output_item.done", output_index=0, item=item)
    ending = "response.incomplete" if answer.finish_reason == "length" else "response.completed"
    yield event(ending, response=_response(body, answer, [item]))


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }
