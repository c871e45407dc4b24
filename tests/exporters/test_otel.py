"""A trace goes out through the user's own tracer provider: parents, times, failures, events and links as they were."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import asyncmagic
from asyncmagic.instrumentation import otel
from asyncmagic.tracing import Trace, Tracer
from tests.conftest import VirtualLoop

sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="opentelemetry-sdk is not installed")
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> Any:
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


async def program(tracer: Tracer, theirs: Any) -> None:
    with tracer.span("invoke_agent Planner", kind="invoke_agent") as planner:
        asked = {"gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": 9, "asyncmagic.cost": None}
        with tracer.span("chat gpt-5", kind="chat", attributes=asked) as chat:
            await asyncio.sleep(1)
            tracer.add_event(chat, "gen_ai.first_chunk", {"seconds": 1.0})
        with (
            theirs.start_as_current_span("step"),
            pytest.raises(LookupError),
            tracer.span("execute_tool look_up", kind="execute_tool"),
        ):
            raise LookupError("no such city")
    with tracer.span("handoff", kind="handoff") as handoff:
        tracer.add_link(handoff, planner, "back to")


def test_a_trace_arrives_as_it_was(loop: VirtualLoop, provider: Any, exporter: InMemorySpanExporter) -> None:
    tracer = Tracer(clock=loop.clock)

    async def main() -> Trace:
        with otel.instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await program(tracer, provider.get_tracer("theirs"))
            # Also while it is watched: what is sent does not come back.
            before = len(trace.spans)
            assert trace.send(provider) == 5
            assert len(trace.spans) == before
            tracer.end_trace(trace)
        return trace

    trace = loop.run_until_complete(main())
    [step, *sent] = exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in [step, *sent]}
    assert [
        (
            span.name,
            span.kind.name,
            names.get(span.parent.span_id) if span.parent else None,
            (span.start_time - trace.time_origin) / 1e9,
            (span.end_time - trace.time_origin) / 1e9,
            span.status.status_code.name,
        )
        for span in sent
    ] == [
        ("cell", "INTERNAL", None, 0, 1, "UNSET"),
        ("invoke_agent Planner", "INTERNAL", "cell", 0, 1, "UNSET"),
        ("chat gpt-5", "CLIENT", "invoke_agent Planner", 0, 1, "UNSET"),
        ("execute_tool look_up", "INTERNAL", "step", 1, 1, "ERROR"),
        ("handoff", "INTERNAL", "cell", 1, 1, "UNSET"),
    ]
    _, planner, chat, tool, handoff = sent
    assert dict(chat.attributes) == {"gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": 9}
    assert [(event.name, dict(event.attributes), event.timestamp) for event in chat.events] == [
        ("gen_ai.first_chunk", {"seconds": 1.0}, trace.time_origin + 10**9)
    ]
    assert (tool.status.description, tool.attributes["error.type"]) == ("no such city", "LookupError")
    assert [link.context.span_id for link in handoff.links] == [planner.context.span_id]


def test_without_a_provider_it_says_what_to_set() -> None:
    from opentelemetry import trace as api

    with asyncmagic.trace("run") as trace:
        pass
    for nobody in api.ProxyTracerProvider(), api.NoOpTracerProvider():
        with pytest.raises(RuntimeError, match="set_tracer_provider"):
            trace.send(nobody)


def test_what_the_provider_leaves_out_is_not_counted(exporter: InMemorySpanExporter) -> None:
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    with asyncmagic.trace("run") as trace:
        pass
    provider = sdk.TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    assert (trace.send(provider), exporter.get_finished_spans()) == (0, ())
