"""Libraries that emit OpenTelemetry, for real: their spans on our timeline once each, and the calls without an SDK too.

The tests without an SDK stand first: a process cannot take its tracer provider back.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from typing import Any

import pytest

import asyncmagic
from asyncmagic.simulator import Server, start
from asyncmagic.tracing import Trace
from tests.agreement import logged, told
from tests.clients.programs import PROGRAMS, Program, read
from tests.clients.sdks import KEY, say
from tests.frameworks.conftest import outline, tree

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("opentelemetry"),
    # The libraries' own, of one another or of what they leave open.
    pytest.mark.filterwarnings("ignore"),
]
every_program = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMANTICKERNEL_EXPERIMENTAL_GENAI_ENABLE_OTEL_DIAGNOSTICS", "true")
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)


@pytest.fixture
def server() -> Iterator[Server]:
    with start(latency=0.02, tokens_per_second=None, jitter=0.0, retry_after=0.05) as server:
        yield server


@pytest.fixture
def exported() -> Iterator[Any]:
    """The spans that the process's OpenTelemetry SDK has exported meanwhile: `exported()`."""
    pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")
    from opentelemetry import trace as api
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    if not isinstance(api.get_tracer_provider(), TracerProvider):
        api.set_tracer_provider(TracerProvider(shutdown_on_exit=False))
    exporter = InMemorySpanExporter()
    api.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter.get_finished_spans
    exporter.shutdown()


def traced(program: Any, server: Server) -> Trace:
    async def main() -> None:
        await asyncmagic.run(program(server))

    gc.collect()  # clients that earlier tests left behind close themselves, in tasks of whichever loop runs then
    asyncio.run(main())
    server.wait_idle()
    trace = asyncmagic.last_trace()
    assert trace is not None
    return trace


def agent_tree(trace: Trace) -> str:
    """The tree below the one agent, which is the program."""
    [_, *lines] = outline(trace).splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines)


def runs(program: Program) -> None:
    pytest.importorskip(program.module, reason=f"{program.module} is not installed: python -m tests --env clients")


def agrees(trace: Trace, server: Server) -> None:
    """One span a call, with the server's figures, and nothing of what was said."""
    here, there = (sorted(side, key=lambda each: each["request_id"]) for side in (told(trace), logged(server.log)))
    for each in there:
        if each["model"].startswith("gemini") and each["finish_reason"] == "tool_calls":
            each["finish_reason"] = "stop"  # Google has no word for it
    assert here == there
    assert sum(span.kind == "chat" for span in trace.spans) == len({each["request_id"] for each in there})
    assert [span.name for span in trace.spans if not span.has_ended] == []
    written = json.dumps(trace.to_dict())
    assert (KEY in written, "secret weather" in written, "sunny" in written) == (False, False, False)


@every_program
def test_without_an_sdk_the_calls_are_seen_all_the_same(program: Program, server: Server) -> None:
    runs(program)
    trace = traced(program.main, server)
    agrees(trace, server)
    assert {span.kind for span in trace.spans} <= {"cell", "task", "thread", "blocked", "chat", "http"}
    assert len(server.log) == program.calls


@every_program
def test_their_spans_are_on_the_timeline_and_a_call_is_one_span(
    program: Program, server: Server, exported: Any
) -> None:
    runs(program)
    trace = traced(program.main, server)
    assert agent_tree(trace) == program.tree
    agrees(trace, server)
    # What they export themselves is as it was: a span for each call, and one for each that came to our timeline.
    ids = {f"{span.context.trace_id:032x}-{span.context.span_id:016x}" for span in exported()}
    ours = {
        span.attributes["asyncmagic.otel_span"] for span in trace.spans if "asyncmagic.otel_span" in span.attributes
    }
    assert ours < ids
    assert len(ids - ours) == program.calls


def test_native_spans_of_anthropic_and_mistral_are_the_calls_that_we_see(server: Server, exported: Any) -> None:
    anthropic = pytest.importorskip("anthropic", minversion="2", reason="anthropic 2 is not installed")
    mistral = pytest.importorskip(
        "mistralai.client", reason="mistralai is not installed: python -m tests --env clients"
    )
    from mistralai.extra.observability import set_tracer_provider
    from opentelemetry import trace as api

    async def main(server: Server) -> None:
        claude = anthropic.AsyncAnthropic(base_url=server.anthropic_base_url, api_key=KEY)
        client = mistral.Mistral(server_url=server.mistral_base_url, api_key=KEY)
        set_tracer_provider(client, api.get_tracer_provider())

        async def stream(name: str) -> None:
            async with claude.messages.stream(model=name, max_tokens=500, messages=say("stream")) as events:
                await read(events.text_stream)

        async def events(name: str) -> None:
            await read(await client.chat.stream_async(model=name, messages=say("stream")))

        async with claude, client:
            await asyncio.gather(
                *(claude.messages.create(model="claude", max_tokens=500, messages=say(f"{n}")) for n in range(3)),
                stream("claude"),
                claude.messages.create(model="claude-429", max_tokens=500, messages=say("again")),
                *(client.chat.complete_async(model="small", messages=say(f"{n}")) for n in range(3)),
                events("small"),
            )

    trace = traced(main, server)
    calls = [span for span in trace.spans if span.kind == "chat"]
    assert sorted(span.name for span in calls) == ["chat claude"] * 4 + ["chat claude-429"] + ["chat small"] * 4
    # What only theirs say has come to ours, and each to its own call: its address, which ours never write so.
    assert all("http.response.status_code" in span.attributes for span in calls)
    theirs = {span.attributes["gen_ai.response.id"] for span in exported() if "gen_ai.response.id" in span.attributes}
    assert theirs == {span.attributes["gen_ai.response.id"] for span in calls}
    claude = [span for span in calls if span.name.startswith("chat claude")]
    assert all(span.attributes["anthropic.request.id"] == span.attributes["asyncmagic.request_id"] for span in claude)


def test_opentelemetrys_own_spans_of_httpx_are_our_attempts(server: Server, exported: Any) -> None:
    instrumentation = pytest.importorskip("opentelemetry.instrumentation.httpx", reason="it is not installed")
    groq = pytest.importorskip("groq", reason="groq is not installed: python -m tests --env clients")

    async def main(server: Server) -> None:
        async with groq.AsyncGroq(base_url=server.address, api_key=KEY) as client:
            await client.chat.completions.create(model="llama-429", messages=say("again"))

    instrumentor = instrumentation.HTTPXClientInstrumentor()
    instrumentor.instrument()
    try:
        trace = traced(main, server)
    finally:
        instrumentor.uninstrument()
    assert agent_tree(trace) == tree("""
        chat llama-429
            POST /openai/v1/chat/completions · failed: 429
            POST /openai/v1/chat/completions
    """)
    assert [span.attributes["http.status_code"] for span in exported()] == [429, 200]  # an older spelling
    assert "http.status_code" not in json.dumps(trace.to_dict())
