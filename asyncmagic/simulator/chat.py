"""OpenAI's chat completions, plain and streaming, and what Groq and Mistral do differently."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from asyncmagic.simulator.answer import Answer, Frame, Plan, Prompt, Tool, Turn, Usage, role, think
from asyncmagic.simulator.schema import Json


def plan(body: Json, *, last: Callable[[Answer], Json] = lambda answer: {}) -> Plan:
    """Answer a request to `/v1/chat/completions`; `last` joins the last chunk of a stream."""
    prompt = read_prompt(body)
    answer = think(prompt)
    frames = _frames(body, answer, last) if prompt.stream else None
    return Plan(prompt, answer.usage, {} if frames else _whole(body, answer), frames, answer)


def groq_plan(body: Json) -> Plan:
    """Answer as Groq does: the tokens stand in the last chunk, in a field of its own."""
    return plan(body, last=lambda answer: {"x_groq": {"id": f"req_{answer.id}", "usage": _usage(answer.usage)}})


def mistral_plan(body: Json) -> Plan:
    """Answer as Mistral does: the tokens stand in the last chunk, asked for or not."""
    return plan(body, last=lambda answer: {"usage": _usage(answer.usage)})


def content_text(content: Any) -> str:
    """Return the text of a message's content: a string, or a list of parts."""
    if isinstance(content, list):
        return "\n".join(part if isinstance(part, str) else str(part.get("text", "")) for part in content)
    return "" if content is None else str(content)


def tool_choice(choice: Any) -> str:
    """Return `auto`, `none`, `required` or the tool's name from OpenAI's ways to write it."""
    if isinstance(choice, dict):
        return str(choice.get("function", choice).get("name") or choice.get("mode") or "auto")
    return {"any": "required"}.get(choice, str(choice or "auto").lower())


def read_prompt(body: Json) -> Prompt:
    """Return what a request of this format asks."""
    turns: list[Turn] = []
    for message in body["messages"]:
        content = content_text(message.get("content"))
        calls = message.get("tool_calls") or []
        if content or not calls:
            turns.append(Turn(role(message["role"]), content))
        for call in calls:
            arguments = call["function"].get("arguments") or {}
            written = arguments if isinstance(arguments, str) else json.dumps(arguments)
            turns.append(Turn("assistant", written, call["function"]["name"]))
    functions = [tool["function"] for tool in body.get("tools") or [] if tool.get("type") == "function"]
    wanted = body.get("response_format") or {}
    schema = (
        {"type": "object"} if wanted.get("type") == "json_object" else (wanted.get("json_schema") or {}).get("schema")
    )
    return Prompt(
        model=body["model"],
        turns=tuple(turns),
        stream=bool(body.get("stream")),
        tools=tuple(Tool(f["name"], f.get("description") or "", f.get("parameters") or {}) for f in functions),
        tool_choice=tool_choice(body.get("tool_choice")),
        schema=schema,
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        reasoning_effort=body.get("reasoning_effort"),
    )


def _head(body: Json, answer: Answer, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{answer.id}",
        "object": kind,
        "created": int(time.time()),
        "model": body["model"],
        "service_tier": "default",
        "system_fingerprint": "fp_simulator",
    }


def _whole(body: Json, answer: Answer) -> Json:
    message: Json = {"role": "assistant", "content": answer.text or None, "refusal": None, "annotations": []}
    if answer.call is not None:
        function = {"name": answer.call.name, "arguments": answer.call.arguments}
        message["tool_calls"] = [{"id": answer.call.id, "type": "function", "function": function}]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}
    return {**_head(body, answer, "chat.completion"), "choices": [choice], "usage": _usage(answer.usage)}


def _frames(body: Json, answer: Answer, last: Callable[[Answer], Json]) -> Iterator[Frame]:
    head = _head(body, answer, "chat.completion.chunk")
    with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
    if with_usage:
        head["usage"] = None

    def chunk(delta: Json, *, tokens: int = 0, finish: str | None = None, **more: Any) -> Frame:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return Frame(_event({**head, "choices": [choice], **more}), tokens)

    if answer.call is None:
        yield chunk({"role": "assistant", "content": "", "refusal": None})
        for piece in answer.pieces:
            yield chunk({"content": piece}, tokens=1)
    else:
        function = {"name": answer.call.name, "arguments": ""}
        call = {"index": 0, "id": answer.call.id, "type": "function", "function": function}
        yield chunk({"role": "assistant", "content": None, "tool_calls": [call]})
        for piece in answer.pieces:
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}, tokens=1)
    yield chunk({}, finish=answer.finish_reason, **last(answer))
    if with_usage:
        yield Frame(_event({**head, "choices": [], "usage": _usage(answer.usage)}))
    yield Frame(b"data: [DONE]\n\n")


def _event(data: Json) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
