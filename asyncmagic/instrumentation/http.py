"""HTTP calls through httpx and httpx2: every client's `send`, also of clients made before tracing started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
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
        for library in ("httpcore", "httpcore2"):
            stack.enter_context(when_imported(library, partial(_watch_pools, sends)))
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


@contextmanager
def _watch_pools(sends: _Sends, library: ModuleType) -> Iterator[None]:
    pool, async_pool = library.ConnectionPool, library.AsyncConnectionPool
    handle, async_handle = pool.handle_request, async_pool.handle_async_request

    @wraps(handle)
    def handle_request(self: Any, request: Any) -> Any:
        sends.asked(self)
        return handle(self, request)

    @wraps(async_handle)
    async def handle_async_request(self: Any, request: Any) -> Any:
        sends.asked(self)
        return await async_handle(self, request)

    with (
        patched(pool, "handle_request", handle_request),
        patched(async_pool, "handle_async_request", handle_async_request),
    ):
        yield


def _async(sends: _Sends, original: Callable[..., Awaitable[Any]], stream_class: Any) -> Callable[..., Awaitable[Any]]:
    use = sends.tracer.use

    @wraps(original)
    async def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        attempt = sends.attempt(request)
        if attempt is None:
            return await original(self, request, *args, **kwargs)
        with _Sending(sends, attempt, request), use(attempt.span):
            response = await original(self, request, *args, **kwargs)
        sends.answered(attempt, response, stream_class)
        return response

    return send


def _sync(sends: _Sends, original: Callable[..., Any], stream_class: Any) -> Callable[..., Any]:
    use = sends.tracer.use

    @wraps(original)
    def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        attempt = sends.attempt(request)
        if attempt is None:
            return original(self, request, *args, **kwargs)
        with _Sending(sends, attempt, request), use(attempt.span):
            response = original(self, request, *args, **kwargs)
        sends.answered(attempt, response, stream_class)
        return response

    return send


def _async_single(sends: _Sends, original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def nothing() -> None:
        pass

    @wraps(original)
    async def send_single_request(self: Any, request: Any) -> Any:
        sending = sends.sending(request, nothing)
        if sending is None:
            return await original(self, request)
        try:
            sending.response = response = await original(self, request)
        finally:
            sending.leave(request)
        return response

    return send_single_request


def _sync_single(sends: _Sends, original: Callable[..., Any]) -> Callable[..., Any]:
    def nothing() -> None:
        pass

    @wraps(original)
    def send_single_request(self: Any, request: Any) -> Any:
        sending = sends.sending(request, nothing)
        if sending is None:
            return original(self, request)
        try:
            sending.response = response = original(self, request)
        finally:
            sending.leave(request)
        return response

    return send_single_request


class _Sending:
    """What one `send` sends, inside the block: a request, and those that its answers lead to."""

    __slots__ = ("_before", "attempt", "note", "request", "response", "sends")

    def __init__(self, sends: _Sends, attempt: Attempt, request: Any) -> None:
        self.sends: _Sends | None = sends
        self.attempt = attempt
        #: The latest of each.
        self.request = request
        self.response: Any = None
        self.note: _Note | None = None

    def __enter__(self) -> None:
        self._before = _sending.get()
        _sending.set(self)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        _sending.set(self._before)
        if error is not None and self.sends is not None:
            self.sends.raised(self, error)
        # A task that was started meanwhile has a copy of this context.
        self.sends = self.request = self.response = self.note = None

    def leave(self, request: Any) -> None:
        """Take back what the transport was given with a request, if it can be; also where tracing has ended."""
        if self.note is not None:
            with suppress(Exception):
                self.note.leave(request)


_sending: ContextVar[_Sending | None] = ContextVar("asyncmagic_httpx_sending", default=None)


class _Sends(Attempts):
    @guarded
    def attempt(self, request: Any) -> Attempt | None:
        """Start an attempt, unless nothing is traced or the request is watched already."""
        parent: Span | None = self.tracer.current()
        if parent is None or ((sending := _sending.get()) is not None and sending.request is request):
            return None
        return self.start(parent, _read(request))

    @guarded
    def sending(self, request: Any, nothing: Callable[[], Any]) -> _Sending | None:
        """Return what this request is part of, if that is watched; from now on the transport has it."""
        sending = _sending.get()
        if sending is None or sending.sends is not self:
            return None
        if sending.response is not None:
            sending.attempt.follow(sending.response.status_code, _read(request))
            sending.request, sending.response = request, None
        if isinstance(request.extensions, MutableMapping):
            sending.note = _Note.enter(request.extensions, nothing)
        return sending

    @guarded
    def asked(self, pool: Any) -> None:
        """Note that a pool is asked for a connection, if it has as many requests under way as connections."""
        sending, most = _sending.get(), getattr(pool, "_max_connections", None)
        if sending is None or sending.sends is not self or most is None:
            return
        # Not by its connections: one that is about to be taken still looks free.
        if len(getattr(pool, "_requests", ())) >= most:
            sending.attempt.wait_for_connection(most)

    @guarded
    def raised(self, sending: _Sending, error: BaseException) -> None:
        """End an attempt with an error, which may be the user's own about an answer."""
        if sending.response is not None:
            sending.attempt.answered(sending.response.status_code, _headers(sending.response))
        sending.attempt.end(error)

    @guarded
    def answered(self, attempt: Attempt, response: Any, stream_class: Any) -> None:
        """Note what the response's head says; its body now, or while the user reads it."""
        attempt.answered(response.status_code, _headers(response))
        if response.is_closed:
            attempt.end(body=response.content)
        else:
            attempt.expect_chunks(are_decoded=False)
            response.stream = stream_class(response.stream, attempt)


class _Note:
    """A request's `trace` while a transport has it: tells the attempt what httpcore does, and the user's own `trace`.

    A request may be sent several times at once: it knows no attempt, but asks whose context it is in.
    """

    __slots__ = ("_extensions", "_nothing", "_senders", "_theirs")

    def __init__(self, extensions: MutableMapping[str, Any], nothing: Callable[[], Any]) -> None:
        self._extensions = extensions
        self._nothing = nothing
        self._senders = 0
        self._theirs = extensions.get("trace")

    def __call__(self, name: str, info: Any) -> Any:
        if (sending := _sending.get()) is not None and sending.sends is not None:
            attempt = sending.attempt
            attempt.marks.append((name, attempt.clock()))
        return self._nothing() if self._theirs is None else self._theirs(name, info)

    @classmethod
    def enter(cls, extensions: MutableMapping[str, Any], nothing: Callable[[], Any]) -> _Note:
        """Return the extensions' note, which is put there where there is none."""
        note = extensions.get("trace")
        if type(note) is not cls:
            extensions["trace"] = note = cls(extensions, nothing)
        note._senders += 1
        return note

    def leave(self, request: Any) -> None:
        """Take the note out if nobody sends the request any more; a transport may have given it other extensions."""
        self._senders -= 1
        if self._senders:
            return
        for extensions in (self._extensions, request.extensions):
            if extensions.get("trace") is self:
                if self._theirs is None:
                    del extensions["trace"]
                else:
                    extensions["trace"] = self._theirs


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
