"""Every SDK's calls, as the trace tells them and as the simulator has logged them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from asyncmagic.simulator import Server, start
from asyncmagic.tracing import Trace
from tests.agreement import logged, told, watched
from tests.clients.sdks import KEY, SDKS, Sdk

pytestmark = [
    pytest.mark.slow,
    # The libraries' own, of one another or of what they leave open.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic"),
]
every_sdk = pytest.mark.parametrize(
    "kind",
    # A library that takes seconds to import is imported by one worker only.
    [pytest.param(kind, id=kind.__name__, marks=pytest.mark.xdist_group(kind.module)) for kind in SDKS],
)


def opened(kind: type[Sdk], server: Server) -> Sdk:
    for module in filter(None, (kind.module, kind.needs)):
        pytest.importorskip(module, reason=f"{module} is not installed: python -m tests --env clients")
    return kind(int(server.address.rpartition(":")[2]))


async def read(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass


def traced(kind: type[Sdk], server: Server, main: Callable[[Sdk], Any]) -> Trace:
    """Open the SDK, run `main` with it, close it, and return the trace."""

    async def run() -> None:
        sdk = opened(kind, server)
        try:
            await main(sdk)
        finally:
            await sdk.aclose()
            sdk.close()

    trace = watched(run)
    server.wait_idle()
    return trace


def both_sides(trace: Trace, server: Server) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the trace and the log say of the attempts at calls, in one order.

    Few SDKs tell the server which attempt they make, so that it is counted: each retried call has a model of its own.
    """
    here = [attempt for attempt in told(trace) if attempt["model"] is not None]
    there = [attempt for attempt in logged(server.log) if attempt["model"]]
    before: Counter[str] = Counter()
    for attempt in there:
        attempt["retry_count"] = before[attempt["model"]] if attempt["model"].endswith(("-429", "-401")) else 0
        before[attempt["model"]] += 1
    return (
        sorted(here, key=lambda attempt: str(attempt["request_id"])),
        sorted(there, key=lambda attempt: str(attempt["request_id"])),
    )


@every_sdk
def test_the_trace_says_what_the_server_has_logged(kind: type[Sdk], server: Server) -> None:
    async def main(sdk: Sdk) -> None:
        await sdk.ask("plain", "one")
        await sdk.ask("short", "two", limit=3)
        sdk.ask_sync("plain", "three")
        if sdk.has_streams:
            await read(sdk.stream("streamed", "four"))
            assert list(sdk.stream_sync("streamed", "five"))
        if sdk.retries:
            await sdk.ask("again-429", "six")
        with pytest.raises(Exception, match=r"(?i)key|401"):
            await sdk.ask("refused-401", "seven")
        if sdk.has_embeddings:
            await sdk.embed("vectors", ["one", "two words"])
            await sdk.embed("vectors", [f"text number {number}" for number in range(100)])
        await asyncio.gather(*(sdk.ask("many", f"number {number}") for number in range(100)))

    trace = traced(kind, server, main)
    here, there = both_sides(trace, server)
    assert here == there
    calls = [span for span in trace.spans if span.kind in ("chat", "embeddings")]
    assert {span.attributes["gen_ai.provider.name"] for span in calls} == {kind.provider}
    assert (
        Counter(span.name.split()[0] for span in calls)
        == Counter(chat=104 + 2 * kind.has_streams + kind.retries, embeddings=2 * kind.has_embeddings) - Counter()
    )
    assert [span.name for span in trace.spans if not span.has_ended] == []
    assert KEY not in json.dumps(trace.to_dict())


@every_sdk
def test_the_first_token_comes_when_the_server_sent_it(kind: type[Sdk]) -> None:
    async def main(sdk: Sdk) -> None:
        await read(sdk.stream("warm-up", "the first call imports and connects"))
        for number in range(2):
            await read(sdk.stream("timed", f"number {number}"))

    if not kind.has_streams:
        pytest.skip("this one cannot read streams of this provider")
    with start(latency=0.05, tokens_per_second=200, jitter=0.0) as server:
        trace = traced(kind, server, main)
        sent = [each.first_token_ns or 0 for each in server.log if each.model == "timed"]
    calls = [span for span in trace.spans if span.attributes.get("gen_ai.request.model") == "timed"]
    seen = [event.time for span in calls for event in span.events if event.name == "gen_ai.first_chunk"]
    late = sorted(here - there for here, there in zip(seen, sent, strict=True))
    assert 0 <= late[0] < 100e6  # which a busy machine takes; the answer goes on for twice as long


@every_sdk
def test_a_stream_that_is_cancelled_ends_as_cancelled(kind: type[Sdk]) -> None:
    async def main(sdk: Sdk) -> None:
        begun = asyncio.Event()

        async def read_on() -> None:
            async for _ in sdk.stream("long", "tell me about whales"):
                begun.set()

        reading = asyncio.create_task(read_on())
        await begun.wait()
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading

    if not kind.has_streams:
        pytest.skip("this one cannot read streams of this provider")
    with start(latency=0.02, tokens_per_second=20, jitter=0.0) as server:
        trace = traced(kind, server, main)
        outcomes = [each.outcome for each in server.log if each.model == "long"]
    [call] = [span for span in trace.spans if span.kind == "chat"]
    ends = [span.outcome for span in (call, *trace.children()[call.span_id])]
    assert (ends, outcomes) == (["cancelled", "cancelled"], ["disconnected"])
