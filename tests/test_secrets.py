"""No key leaves: not in the trace, nor in anything that is drawn, exported, printed or logged."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

import asyncmagic
from asyncmagic.exporters import EXPORTERS
from asyncmagic.simulator import Server

CANARY = "sk-canary-4242424242424242"


def test_a_key_is_in_nothing_that_leaves(simulator: Server, caplog: pytest.LogCaptureFixture) -> None:
    openai = pytest.importorskip("openai")
    anthropic = pytest.importorskip("anthropic")
    caplog.set_level(logging.DEBUG, logger="asyncmagic")

    async def ask() -> None:
        messages = [{"role": "user", "content": "hello"}]
        async with openai.AsyncOpenAI(base_url=simulator.base_url, api_key=CANARY) as client:
            await client.chat.completions.create(model="m", messages=messages)
            stream = await client.chat.completions.create(model="m", messages=messages, stream=True)
            async for _ in stream:
                pass
            with pytest.raises(openai.InternalServerError):
                await client.with_options(max_retries=0).responses.create(
                    model="m-500", input=f"my key is {CANARY[:3]}"
                )
            address = simulator.base_url.replace("http://", f"http://user:{CANARY}@")
            await client._client.get(f"{address}/models?key={CANARY}")
        async with anthropic.AsyncAnthropic(base_url=simulator.anthropic_base_url, api_key=CANARY) as client:
            await client.messages.create(model="m", max_tokens=9, messages=messages)
        raise RuntimeError(f"Incorrect API key provided: {CANARY}")

    async def main() -> None:
        await asyncmagic.run(ask(), content=False, name="secrets")

    with pytest.raises(RuntimeError):
        asyncio.run(main())
    trace = asyncmagic.last_trace()
    assert trace is not None
    assert sum(span.kind == "chat" for span in trace.spans) == 4
    written = {name: EXPORTERS[name](trace) for name in EXPORTERS}
    written["trace"] = json.dumps(trace.to_dict())
    written["log"] = caplog.text
    assert [
        name for name, text in written.items() if CANARY in (text if isinstance(text, str) else text.decode())
    ] == []
    assert "Bearer" not in written["trace"]
