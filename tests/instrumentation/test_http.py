"""What a client of httpx or httpx2 sends becomes spans, with exact times on a virtual clock."""

from __future__ import annotations

import asyncio
import gc
import gzip
import importlib
import json
import logging
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import MappingProxyType
from typing import Any

import httpx
import httpx2
import pytest

from asyncmagic.instrumentation.http import instrument
from asyncmagic.tracing import Trace, Tracer
from asyncmagic.tracing.analysis import summarize

CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}
ANSWER = {
    "id": "chatcmpl-1",
    "model": "gpt-5-2025",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
}
URL = "https://api.openai.com/v1/chat/completions"
ASKED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.request.stream": False,
    "server.address": "api.openai.com",
    "server.port": 443,
}
ANSWERED = {
    "gen_ai.response.model": "gpt-5-2025",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.usage.input_tokens": 9,
    "gen_ai.usage.output_tokens": 3,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.usage.reasoning.output_tokens": 1,
    "gen_ai.response.finish_reasons": ["stop"],
}
SENT = {
    "http.request.method": "POST",
    "url.full": URL,
    "server.address": "api.openai.com",
    "server.port": 443,
}


class Run:
    """A trace on a virtual loop, and the spans below its root as plain data."""

    def __init__(self, loop: Any, **options: Any) -> None:
        self.loop = loop
        self.tracer = Tracer(clock=loop.clock)
        self.options = options
        self.trace: Trace

    def __call__(self, main: Callable[[], Any]) -> Any:
        async def traced() -> Any:
            self.trace = self.tracer.start_trace("cell", **self.options)
            try:
                with self.tracer.use(self.trace.root):
                    return await main()
            finally:
                self.tracer.end_trace(self.trace)

        with instrument(self.tracer):
            return self.loop.run_until_complete(traced())

    @property
    def spans(self) -> list[dict[str, Any]]:
        """Name, times in milliseconds, outcome, attributes and events of every span but the root."""
        return [
            {
                "name": span.name,
                "kind": span.kind,
                "parent": self.trace[span.parent_id].name,
                "ms": (span.start / 1e6, None if span.end is None else span.end / 1e6),
                "outcome": span.outcome,
                "attributes": {k: v for k, v in span.attributes.items() if not k.startswith("code.")},
                "events": [(event.name, event.time / 1e6, event.attributes) for event in span.events],
            }
            for span in self.trace.spans[1:]
        ]

    @property
    def story(self) -> list[tuple[Any, ...]]:
        """Name, times, outcome and kind of error of every span but the root."""
        return [
            (span["name"], span["ms"], span["outcome"], span["attributes"].get("error.type")) for span in self.spans
        ]


@pytest.fixture
def run(loop: Any) -> Run:
    return Run(loop)


@pytest.fixture(params=[httpx, httpx2], ids=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    return request.param


class Pieces:
    """A response's body that comes piece by piece, each after its delay in seconds; exceptions are raised."""

    def __init__(self, *pieces: tuple[float, bytes | BaseException]) -> None:
        self.pieces = pieces
        self.was_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for delay, piece in self.pieces:
            await asyncio.sleep(delay)
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    async def aclose(self) -> None:
        self.was_closed = True


def client(library: Any, answer: Callable[[Any], Any], **options: Any) -> Any:
    """A client whose transport answers by calling `answer(request)`, which may sleep."""
    return library.AsyncClient(transport=library.MockTransport(answer), **options)


def stream_of(library: Any, *pieces: tuple[float, bytes | BaseException], **headers: str) -> Any:
    class Stream(Pieces, library.AsyncByteStream):  # type: ignore[misc, name-defined]
        pass

    content_type = {"content-type": "text/event-stream; charset=utf-8"}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return library.Response(200, headers=content_type | names, stream=Stream(*pieces))


def event(**data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def delta(text: str) -> bytes:
    return event(id="c1", model="gpt-5-2025", choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}])


