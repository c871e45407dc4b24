"""OpenTelemetry: others' spans on our timeline, once each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from asyncmagic.instrumentation import loop as loop_instrumentor
from asyncmagic.instrumentation import otel
from asyncmagic.tracing import Trace, Tracer
from tests.conftest import VirtualLoop

sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="opentelemetry-sdk is not installed")
from opentelemetry import trace as api  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402

Program = Callable[[Tracer, Any], Coroutine[Any, Any, None]]


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def theirs(exporter: InMemorySpanExporter) -> Any:
    """A tracer of OpenTelemetry's whose provider exports to `exporter`."""
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("theirs")


def traced(loop: VirtualLoop, program: Program, theirs: Any, *, keeps_content: bool = False) -> Trace:
    tracer = Tracer(clock=loop.clock)

    async def main() -> Trace:
        with loop_instrumentor.instrument(tracer), otel.instrument(tracer):
            trace = tracer.start_trace("cell", keeps_content=keeps_content)
            with tracer.use(trace.root):
                await program(tracer, theirs)
            tracer.end_trace(trace)
        return trace

    return loop.run_until_complete(main())


def places(trace: Trace) -> list[tuple[str, str, str, float, float]]:
    """Name, kind, parent's name, start and end in seconds of every span below the cell."""
    return [
        (span.name, span.kind, trace[span.parent_id].name, span.start / 1e9, -1 if span.end is None else span.end / 1e9)
        for span in trace.spans
        if span.parent_id is not None
    ]


def test_their_spans_stand_where_they_are_made_and_hold_what_is_made_in_them(loop: VirtualLoop, theirs: Any) -> None:
    async def agent(tracer: Tracer) -> None:
        with tracer.span("ours"):
            await asyncio.sleep(1)

    async def program(tracer: Tracer, theirs: Any) -> None:
        with theirs.start_as_current_span("plan"):
            await asyncio.sleep(1)
            with theirs.start_as_current_span("step"):
                await asyncio.gather(*(asyncio.create_task(agent(tracer), name=name) for name in ("a", "b")))
        with tracer.span("after"):
            pass

    assert places(traced(loop, program, theirs)) == [
        ("plan", "span", "cell", 0, 2),
        ("step", "span", "plan", 1, 2),
        ("a", "task", "step", 1, 2),
        ("ours", "span", "a", 1, 2),
        ("b", "task", "step", 1, 2),
        ("ours", "span", "b", 1, 2),
        ("after", "span", "cell", 2, 2),
    ]


def test_agents_and_tools_get_their_kinds_and_failures_their_errors(loop: VirtualLoop, theirs: Any) -> None:
    async def program(tracer: Tracer, theirs: Any) -> None:
        agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "Planner"}
        tool = {"openinference.span.kind": "TOOL", "tool.name": "look_up"}
        with (
            theirs.start_as_current_span("agent run", attributes=agent),
            pytest.raises(LookupError),
            theirs.start_as_current_span("look_up", attributes=tool),
        ):
            raise LookupError("no such city")

    trace = traced(loop, program, theirs)
    assert [(span.kind, span.name, span.outcome, span.attributes.get("error.type")) for span in trace.spans] == [
        ("cell", "cell", "done", None),
        ("invoke_agent", "invoke_agent Planner", "done", None),
        ("execute_tool", "execute_tool look_up", "failed", "LookupError"),
    ]


def test_what_we_have_seen_ourselves_is_not_doubled_but_enriched(loop: VirtualLoop, theirs: Any) -> None:
    async def program(tracer: Tracer, theirs: Any) -> None:
        agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "Planner", "gen_ai.agent.id": "7"}
        asked = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5", "gen_ai.conversation.id": "c1"}
        known = {"gen_ai.request.model": "gpt-5"}
        posted = {"http.request.method": "POST"}
        with (
            tracer.span("invoke_agent Planner", kind="invoke_agent"),
            theirs.start_as_current_span("invoke_agent Planner", attributes=agent),
            theirs.start_as_current_span("chat gpt-5", attributes=asked),
            tracer.span("chat gpt-5", kind="chat", attributes=known),
            tracer.span("POST /v1", kind="http"),
            theirs.start_as_current_span("POST", kind=api.SpanKind.CLIENT, attributes=posted),
        ):
            await asyncio.sleep(1)

    trace = traced(loop, program, theirs)
    assert [(span.name, span.attributes) for span in trace.spans[1:]] == [
        (
            "invoke_agent Planner",
            {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "Planner", "gen_ai.agent.id": "7"},
        ),
        (
            "chat gpt-5",
            {"gen_ai.request.model": "gpt-5", "gen_ai.operation.name": "chat", "gen_ai.conversation.id": "c1"},
        ),
        ("POST /v1", {"http.request.method": "POST"}),
    ]


