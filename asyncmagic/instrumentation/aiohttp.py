"""HTTP calls through aiohttp's own client: every session's requests, also of sessions made before tracing started."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from types import ModuleType
from typing import Any
from weakref import WeakSet

from asyncmagic.instrumentation._patch import guarded, patched, when_imported
from asyncmagic.instrumentation.attempt import Attempt
from asyncmagic.instrumentation.attempts import Attempts
from asyncmagic.instrumentation.request import Request
from asyncmagic.tracing.tracer import Tracer

_sending: ContextVar[Attempt | None] = ContextVar("asyncmagic_aiohttp_attempt", default=None)


@contextmanager
def instrument(tracer: Tracer) -> Iterator[None]:
    """Watch what aiohttp's sessions send, as soon as it is imported; what httpx sends through them is seen there."""
    requests = _Requests(tracer, "aiohttp")
    with when_imported("aiohttp", partial(_watch, requests)), requests.watching():
        yield


@contextmanager
def _watch(requests: _Requests, library: ModuleType) -> Iterator[None]:
    phases = _phases(library)
    sessions: WeakSet[Any] = WeakSet()
    reader = _reader_class(library)
    original: Callable[..., Awaitable[Any]] = library.ClientSession._request
    use = requests.tracer.use

    @wraps(original)
    async def request(self: Any, method: str, str_or_url: Any, **options: Any) -> Any:
        attempt = requests.attempt(self, method, str_or_url, options)
        if attempt is None:
            return await original(self, method, str_or_url, **options)
        if phases not in self._trace_configs:
            self._trace_configs.append(phases)
            sessions.add(self)
        token = _sending.set(attempt)
        try:
            with use(attempt.span):
                response = await original(self, method, str_or_url, **options)
        except BaseException as error:
            if isinstance(error, library.ClientResponseError):
                attempt.answered(error.status, error.headers or {})
            attempt.end(error)
            raise
        finally:
            _sending.reset(token)
        is_decoded = options.get("auto_decompress")
        requests.answered(attempt, response, reader, self.auto_decompress if is_decoded is None else is_decoded)
        return response

    try:
        with patched(library.ClientSession, "_request", request):
            yield
    finally:
        for session in sessions:
            if phases in session._trace_configs:
                session._trace_configs.remove(phases)


class _Requests(Attempts):
    @guarded
    def attempt(self, session: Any, method: str, str_or_url: Any, options: dict[str, Any]) -> Attempt | None:
        """Start an attempt, unless nothing is traced or httpx sends this request and is watched itself."""
        parent = self.tracer.current()
        if parent is None or parent.kind == "http":
            return None
        request = _read(session, method, str_or_url, options)
        return self.start(parent, request) if request is not None else None

    @guarded
    def answered(self, attempt: Attempt, response: Any, reader: Any, is_decoded: bool) -> None:
        """Note what the response's head says, and have its body told as it comes in."""
        attempt.mark("http11.receive_response_headers.complete")
        attempt.answered(response.status, response.headers)
        attempt.sent(response.request_info.headers)
        attempt.expect_chunks(are_decoded=is_decoded)
        content = response.content
        for data in getattr(content, "_buffer", ()):
            attempt.chunk(data)
        ending = _Ending(attempt)
        if type(content) is reader.__base__ and not content.is_eof():
            content.__class__ = reader
        content.on_eof(ending)


def _read(session: Any, method: str, str_or_url: Any, options: dict[str, Any]) -> Request | None:
    headers = options.get("headers")
    try:
        url = session._build_url(str_or_url)
        data = options.get("json")
        if not isinstance(data, dict):
            data = options.get("data")
            data = data.encode() if isinstance(data, str) else data if isinstance(data, bytes) else None
        # What can be read only once is the session's.
        headers = session._prepare_headers(None if isinstance(headers, Iterator) else headers)
        query = url.update_query(options.get("params") or {}).query_string
        return Request(method.upper(), url.scheme, url.host or "", url.port, url.path, query, data, headers)
    except Exception:  # the session will say what is wrong with what it was given
        return None


class _Ending:
    """Waits among a body's callbacks for its end; when the body is thrown away before, it goes with it."""

    __slots__ = ("attempt",)

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt

    def __call__(self) -> None:
        self.attempt.end()

    def __del__(self) -> None:
        if not self.attempt.is_over:
            self.attempt.abandon()


def _reader_class(library: ModuleType) -> Any:
    class StreamReader(library.StreamReader):  # type: ignore[misc, name-defined]
        """aiohttp's stream of a body, which tells of what comes in; a body that is watched changes to this class."""

        __slots__ = ()

        def feed_data(self, data: bytes, *args: Any) -> Any:
            for callback in self._eof_callbacks:
                if type(callback) is _Ending:
                    callback.attempt.chunk(data)
            return super().feed_data(data, *args)

        def set_exception(self, exc: BaseException, *args: Any) -> None:
            for callback in self._eof_callbacks:
                if type(callback) is _Ending:
                    _end(library, callback.attempt, exc)
            super().set_exception(exc, *args)

    return StreamReader


def _end(library: ModuleType, attempt: Attempt, error: BaseException) -> None:
    if isinstance(error, library.ClientConnectionError) and str(error) == "Connection closed":
        attempt.end(was_left=True)  # what a response's `close` and `release` set, and nothing else
    else:
        attempt.end(error)


@guarded
def _follow(attempt: Attempt, response: Any) -> None:
    """Go on with the request that a redirect leads to, which will be sent the way the session reads it."""
    location = response.headers.get("location") or response.headers.get("uri")
    if not location:
        return
    try:
        url = response.url.join(type(response.url)(location))
        host = url.host or ""
    except ValueError:  # the session will say so
        return
    is_posted_on = response.method != "POST" or response.status in (307, 308)
    method = response.method if response.status != 303 and is_posted_on else "GET"
    attempt.mark("http11.receive_response_headers.complete")
    request = Request(
        method, url.scheme, host, url.port, url.path, url.query_string, None, response.request_info.headers
    )
    attempt.follow(response.status, request)


def _phases(library: ModuleType) -> Any:
    """Return the trace configuration that notes the phases of whichever attempt is being sent."""

    class Phases(library.TraceConfig):  # type: ignore[misc, name-defined]
        def trace_config_ctx(self, trace_request_ctx: Any = None) -> Attempt | None:
            return _sending.get()

    def marking(name: str) -> Callable[[Any, Attempt | None, Any], Awaitable[None]]:
        async def note(session: Any, attempt: Attempt | None, params: Any) -> None:
            if attempt is not None:
                attempt.mark(name)

        return note

    async def queue(session: Any, attempt: Attempt | None, params: Any) -> None:
        if attempt is not None:
            attempt.wait_for_connection(session.connector.limit)

    async def redirect(session: Any, attempt: Attempt | None, params: Any) -> None:
        if attempt is not None:
            _follow(attempt, params.response)

    phases = Phases()
    phases.on_request_redirect.append(redirect)
    phases.on_connection_queued_start.append(queue)
    phases.on_connection_create_start.append(marking("connection.connect_tcp.started"))
    phases.on_connection_create_end.append(marking("http11.send_request_headers.started"))
    phases.on_connection_reuseconn.append(marking("http11.send_request_headers.started"))
    phases.on_request_headers_sent.append(marking("http11.send_request_body.complete"))
    phases.freeze()
    return phases
