"""Ollama's own chat, generate and embed; its answers stream as lines of JSON."""

from __future__ import annotations

from asyncmagic.instrumentation.answer import Answer, Json


def read_chat(answer: Answer, data: Json) -> None:
    """An answer, or one line of its stream."""
    answer.says(model=data.get("model"))
    message = data.get("message") or {"content": data.get("response"), "thinking": data.get("thinking")}
    answer.adds("reasoning", message.get("thinking"))
    answer.adds("text", message.get("content"))
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        answer.calls(name=function.get("name"), arguments=function.get("arguments"), call_id=call.get("id"))
    if data.get("error"):
        answer.fails(data["error"])
    if data.get("done"):
        answer.is_complete = True
        answer.finishes(data.get("done_reason"))
        answer.uses(read=data.get("prompt_eval_count"), written=data.get("eval_count"))


def read_embeddings(answer: Answer, data: Json) -> None:
    """An embed answer; the vectors are not looked at."""
    answer.says(model=data.get("model"))
    answer.uses(read=data.get("prompt_eval_count"))
