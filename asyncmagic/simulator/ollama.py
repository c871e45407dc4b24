"""Ollama's own chat, generate and embed, whose answers stream as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from asyncmagic.simulator.answer import Answer, Frame, Plan, Prompt, think
from asyncmagic.simulator.chat import read_prompt
from asyncmagic.simulator.embeddings import plan_of
from asyncmagic.simulator.schema import Json


def chat_plan(body: Json) -> Plan:
    """Answer a request to `/api/chat`."""

    def said(answer: Answer, text: str, *, calls: bool) -> Json:
        message: Json = {"role": "assistant", "content": text}
        if calls and answer.call is not None:
            arguments = json.loads(answer.call.arguments)
            message["tool_calls"] = [{"function": {"name": answer.call.name, "arguments": arguments}}]
        return {"message": message}

    return _plan(body, read_prompt(body), said)


def generate_plan(body: Json) -> Plan:
    """Answer a request to `/api/generate`."""
    asked = [{"role": "user", "content": body["prompt"]}]
    if body.get("system"):
        asked.insert(0, {"role": "system", "content": body["system"]})

    def said(answer: Answer, text: str, *, calls: bool) -> Json:
        return {"response": text}

    return _plan(body, read_prompt({"model": body["model"], "messages": asked}), said)


def embed_plan(body: Json) -> Plan:
    """Answer a request to `/api/embed`."""
    given = body["input"]
    vectors, plan = plan_of(body["model"], [given] if isinstance(given, str) else given, body.get("dimensions") or 768)
    answer = {"model": body["model"], "embeddings": vectors, "total_duration": 1, "load_duration": 1}
    return replace(plan, whole={**answer, "prompt_eval_count": plan.usage.input})


def _plan(body: Json, prompt: Prompt, said: Any) -> Plan:
    form = body.get("format")
    limit = (body.get("options") or {}).get("num_predict")
    prompt = replace(
        prompt,
        stream=body.get("stream", True),
        schema={"type": "object"} if form == "json" else form or None,
        max_tokens=limit if limit and limit > 0 else None,
    )
    answer = think(prompt)
    head = {"model": body["model"], "created_at": "2025-06-01T12:00:00Z"}
    end = {
        "done": True,
        "done_reason": "length" if answer.finish_reason == "length" else "stop",
        "total_duration": 1,
        "load_duration": 1,
        "prompt_eval_count": answer.usage.input,
        "prompt_eval_duration": 1,
        "eval_count": answer.usage.output,
        "eval_duration": 1,
    }

    def frames() -> Iterator[Frame]:
        if answer.call is not None:  # Ollama sends a call whole
            yield line({**said(answer, "", calls=True), "done": False}, tokens=len(answer.pieces))
        else:
            for piece in answer.pieces:
                yield line({**said(answer, piece, calls=False), "done": False}, tokens=1)
        yield line({**said(answer, "", calls=False), **end})

    def line(data: Json, *, tokens: int = 0) -> Frame:
        return Frame(json.dumps({**head, **data}).encode() + b"\n", tokens)

    if prompt.stream:
        return Plan(prompt, answer.usage, {}, frames(), answer, "application/x-ndjson")
    return Plan(prompt, answer.usage, {**head, **said(answer, answer.text, calls=True), **end}, None, answer)
