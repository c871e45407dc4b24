"""Cohere's chat and embeddings, version 2."""

from __future__ import annotations

from asyncmagic.instrumentation.answer import Answer, Json


def read_chat(answer: Answer, data: Json) -> None:
    """An answer, or one event of its stream."""
    kind = data.get("type")
    delta = (data.get("delta") or {}) if kind else data
    answer.says(response_id=data.get("id"))
    message = delta.get("message") or {}
    content = message.get("content")
    answer.adds("text", [content] if isinstance(content, dict) else content)
    answer.adds("reasoning", message.get("tool_plan"))
    calls = message.get("tool_calls") or ()
    for number, call in enumerate([calls] if isinstance(calls, dict) else calls):
        function = call.get("function") or {}
        answer.calls(
            name=function.get("name"),
            arguments=function.get("arguments"),
            call_id=call.get("id"),
            index=data.get("index", number),
        )
    answer.finishes(delta.get("finish_reason"))
    if delta.get("error"):
        answer.fails("error")
    usage = delta.get("usage") or {}
    tokens = usage.get("tokens") or {}
    answer.uses(
        read=_whole(tokens.get("input_tokens")),
        written=_whole(tokens.get("output_tokens")),
        cached=_whole(usage.get("cached_tokens")),
    )
    answer.is_complete = answer.is_complete or kind == "message-end"


def read_embeddings(answer: Answer, data: Json) -> None:
    """An embed answer; the vectors are not looked at."""
    billed = (data.get("meta") or data).get("billed_units") or {}
    answer.uses(read=_whole(billed.get("input_tokens")))


def _whole(number: object) -> int | None:
    # Cohere writes its counts as floats.
    return int(number) if isinstance(number, int | float) else None