ROLE = event(id="c1", model="gpt-5-2025", choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}])
LAST = event(id="c1", model="gpt-5-2025", choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
USAGE = event(id="c1", model="gpt-5-2025", choices=[], usage={"prompt_tokens": 9, "completion_tokens": 2})
DONE = b"data: [DONE]\n\n"
STREAM = [(0.2, ROLE), (0.1, delta("Hel")), (0.1, delta("lo")), (0.1, LAST), (0.0, USAGE), (0.0, DONE)]


async def ask_streaming(library: Any, stream: Any, *, read: Callable[[Any], Any] | None = None) -> None:
    async with client(library, lambda request: stream) as c, c.stream("POST", URL, json=CHAT | {"stream": True}) as r:
        if read is not None:
            await read(r)
        else:
            async for _ in r.aiter_lines():
                pass


def test_a_chat_call_is_a_chat_span_with_its_attempt_below(run: Run, library: Any) -> None:
    async def answer(request: Any) -> Any:
        await asyncio.sleep(0.5)
        return library.Response(200, json=ANSWER, headers={"x-request-id": "req-1"})

    async def main() -> Any:
        async with client(library, answer) as c:
            return (await c.post(URL, json=CHAT | {"max_tokens": 50, "temperature": 0})).json()

    assert run(main) == ANSWER
    assert run.spans == [
        {
            "name": "chat gpt-5",
            "kind": "chat",
            "parent": "cell",
            "ms": (0, 500),
            "outcome": "done",
            "attributes": {
                **ASKED,
                "gen_ai.request.max_tokens": 50,
                "gen_ai.request.temperature": 0.0,
                **ANSWERED,
                "asyncmagic.request_id": "req-1",
            },
            "events": [],
        },
        {
            "name": "POST /v1/chat/completions",
            "kind": "http",
            "parent": "chat gpt-5",
            "ms": (0, 500),
            "outcome": "done",
            "attributes": {**SENT, "http.response.status_code": 200, "asyncmagic.request_id": "req-1"},
            "events": [],
        },
    ]


def test_a_streamed_answer_shows_its_first_content_and_its_tokens(run: Run, library: Any) -> None:
    run(lambda: ask_streaming(library, stream_of(library, *STREAM)))

    chat, attempt = run.spans
    assert chat == {
        "name": "chat gpt-5",
        "kind": "chat",
        "parent": "cell",
        "ms": (0, 500),
        "outcome": "done",
        "attributes": {
            **ASKED,
            "gen_ai.request.stream": True,
            "gen_ai.response.time_to_first_chunk": 0.3,
            "gen_ai.response.model": "gpt-5-2025",
            "gen_ai.response.id": "c1",
            "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.output_tokens": 2,
            "gen_ai.response.finish_reasons": ["stop"],
        },
        "events": [("gen_ai.first_chunk", 300, {})],
    }
    assert (attempt["ms"], attempt["outcome"]) == ((0, 500), "done")


@pytest.mark.parametrize("cut", [1, 7, 64])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_chunks_may_be_cut_anywhere(run: Run, cut: int, line_end: bytes) -> None:
    body = b"".join(piece for _, piece in [*STREAM[:2], (0, delta("日本語")), *STREAM[2:]]).replace(b"\n", line_end)
    pieces = [(0.001, body[at : at + cut]) for at in range(0, len(body), cut)]

    run(lambda: ask_streaming(httpx2, stream_of(httpx2, *pieces)))

    attributes = run.spans[0]["attributes"]
    assert attributes["gen_ai.usage.output_tokens"] == 2
    assert attributes["gen_ai.response.finish_reasons"] == ["stop"]


def test_a_compressed_stream_is_read_as_well(run: Run, library: Any) -> None:
    body = gzip.compress(b"".join(piece for _, piece in STREAM))
    pieces = [(0.1, body[at : at + 50]) for at in range(0, len(body), 50)]
    texts: list[str] = []

    async def read(response: Any) -> None:
        texts.extend([line async for line in response.aiter_lines()])

    run(lambda: ask_streaming(library, stream_of(library, *pieces, content_encoding="gzip"), read=read))

    assert texts[-2] == "data: [DONE]"
    assert run.spans[0]["attributes"]["gen_ai.usage.output_tokens"] == 2


def test_a_stream_without_usage_has_no_tokens(run: Run) -> None:
    run(lambda: ask_streaming(httpx2, stream_of(httpx2, *STREAM[:4], STREAM[5])))
    assert [name for name in run.spans[0]["attributes"] if "usage" in name] == []


def test_a_call_that_is_left_after_its_last_event_is_complete(run: Run) -> None:
    async def read(response: Any) -> None:
        async for line in response.aiter_lines():
            if line == "data: [DONE]":
                await asyncio.sleep(9)
                return

    run(lambda: ask_streaming(httpx2, stream_of(httpx2, *STREAM, (1, b"")), read=read))

    assert run.story == [
        ("chat gpt-5", (0, 500), "done", None),
        ("POST /v1/chat/completions", (0, 500), "done", None),
    ]
    assert "asyncmagic.not_read_to_end" not in run.spans[0]["attributes"]


def test_a_stream_closed_early_says_so(run: Run, library: Any) -> None:
    async def read(response: Any) -> None:
        async for line in response.aiter_lines():
            if "Hel" in line:
                break

    run(lambda: ask_streaming(library, stream_of(library, *STREAM), read=read))

    assert run.story == [
        ("chat gpt-5", (0, 300), "done", None),
        ("POST /v1/chat/completions", (0, 300), "done", None),
    ]
    assert [span["attributes"]["asyncmagic.not_read_to_end"] for span in run.spans] == [True, True]


def test_a_stream_that_is_thrown_away_ends_with_the_last_that_was_read(run: Run, library: Any) -> None:
    async def main() -> None:
        c = client(library, lambda request: stream_of(library, *STREAM))
        response = await c.send(c.build_request("POST", URL, json=CHAT | {"stream": True}), stream=True)
        async for _ in response.aiter_lines():
            await asyncio.sleep(5)
            break
        del response
        gc.collect()
        await asyncio.sleep(5)
        await c.aclose()

    run(main)
    assert [each[1:] for each in run.story] == [((0, 200), "done", None)] * 2
    assert run.spans[0]["attributes"]["asyncmagic.not_read_to_end"] is True


def test_a_response_that_was_never_read_ends_at_its_head(run: Run, library: Any) -> None:
    async def main() -> None:
        async def answer(request: Any) -> Any:
            await asyncio.sleep(0.25)
            return stream_of(library, *STREAM)

        c = client(library, answer)
        response = await c.send(c.build_request("POST", URL, json=CHAT | {"stream": True}), stream=True)
        await asyncio.sleep(5)
        del response
        gc.collect()
        await c.aclose()

    run(main)
    assert run.story[0][1:] == ((0, 250), "done", None)
    assert run.spans[1]["attributes"]["asyncmagic.not_read_to_end"] is True


def test_a_stream_that_breaks_is_an_error(run: Run, library: Any) -> None:
    broken = library.RemoteProtocolError("peer closed connection")

    with pytest.raises(library.RemoteProtocolError) as caught:
        run(lambda: ask_streaming(library, stream_of(library, *STREAM[:3], (0.1, broken))))

    assert caught.value is broken
    name = f"{library.__name__}.RemoteProtocolError"
    assert run.story == [
        ("chat gpt-5", (0, 500), "failed", name),
        ("POST /v1/chat/completions", (0, 500), "failed", name),
    ]
    assert run.spans[0]["attributes"]["gen_ai.response.time_to_first_chunk"] == 0.3


def test_an_error_event_in_the_stream_fails_the_call_but_not_its_attempt(run: Run) -> None:
    trouble = event(error={"type": "server_error", "code": "overloaded", "message": "no"})
    run(lambda: ask_streaming(httpx2, stream_of(httpx2, *STREAM[:2], (0.1, trouble))))
    assert run.story == [
        ("chat gpt-5", (0, 400), "failed", "overloaded"),
        ("POST /v1/chat/completions", (0, 400), "done", None),
    ]


@pytest.mark.parametrize("after", [0.1, 0.35], ids=["before the head", "in the stream"])
def test_a_cancelled_call_ends_as_cancelled(run: Run, library: Any, after: float) -> None:
    async def answer(request: Any) -> Any:
        await asyncio.sleep(0.15)
        return stream_of(library, *STREAM)

    async def main() -> None:
        async with client(library, answer) as c, c.stream("POST", URL, json=CHAT | {"stream": True}) as r:
            async for _ in r.aiter_lines():
                pass

    async def cancelling() -> None:
        task = asyncio.create_task(main())
        await asyncio.sleep(after)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(cancelling)
    ends = (0, after * 1000)
    assert run.story == [
        ("chat gpt-5", ends, "cancelled", "CancelledError"),
        ("POST /v1/chat/completions", ends, "cancelled", "CancelledError"),
    ]


def test_a_call_cancelled_while_the_user_works_on_a_chunk_ends_as_cancelled(run: Run, library: Any) -> None:
    async def read(response: Any) -> None:
        async for _ in response.aiter_lines():
            await asyncio.sleep(9)

    async def cancelling() -> None:
        task = asyncio.create_task(ask_streaming(library, stream_of(library, *STREAM), read=read))
        await asyncio.sleep(1)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        run(cancelling)
    assert [each[1:] for each in run.story] == [((0, 1000), "cancelled", "CancelledError")] * 2


def test_a_failure_to_connect_is_an_error_and_reaches_the_user_as_it_is(run: Run, library: Any) -> None:
    refused = library.ConnectError("refused")

    async def answer(request: Any) -> Any:
        await asyncio.sleep(0.1)
        raise refused

    async def main() -> None:
        async with client(library, answer) as c:
            await c.post(URL, json=CHAT)

    with pytest.raises(library.ConnectError) as caught:
        run(main)

    assert caught.value is refused
    name = f"{library.__name__}.ConnectError"
    assert [each[1:] for each in run.story] == [((0, 100), "failed", name)] * 2
    assert run.trace.spans[1].message == "refused"


def attempts(library: Any, *answers: Any) -> Callable[[Any], Any]:
    """Answer each request with the next of `answers`, after 10 ms."""
    waiting = list(answers)

    async def answer(request: Any) -> Any:
        await asyncio.sleep(0.01)
        answered = waiting.pop(0)
        if isinstance(answered, BaseException):
            raise answered
        return answered

    return answer


def test_retries_are_attempts_of_one_call(run: Run, library: Any) -> None:
    limited = library.Response(429, headers={"retry-after": "2"}, json={"error": {"code": "rate_limit_exceeded"}})
    answers = limited, library.ConnectError("no"), library.Response(200, json=ANSWER)

    async def main() -> None:
        async with client(library, attempts(library, *answers)) as c:
            await c.post(URL, json=CHAT, headers={"x-stainless-retry-count": "0"})
            await asyncio.sleep(2)
            with pytest.raises(library.ConnectError):
                await c.post(URL, json=CHAT, headers={"x-stainless-retry-count": "1"})
            await asyncio.sleep(0.5)
            await c.post(URL, json=CHAT, headers={"x-stainless-retry-count": "2"})

    run(main)

    chat, *tries = run.spans
    assert (chat["ms"], chat["outcome"]) == ((0, 2530), "done")
    assert chat["attributes"] == {**ASKED, **ANSWERED, "http.request.resend_count": 2}
    assert chat["events"] == [
        ("asyncmagic.retry", 2010, {"http.request.resend_count": 1, "asyncmagic.back_off": 2.0}),
        ("asyncmagic.retry", 2520, {"http.request.resend_count": 2, "asyncmagic.back_off": 0.5}),
    ]
    assert [(each["parent"], each["ms"], each["outcome"]) for each in tries] == [
        ("chat gpt-5", (0, 10), "failed"),
        ("chat gpt-5", (2010, 2020), "failed"),
        ("chat gpt-5", (2520, 2530), "done"),
    ]
    assert [each["attributes"] for each in tries] == [
        {**SENT, "http.response.status_code": 429, "asyncmagic.retry_after": 2.0, "error.type": "429"},
        {**SENT, "http.request.resend_count": 1, "error.type": f"{library.__name__}.ConnectError"},
        {**SENT, "http.request.resend_count": 2, "http.response.status_code": 200},
    ]
    assert run.trace.spans[2].message == "429 rate_limit_exceeded"


def test_between_two_attempts_the_call_has_ended_truthfully(run: Run) -> None:
    outcomes = []

    async def main() -> None:
        async with client(httpx2, attempts(httpx2, httpx2.Response(503), httpx2.Response(200, json=ANSWER))) as c:
            await c.post(URL, json=CHAT)
            outcomes.append((run.trace.spans[1].outcome, run.trace.spans[1].message))
            await c.post(URL, json=CHAT)

    run(main)
    assert outcomes == [("failed", "503")]
    assert run.story[0] == ("chat gpt-5", (0, 20), "done", None)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"headers": {"x-stainless-retry-count": "0"}}),
        ({}, {"json": CHAT | {"temperature": 1}}),
        ({}, {"url": "https://other.example/v1/chat/completions"}),
        ({"headers": {"x-stainless-retry-count": "0"}}, {"headers": {"x-stainless-retry-count": "2"}}),
    ],
    ids=["the client counts anew", "another question", "another server", "the retry of another call"],
)
def test_another_call_is_no_retry(run: Run, first: dict[str, Any], second: dict[str, Any]) -> None:
    async def main() -> None:
        async with client(httpx2, attempts(httpx2, httpx2.Response(429), httpx2.Response(200, json=ANSWER))) as c:
            for options in first, second:
                await c.post(**({"url": URL, "json": CHAT} | options))

    run(main)
    assert [(name, outcome) for name, _, outcome, _ in run.story if name == "chat gpt-5"] == [
        ("chat gpt-5", "failed"),
        ("chat gpt-5", "done"),
    ]


