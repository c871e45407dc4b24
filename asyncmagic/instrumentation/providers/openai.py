"""OpenAI's formats, which Mistral, Groq, DeepSeek, vLLM, Ollama and most others speak as well."""

from __future__ import annotations

from typing import Any

from asyncmagic.instrumentation.answer import Answer, Json


def read_chat(answer: Answer, data: Json) -> None:
    """A chat completion, or one chunk of it."""
    answer.says(model=data.get("model"), response_id=data.get("id"))
    for choice in data.get("choices") or ():
        index = choice.get("index") or 0
        said = choice.get("delta") or choice.get("message") or {"content": choice.get("text")}
        answer.adds("reasoning", said.get("reasoning_content") or said.get("reasoning"), index)
        answer.adds("text", said.get("content"), index)
        answer.adds("text", said.get("refusal"), index)
        for number, call in enumerate(said.get("tool_calls") or ()):
            function = call.get("function") or {}
            answer.calls(
                name=function.get("name"),
                arguments=function.get("arguments"),
                call_id=call.get("id"),
                index=call.get("index", number),
                choice=index,
            )
        answer.finishes(choice.get("finish_reason"), index)
    if data.get("error"):
        answer.fails(data["error"])
    usage = data.get("usage") or (data.get("x_groq") or {}).get("usage")
    if usage:
        given = usage.get("prompt_tokens_details") or {}
        made = usage.get("completion_tokens_details") or {}
        answer.uses(
            read=usage.get("prompt_tokens"),
            written=usage.get("completion_tokens"),
            cached=given.get("cached_tokens"),
            reasoning=made.get("reasoning_tokens"),
        )


def read_response(answer: Answer, data: Json) -> None:
    """An answer of the Responses API, or one event of its stream."""
    kind = data.get("type")
    if isinstance(kind, str):
        _read_event(answer, kind, data)
    else:
        _read_whole(answer, data)
        for number, item in enumerate(data.get("output") or ()):
            if item.get("type") == "message":
                answer.adds("text", item.get("content"))
            elif item.get("type") == "reasoning":
                answer.adds("reasoning", item.get("summary"))
            elif item.get("type") == "function_call":
                answer.calls(
                    name=item.get("name"), arguments=item.get("arguments"), call_id=item.get("call_id"), index=number
                )


def _read_event(answer: Answer, kind: str, data: Json) -> None:
    match kind:
        case "response.created" | "response.completed" | "response.incomplete" | "response.failed":
            _read_whole(answer, data.get("response") or {})
            answer.is_complete = kind != "response.created"
        case "response.output_text.delta" | "response.refusal.delta":
            answer.adds("text", data.get("delta"))
        case "response.reasoning_text.delta" | "response.reasoning_summary_text.delta":
            answer.adds("reasoning", data.get("delta"))
        case "response.function_call_arguments.delta":
            answer.calls(arguments=data.get("delta"), index=data.get("output_index"))
        case "response.output_item.added" if (item := data.get("item") or {}).get("type") == "function_call":
            answer.calls(name=item.get("name"), call_id=item.get("call_id"), index=data.get("output_index"))
        case "error":
            answer.fails(data.get("error") or data.get("code") or "error")


def _read_whole(answer: Answer, response: Json) -> None:
    answer.says(model=response.get("model"), response_id=response.get("id"))
    if response.get("status") == "completed":
        called = any(item.get("type") == "function_call" for item in response.get("output") or ())
        answer.finishes("tool_calls" if called else "stop")
    elif response.get("status") == "incomplete":
        answer.finishes((response.get("incomplete_details") or {}).get("reason") or "incomplete")
    elif response.get("error"):
        answer.fails(response["error"])
    usage = response.get("usage") or {}
    given = usage.get("input_tokens_details") or {}
    answer.uses(
        read=usage.get("input_tokens"),
        written=usage.get("output_tokens"),
        cached=given.get("cached_tokens"),
        cache_write=given.get("cache_write_tokens"),
        reasoning=(usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
    )


def read_embeddings(answer: Answer, data: Json) -> None:
    """A list of embeddings; the vectors are not looked at."""
    usage = data.get("usage") or {}
    answer.says(model=data.get("model"))
    answer.uses(read=usage.get("prompt_tokens"))


def messages(body: Json) -> list[Any]:
    """What the request asks, as a list of messages with their role."""
    asked = body.get("messages") or body.get("input") or body.get("prompt") or []
    asked = asked if isinstance(asked, list) else [asked]
    return [{"role": "system", "content": body["instructions"]}, *asked] if body.get("instructions") else asked
