"""HTTP calls through httpx and httpx2: every client's `send`, also of clients made before tracing started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from types import ModuleType
from typing import Any

from asyncmagic.instrumentation._patch import guarded, patched, when_imported
from asyncmagic.instrumentation.attempt import Attempt
from asyncmagic.instrumentation.attempts import Attempts
from asyncmagic.instrumentation.request import Request
from asyncmagic.tracing.model import Span
from asyncmagic.tracing.tracer import Tracer


@contextmanager
def instrument(tracer: Tracer) -> Iterator[None]:
    """Watch what httpx and httpx2 send, each as soon as it is imported: calls, attempts, first chunks, tokens."""
    sends = _Sends(tracer, "http")
    with ExitStack() as stack:
        for library in ("httpx", "httpx2"):
            stack.enter_context(when_imported(library, partial(_watch, sends)))
        stack.enter_context(sends.watching())
        yield


@contextmanager
def _watch(sends: _Sends, library: ModuleType) -> Iterator[None]:
    send, async_send = library.Client.send, library.AsyncClient.send
    stream, async_stream = _stream_classes(library)
    single, async_single = library.Client._send_single_request, library.AsyncClient._send_single_request
    with (
        patched(library.Client, "send", _sync(sends, send, stream)),
        patched(library.AsyncClient, "send", _async(sends, async_send, async_stream)),
        patched(library.Client, "_send_single_request", _sync_single(sends, single)),
        patched(library.AsyncClient, "_send_single_request", _async_single(sends, async_single)),
    ):
        yield


def _async(sends: _Sends, original: Callable[..., Awaitable[Any]], stream_class: Any) -> Callable[..., Awaitable[Any]]:
    use = sends.tracer.use

    @wraps(original)
    async def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        attempt = sends.attempt(self, request)
        if attempt is None:
            return await original(self, request, *args, **kwargs)
        sending = _Sending(attempt, request, _noting_async)
        try:
            with use(attempt.span):
                response = await original(self, request, *args, **kwargs)
        except BaseException as error:
            attempt.end(error)
            raise
        finally:
            sending.restore()
        sends.answered(attempt, response, stream_class)
        return response

    return send


def _sync(sends: _Sends, original: Callable[..., Any], stream_class: Any) -> Callable[..., Any]:
    use = sends.tracer.use

    @wraps(original)
    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        attempt = sends.attempt(self, request)
        if attempt is None:
            return original(self, request, *args, **kwargs)
        sending = _Sending(attempt, request, _noting)
        try:
            with use(attempt.span):
                response = original(self, request, *args, **kwargs)
        except BaseException as error:
            attempt.end(error)
            raise
        finally:
            sending.restore()
        sends.answered(attempt, response, stream_class)
        return response

    return send


def _async_single(sends: _Sends, original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(original)
    async def send_single_request(self: Any, request: Any) -> Any:
        sending = request.extensions.get(_SENDING)
        if sending is None:
            return await original(self, request)
        if sending.response is not None:
            sends.follow(self, sending, request)
        sending.response = response = await original(self, request)
        return response

    return send_single_request


def _sync_single(sends: _Sends, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def send_single_request(self: Any, request: Any) -> Any:
        sending = request.extensions.get(_SENDING)
        if sending is None:
            return original(self, request)
        if sending.response is not None:
            sends.follow(self, sending, request)
        sending.response = response = original(self, request)
        return response

    return send_single_request


#: The extension of a request by which the ones that follow it are known: the clients hand extensions on to them.
_SENDING = "asyncmagic"


class _Sending:
    """What one `send` sends: a request, and those that its answers lead to, each told of what happens to it."""

    __slots__ = ("_extensions", "_noting", "_requests", "attempt", "response")

    def __init__(
        self, attempt: Attempt, request: Any, noting: Callable[[Attempt, dict[str, Any]], dict[str, Any]]
    ) -> None:
        self.attempt = attempt
        #: The latest answer.
        self.response: Any = None
        self._extensions = request.extensions
        self._noting = noting
        self._requests: list[Any] = []
        self.add(request)

    def add(self, request: Any) -> None:
        self._requests.append(request)
        request.extensions = self._noting(self.attempt, self._extensions)
        request.extensions[_SENDING] = self

    def restore(self) -> None:
        """Leave in no request anything of ours."""
        for request in self._requests:
            request.extensions = self._extensions


class _Sends(Attempts):
    @guarded
    def attempt(self, client: Any, request: Any) -> Attempt | None:
        """Start an attempt, unless nothing is traced or the request is watched already."""
        parent: Span | None = self.tracer.current()
        if parent is None:
            return None
        if parent.kind == "http" and getattr(request.extensions.get("trace"), "__module__", None) == __name__:
            return None
        return self.start(parent, _read(request), full_pool=_full_pool(client, request.url))

    @guarded
    def follow(self, client: Any, sending: _Sending, request: Any) -> None:
        """Note that a client sends another request because of the answer to the one before."""
        sending.attempt.follow(sending.response.status_code, _read(request), _full_pool(client, request.url))
        sending.add(request)

    @guarded
    def answered(self, attempt: Attempt, response: Any, stream_class: Any) -> None:
        """Note what the response's head says; its body now, or while the user reads it."""
        attempt.answered(response.status_code, _headers(response))
        if response.is_closed:
            attempt.end(body=response.content)
        else:
            attempt.expect_chunks(are_decoded=False)
            response.stream = stream_class(response.stream, attempt)