def test_a_call_that_goes_another_way_than_http_stands_for_itself(loop: VirtualLoop, theirs: Any) -> None:
    async def ask(theirs: Any, model: str) -> None:
        asked = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model}
        with theirs.start_as_current_span(f"chat {model}", attributes=asked) as span:
            await asyncio.sleep(1)
            span.set_attribute("gen_ai.usage.prompt_tokens", 12)

    async def program(tracer: Tracer, theirs: Any) -> None:
        await asyncio.gather(ask(theirs, "one"), ask(theirs, "two"))

    trace = traced(loop, program, theirs)
    assert [
        (span.name, span.start / 1e9, (span.end or 0) / 1e9, span.attributes["gen_ai.usage.input_tokens"])
        for span in trace.spans
        if span.kind == "chat"
    ] == [("chat one", 0, 1, 12), ("chat two", 0, 1, 12)]


def test_libraries_that_are_watched_themselves_are_passed_over(loop: VirtualLoop, theirs: Any) -> None:
    async def program(tracer: Tracer, theirs: Any) -> None:
        autogen = sdk.TracerProvider(shutdown_on_exit=False).get_tracer("autogen-core")
        with autogen.start_as_current_span("autogen publish"), theirs.start_as_current_span("mine"):
            pass

    assert places(traced(loop, program, theirs)) == [("mine", "span", "cell", 0, 0)]


@pytest.mark.parametrize("keeps_content", [False, True])
def test_content_is_kept_where_that_is_asked_for_alone(loop: VirtualLoop, theirs: Any, keeps_content: bool) -> None:
    attributes = {
        "gen_ai.system": "openai",
        "gen_ai.prompt.0.content": "my secret plan",
        "input.value": "my secret plan",
        "gen_ai.usage.output_tokens": 3,
        "header": "Bearer sk-proj-abcdefghijklmnopqrstuvwxyz0123456789",
    }

    async def program(tracer: Tracer, theirs: Any) -> None:
        with theirs.start_as_current_span("work", attributes=attributes):
            pass

    kept = dict(traced(loop, program, theirs, keeps_content=keeps_content).spans[1].attributes)
    kept.pop("asyncmagic.otel_span")
    content = {"gen_ai.prompt.0.content": "my secret plan", "input.value": "my secret plan"} if keeps_content else {}
    assert "sk-proj" not in str(kept.pop("header"))
    assert kept == {"gen_ai.provider.name": "openai", "gen_ai.usage.output_tokens": 3, **content}


def test_without_a_trace_nothing_is_hooked(loop: VirtualLoop, theirs: Any) -> None:
    from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext as Context

    def hooks() -> list[object]:
        return [sdk.Span.start, sdk.Span.end, Context.attach, Context.detach]

    before, during = hooks(), []

    async def program(tracer: Tracer, theirs: Any) -> None:
        during.extend(hooks())

    traced(loop, program, theirs)
    assert hooks() == before
    assert not set(during) & set(before)


@pytest.mark.parametrize("name", ["chat gpt-5", "chat_completion_v1"])
def test_a_span_that_says_late_that_it_is_a_call_is_the_call_all_the_same(
    loop: VirtualLoop, theirs: Any, name: str
) -> None:
    async def program(tracer: Tracer, theirs: Any) -> None:
        span = theirs.start_span(name)
        with tracer.span("chat gpt-5", kind="chat", attributes={"gen_ai.request.model": "gpt-5"}):
            await asyncio.sleep(1)
        span.set_attribute("gen_ai.operation.name", "chat")
        span.set_attribute("gen_ai.conversation.id", "c1")
        span.end()

    trace = traced(loop, program, theirs)
    assert places(trace) == [("chat gpt-5", "chat", "cell", 0, 1)]
    assert trace.spans[1].attributes["gen_ai.conversation.id"] == "c1"


def test_a_call_that_another_task_sends_is_known_by_its_answer(loop: VirtualLoop, theirs: Any) -> None:
    async def send(tracer: Tracer, answer: str) -> None:
        with tracer.span("chat gpt-5", kind="chat", attributes={"gen_ai.request.model": "gpt-5"}) as ours:
            await asyncio.sleep(1)
            ours.attributes["gen_ai.response.id"] = answer

    async def ask(theirs: Any, answer: str) -> None:
        asked = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5"}
        with theirs.start_as_current_span("chat gpt-5", attributes=asked) as span:
            await asyncio.sleep(2)
            span.set_attributes({"gen_ai.response.id": answer, "gen_ai.conversation.id": f"of {answer}"})

    async def program(tracer: Tracer, theirs: Any) -> None:
        asking = [asyncio.create_task(ask(theirs, answer)) for answer in ("a", "b")]
        await asyncio.sleep(0.5)
        await asyncio.gather(send(tracer, "b"), send(tracer, "a"), *asking)

    trace = traced(loop, program, theirs)
    assert [
        (span.attributes["gen_ai.response.id"], span.attributes["gen_ai.conversation.id"])
        for span in trace.spans
        if span.kind == "chat"
    ] == [("b", "of b"), ("a", "of a")]


def test_a_span_that_nobody_ends_is_shown_as_open(loop: VirtualLoop, theirs: Any) -> None:
    async def program(tracer: Tracer, theirs: Any) -> None:
        theirs.start_span("forgotten")
        await asyncio.sleep(1)

    assert places(traced(loop, program, theirs)) == [("forgotten", "span", "cell", 0, -1)]
