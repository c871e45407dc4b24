"""OpenAI's own client, plain and asynchronous, talks to the simulator as to the real service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from asyncmagic.simulator import Server, start

QUESTION = [{"role": "user", "content": "Tell me about solar power"}]
WEATHER = {
    "name": "get_weather",
    "description": "Tell the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
HAND_OFF = {"name": "transfer_to_writer", "parameters": {"type": "object", "properties": {}}}


class Journey(BaseModel):
    title: str
    stops: list[str]
    days: int


def client(server: Server, **options: Any) -> OpenAI:
    return OpenAI(base_url=server.base_url, api_key="sk-canary", **options)


def with_async_client(server: Server, work: Callable[[AsyncOpenAI], Awaitable[Any]], **options: Any) -> Any:
    async def main() -> Any:
        async with AsyncOpenAI(base_url=server.base_url, api_key="sk-canary", **options) as client:
            return await work(client)

    return asyncio.run(main())


def test_a_chat_completion_answers_the_same_every_time_with_usage_that_adds_up(simulator: Server) -> None:
    with client(simulator) as openai_client:
        first, second = (openai_client.chat.completions.create(model="gpt-5", messages=QUESTION) for _ in range(2))
    assert first.choices[0].message.content == second.choices[0].message.content
    assert "solar power" in str(first.choices[0].message.content)
    assert first.choices[0].finish_reason == "stop"
    assert first.id != second.id
    assert first.usage is not None
    assert first.usage.prompt_tokens == 12
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens


def test_a_stream_is_the_plain_answer_token_by_token(simulator: Server) -> None:
    async def work(openai_client: AsyncOpenAI) -> Any:
        plain = await openai_client.chat.completions.create(model="gpt-5", messages=QUESTION)
        options = {"include_usage": True}
        stream = await openai_client.chat.completions.create(
            model="gpt-5", messages=QUESTION, stream=True, stream_options=options
        )
        return plain, [chunk async for chunk in stream]

    plain, chunks = with_async_client(simulator, work)
    pieces = [chunk.choices[0].delta.content for chunk in chunks[1:-2]]
    assert "".join(pieces) == plain.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage == plain.usage
    assert len(pieces) == plain.usage.completion_tokens
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


def test_a_stream_without_include_usage_says_no_usage(simulator: Server) -> None:
    with client(simulator) as openai_client:
        chunks = list(openai_client.chat.completions.create(model="gpt-5", messages=QUESTION, stream=True))
    assert [chunk.usage for chunk in chunks if chunk.usage] == []
    assert all(chunk.choices for chunk in chunks)


def test_max_tokens_cuts_the_answer(simulator: Server) -> None:
    asked: Any = {"model": "gpt-5", "messages": QUESTION, "max_completion_tokens": 3}
    with client(simulator) as openai_client:
        plain = openai_client.chat.completions.create(**asked)
        chunks = list(openai_client.chat.completions.create(**asked, stream=True))
    assert plain.choices[0].finish_reason == chunks[-1].choices[0].finish_reason == "length"
    assert plain.usage is not None
    assert plain.usage.completion_tokens == len(chunks) - 2 == 3
    assert [exchange.finish_reason for exchange in simulator.log] == ["length", "length"]


@pytest.mark.parametrize("stream", [False, True])
def test_tools_come_first_then_the_hand_off_once_then_text(simulator: Server, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
    tools: list[Any] = [{"type": "function", "function": function} for function in (HAND_OFF, WEATHER)]
    called = []
    with client(simulator) as openai_client:
        while True:
            if stream:
                with openai_client.chat.completions.stream(model="gpt-5", messages=messages, tools=tools) as chunks:
                    choice = chunks.get_final_completion().choices[0]
            else:
                choice = openai_client.chat.completions.create(model="gpt-5", messages=messages, tools=tools).choices[0]
            if choice.finish_reason == "stop":
                break
            assert choice.finish_reason == "tool_calls"
            [call] = choice.message.tool_calls
            called.append((call.function.name, json.loads(call.function.arguments)))
            messages.append({"role": "assistant", "content": None, "tool_calls": [call.model_dump(exclude={"index"})]})
            result = {"get_weather": "rain, 7 degrees", "transfer_to_writer": "handed over"}[call.function.name]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    assert called == [("get_weather", {"city": "Oslo"}), ("transfer_to_writer", {})]
    assert "The tool get_weather says: rain, 7 degrees." in choice.message.content
    assert [exchange.tool_call for exchange in simulator.log] == ["get_weather", "transfer_to_writer", None]
    assert [exchange.cached_tokens > 0 for exchange in simulator.log] == [False, True, True]


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("none", None),
        ("required", "get_weather"),
        ({"type": "function", "function": {"name": "transfer_to_writer"}}, "transfer_to_writer"),
    ],
)
def test_tool_choice_is_obeyed(simulator: Server, choice: Any, called: str | None) -> None:
    tools: list[Any] = [{"type": "function", "function": function} for function in (WEATHER, HAND_OFF)]
    with client(simulator) as openai_client:
        openai_client.chat.completions.create(model="gpt-5", messages=QUESTION, tools=tools, tool_choice=choice)
    assert simulator.log[0].tool_call == called


def test_structured_answers_fit_their_schema(simulator: Server) -> None:
    async def work(openai_client: AsyncOpenAI) -> Any:
        plan = [{"role": "user", "content": "Plan a journey to Rome"}]
        chat = await openai_client.chat.completions.parse(model="gpt-5", messages=plan, response_format=Journey)
        response = await openai_client.responses.parse(
            model="gpt-5", input="Plan a journey to Rome", text_format=Journey
        )
        return chat.choices[0].message.parsed, response.output_parsed

    chat, response = with_async_client(simulator, work)
    assert isinstance(chat, Journey)
    assert chat.stops == ["Plan a journey to Rome"] * 2
    assert response == chat


def test_a_response_answers_and_its_successor_remembers_it(simulator: Server) -> None:
    with client(simulator) as openai_client:
        first = openai_client.responses.create(model="gpt-5", input="Tell me about whales", instructions="Be brief.")
        second = openai_client.responses.create(
            model="gpt-5", input="And dolphins?", previous_response_id=first.id, reasoning={"effort": "low"}
        )
    assert "whales" in first.output_text
    assert "dolphins" in second.output_text
    assert first.usage is not None and second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens
    assert second.usage.input_tokens_details.cached_tokens > 0
    assert second.usage.output_tokens_details.reasoning_tokens == 16


def test_a_streamed_response_sends_its_events_in_the_true_order(simulator: Server) -> None:
    with client(simulator) as openai_client:
        events = list(openai_client.responses.create(model="gpt-5", input="Tell me about solar power", stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * len(deltas),
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == "".join(deltas)
    assert events[-1].response.usage is not None
    assert events[-1].response.usage.output_tokens == len(deltas) == simulator.log[0].output_tokens


def test_a_streamed_response_that_is_cut_ends_as_incomplete(simulator: Server) -> None:
    with client(simulator) as openai_client:
        *_, last = openai_client.responses.create(model="gpt-5", input="whales", stream=True, max_output_tokens=3)
    assert last.type == "response.incomplete"
    assert last.response.incomplete_details is not None
    assert last.response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_calls_a_tool_and_takes_its_result(simulator: Server, stream: bool) -> None:
    items: list[Any] = [{"role": "user", "content": "What is the weather in Oslo?"}]
    tools: list[Any] = [{"type": "function", "strict": True, **WEATHER}]

    def answer(openai_client: OpenAI) -> Any:
        if not stream:
            return openai_client.responses.create(model="gpt-5", input=items, tools=tools)
        with openai_client.responses.stream(model="gpt-5", input=items, tools=tools) as events:
            events.until_done()
            return events.get_final_response()

    with client(simulator) as openai_client:
        [call] = answer(openai_client).output
        assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "Oslo"})
        fields = ("type", "call_id", "name", "arguments")
        items.append({name: getattr(call, name) for name in fields})
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
        assert "The tool get_weather says: sunny." in answer(openai_client).output_text


def test_embeddings_are_the_same_every_time_and_near_where_texts_share_words(simulator: Server) -> None:
    def product(left: list[float], right: list[float]) -> float:
        return sum(a * b for a, b in zip(left, right, strict=True))

    async def work(openai_client: AsyncOpenAI) -> Any:
        texts = ["solar power", "solar panels", "whales"]
        model = "text-embedding-3-small"
        encoded = await openai_client.embeddings.create(model=model, input=texts)
        floats = await openai_client.embeddings.create(model=model, input=texts, encoding_format="float")
        short = await openai_client.embeddings.create(model=model, input="one", dimensions=8)
        return encoded, floats, short

    encoded, floats, short = with_async_client(simulator, work)
    power, panels, whales = (item.embedding for item in encoded.data)
    assert [len(power), len(short.data[0].embedding)] == [1536, 8]
    assert power == pytest.approx(floats.data[0].embedding, abs=1e-6)
    assert product(power, power) == pytest.approx(1)
    assert product(power, panels) > 0.3 > product(power, whales)
    assert encoded.usage.prompt_tokens == 5 == simulator.log[0].input_tokens


def test_the_models_can_be_listed(simulator: Server) -> None:
    with client(simulator) as openai_client:
        assert "gpt-5-mini-429" in [model.id for model in openai_client.models.list()]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_429_is_retried_by_the_client_after_the_time_it_was_told(is_async: bool) -> None:
    with start(latency=0, tokens_per_second=None, retry_after=0.1) as server:
        if is_async:
            with_async_client(
                server, lambda c: c.chat.completions.create(model="gpt-5-429x2", messages=QUESTION, stream=True)
            )
        else:
            with client(server) as openai_client:
                openai_client.chat.completions.create(model="gpt-5-429x2", messages=QUESTION)
        assert server.wait_idle()
        facts = [(exchange.status, exchange.retry_count, exchange.retry_after) for exchange in server.log]
        assert facts == [(429, 0, 0.1), (429, 1, 0.1), (200, 2, None)]
        waits = [b.started_ns - a.ended_ns for a, b in zip(server.log, server.log[1:], strict=False)]
        assert all(0.09e9 < wait < 0.5e9 for wait in waits)


def test_a_429_tells_its_reason_and_its_request_id(simulator: Server) -> None:
    with client(simulator, max_retries=0) as openai_client, pytest.raises(openai.RateLimitError) as caught:
        openai_client.responses.create(model="gpt-5-429", input="hi")
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.request_id == simulator.log[0].request_id
    assert caught.value.response.headers["retry-after"] == "1"
    assert caught.value.response.headers["retry-after-ms"] == "1000"


def test_a_500_stays_one(simulator: Server) -> None:
    with client(simulator, max_retries=0) as openai_client:
        for _ in range(2):
            with pytest.raises(openai.InternalServerError, match="had an error while processing"):
                openai_client.chat.completions.create(model="gpt-5-500", messages=QUESTION)


def test_a_dropped_stream_breaks_after_its_tokens(simulator: Server) -> None:
    pieces = []
    with client(simulator, max_retries=0) as openai_client:
        stream = openai_client.chat.completions.create(model="gpt-5-drop3", messages=QUESTION, stream=True)
        with pytest.raises(Exception, match=r"Connection error|peer closed connection"):  # openai 3 and 2
            pieces.extend(chunk.choices[0].delta.content for chunk in stream)
    [exchange] = simulator.log
    assert len(list(filter(None, pieces))) == 3
    assert (exchange.status, exchange.output_tokens, exchange.outcome) == (200, 3, "dropped")


@pytest.mark.parametrize("fault", ["drop", "drop0"])
def test_a_dropped_plain_answer_is_a_connection_error(simulator: Server, fault: str) -> None:
    with client(simulator, max_retries=0) as openai_client, pytest.raises(openai.APIConnectionError):
        openai_client.chat.completions.create(model=f"gpt-5-{fault}", messages=QUESTION)
    assert simulator.log[0].outcome == "dropped"


@pytest.mark.parametrize("stream", [False, True])
def test_a_hanging_call_runs_into_the_clients_timeout(simulator: Server, stream: bool) -> None:
    with client(simulator, max_retries=0, timeout=0.05) as openai_client, pytest.raises(openai.APITimeoutError):
        openai_client.chat.completions.create(model="gpt-5-hang", messages=QUESTION, stream=stream)
    assert simulator.wait_idle()
    [exchange] = simulator.log
    assert (exchange.status, exchange.outcome) == (0, "disconnected")


@pytest.mark.parametrize("stream", [False, True])
def test_a_malformed_answer_cannot_be_decoded(simulator: Server, stream: bool) -> None:
    with client(simulator, max_retries=0) as openai_client, pytest.raises((ValueError, openai.APIError)):
        answer: Any = openai_client.chat.completions.create(model="gpt-5-malformed", messages=QUESTION, stream=stream)
        if stream:
            list(answer)


def test_a_cancelled_stream_is_noted_as_the_clients_leaving() -> None:
    async def work(openai_client: AsyncOpenAI) -> None:
        stream = await openai_client.chat.completions.create(model="gpt-5", messages=QUESTION, stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        await stream.close()

    with start(latency=0, tokens_per_second=1) as server:
        with_async_client(server, work)
        assert server.wait_idle()
        [exchange] = server.log
    assert (exchange.status, exchange.output_tokens, exchange.outcome) == (200, 1, "disconnected")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model": "gpt-5"}, "KeyError: 'messages'"),
        ({"model": "gpt-5", "messages": [1]}, "AttributeError"),
        ([], "AttributeError"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(simulator: Server, body: Any, message: str) -> None:
    with client(simulator) as openai_client, pytest.raises(openai.BadRequestError, match=message):
        openai_client.post("/chat/completions", body=body, cast_to=object)


def test_an_endpoint_that_does_not_exist_is_a_404(simulator: Server) -> None:
    with client(simulator) as openai_client, pytest.raises(openai.NotFoundError, match="no POST /v1/audio"):
        openai_client.post("/audio", body={}, cast_to=object)
