"""Cohere's chat and embeddings, version 2."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from asyncmagic.simulator.answer import Answer, Frame, Plan, think
from asyncmagic.simulator.chat import read_prompt
from asyncmagic.simulator.embeddings import plan_of
from asyncmagic.simulator.schema import Json

_REASONS = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}


def plan(body: Json) -> Plan:
    """Answer a request to `/v2/chat`."""
    wanted = body.get("response_format") or {}
    schema = wanted.get("json_schema") or wanted.get("schema")
    prompt = read_prompt(body)
    prompt = replace(prompt, schema=schema or prompt.schema)
    answer = think(prompt)
    if prompt.stream:
        return Plan(prompt, answer.usage, {}, _frames(answer), answer)
    message: Json = {"role": "assistant", "content": [{"type": "text", "text": answer.text}]}
    if answer.call is not None:
        message = {"role": "assistant", "tool_plan": "I will look.", "tool_calls": [_call(answer)]}
    whole = {"id": answer.id, "finish_reason": _REASONS[answer.finish_reason], "message": message}
    return Plan(prompt, answer.usage, {**whole, "usage": _usage(answer)}, None, answer)


def embed_plan(body: Json) -> Plan:
    """Answer a request to `/v2/embed`."""
    texts = body.get("texts") or [
        " ".join(part.get("text", "") for part in each["content"]) for each in body.get("inputs") or []
    ]
    vectors, plan = plan_of(body["model"], texts, body.get("output_dimension") or 1536)
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": plan.usage.input}}
    answer = {"id": plan.prompt.digest.hex(), "embeddings": {"float": vectors}, "texts": texts, "meta": meta}
    return replace(plan, whole={**answer, "response_type": "embeddings_by_type"})


def _frames(answer: Answer) -> Iterator[Frame]:
    def event(kind: str, message: Json | None = None, *, tokens: int = 0, index: int | None = 0, **delta: Any) -> Frame:
        data: Json = {"type": kind} if index is None else {"type": kind, "index": index}
        if kind == "message-start":
            data["id"] = answer.id
        if message is not None:
            delta["message"] = message
        return Frame(f"event: {kind}\ndata: {json.dumps({**data, 'delta': delta})}\n\n".encode(), tokens)

    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield event("message-start", start, index=None)
    if answer.call is None:
        yield event("content-start", {"content": {"type": "text", "text": ""}})
        for piece in answer.pieces:
            yield event("content-delta", {"content": {"text": piece}}, tokens=1)
        yield event("content-end")
    else:
        call = _call(answer)
        call["function"]["arguments"] = ""
        yield event("tool-call-start", {"tool_calls": call})
        for piece in answer.pieces:
            yield event("tool-call-delta", {"tool_calls": {"function": {"arguments": piece}}}, tokens=1)
        yield event("tool-call-end")
    yield event("message-end", index=None, finish_reason=_REASONS[answer.finish_reason], usage=_usage(answer))
    yield Frame(b"data: [DONE]\n\n")


def _call(answer: Answer) -> Json:
    assert answer.call is not None
    function = {"name": answer.call.name, "arguments": answer.call.arguments}
    return {"id": answer.call.id, "type": "function", "function": function}


def _usage(answer: Answer) -> Json:
    tokens = {"input_tokens": float(answer.usage.input), "output_tokens": float(answer.usage.output)}
    return {"billed_units": tokens, "tokens": tokens, "cached_tokens": float(answer.usage.cached)}
