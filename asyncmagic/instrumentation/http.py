"""HTTP calls through httpx and httpx2: every client's `send`, also of clients made before tracing started."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from types import ModuleType
from typing import Any

from asyncmagic.instrumentation._patch import guarded, patched, when_imported
from asyncmagic.instrumentation.attempts import Attempt, Attempts, Request
from asyncmagic.tracing.model import Span
from asyncmagic.tracing.tracer import Tracer


@contextmanager
def instrument(tracer: Tracer) -> Iterator[None]:
    """Watch what httpx and httpx2 send, each as soon as it is imported: calls, attempts, first chunks, tokens."""
    sends = _Sends(tracer, "http")
    with ExitStack() as stack:
        for library in ("httpx", "httpx2"):
            stack.enter_context(when_imported(library, partial(_watch, sends)))
        try:
            yield
        finally:
            sends.is_on = False


@contextmanager
def _watch(sends: _Sends, library: ModuleType) -> Iterator[None]:
    send, async_send = library.Client.send, library.AsyncClient.send
    stream, async_stream = _stream_classes(library)
    with (
        patched(library.Client, "send", _sync(sends, send, stream)),
        patched(library.AsyncClient, "send", _async(sends, async_send, async_stream)),
    ):
        yield


def _async(sends: _Sends, original: Callable[..., Awaitable[Any]], stream_class: Any) -> Callable[..., Awaitable[Any]]:
    use = sends.tracer.use

    @wraps(original)
    async def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        attempt = sends.attempt(self, request)
        if attempt is None:
            return await original(self, request, *args, **kwargs)
        extensions = request.extensions
        request.extensions = {**extensions, "trace": _AsyncTrace(attempt, extensions.get("trace"))}
        try:
            with use(attempt.span):
                response = await original(self, request, *args, **kwargs)
        except BaseException as error:
            attempt.end(error)
            raise
        finally:
            request.extensions = extensions
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
        extensions = request.extensions
        request.extensions = {**extensions, "trace": _Trace(attempt, extensions.get("trace"))}
        try:
            with use(attempt.span):
                response = original(self, request, *args, **kwargs)
        except BaseException as error:
            attempt.end(error)
            raise
        finally:
            request.extensions = extensions
        sends.answered(attempt, response, stream_class)
        return response

    return send


class _Sends(Attempts):
    @guarded
    def attempt(self, client: Any, request: Any) -> Attempt | None:
        """Start an attempt, unless nothing is traced or the request is watched already."""
        parent: Span | None = self.tracer.current()
        if parent is None:
            return None
        others = request.extensions.get("trace")
        if isinstance(others, _Trace) and not others.attempt.is_over:
            return None
        url = request.url
        try:
            body = request.content
        except Exception:  # a body that is still to be made cannot be looked at
            body = None
        return self.start(
            parent,
            Request(
                request.method,
                url.scheme,
                url.host,
                url.port,
                url.path,
                url.query.decode(errors="replace"),
                body,
                request.headers,
            ),
            full_pool=_full_pool(client, url),
        )

    @guarded
    def answered(self, attempt: Attempt, response: Any, stream_class: Any) -> None:
        """Note what the response's head says; its body now, or while the user reads it."""
        is_read = response.is_closed
        attempt.answered(response.status_code, response.headers, is_decoded=is_read)
        if is_read:
            attempt.end(whole=response.content)
        else:
            response.stream = stream_class(response.stream, attempt)


def _full_pool(client: Any, url: Any) -> int | None:
    """Return how many connections the client may open, if it has opened that many."""
    transport = (
        client._transport_for_url(url) if getattr(client, "_mounts", None) else getattr(client, "_transport", None)
    )
    pool = getattr(transport, "_pool", None)
    most = getattr(pool, "_max_connections", None)
    return most if most is not None and len(getattr(pool, "_connections", ())) >= most else None


class _Trace:
    """Stands in the `trace` extension of a request: notes what httpcore tells and passes it on to the user's own."""

    __slots__ = ("attempt", "clock", "marks", "theirs")

    def __init__(self, attempt: Attempt, theirs: Any) -> None:
        self.attempt = attempt
        self.marks = attempt.marks
        self.clock = attempt.clock
        self.theirs = theirs

    def __call__(self, name: str, info: dict[str, Any]) -> Any:
        self.marks.append((name.partition(".")[2], self.clock()))
        if self.theirs is not None:
            self.theirs(name, info)


class _AsyncTrace(_Trace):
    __slots__ = ()

    async def __call__(self, name: str, info: dict[str, Any]) -> Any:
        self.marks.append((name.partition(".")[2], self.clock()))
        if self.theirs is not None:
            await self.theirs(name, info)


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
