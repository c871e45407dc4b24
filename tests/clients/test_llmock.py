"""The real SDKs against a server that is not ours (llmock): the trace tells what that server's own journal tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.agreement import told, watched
from tests.clients.sdks import Anthropic, Cohere, Google, Groq, Mistral, OpenAI, Sdk

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("llmock"),
    pytest.mark.filterwarnings("ignore"),  # the libraries' own
]
PATHS = {
    OpenAI: "/v1",
    Groq: "/groq",
    Anthropic: "/anthropic",
    Google: "/gemini",
    Mistral: "/mistral",
    Cohere: "/cohere",
}
every_sdk = pytest.mark.parametrize("kind", PATHS, ids=lambda kind: kind.__name__)


@pytest.fixture
def mock() -> Iterator[Any]:
    testing = pytest.importorskip("llmock.testing", reason="llmock is not installed: python -m tests --env clients")
    with testing.LLMockServer() as server:
        yield server


def opened(kind: type[Sdk], port: int) -> Sdk:
    pytest.importorskip(kind.module, reason=f"{kind.module} is not installed: python -m tests --env clients")
    return type(kind.__name__, (kind,), {"path": PATHS[kind]})(port)


async def read(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


@every_sdk
def test_attempts_agree_with_the_journal(kind: type[Sdk], mock: Any) -> None:
    from llmock.scenarios import Fail, Match

    async def main() -> None:
        sdk = opened(kind, mock.port)
        try:
            await sdk.ask("asked", "What is a whale?")
            await read(sdk.stream("asked", "What is a whale?"))
            sdk.ask_sync("sync", "What is a shark?")
            assert list(sdk.stream_sync("sync", "What is a shark?"))
            mock.state.scenarios.add(Fail(429, retry_after=0.05, times=2, match=Match(model="again")))
            await sdk.ask("again", "What is a squid?")
            mock.state.scenarios.add(Fail(400, match=Match(model="wrong")))
            with pytest.raises(Exception, match=r"."):
                await sdk.ask("wrong", "What is a crab?")
            if kind is OpenAI:  # the others' embeddings it does not serve
                await sdk.embed("vectors", ["one", "two words"])
            await asyncio.gather(*(sdk.ask("many", f"What is number {number}?") for number in range(20)))
        finally:
            await sdk.aclose()
            sdk.close()

    trace = watched(main)
    journal = mock.state.journal.records(wait=2)
    here = sorted((str(each["model"]), each["status"], each["retry_after"] or 0) for each in told(trace))
    assert here == sorted((str(each.model), each.status, each.retry_after or 0) for each in journal)
    assert [each["retry_count"] for each in told(trace) if each["model"] == "again"] == [0, 1, 2]
    assert [span.name for span in trace.spans if not span.has_ended] == []
    chats = [span.attributes for span in trace.spans if span.kind == "chat"]
    assert {attributes["gen_ai.provider.name"] for attributes in chats} == {kind.provider}
    plain, streamed = (attributes for attributes in chats if attributes["gen_ai.request.model"] == "asked")
    assert streamed["gen_ai.response.time_to_first_chunk"] > 0
    names = ["gen_ai.response.finish_reasons"]
    if kind not in (Groq, Mistral):  # whose streams are like OpenAI's here: no figures unless one asks for them
        names += ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"]
    # The same question costs the same, whether its answer is streamed or not.
    assert [plain[name] for name in names] == [streamed[name] for name in names]
    assert all(plain[name] for name in names)


@every_sdk
def test_a_stream_that_breaks_off_is_a_failed_call(kind: type[Sdk], mock: Any) -> None:
    from llmock.scenarios import StreamFault

    async def main() -> None:
        sdk = opened(kind, mock.port)
        mock.state.scenarios.add(StreamFault("disconnect", after_chunks=3))
        with pytest.raises(Exception, match=r"."):
            await read(sdk.stream("broken", "What is a whale?"))
        await sdk.aclose()
        sdk.close()

    trace = watched(main)
    [call] = [span for span in trace.spans if span.kind == "chat"]
    [attempt] = trace.children()[call.span_id]
    assert (call.outcome, attempt.outcome) == ("failed", "failed")
    assert [each.completed for each in mock.state.journal.records(wait=2)] == [False]