def _read(request: Any) -> Request:
    url = request.url
    try:
        body = request.content
    except Exception:  # a body that is still to be made cannot be looked at
        body = None
    query = url.query.decode(errors="replace")
    return Request(request.method, url.scheme, url.host, url.port, url.path, query, body, request.headers)


#: The response's headers that an attempt asks for.
_HEADERS = {
    name.encode(): name
    for name in (
        "content-type",
        "content-encoding",
        "date",
        "request-id",
        "retry-after",
        "retry-after-ms",
        "x-request-id",
    )
}


def _headers(response: Any) -> dict[str, str]:
    # In one go: every look-up in a client's own headers goes through all of them.
    return {
        _HEADERS[name]: value.decode("latin-1")
        for key, value in response.headers.raw
        if (name := key.lower()) in _HEADERS
    }


def _full_pool(client: Any, url: Any) -> int | None:
    """Return how many connections the client may open, if it has that many requests under way."""
    transport = (
        client._transport_for_url(url) if getattr(client, "_mounts", None) else getattr(client, "_transport", None)
    )
    pool = getattr(transport, "_pool", None)
    most = getattr(pool, "_max_connections", None)
    # Not by its connections: one that is about to be taken still looks free.
    return most if most is not None and len(getattr(pool, "_requests", ())) >= most else None


#: The last thing worth noting. After it the extension is taken out: httpcore looks for it at every step.
_HEADS = {"http11.receive_response_headers.complete", "http2.receive_response_headers.complete"}


def _noting(attempt: Attempt, extensions: dict[str, Any]) -> dict[str, Any]:
    """Return a request's extensions with one that notes what httpcore tells, and tells the user's own."""
    append, clock, theirs, noting = attempt.marks.append, attempt.clock, extensions.get("trace"), extensions.copy()

    def note(name: str, info: Any) -> None:
        append((name, clock()))
        if theirs is not None:
            theirs(name, info)
        elif name in _HEADS:
            noting.pop("trace", None)

    noting["trace"] = note
    return noting


def _noting_async(attempt: Attempt, extensions: dict[str, Any]) -> dict[str, Any]:
    append, clock, theirs, noting = attempt.marks.append, attempt.clock, extensions.get("trace"), extensions.copy()

    async def note(name: str, info: Any) -> None:
        append((name, clock()))
        if theirs is not None:
            await theirs(name, info)
        elif name in _HEADS:
            noting.pop("trace", None)

    noting["trace"] = note
    return noting


class _Stream:
    """Passes a response's stream on and tells the attempt of every piece; its end is the attempt's end."""

    def __init__(self, stream: Any, attempt: Attempt) -> None:
        self._stream = stream
        self._attempt = attempt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __del__(self) -> None:
        if not self._attempt.is_over:
            self._attempt.abandon()


def _stream_classes(library: ModuleType) -> tuple[type, type]:
    class SyncStream(_Stream, library.SyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[bytes]:
            chunk = self._attempt.chunk
            try:
                for data in self._stream:
                    chunk(data)
                    yield data
            except GeneratorExit:
                self._attempt.abandon()
                raise
            except BaseException as error:
                self._attempt.end(error)
                raise
            self._attempt.end()

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._attempt.end(was_left=True)

    class AsyncStream(_Stream, library.AsyncByteStream):  # type: ignore[misc, name-defined]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            chunk = self._attempt.chunk
            stream = self._stream.__aiter__()
            try:
                async for data in stream:
                    chunk(data)
                    yield data
            except GeneratorExit:
                self._attempt.abandon()
                raise
            except BaseException as error:
                self._attempt.end(error)
                raise
            finally:
                if hasattr(stream, "aclose"):
                    await stream.aclose()
            self._attempt.end()

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._attempt.end(was_left=True)

    return SyncStream, AsyncStream
