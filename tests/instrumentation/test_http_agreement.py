"""What the trace says of the real SDKs' calls is what the simulator's own log says: attempts, statuses, tokens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from google import genai

from asyncmagic.simulator import Server, start
from asyncmagic.tracing import Trace
from tests.agreement import logged, told, watched

KEY = "sk-canary-0123456789abcdef"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "the weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    with start(latency=0.0, tokens_per_second=None, jitter=0.0, retry_after=0.05) as server:
        yield server


def say(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


async def ask_openai(url: str) -> None:
    async with openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=2) as client:
        complete = client.chat.completions.create
        await complete(model="gpt-5", messages=say("one"))
        await complete(model="gpt-5", messages=say("short"), max_tokens=3)
        await complete(model="gpt-5", messages=say("weather in Paris"), tools=TOOLS)
        await complete(model="gpt-5-429x2", messages=say("again"))
        for text in "two", "three":
            stream = await complete(
                model="gpt-5", messages=say(text), stream=True, stream_options={"include_usage": True}
            )
            assert [chunk async for chunk in stream]
        async with client.chat.completions.stream(
            model="gpt-5-503x1", messages=say("with events"), stream_options={"include_usage": True}
        ) as events:
            assert [event async for event in events]
        await client.embeddings.create(model="text-embedding-3-small", input=["one", "two words"])
        await client.responses.create(model="gpt-5", input="four")
        assert [event async for event in await client.responses.create(model="gpt-5-429", input="five", stream=True)]
        async with client.responses.stream(model="gpt-5", input="six") as events:
            assert [event async for event in events]
        with pytest.raises(openai.InternalServerError):
            await complete(model="gpt-5-500", messages=say("never"))
        with pytest.raises(openai.AuthenticationError):
            await complete(model="gpt-5-401", messages=say("never"))
        await asyncio.gather(*(complete(model="gpt-5-429", messages=say(f"number {i}")) for i in range(10)))


def ask_openai_synchronously(url: str) -> None:
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=2) as client:
        complete = client.chat.completions.create
        complete(model="gpt-5", messages=say("one"))
        complete(model="gpt-5-429", messages=say("again"))
        assert list(complete(model="gpt-5", messages=say("two"), stream=True, stream_options={"include_usage": True}))
        client.responses.create(model="gpt-5", input="four")
        assert list(client.responses.create(model="gpt-5", input="five", stream=True))
        with pytest.raises(openai.InternalServerError):
            complete(model="gpt-5-500", messages=say("never"))


async def ask_anthropic(url: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=url, api_key=KEY, max_retries=2) as client:
        create = client.messages.create
        await create(model="claude-opus-9", max_tokens=100, messages=say("one"))
        await create(model="claude-opus-9", max_tokens=2, messages=say("two"))
        await create(model="claude-opus-9-429x2", max_tokens=100, messages=say("three"))
        stream = await create(model="claude-opus-9", max_tokens=100, messages=say("four"), stream=True)
        assert [event async for event in stream]
        async with client.messages.stream(model="claude-opus-9-529x1", max_tokens=100, messages=say("five")) as events:
            assert [text async for text in events.text_stream]
        with pytest.raises(anthropic.InternalServerError):
            await create(model="claude-opus-9-500", max_tokens=100, messages=say("never"))


def ask_anthropic_synchronously(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=2) as client:
        create = client.messages.create
        create(model="claude-opus-9-429", max_tokens=100, messages=say("one"))
        assert list(create(model="claude-opus-9", max_tokens=100, messages=say("two"), stream=True))


async def ask_google(url: str) -> None:
    client = genai.Client(api_key=KEY, http_options={"base_url": url, "retry_options": {"attempts": 3}})
    models = client.aio.models
    await models.generate_content(model="gemini-2.5-flash", contents="one")
    assert [chunk async for chunk in await models.generate_content_stream(model="gemini-2.5-flash", contents="two")]
    await models.generate_content(model="gemini-2.5-flash-503x1", contents="three")
    await client.aio.aclose()


def ask_google_synchronously(url: str) -> None:
    client = genai.Client(api_key=KEY, http_options={"base_url": url, "retry_options": {"attempts": 3}})
    client.models.generate_content(model="gemini-2.5-flash", contents="one")
    assert list(client.models.generate_content_stream(model="gemini-2.5-flash", contents="two"))
    client.models.generate_content(model="gemini-2.5-flash-503x1", contents="three")
    client.close()


@pytest.mark.parametrize(
    ("main", "address"),
    [
        (ask_openai, "base_url"),
        (ask_openai_synchronously, "base_url"),
        (ask_anthropic, "anthropic_base_url"),
        (ask_anthropic_synchronously, "anthropic_base_url"),
        (ask_google, "google_base_url"),
        (ask_google_synchronously, "google_base_url"),
    ],
)
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")
@pytest.mark.slow
def test_the_trace_agrees_with_the_server(server: Server, main: Callable[[str], Any], address: str) -> None:
    trace = watched(lambda: main(getattr(server, address)))
    server.wait_idle()
    here, there = (sorted(side, key=lambda each: each["request_id"]) for side in (told(trace), logged(server.log)))
    if address == "google_base_url":  # its SDK does not tell the server which attempt it makes
        for each in here:
            each["retry_count"] = 0
    assert here == there
    assert [span.name for span in trace.spans if not span.has_ended] == []
    assert KEY not in json.dumps(trace.to_dict())


@pytest.mark.slow
def test_the_first_token_comes_when_the_server_sent_it() -> None:
    async def main(server: Server) -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY) as client:
            for number in range(8):
                stream = await client.chat.completions.create(model="gpt-5", messages=say(str(number)), stream=True)
                assert [chunk async for chunk in stream]

    with start(latency=0.08, tokens_per_second=200, jitter=0.0) as server:
        trace = watched(lambda: main(server))
        chats = [span for span in trace.spans if span.kind == "chat"]
        seen = [event.time for span in chats for event in span.events if event.name == "gen_ai.first_chunk"]
        sent = [exchange.first_token_ns or 0 for exchange in server.log]

    apart = sorted(abs(here - there) / 1e6 for here, there in zip(seen, sent, strict=True))
    assert apart[len(apart) // 2] < 20
    assert [round(span.attributes["gen_ai.response.time_to_first_chunk"] * 1e9) for span in chats] == [  # type: ignore[operator]
        time - span.start for time, span in zip(seen, chats, strict=True)
    ]


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_the_phases_of_a_request_come_in_their_order(server: Server, library: Any) -> None:
    def main() -> None:
        with library.Client() as client:
            for _ in range(2):
                client.post(f"{server.base_url}/chat/completions", json={"model": "gpt-5", "messages": say("hi")})

    async def asynchronously() -> None:
        async with library.AsyncClient() as client:
            for _ in range(2):
                await client.post(f"{server.base_url}/chat/completions", json={"model": "gpt-5", "messages": say("hi")})

    for way in main, asynchronously:
        first, second = [span for span in watched(way).spans if span.kind == "http"]
        assert [event.name for event in first.events] == ["http.connect", "http.send", "http.sent", "http.first_byte"]
        assert [event.name for event in second.events] == ["http.send", "http.sent", "http.first_byte"]
        for span in first, second:
            times = [span.start, *(event.time for event in span.events), span.end or 0]
            assert times == sorted(times)


@pytest.mark.parametrize("is_wrapped", [False, True], ids=["bare", "wrapped"])
@pytest.mark.parametrize("is_warm", [False, True], ids=["cold", "warm"])
@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_the_wait_for_a_free_connection_is_measured(library: Any, is_warm: bool, is_wrapped: bool) -> None:
    class Wrapped(library.AsyncBaseTransport):  # type: ignore[misc, name-defined]
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        async def handle_async_request(self, request: Any) -> Any:
            return await self.inner.handle_async_request(request)

        async def aclose(self) -> None:
            await self.inner.aclose()

    async def main(server: Server, patience: float) -> None:
        transport = library.AsyncHTTPTransport(limits=library.Limits(max_connections=2))
        transport = Wrapped(transport) if is_wrapped else transport
        async with library.AsyncClient(transport=transport, timeout=library.Timeout(9, pool=patience)) as client:
            ask = {"model": "gpt-5", "messages": say("hi")}
            if is_warm:
                await client.get(server.base_url)
            calls = (client.post(f"{server.base_url}/chat/completions", json=ask) for _ in range(4))
            await asyncio.gather(*calls, return_exceptions=True)

    def told(trace: Trace) -> list[tuple[Any, ...]]:
        names = ("asyncmagic.connection_wait", "asyncmagic.connection_limit", "error.type")
        return [tuple(map(span.attributes.get, names)) for span in trace.spans if span.name.startswith("POST")]

    with start(latency=0.4, tokens_per_second=None, jitter=0.0) as server:
        patient, impatient = (told(watched(lambda seconds=seconds: main(server, seconds))) for seconds in (9, 0.2))

    at_once = [(None, None, None)] * 2
    assert patient == at_once + [(pytest.approx(0.4, abs=0.15), 2, None)] * 2
    assert impatient == at_once + [(pytest.approx(0.2, abs=0.15), 2, f"{library.__name__}.PoolTimeout")] * 2


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_what_a_hook_waits_for_is_no_wait_for_a_connection(library: Any) -> None:
    async def hook(request: Any) -> None:
        await asyncio.sleep(float(request.headers["x-seconds"]))

    async def main(server: Server) -> None:
        hooks = {"request": [hook]}
        async with library.AsyncClient(limits=library.Limits(max_connections=1), event_hooks=hooks) as client:

            async def ask(at: float, seconds: str) -> None:
                await asyncio.sleep(at)
                body = {"model": "gpt-5", "messages": say("hi")}
                await client.post(f"{server.base_url}/chat/completions", json=body, headers={"x-seconds": seconds})

            # The connection is taken when the second call begins, but not when it is needed.
            await asyncio.gather(ask(0, "0"), ask(0.1, "0.6"))

    with start(latency=0.2, tokens_per_second=None, jitter=0.0) as server:
        requests = [span for span in watched(lambda: main(server)).spans if span.kind == "http"]
    assert [span.attributes.get("asyncmagic.connection_wait") for span in requests] == [None, None]


def test_what_a_dropped_connection_leaves_behind_is_said(server: Server) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=0) as client:
            stream = await client.chat.completions.create(model="gpt-5-drop4", messages=say("hi"), stream=True)
            with pytest.raises(openai.APIConnectionError):
                assert [chunk async for chunk in stream]

    _, chat, attempt = watched(main).spans
    assert (chat.outcome, attempt.outcome) == ("failed", "failed")
    assert chat.attributes["error.type"] == "httpx2.RemoteProtocolError"
    assert chat.attributes["gen_ai.response.time_to_first_chunk"] is not None
    assert "gen_ai.usage.output_tokens" not in chat.attributes


def test_a_call_that_the_sdk_gives_up_ends_with_its_timeout(server: Server) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=KEY, max_retries=1, timeout=0.2) as client:
            with pytest.raises(openai.APITimeoutError):
                await client.chat.completions.create(model="gpt-5-hang", messages=say("hi"))

    _, chat, *attempts = watched(main).spans
    assert [span.attributes["error.type"] for span in (chat, *attempts)] == ["httpx2.ReadTimeout"] * 3
    assert chat.attributes["http.request.resend_count"] == 1