def test_failed_calls_do_not_keep_the_traces_of_the_past(loop: Any) -> None:
    tracer = Tracer(clock=loop.clock)

    async def fail() -> weakref.ref[Trace]:
        trace = tracer.start_trace("cell")
        with tracer.use(trace.root):
            async with client(httpx2, lambda request: httpx2.Response(503)) as c:
                await c.post(URL, json=CHAT)
        tracer.end_trace(trace)
        return weakref.ref(trace)

    with instrument(tracer):
        first, second = loop.run_until_complete(fail()), loop.run_until_complete(fail())
        gc.collect()
        assert (first() is None, second() is None) == (True, False)
    gc.collect()
    assert second() is None


def test_a_bad_request_is_not_waited_for_again(run: Run) -> None:
    async def main() -> None:
        async with client(httpx2, attempts(httpx2, httpx2.Response(400), httpx2.Response(200, json=ANSWER))) as c:
            await c.post(URL, json=CHAT)
            await c.post(URL, json=CHAT)

    run(main)
    assert [name for name, *_ in run.story] == ["chat gpt-5", "POST /v1/chat/completions"] * 2


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "Fri, 01 Jan 2027 00:00:07 GMT", "date": "Fri, 01 Jan 2027 00:00:00 GMT"}, 7.0),
        ({"retry-after": "Fri, 01 Jan 2021 00:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
    ],
)
def test_retry_after_is_seconds_whatever_its_form(run: Run, headers: dict[str, str], seconds: float | None) -> None:
    async def main() -> None:
        async with client(httpx2, lambda request: httpx2.Response(429, headers=headers)) as c:
            await c.get("http://host.example/")

    run(main)
    assert run.spans[0]["attributes"].get("asyncmagic.retry_after") == seconds


