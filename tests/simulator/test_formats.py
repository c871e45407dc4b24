"""What Groq, Mistral, Cohere and Ollama say on the wire, whole and streamed, and what a trace reads from it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from asyncmagic.simulator import Server
from tests.agreement import watched

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ASK = {"model": "m", "messages": [{"role": "user", "content": "the weather in Oslo"}]}
CHATS = {
    "groq": "/openai/v1/chat/completions",
    "mistral": "/mistral/v1/chat/completions",
    "cohere": "/v2/chat",
    "ollama": "/api/chat",
}
REASONS = {"cohere": ("complete", "tool_call"), "ollama": ("stop", "stop")}


def chats(server: Server, path: str, *bodies: dict[str, Any]) -> list[dict[str, Any]]:
    """Post the bodies and return what the trace says of the calls."""

    def main() -> None:
        with httpx.Client(base_url=server.address) as client:
            for body in bodies:
                assert client.post(path, json=body).status_code == 200

    return [span.attributes for span in watched(main, keeps_content=True).spans if span.kind == "chat"]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", CHATS)
def test_text_and_tool_calls_are_read_in_every_format(simulator: Server, name: str, streams: bool) -> None:
    text, tool = chats(simulator, CHATS[name], ASK | {"stream": streams}, ASK | {"stream": streams, "tools": [WEATHER]})
    assert [text["gen_ai.response.finish_reasons"], tool["gen_ai.response.finish_reasons"]] == [
        [reason] for reason in REASONS.get(name, ("stop", "tool_calls"))
    ]
    [said] = json.loads(str(text["gen_ai.output.messages"]))
    assert "weather in Oslo" in said["parts"][0]["content"]
    [called] = json.loads(str(tool["gen_ai.output.messages"]))
    [call] = [part for part in called["parts"] if part["type"] == "tool_call"]
    assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "Oslo"})
    assert [
        (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"])
        for attributes in (text, tool)
    ] == [(exchange.input_tokens, exchange.output_tokens) for exchange in simulator.log]


@pytest.mark.parametrize("name", CHATS)
def test_a_tools_result_is_used_in_every_format(simulator: Server, name: str) -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    if name == "ollama":
        call = {"function": {"name": "weather", "arguments": {"city": "Oslo"}}}
    talk = [
        *ASK["messages"],
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "sunny and cold"},
    ]
    [answer] = chats(simulator, CHATS[name], {"model": "m", "messages": talk, "tools": [WEATHER], "stream": False})
    [said] = json.loads(str(answer["gen_ai.output.messages"]))
    assert "The tool weather says: sunny and cold." in said["parts"][0]["content"]


def test_ollama_generates_from_a_prompt_and_streams_unless_told_otherwise(simulator: Server) -> None:
    asked = {"model": "m", "prompt": "whales", "system": "Be brief.", "options": {"num_predict": 3}}
    streamed, whole = chats(simulator, "/api/generate", asked, asked | {"stream": False})
    assert [streamed["gen_ai.request.stream"], whole["gen_ai.request.stream"]] == [True, False]
    for attributes in streamed, whole:
        assert attributes["gen_ai.usage.output_tokens"] == 3
        assert attributes["gen_ai.response.finish_reasons"] == ["length"]
        assert attributes["gen_ai.request.max_tokens"] == 3


@pytest.mark.parametrize("count", [2, 100])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/mistral/v1/embeddings", lambda texts: {"model": "e", "input": texts}),
        ("/v2/embed", lambda texts: {"model": "e", "texts": texts, "input_type": "search_query"}),
        ("/api/embed", lambda texts: {"model": "e", "input": texts}),
        (
            "/v1beta/models/e:batchEmbedContents",
            lambda texts: {"requests": [{"content": {"parts": [{"text": text}]}} for text in texts]},
        ),
    ],
)
def test_embeddings_tell_their_tokens_however_large_they_are(
    simulator: Server, path: str, body: Any, count: int
) -> None:
    def main() -> None:
        response = httpx.post(simulator.address + path, json=body([f"text {number}" for number in range(count)]))
        assert response.status_code == 200

    [span] = [span for span in watched(main).spans if span.kind == "embeddings"]
    assert (span.name, span.attributes["gen_ai.usage.input_tokens"]) == ("embeddings e", 2 * count)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (CHATS["mistral"], "1300"),
        (CHATS["groq"], "rate_limit_exceeded"),
        (CHATS["cohere"], None),
        (CHATS["ollama"], None),
    ],
)
def test_errors_are_in_the_providers_words(simulator: Server, path: str, error: str | None) -> None:
    def main() -> None:
        assert httpx.post(simulator.address + path, json=ASK | {"model": "m-429"}).status_code == 429

    [span] = [span for span in watched(main).spans if span.kind == "chat"]
    assert (span.outcome, span.message) == ("failed", " ".join(filter(None, ("429", error))))
