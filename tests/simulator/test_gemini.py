"""Google's own client talks to the simulator as to the real service."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from pydantic import BaseModel

from asyncmagic.simulator import Server, start

# google-genai's own use of aiohttp, which it takes when that is installed
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")

MODEL = "gemini-2.5-flash"


class Journey(BaseModel):
    title: str
    days: int


@pytest.fixture
def client(simulator: Server) -> Iterator[genai.Client]:
    yield from open_client(simulator)


def open_client(server: Server) -> Iterator[genai.Client]:
    with genai.Client(api_key="canary", http_options=types.HttpOptions(base_url=server.google_base_url)) as client:
        yield client


def test_a_stream_is_the_plain_answer_and_counts_its_tokens(client: genai.Client, simulator: Server) -> None:
    plain = client.models.generate_content(model=MODEL, contents="Tell me about whales")
    chunks = list(client.models.generate_content_stream(model=MODEL, contents="Tell me about whales"))
    assert "".join(str(chunk.text) for chunk in chunks) == plain.text
    assert "whales" in str(plain.text)
    assert chunks[-1].usage_metadata == plain.usage_metadata
    assert plain.usage_metadata is not None
    assert plain.usage_metadata.candidates_token_count == len(chunks) == simulator.log[1].output_tokens
    assert [chunk.candidates[0].finish_reason for chunk in chunks if chunk.candidates] == [
        *[None] * (len(chunks) - 1),
        types.FinishReason.STOP,
    ]


def test_the_asynchronous_client_streams_too(simulator: Server) -> None:
    async def main() -> str:
        options = types.HttpOptions(base_url=simulator.google_base_url)
        async with genai.Client(api_key="canary", http_options=options).aio as client:
            stream = await client.models.generate_content_stream(model=MODEL, contents="Tell me about whales")
            return "".join([str(chunk.text) async for chunk in stream])

    assert "whales" in asyncio.run(main())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_python_function_is_called_and_its_result_used(client: genai.Client, simulator: Server) -> None:
    def get_weather(city: str) -> str:
        """Tell the weather."""
        return f"sunny in {city}"

    chat = client.chats.create(model=MODEL, config=types.GenerateContentConfig(tools=[get_weather]))
    assert "The tool get_weather says: sunny in Oslo." in str(chat.send_message("What is the weather in Oslo?").text)
    assert [exchange.tool_call for exchange in simulator.log] == ["get_weather", None]


def test_a_structured_answer_fits_its_schema_and_limits_cut(client: genai.Client) -> None:
    config: Any = {"response_mime_type": "application/json", "response_schema": Journey}
    parsed = client.models.generate_content(model=MODEL, contents="a journey to Rome", config=config).parsed
    assert isinstance(parsed, Journey)
    assert parsed.title == "journey to Rome"
    cut = client.models.generate_content(model=MODEL, contents="whales", config={"max_output_tokens": 3})
    assert cut.candidates is not None
    assert cut.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS


def test_embeddings_come_in_batches(client: genai.Client, simulator: Server) -> None:
    config: Any = {"output_dimensionality": 8}
    found = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b", "a"], config=config)
    vectors = [embedding.values for embedding in found.embeddings or []]
    assert [len(vector or []) for vector in vectors] == [8, 8, 8]
    assert vectors[0] == vectors[2] != vectors[1]
    assert (simulator.log[0].api, simulator.log[0].input_tokens) == ("embeddings", 3)


def test_errors_are_googles() -> None:
    with start(latency=0, tokens_per_second=None) as server:
        for client in open_client(server):
            with pytest.raises(errors.ClientError) as caught:
                client.models.generate_content(model=f"{MODEL}-429", contents="hi")
            assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")
            with pytest.raises(errors.ServerError) as failed:
                client.models.generate_content(model=f"{MODEL}-503", contents="hi")
            assert (failed.value.code, failed.value.status) == (503, "UNAVAILABLE")