def test_any_other_request_is_a_plain_http_span(run: Run, library: Any) -> None:
    async def main() -> None:
        async with client(library, lambda request: library.Response(204)) as c:
            await c.get("http://user:word@[::1]:8080/v1/items?key=hidden#part")
            await c.post("https://host.example/v1/messages", json={"text": "no model is asked here"})

    run(main)
    assert [(span["name"], span["kind"], span["parent"], span["attributes"]) for span in run.spans] == [
        (
            "GET /v1/items",
            "http",
            "cell",
            {
                "http.request.method": "GET",
                "url.full": "http://[::1]:8080/v1/items",
                "server.address": "::1",
                "server.port": 8080,
                "http.response.status_code": 204,
            },
        ),
        (
            "POST /v1/messages",
            "http",
            "cell",
            {
                "http.request.method": "POST",
                "url.full": "https://host.example/v1/messages",
                "server.address": "host.example",
                "server.port": 443,
                "http.response.status_code": 204,
            },
        ),
    ]


def test_synchronous_clients_are_seen_also_in_threads(loop: Any, library: Any) -> None:
    run = Run(loop)
    body = b"".join(piece for _, piece in STREAM)

    def ask() -> None:
        def answer(request: Any) -> Any:
            headers = {"content-type": "text/event-stream"}
            return library.Response(200, headers=headers, stream=Bytes([body[:90], body[90:]]))

        class Bytes(library.SyncByteStream):  # type: ignore[misc, name-defined]
            def __init__(self, pieces: list[bytes]) -> None:
                self.pieces = pieces

            def __iter__(self) -> Iterator[bytes]:
                yield from self.pieces

        with library.Client(transport=library.MockTransport(answer)) as c:
            with c.stream("POST", URL, json=CHAT | {"stream": True}) as response:
                assert "".join(response.iter_text()) == body.decode()
            assert c.post(URL, json=CHAT).is_closed

    async def main() -> None:
        await asyncio.to_thread(ask)
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()

    run(main)
    chats = [span for span in run.spans if span["kind"] == "chat"]
    assert [(span["parent"], span["outcome"]) for span in chats] == [("cell", "done")] * 4
    assert [span["attributes"].get("gen_ai.usage.output_tokens") for span in chats] == [2] * 4


