"""Google's generateContent and streamGenerateContent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from asyncmagic.simulator.answer import Answer, Frame, Plan, Prompt, Tool, Turn, role, think
from asyncmagic.simulator.schema import Json

_MODES = {"NONE": "none", "ANY": "required"}


def plan(body: Json) -> Plan:
    """Answer a request to `/v1beta/models/{model}:generateContent` (or `:streamGenerateContent`)."""
    prompt = _prompt(body)
    answer = think(prompt)
    frames = _frames(body, answer) if prompt.stream else None
    return Plan(prompt, answer.usage, {} if frames else _whole(body, answer), frames, answer)


def _prompt(body: Json) -> Prompt:
    turns = [Turn("system", part.get("text", "")) for part in (_get(body, "systemInstruction") or {}).get("parts", [])]
    for content in body["contents"]:
        for part in content.get("parts", []):
            call, result = _get(part, "functionCall"), _get(part, "functionResponse")
            if call:
                turns.append(Turn("assistant", json.dumps(call.get("args") or {}), call["name"]))
            elif result:
                turns.append(Turn("tool", _result(result.get("response"))))
            else:
                turns.append(Turn(role(content.get("role", "user")), part.get("text", "")))
    calling = _get(_get(body, "toolConfig") or {}, "functionCallingConfig") or {}
    allowed = _get(calling, "allowedFunctionNames") or []
    config = _get(body, "generationConfig") or {}
    schema = _get(config, "responseJsonSchema") or _get(config, "responseSchema")
    return Prompt(
        model=body["model"],
        turns=tuple(turns),
        stream=body["action"] == "streamGenerate",
        tools=tuple(
            Tool(
                each["name"],
                each.get("description") or "",
                _get(each, "parametersJsonSchema") or each.get("parameters") or {},
            )
            for tool in body.get("tools") or []
            for each in _get(tool, "functionDeclarations") or []
        ),
        tool_choice=allowed[0] if len(allowed) == 1 else _MODES.get(calling.get("mode", ""), "auto"),
        schema=schema or ({"type": "object"} if _get(config, "responseMimeType") == "application/json" else None),
        max_tokens=_get(config, "maxOutputTokens"),
    )


def _get(message: Json, name: str) -> Any:
    """Return a field by its camelCase name; Google reads snake_case as well, and its SDK writes both."""
    snake_case = re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", name)
    return message.get(name, message.get(snake_case))


def _result(response: object) -> str:
    """Return a tool's result; the SDK puts a plain one under `result`."""
    if isinstance(response, dict) and len(response) == 1:
        response = next(iter(response.values()))
    return response if isinstance(response, str) else json.dumps(response)


def _whole(body: Json, answer: Answer) -> Json:
    part: Json = {"text": answer.text}
    if answer.call is not None:
        part = {"functionCall": {"name": answer.call.name, "args": json.loads(answer.call.arguments)}}
    return _response(body, answer, [part], sent=answer.usage.output, is_last=True)


def _frames(body: Json, answer: Answer) -> Iterator[Frame]:
    if answer.call is not None:  # Google sends a call whole
        yield _event(_whole(body, answer), tokens=len(answer.pieces))
        return
    last = len(answer.pieces)
    for number, piece in enumerate(answer.pieces, start=1):
        sent = answer.usage.reasoning + number
        yield _event(_response(body, answer, [{"text": piece}], sent=sent, is_last=number == last), tokens=1)


def _event(data: Json, *, tokens: int) -> Frame:
    return Frame(f"data: {json.dumps(data)}\r\n\r\n".encode(), tokens)


def _response(body: Json, answer: Answer, parts: list[Json], *, sent: int, is_last: bool) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if is_last:
        candidate["finishReason"] = "MAX_TOKENS" if answer.finish_reason == "length" else "STOP"
    usage = answer.usage
    counts: Json = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": sent - usage.reasoning,
        "totalTokenCount": usage.input + sent,
    }
    if usage.cached:
        counts["cachedContentTokenCount"] = usage.cached
    if usage.reasoning:
        counts["thoughtsTokenCount"] = usage.reasoning
    return {
        "candidates": [candidate],
        "usageMetadata": counts,
        "modelVersion": body["model"],
        "responseId": answer.id,
    }
