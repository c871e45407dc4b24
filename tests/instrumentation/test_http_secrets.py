"""A canary key, carried in every way that clients know, is in nothing that a trace holds."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import anthropic
import httpx
import httpx2
import openai
import pytest
from google import genai

from asyncmagic.instrumentation import http
from asyncmagic.tracing import Trace, Tracer, redaction

#: Looks like no provider's key: only what is known of the request can mask it.
CANARY = "canary:4f9e1c/77aa+quite=odd"
CHAT = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(redaction, "_known", {})
    redaction._unread.clear()
    yield


def traced(main: Callable[[], Any]) -> tuple[Trace, BaseException | None]:
    """Run `main` and end the trace with what it raised, as the cell would."""
    tracer = Tracer()

    async def run() -> tuple[Trace, BaseException | None]:
        trace = tracer.start_trace("cell", keeps_content=True)
        error = None
        with tracer.use(trace.root):
            try:
                with tracer.span("agent"):
                    result = main()
                    if asyncio.iscoroutine(result):
                        await result
            except Exception as caught:
                error = caught
        tracer.end_trace(trace, error=error)
        return trace, error

    with http.instrument(tracer):
        return asyncio.run(run())


def echo(library: Any, status: int = 401) -> Any:
    """A transport that answers with an error that repeats every header and the whole URL, as careless servers do."""

    def answer(request: Any) -> Any:
        said = f"{dict(request.headers)} {request.url}"
        error = {"type": "authentication_error", "code": "invalid_api_key", "message": f"Incorrect key in {said}"}
        return library.Response(status, json={"type": "error", "error": error}, headers={"x-request-id": "req-1"})

    return library.MockTransport(answer)


async def ask_openai() -> None:
    client = openai.AsyncOpenAI(
        api_key=CANARY, http_client=httpx2.AsyncClient(transport=echo(httpx2)), base_url="http://host/v1"
    )
    await client.chat.completions.create(**CHAT)


def ask_openai_synchronously() -> None:
    client = openai.OpenAI(api_key=CANARY, http_client=httpx2.Client(transport=echo(httpx2)), base_url="http://host/v1")
    client.chat.completions.create(**CHAT)


async def ask_anthropic() -> None:
    client = anthropic.AsyncAnthropic(api_key=CANARY, http_client=httpx2.AsyncClient(transport=echo(httpx2)))
    await client.messages.create(**CHAT, max_tokens=10)


def ask_google() -> None:
    options = {"base_url": "http://host", "httpx_client": httpx2.Client(transport=echo(httpx2))}
    genai.Client(api_key=CANARY, http_options=options).models.generate_content(model="gemini", contents="hi")


async def put_it_everywhere(library: Any) -> None:
    async with library.AsyncClient(transport=echo(library)) as client:
        await client.post(f"http://ann:{CANARY[:6]}@host/v1/chat/completions", json=CHAT, params={"key": CANARY})
        await client.get("http://host/", params={"access_token": CANARY}, headers={"Cookie": f"session={CANARY}"})
        await client.get("http://host/", auth=("ann", CANARY))
        response = await client.post(
            "http://host/v1/chat/completions", json=CHAT, headers={"Authorization": f"Bearer {CANARY}"}
        )
        raise ValueError(f"the server said: {response.text}")


async def say_what_was_sent(library: Any) -> None:
    """An answer that is no failure, and an error of the user's own that repeats the request."""
    transport = library.MockTransport(lambda request: library.Response(302, headers={"location": f"/x?sig={CANARY}"}))
    cookies = {"one": CANARY, "two": "2"}
    async with library.AsyncClient(transport=transport, auth=("ann", CANARY), cookies=cookies) as client:
        response = await client.get("http://host/", params={"sessionid": CANARY}, headers={"X-Vault-Token": CANARY})
        raise ValueError(f"{CANARY} {response.request.url} {response.request.headers} {response.headers['location']}")


async def call_a_webhook(library: Any) -> None:
    async with library.AsyncClient(transport=echo(library)) as client:
        await client.post("http://host/services/T0123ABC/B0123ABC/canaryDEF123")
        await client.post("http://host/api/webhooks/123456/canary-DEF_123")
        response = await client.get("http://host/")
        response.raise_for_status()


async def fail_to_connect(library: Any) -> None:
    def answer(request: Any) -> Any:
        raise library.ConnectError(f"cannot reach {request.url} with {request.headers}")

    async with library.AsyncClient(transport=library.MockTransport(answer)) as client:
        await client.get("http://host/", params={"api_key": CANARY}, headers={"X-API-Key": CANARY})


@pytest.mark.parametrize(
    "main",
    [
        ask_openai,
        ask_openai_synchronously,
        ask_anthropic,
        ask_google,
        lambda: put_it_everywhere(httpx),
        lambda: put_it_everywhere(httpx2),
        lambda: say_what_was_sent(httpx),
        lambda: say_what_was_sent(httpx2),
        lambda: call_a_webhook(httpx),
        lambda: call_a_webhook(httpx2),
        lambda: fail_to_connect(httpx),
        lambda: fail_to_connect(httpx2),
    ],
    ids=["openai", "openai, sync", "anthropic", "google"]
    + [
        f"{what}, {library}"
        for what in ("all", "own error", "webhook", "no connection")
        for library in ("httpx", "httpx2")
    ],
)
def test_no_key_gets_into_a_trace(main: Callable[[], Any]) -> None:
    trace, error = traced(main)

    assert error is not None
    assert [span.kind for span in trace.spans if span.kind in ("chat", "http")] != []
    written = json.dumps(trace.to_dict())
    basic = base64.b64encode(f"ann:{CANARY}".encode()).decode()
    for canary in (CANARY, quote(CANARY, safe=""), "canary", "77aa", basic):
        assert canary not in written