def test_content_is_kept_only_when_the_trace_keeps_it(loop: Any) -> None:
    run = Run(loop, keeps_content=True)
    run(lambda: ask_streaming(httpx2, stream_of(httpx2, *STREAM)))

    attributes = run.spans[0]["attributes"]
    assert json.loads(attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
    ]
    assert json.loads(attributes["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hello"}], "finish_reason": "stop"}
    ]


def test_without_a_trace_nothing_is_seen_and_afterwards_nothing_is_hooked(loop: Any, library: Any) -> None:
    def hooked() -> list[Any]:
        core = importlib.import_module("httpcore" if library is httpx else "httpcore2")
        owners = library.Client, library.AsyncClient, core.ConnectionPool, core.AsyncConnectionPool
        return [dict(vars(owner)) for owner in owners]

    before = hooked()
    tracer = Tracer(clock=loop.clock)

    async def main() -> int:
        async with client(library, lambda request: library.Response(200)) as c:
            return (await c.get("http://host.example/")).status_code

    with instrument(tracer):
        assert [each != unhooked for each, unhooked in zip(hooked(), before, strict=True)] == [True] * 4
        assert loop.run_until_complete(main()) == 200
    assert hooked() == before


def test_a_request_is_seen_once_even_where_the_instrumentor_is_entered_twice(run: Run, library: Any) -> None:
    before = library.AsyncClient.send

    async def main() -> None:
        with instrument(run.tracer):
            async with client(library, lambda request: library.Response(200)) as c:
                await c.get("http://host.example/")

    run(main)
    assert [name for name, *_ in run.story] == ["GET /"]
    assert library.AsyncClient.send is before


