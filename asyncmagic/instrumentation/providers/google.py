"""Google's generateContent and embeddings, of the Gemini API and of Vertex AI."""

from __future__ import annotations

from typing import Any

from asyncmagic.instrumentation.answer import Answer, Json


def read_content(answer: Answer, data: Json) -> None:
    """A generateContent answer, or one chunk of its stream; the figures of the last chunk are the total."""
    answer.says(model=data.get("modelVersion"), response_id=data.get("responseId"))
    for number, candidate in enumerate(data.get("candidates") or ()):
        index = candidate.get("index") or number
        for part in (candidate.get("content") or {}).get("parts") or ():
            answer.adds("reasoning" if part.get("thought") else "text", part.get("text"), index)
            if call := part.get("functionCall"):
                answer.calls(name=call.get("name"), arguments=call.get("args"), call_id=call.get("id"), choice=index)
        answer.finishes(candidate.get("finishReason"), index)
    if data.get("error"):
        answer.fails(data["error"])
    if usage := data.get("usageMetadata"):
        tool = usage.get("toolUsePromptTokenCount") or 0
        thought = usage.get("thoughtsTokenCount")
        read, written = usage.get("promptTokenCount"), usage.get("candidatesTokenCount")
        answer.uses(
            read=read + tool if isinstance(read, int) else None,
            written=written + (thought or 0) if isinstance(written, int) else thought,
            cached=usage.get("cachedContentTokenCount"),
            reasoning=thought,
        )


def read_embeddings(answer: Answer, data: Json) -> None:
    """An embedContent answer; the vectors are not looked at."""
    answer.uses(read=(data.get("usageMetadata") or {}).get("promptTokenCount"))


def messages(body: Json) -> list[Any]:
    """What the request asks, as a list of messages with their role."""
    system = body.get("systemInstruction")
    asked = [{"role": "system", **system}] if isinstance(system, dict) else []
    return [*asked, *(body.get("contents") or ())]
