"""What aiohttp's own client sends becomes spans, against a server of aiohttp's in the same loop."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx2
import openai
import pytest
from aiohttp import web

import asyncmagic
from asyncmagic.instrumentation import aiohttp as instrumentor
from asyncmagic.instrumentation import http
from asyncmagic.tracing import Trace, Tracer
from asyncmagic.tracing.redaction import redact

CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = {
    "id": "c1",
    "model": "gpt-5-2025",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3},
}
KEY = "sk-canary-0123456789abcdef"
ATTEMPT = "POST /v1/chat/completions"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def event(choice: Any = None, **more: Any) -> bytes:
    choices = [] if choice is None else [{"index": 0, **choice}]
    return b"data: " + json.dumps({"id": "c1", "model": "gpt-5-2025", "choices": choices, **more}).encode() + b"\n\n"


EVENTS = [
    event({"delta": {"role": "assistant", "content": ""}}),
    event({"delta": {"content": "Hel"}}),
    event({"delta": {"content": "lo"}}),
    event({"delta": {}, "finish_reason": "stop"}),
    event(usage={"prompt_tokens": 9, "completion_tokens": 2}),
    b"data: [DONE]\n\n",
]


async def answer(request: web.Request) -> web.StreamResponse:
    return web.json_response(ANSWER, headers={"x-request-id": "req-1"})


async def stream(request: web.Request, *, pause: float = 0.02, events: list[bytes] = EVENTS) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    if "compressed" in request.path:
        response.enable_compression(web.ContentCoding.gzip)
    await response.prepare(request)
    try:
        for each in events:
            await asyncio.sleep(pause)
            await response.write(each)
    except ConnectionError:  # the client left
        pass
    return response


async def broken(request: web.Request) -> web.StreamResponse:
    response = await stream(request, events=EVENTS[:2])
    await asyncio.sleep(0.02)
    assert request.transport is not None
    request.transport.abort()
    return response


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def traced(handler: Handler, main: Callable[[str], Awaitable[Any]]) -> Trace:
    """Run `main(url)` against `handler` and return the trace."""
    tracer = Tracer()

    async def run() -> Trace:
        async with serving(handler) as url:
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await main(url)
            tracer.end_trace(trace)
        return trace

    with http.instrument(tracer), instrumentor.instrument(tracer):
        return asyncio.run(run())


def story(trace: Trace) -> list[tuple[Any, ...]]:
    return [(span.name, span.kind, span.outcome, span.attributes.get("error.type")) for span in trace.spans[1:]]


DONE = [("chat gpt-5", "chat", "done", None), (ATTEMPT, "http", "done", None)]


async def ask(url: str, *, streams: bool = True) -> bytes:
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {KEY}"}
        body = CHAT | {"stream": streams}
        async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as response:
            return await response.read()


def test_a_chat_call_is_a_chat_span_with_its_attempt_below() -> None:
    bodies: list[bytes] = []

    async def main(url: str) -> None:
        bodies.append(await ask(url, streams=False))

    trace = traced(answer, main)

    assert [json.loads(body) for body in bodies] == [ANSWER]
    assert story(trace) == DONE
    _, chat, attempt = trace.spans
    port = attempt.attributes["server.port"]
    assert (chat.parent_id, attempt.parent_id) == (trace.root.span_id, chat.span_id)
    assert {name: value for name, value in chat.attributes.items() if not name.startswith("code.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.request.stream": False,
        "server.address": "127.0.0.1",
        "server.port": port,
        "gen_ai.response.id": "c1",
        "gen_ai.response.model": "gpt-5-2025",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 3,
        "asyncmagic.request_id": "req-1",
    }
    assert attempt.attributes == {
        "http.request.method": "POST",
        "url.full": f"http://127.0.0.1:{port}/v1/chat/completions",
        "server.address": "127.0.0.1",
        "server.port": port,
        "http.response.status_code": 200,
        "asyncmagic.request_id": "req-1",
    }
    assert [event.name for event in attempt.events] == ["http.connect", "http.send", "http.sent", "http.first_byte"]


async def by_read(response: aiohttp.ClientResponse) -> bytes:
    return await response.read()


async def by_lines(response: aiohttp.ClientResponse) -> bytes:
    return b"".join([line async for line in response.content])


async def by_chunks(response: aiohttp.ClientResponse) -> bytes:
    return b"".join([chunk async for chunk in response.content.iter_chunked(10)])


async def by_what_comes(response: aiohttp.ClientResponse) -> bytes:
    return b"".join([chunk async for chunk in response.content.iter_any()])


@pytest.mark.parametrize("read", [by_read, by_lines, by_chunks, by_what_comes])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/compressed/chat/completions"])
def test_streams_are_seen_however_they_are_read(
    read: Callable[[aiohttp.ClientResponse], Awaitable[bytes]], path: str
) -> None:
    bodies: list[bytes] = []

    async def main(url: str) -> None:
        body = CHAT | {"stream": True}
        async with aiohttp.ClientSession() as session, session.post(url + path, json=body) as response:
            bodies.append(await read(response))

    chat, attempt = traced(stream, main).spans[1:]

    assert bodies == [b"".join(EVENTS)]
    assert (chat.outcome, attempt.outcome) == ("done", "done")
    assert chat.attributes["gen_ai.usage.output_tokens"] == 2
    assert chat.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert chat.attributes["gen_ai.response.time_to_first_chunk"] >= 0.04  # type: ignore[operator]
    assert "asyncmagic.not_read_to_end" not in attempt.attributes


def test_the_first_content_is_dated_by_its_arrival() -> None:
    arrivals: list[float] = []

    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            started = asyncio.get_running_loop().time()
            body = CHAT | {"stream": True}
            async with session.post(f"{url}/v1/chat/completions", json=body) as response:
                async for line in response.content:
                    if b"Hel" in line:
                        arrivals.append(asyncio.get_running_loop().time() - started)

    trace = traced(stream, main)
    assert trace.spans[1].attributes["gen_ai.response.time_to_first_chunk"] == pytest.approx(arrivals[0], abs=0.02)


def test_a_stream_left_early_says_so() -> None:
    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{url}/v1/chat/completions", json=CHAT | {"stream": True}) as response:
                await response.content.readany()
            await asyncio.sleep(0.3)

    trace = traced(stream, main)
    assert story(trace) == DONE
    assert [span.attributes.get("asyncmagic.not_read_to_end") for span in trace.spans[1:]] == [True, True]
    assert [(span.end or 0) - span.start < 290e6 for span in trace.spans[1:]] == [True, True]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_response_that_is_thrown_away_ends_with_it() -> None:
    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            await session.post(f"{url}/v1/chat/completions", json=CHAT | {"stream": True})
        await asyncio.sleep(0.05)
        gc.collect()

    trace = traced(stream, main)
    ends = [(span.attributes.get("asyncmagic.not_read_to_end"), span.outcome) for span in trace.spans[1:]]
    assert ends == [(True, "done")] * 2


def test_a_body_that_nobody_looks_at_ends_with_its_arrival() -> None:
    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/items") as response:
            await asyncio.sleep(0.05)
            assert response.status == 200

    trace = traced(answer, main)
    assert story(trace) == [("GET /items", "http", "done", None)]
    assert "asyncmagic.not_read_to_end" not in trace.spans[1].attributes


def test_a_stream_that_breaks_is_an_error() -> None:
    async def main(url: str) -> None:
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask(url)

    error = "aiohttp.client_exceptions.ClientPayloadError"
    assert story(traced(broken, main)) == [
        ("chat gpt-5", "chat", "failed", error),
        (ATTEMPT, "http", "failed", error),
    ]


@pytest.mark.parametrize("after", [0.01, 0.09], ids=["before the head", "in the stream"])
def test_a_cancelled_call_ends_as_cancelled(after: float) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.03)
        return await stream(request, pause=0.1)

    async def main(url: str) -> None:
        task = asyncio.create_task(ask(url))
        await asyncio.sleep(after)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    assert [each[2:] for each in story(traced(slow, main))] == [("cancelled", "CancelledError")] * 2


def test_a_timeout_in_the_stream_is_an_error() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        return await stream(request, pause=0.2)

    async def main(url: str) -> None:
        timeout = aiohttp.ClientTimeout(total=0.3)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            with pytest.raises(TimeoutError):
                async with session.post(f"{url}/v1/chat/completions", json=CHAT | {"stream": True}) as response:
                    async for _ in response.content:
                        pass

    assert [each[2:] for each in story(traced(slow, main))] == [("failed", "TimeoutError")] * 2


def test_a_failure_to_connect_is_an_error_without_the_key() -> None:
    async def main(url: str) -> None:
        with pytest.raises(aiohttp.ClientConnectorError):
            async with aiohttp.ClientSession() as session:
                await session.get(f"http://127.0.0.1:1/?key={KEY}")

    trace = traced(answer, main)
    assert story(trace) == [("GET /", "http", "failed", "aiohttp.client_exceptions.ClientConnectorError")]
    assert KEY not in json.dumps(trace.to_dict())


def test_what_a_session_adds_to_a_request_is_masked_where_an_error_repeats_it() -> None:
    async def main(url: str) -> None:
        cookies = {"session": "canary-of-a-session"}
        async with aiohttp.ClientSession(cookies=cookies) as session:
            response = await session.get(f"{url}/items".replace("//", "//ann:canary-in-clear@", 1))
            await response.read()
            said.append(f"canary-in-clear {response.request_info.headers}")

    said: list[str] = []
    traced(answer, main)
    assert "Basic" in said[0]
    assert "canary" not in redact(said[0])
    assert base64.b64encode(b"ann:canary-in-clear").decode() not in redact(said[0])


def test_retries_are_attempts_of_one_call_and_statuses_are_kept() -> None:
    statuses = [429, 503, 200]

    async def limited(request: web.Request) -> web.StreamResponse:
        status = statuses.pop(0)
        if status == 200:
            return await answer(request)
        return web.json_response({"error": {"code": "slow_down"}}, status=status, headers={"retry-after": "0.5"})

    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            await (await session.post(f"{url}/v1/chat/completions", json=CHAT)).read()
            with pytest.raises(aiohttp.ClientResponseError):
                await session.post(f"{url}/v1/chat/completions", json=CHAT, raise_for_status=True)
            await (await session.post(f"{url}/v1/chat/completions", json=CHAT)).read()

    chat, *attempts = traced(limited, main).spans[1:]
    assert (chat.name, chat.outcome, chat.attributes["http.request.resend_count"]) == ("chat gpt-5", "done", 2)
    assert [span.parent_id for span in attempts] == [chat.span_id] * 3
    assert [span.attributes["http.response.status_code"] for span in attempts] == [429, 503, 200]
    assert [span.attributes.get("asyncmagic.retry_after") for span in attempts] == [0.5, 0.5, None]
    assert attempts[0].message == "429 slow_down"


@pytest.mark.parametrize(
    "limits", [{"limit": 1}, {"limit": 100, "limit_per_host": 1}, {"limit": 1, "limit_per_host": 2}]
)
def test_the_wait_for_a_free_connection_is_measured(limits: dict[str, int]) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.1)
        return await answer(request)

    async def main(url: str) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(**limits)) as session:  # type: ignore[arg-type]

            async def get() -> None:
                async with session.get(f"{url}/items") as response:
                    await response.read()

            await asyncio.gather(get(), get())

    first, second = traced(slow, main).spans[1:]
    assert "asyncmagic.connection_wait" not in first.attributes
    assert second.attributes["asyncmagic.connection_wait"] == pytest.approx(0.1, abs=0.05)
    assert second.attributes["asyncmagic.connection_limit"] == 1


def test_what_httpx_sends_through_aiohttp_is_seen_once() -> None:
    async def main(url: str) -> None:
        client = openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key=KEY, http_client=openai.DefaultAioHttpClient(), max_retries=0
        )
        async with client:
            chunks = await client.chat.completions.create(**CHAT, stream=True)  # type: ignore[call-overload]
            assert [chunk async for chunk in chunks]

    trace = traced(stream, main)
    assert story(trace) == DONE
    assert trace.spans[1].attributes["gen_ai.usage.output_tokens"] == 2


def test_the_users_own_tracing_still_runs() -> None:
    heard: list[Any] = []

    async def started(session: Any, context: Any, params: Any) -> None:
        heard.append((context.trace_request_ctx, params.method))

    async def main(url: str) -> None:
        config = aiohttp.TraceConfig()
        config.on_request_start.append(started)
        async with (
            aiohttp.ClientSession(trace_configs=[config]) as session,
            session.get(f"{url}/items", trace_request_ctx="mine") as response,
        ):
            await response.read()

    traced(answer, main)
    assert heard == [("mine", "GET")]


def test_the_users_list_of_trace_configurations_stays_theirs() -> None:
    async def main(url: str) -> None:
        for _ in range(2):
            async with aiohttp.ClientSession(trace_configs=configs) as session:
                await asyncio.gather(*(session.get(f"{url}/items") for _ in range(2)))
                assert session.trace_configs is configs

    configs = [aiohttp.TraceConfig()]
    before = list(configs)
    trace = traced(answer, main)
    assert configs == before
    assert [span.events[-1].name for span in trace.spans if span.kind == "http"] == ["http.first_byte"] * 4


def test_without_a_trace_nothing_is_seen_and_afterwards_nothing_is_hooked() -> None:
    before = dict(vars(aiohttp.ClientSession))
    tracer = Tracer()

    async def main() -> None:
        async with serving(answer) as url, aiohttp.ClientSession() as session:
            with instrumentor.instrument(tracer):
                assert dict(vars(aiohttp.ClientSession)) != before
                async with session.get(url) as response:
                    assert response.status == 200
                assert session.trace_configs == []
                trace = tracer.start_trace("cell")
                with tracer.use(trace.root):
                    await (await session.get(url)).read()
                tracer.end_trace(trace)
                assert session.trace_configs == []

    asyncio.run(main())
    assert dict(vars(aiohttp.ClientSession)) == before


class Wrong:
    """What refuses even to be shown."""

    def __repr__(self) -> str:
        raise ZeroDivisionError("wrong")


@pytest.mark.parametrize(
    "options",
    [
        {"params": {"a": None}},
        {"url": 5},
        {"url": "http://host:port/"},
        {"headers": {"x": 1}},
        {"headers": [1]},
        {"headers": Wrong()},
        {"method": None},
        {"data": "\ud800"},
        {"json": CHAT | {("a",): 1}},
        {"json": CHAT | {"a": Wrong()}},
        {"auto_decompress": Wrong(), "wrong": 1},
    ],
)
def test_a_wrong_call_of_the_users_fails_as_ever_and_the_next_one_is_seen(
    options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    said: list[Any] = []

    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            try:
                await session.request(**{"method": "POST", "url": f"{url}/v1/chat/completions"} | options)
            except Exception as error:
                said.append((type(error), str(error)))
            await (await session.get(f"{url}/items")).read()

    async def plainly() -> None:
        async with serving(answer) as url:
            await main(url)

    asyncio.run(plainly())
    trace = traced(answer, main)
    assert len(said) == 2
    assert said[0] == said[1]
    assert trace.spans[-1].name == "GET /items"
    assert [record.name for record in caplog.records if record.name == "asyncmagic"] == []


def test_headers_that_can_be_read_only_once_are_sent() -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        return web.json_response(dict(request.headers))

    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            response = await session.get(f"{url}/items", headers=iter([("x", "1")]))
            assert (await response.json())["x"] == "1"

    assert story(traced(echo, main)) == [("GET /items", "http", "done", None)]


def test_a_failure_of_ours_is_logged_once_and_the_calls_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a bug of ours")

    async def main(url: str) -> None:
        monkeypatch.setattr(Tracer, "start_span", failing)
        for _ in range(3):
            assert json.loads(await ask(url)) == ANSWER

    traced(answer, main)
    assert [record.levelno for record in caplog.records if record.name == "asyncmagic"] == [logging.ERROR]


def test_requests_in_a_transport_of_ones_own_are_seen_as_what_they_are() -> None:
    class Forwarding(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            async with httpx2.AsyncClient() as inner:
                return await inner.get(str(request.url).replace("/outer", "/inner"))

    async def main(url: str) -> None:
        async with httpx2.AsyncClient(transport=Forwarding()) as client:
            assert (await client.get(f"{url}/outer")).status_code == 200

    trace = traced(answer, main)
    assert [(span.name, trace[span.parent_id or 0].name) for span in trace.spans[1:]] == [
        ("GET /outer", "cell"),
        ("GET /inner", "GET /outer"),
    ]


def test_a_request_waits_for_the_pool_for_the_first_byte_and_for_the_body() -> None:
    async def slowly(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.03)
        return await stream(request, pause=0.03, events=EVENTS[:1])

    async def entering(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(url) as response:
            await response.read()

    async def awaiting(session: aiohttp.ClientSession, url: str) -> None:
        await (await session.get(url)).read()

    async def main() -> Trace:
        async with serving(slowly) as url, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
            with asyncmagic.trace() as trace:
                await asyncio.gather(entering(session, url), awaiting(session, url))
        return trace

    trace = asyncio.run(main())
    waits = {
        span.name.rpartition(".")[2]: [
            what.partition(" (")[0] for *_, what in span.states.segments(span.end or 0) if what
        ]
        for span in trace.spans
        if span.kind == "task" and span.states is not None and span.name.endswith("ing")
    }
    # It takes no time to connect, or too little to be looked at; and the body may come in parts.
    assert {name: [each for each in dict.fromkeys(words) if each != "connect"] for name, words in waits.items()} == {
        "entering": ["first byte", "body"],
        "awaiting": ["connection", "first byte", "body"],
    }


@pytest.mark.parametrize(("status", "method"), [(302, "GET"), (307, "POST")])
def test_each_request_of_a_redirect_has_a_span_of_its_own(status: int, method: str) -> None:
    async def moved(request: web.Request) -> web.StreamResponse:
        if request.path == "/old":
            return web.Response(status=status, headers={"location": "/v1/chat/completions"})
        await asyncio.sleep(0.05)
        return await answer(request)

    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session, session.post(f"{url}/old", json=CHAT) as response:
            await response.read()

    trace = traced(moved, main)
    first, second = (span for span in trace.spans if span.kind == "http")
    assert (first.name, first.attributes["http.response.status_code"]) == ("POST /old", status)
    assert (second.name, second.attributes["http.response.status_code"]) == (f"{method} /v1/chat/completions", 200)
    assert first.attributes["asyncmagic.followed_by"] == second.attributes["url.full"]
    assert first.end == second.start
    assert [[event.name for event in span.events][-3:] for span in (first, second)] == [
        ["http.send", "http.sent", "http.first_byte"]
    ] * 2
    (byte,) = [event.time for event in second.events if event.name == "http.first_byte"]
    assert byte - second.start >= 0.05e9


@pytest.mark.parametrize("location", ["/old", "foo://there", "http://[wrong", None])
def test_a_request_that_is_never_sent_is_no_attempt(location: str | None) -> None:
    async def moved(request: web.Request) -> web.StreamResponse:
        served.append(request.path)
        return web.Response(status=302, headers={"location": location} if location else {})

    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            with contextlib.suppress(aiohttp.ClientError):
                await session.get(f"{url}/old", max_redirects=2)

    served: list[str] = []
    attempts = [span for span in traced(moved, main).spans if span.kind == "http"]
    assert [span.name for span in attempts] == [f"GET {path}" for path in served]
    assert [span.attributes["http.response.status_code"] for span in attempts] == [302] * len(served)
    assert [span.events[-1].name for span in attempts] == ["http.first_byte"] * len(served)
    assert attempts[-1].outcome == ("failed" if location else "done")


def test_a_body_is_sent_when_its_last_piece_is() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0.1)
        yield b"two"

    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            await (await session.post(f"{url}/items", data=pieces())).read()

    async def reading(request: web.Request) -> web.StreamResponse:
        assert await request.read() == b"onetwo"
        return await answer(request)

    (span,) = (span for span in traced(reading, main).spans if span.kind == "http")
    assert [event.name for event in span.events] == ["http.connect", "http.send", "http.sent", "http.first_byte"]
    _, send, sent, _ = (event.time for event in span.events)
    assert sent - send >= 0.09e9


def test_a_body_that_cannot_be_decompressed_is_an_error() -> None:
    async def wrong(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"no gzip", headers={"content-encoding": "gzip"})

    async def main(url: str) -> None:
        async with aiohttp.ClientSession() as session:
            response = await session.get(f"{url}/items")
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()

    ((_, _, outcome, error),) = story(traced(wrong, main))
    assert (outcome, error) == ("failed", "aiohttp.client_exceptions.ClientPayloadError")