def test_the_users_hooks_and_extensions_still_run(run: Run, library: Any) -> None:
    heard: list[str] = []

    async def trace(name: str, info: Any) -> None:
        heard.append(name)

    async def answer(request: Any) -> Any:
        await request.extensions["trace"]("http11.send_request_headers.started", {})
        await asyncio.sleep(0.1)
        await request.extensions["trace"]("http11.receive_response_headers.complete", {})
        return library.Response(200)

    async def on_request(request: Any) -> None:
        heard.append(request.method)

    async def main() -> None:
        async with client(library, answer, event_hooks={"request": [on_request]}) as c:
            request = c.build_request("GET", "http://host.example/", extensions={"trace": trace})
            await c.send(request)
            assert request.extensions["trace"] is trace

    run(main)
    assert heard == ["GET", "http11.send_request_headers.started", "http11.receive_response_headers.complete"]
    assert run.spans[0]["events"] == [("http.send", 0, {}), ("http.first_byte", 100, {})]


def test_what_hooks_auth_and_transports_put_into_a_requests_extensions_is_seen_and_stays(
    run: Run, library: Any
) -> None:
    class Auth(library.Auth):  # type: ignore[misc, name-defined]
        def auth_flow(self, request: Any) -> Iterator[Any]:
            yield request
            request.extensions["auth"] = True
            yield request

    async def on_request(request: Any) -> None:
        request.extensions["hook"] = request.url.path

    def answer(request: Any) -> Any:
        request.extensions = {**request.extensions, "transport": request.url.path}
        seen.append((request.extensions.get("hook"), request.extensions.get("auth")))
        return (
            library.Response(302, headers={"location": "/new"}) if request.url.path == "/old" else library.Response(200)
        )

    async def main() -> list[Any]:
        hooks = {"request": [on_request]}
        async with client(library, answer, event_hooks=hooks, follow_redirects=True, timeout=None) as web:
            response = await web.get("http://there/old", auth=Auth())
        return [each.request.extensions for each in (*response.history, response)]

    seen: list[Any] = []
    plainly = asyncio.run(main()), seen
    seen = []
    assert (run(main), seen) == plainly
    assert seen == [("/old", None), ("/new", None), ("/old", True), ("/new", True)]


def test_one_request_sent_several_times_at_once_is_several_attempts(run: Run, library: Any) -> None:
    delays = [0.1, 0.2, 0.3]

    async def answer(request: Any) -> Any:
        delay, tell = delays.pop(0), request.extensions["trace"]
        await tell("http11.send_request_headers.started", {})
        await asyncio.sleep(delay)
        await tell("http11.receive_response_headers.complete", {})
        return library.Response(200)

    async def main() -> Any:
        async with client(library, answer, timeout=None) as web:
            request = web.build_request("GET", "http://there/x")
            await asyncio.gather(*(web.send(request) for _ in range(3)))
        return request

    request = run(main)
    assert [(span["ms"], span["events"]) for span in run.spans] == [
        ((0, end), [("http.send", 0, {}), ("http.first_byte", end, {})]) for end in (100, 200, 300)
    ]
    assert set(request.extensions) == {"timeout"}


def test_the_next_request_has_nothing_of_ours(run: Run, library: Any) -> None:
    async def main() -> Any:
        async with client(library, redirecting(library, 302)) as web:
            return (await web.get("http://there/old")).next_request

    assert set(run(main).extensions) == {"timeout"}


def test_an_error_that_a_hook_makes_of_an_answer_has_what_the_answers_head_says(run: Run, library: Any) -> None:
    async def on_response(response: Any) -> None:
        response.raise_for_status()

    async def main() -> None:
        answer = library.Response(429, headers={"retry-after": "3", "x-request-id": "req-7"})
        async with client(library, lambda request: answer, event_hooks={"response": [on_response]}) as web:
            with pytest.raises(library.HTTPStatusError):
                await web.post(URL, json=CHAT)

    run(main)
    assert [span["outcome"] for span in run.spans] == ["failed", "failed"]
    assert run.spans[1]["attributes"] == {
        **SENT,
        "http.response.status_code": 429,
        "asyncmagic.retry_after": 3.0,
        "asyncmagic.request_id": "req-7",
        "error.type": f"{library.__name__}.HTTPStatusError",
    }


CONNECT, TLS = "connection.connect_tcp.started", "connection.start_tls.started"
EXCHANGE = (
    "http11.send_request_headers.started",
    "http11.send_request_body.complete",
    "http11.receive_response_headers.complete",
)


@pytest.mark.parametrize(
    ("told", "events"),
    [
        (
            [CONNECT, *EXCHANGE, "proxy.start_tls.started", *EXCHANGE],
            [("connect", 0), ("tls", 400), ("send", 500), ("sent", 600), ("first_byte", 700)],
        ),
        ([CONNECT, *EXCHANGE, *EXCHANGE], [("send", 400), ("sent", 500), ("first_byte", 600)]),
        (
            [CONNECT, TLS, *EXCHANGE[:1], CONNECT, *EXCHANGE],
            [("connect", 300), ("send", 400), ("sent", 500), ("first_byte", 600)],
        ),
    ],
    ids=["through a proxy", "the transport tried again", "the transport connected again"],
)
def test_the_phases_are_those_of_the_exchange_that_brought_the_answer(
    run: Run, library: Any, told: list[str], events: list[tuple[str, float]]
) -> None:
    async def answer(request: Any) -> Any:
        for name in told:
            await request.extensions["trace"](name, {})
            await asyncio.sleep(0.1)
        return library.Response(200)

    async def main() -> None:
        async with client(library, answer) as web:
            await web.get("https://there/x")

    run(main)
    assert run.spans[0]["events"] == [(f"http.{name}", time, {}) for name, time in events]


def test_a_failure_of_ours_is_logged_once_and_the_calls_go_on(
    run: Run, library: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a bug of ours")

    async def main() -> list[Any]:
        async with client(library, lambda request: library.Response(200, json=ANSWER)) as c:
            return [(await c.post(URL, json=CHAT)).json() for _ in range(3)]

    monkeypatch.setattr(run.tracer, "start_span", broken)
    assert run(main) == [ANSWER] * 3
    assert [(record.name, record.levelno) for record in caplog.records if record.name == "asyncmagic"] == [
        ("asyncmagic", logging.ERROR)
    ]


def test_an_answer_that_is_no_answer_reaches_the_user_and_the_next_call_is_seen(run: Run) -> None:
    strange = [b"{", b"[]", b'"text"', b'{"choices": 5}', b'{"choices": [{"message": 7}], "usage": "many"}']

    async def main() -> list[bytes]:
        async with client(httpx2, lambda request: httpx2.Response(200, content=strange.pop(0))) as c:
            return [(await c.post(URL, json=CHAT)).content for _ in range(5)]

    assert run(main) == [b"{", b"[]", b'"text"', b'{"choices": 5}', b'{"choices": [{"message": 7}], "usage": "many"}']
    assert [outcome for _, _, outcome, _ in run.story] == ["done"] * 10


def test_streams_keep_their_ways(run: Run, library: Any) -> None:
    async def main() -> None:
        async with client(library, lambda request: stream_of(library, *STREAM)) as c:
            async with c.stream("POST", URL, json=CHAT | {"stream": True}) as response:
                assert not response.is_stream_consumed
                body = await response.aread()
                assert response.is_stream_consumed
                assert response.is_closed
                assert body == b"".join(piece for _, piece in STREAM)
            async with c.stream("POST", URL, json=CHAT | {"stream": True}) as response:
                assert isinstance(response.stream, library.AsyncByteStream)
                assert b"".join([piece async for piece in response.aiter_raw()]) == body
                with pytest.raises(library.StreamConsumed):
                    await anext(response.aiter_raw())
            assert response.elapsed.total_seconds() >= 0

    run(main)
    assert [outcome for _, _, outcome, _ in run.story] == ["done"] * 4


def redirecting(library: Any, status: int, location: str = "/new") -> Callable[[Any], Any]:
    """A server that has moved: it says so after 100 ms, and answers at the new place after 200 ms."""

    async def answer(request: Any) -> Any:
        if request.url.path == "/old":
            await asyncio.sleep(0.1)
            return library.Response(status, headers={"location": location})
        await asyncio.sleep(0.2)
        return library.Response(200, json=ANSWER)

    return answer


def test_each_request_of_a_redirect_has_a_span_of_its_own(run: Run, library: Any) -> None:
    async def main() -> Any:
        async with client(library, redirecting(library, 302), follow_redirects=True) as web:
            return await web.get("http://there/old?key=sk-1", extensions={"mine": 1})

    response = run(main)
    sent = {"http.request.method": "GET", "server.address": "there", "server.port": 80}
    assert [(span["name"], span["parent"], span["ms"], span["attributes"]) for span in run.spans] == [
        (
            "GET /old",
            "cell",
            (0, 100),
            {
                **sent,
                "url.full": "http://there/old",
                "http.response.status_code": 302,
                "asyncmagic.followed_by": "http://there/new",
            },
        ),
        ("GET /new", "cell", (100, 300), {**sent, "url.full": "http://there/new", "http.response.status_code": 200}),
    ]
    for request in (response.request, response.history[0].request):
        assert set(request.extensions) == {"mine", "timeout"}


def test_a_redirect_that_is_not_followed_is_the_answer(run: Run, library: Any) -> None:
    async def main() -> None:
        async with client(library, redirecting(library, 302)) as web:
            await web.get("http://there/old")

    run(main)
    (span,) = run.spans
    assert (span["ms"], span["attributes"]["http.response.status_code"]) == ((0, 100), 302)
    assert "asyncmagic.followed_by" not in span["attributes"]


def test_a_client_that_is_led_in_circles_fails_where_it_gave_up(run: Run, library: Any) -> None:
    async def main() -> None:
        async with client(library, redirecting(library, 302, "/old"), follow_redirects=True, max_redirects=2) as web:
            with pytest.raises(library.TooManyRedirects):
                await web.get("http://there/old")

    run(main)
    assert [(name, ms, outcome) for name, ms, outcome, _ in run.story] == [
        ("GET /old", (0, 100), "done"),
        ("GET /old", (100, 200), "done"),
        ("GET /old", (200, 300), "failed"),
    ]


def test_a_redirected_call_was_not_tried_again(run: Run, library: Any) -> None:
    def moved(request: Any) -> Any:
        if request.url.scheme == "http":
            return library.Response(307, headers={"location": URL})
        return library.Response(200, json=ANSWER)

    async def main() -> None:
        async with client(library, moved, follow_redirects=True) as web:
            await web.post(URL.replace("https", "http"), json=CHAT)

    run(main)
    assert [(span["name"], span["parent"], span["outcome"]) for span in run.spans] == [
        ("chat gpt-5", "cell", "done"),
        ("POST /v1/chat/completions", "chat gpt-5", "done"),
        ("POST /v1/chat/completions", "chat gpt-5", "done"),
    ]
    summary = summarize(run.trace)
    assert (summary.calls, summary.attempts, summary.retries, summary.tokens) == (1, 1, 0, 12)
    assert "↻" not in run.trace.to_text()


def test_a_client_that_has_to_say_who_it_is_asks_twice(run: Run, library: Any) -> None:
    def answer(request: Any) -> Any:
        if "authorization" in request.headers:
            return library.Response(200)
        return library.Response(401, headers={"www-authenticate": 'Digest realm="r", nonce="n"'})

    async def main() -> None:
        def ask() -> None:
            with library.Client(transport=library.MockTransport(answer)) as web:
                assert web.get("http://there/x", auth=library.DigestAuth("me", "secret")).status_code == 200

        ask()

    run(main)
    assert [(span["name"], span["attributes"]["http.response.status_code"]) for span in run.spans] == [
        ("GET /x", 401),
        ("GET /x", 200),
    ]


def test_a_request_that_follows_an_answer_and_fails_has_nothing_of_that_answer(run: Run, library: Any) -> None:
    def answer(request: Any) -> Any:
        if request.url.path == "/old":
            return library.Response(302, headers={"location": "http://there/new", "x-request-id": "first"})
        raise library.ConnectError("refused", request=request)

    async def main() -> None:
        async with client(library, answer, follow_redirects=True) as web:
            with pytest.raises(library.ConnectError):
                await web.get("http://there/old")

    run(main)
    old, new = (span["attributes"] for span in run.spans)
    assert old["http.response.status_code"] == 302
    assert not {"http.response.status_code", "asyncmagic.request_id"} & new.keys()


def test_a_task_started_while_a_request_is_sent_keeps_neither_it_nor_its_answer(run: Run, library: Any) -> None:
    async def main() -> None:
        tasks = []

        async def on_request(_: Any) -> None:
            tasks.append(asyncio.create_task(asyncio.sleep(60)))

        answer = partial(library.Response, 200)
        async with client(library, lambda _: answer(), event_hooks={"request": [on_request]}) as web:
            response = await web.get("http://there/any")
        gone = weakref.ref(response), weakref.ref(response.request)
        del response
        gc.collect()
        assert [one() for one in gone] == [None, None]
        tasks[0].cancel()

    run(main)


def test_a_transport_may_put_extensions_in_place_that_cannot_be_changed(run: Run, library: Any) -> None:
    def answer(request: Any) -> Any:
        request.extensions = MappingProxyType(dict(request.extensions))
        return library.Response(200, text="fine")

    async def main() -> None:
        async with client(library, answer) as web:
            assert (await web.get("http://there/one")).text == "fine"
            request = web.build_request("GET", "http://there/two")
            request.extensions = MappingProxyType({})
            assert (await web.send(request)).text == "fine"

    run(main)
    assert [span["outcome"] for span in run.spans] == ["done", "done"]
