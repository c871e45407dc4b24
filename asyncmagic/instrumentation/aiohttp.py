"""HTTP calls through aiohttp's own client: every session's requests, also of sessions made before tracing started."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from types import ModuleType
from typing import Any

from asyncmagic.instrumentation._patch import guarded, patched, when_imported
from asyncmagic.instrumentation.attempt import Attempt
from asyncmagic.instrumentation.attempts import Attempts
from asyncmagic.instrumentation.request import Request
from asyncmagic.tracing.tracer import Tracer

_SEND = "http11.send_request_headers.started"
_SENT = "http11.send_request_body.complete"
_FIRST_BYTE = "http11.receive_response_headers.complete"


@contextmanager
def instrument(tracer: Tracer) -> Iterator[None]:
    """Watch what aiohttp's sessions send, as soon as it is imported; what httpx sends through them is seen there."""
    requests = _Requests(tracer, "aiohttp")
    with when_imported("aiohttp", partial(_watch, requests)), requests.watching():
        yield


@contextmanager
def _watch(requests: _Requests, library: ModuleType) -> Iterator[None]:
    phases = _phases(library)
    reader = _reader_class(library)
    original: Callable[..., Awaitable[Any]] = library.ClientSession._request
    use = requests.tracer.use

    @wraps(original)
    async def request(self: Any, method: str, str_or_url: Any, **options: Any) -> Any:
        attempt = requests.attempt(self, method, str_or_url, options)
        if attempt is None:
            return await original(self, method, str_or_url, **options)
        sending = _Sending(attempt)
        token = _sending.set(sending)
        configs = self._trace_configs
        if phases not in configs:
            # The list may be the user's, who may give it to other sessions.
            self._trace_configs = [*configs, phases]
        try:
            with use(attempt.span):
                response = await original(self, method, str_or_url, **options)
        except BaseException as error:
            answer = sending.redirect or (error if isinstance(error, library.ClientResponseError) else None)
            if answer is not None:
                attempt.answered(answer.status, answer.headers or {})
            attempt.end(error)
            raise
        finally:
            _sending.reset(token)
            if phases not in configs:
                self._trace_configs = configs
        is_decoded = options.get("auto_decompress")
        requests.answered(attempt, response, reader, self.auto_decompress if is_decoded is None else is_decoded)
        return response

    with patched(library.ClientSession, "_request", request):
        yield


class _Sending:
    """What one call of a session sends: a request, and those that redirects lead to."""

    __slots__ = ("attempt", "redirect")

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        #: The latest answer, where it leads to a request that is still to be sent.
        self.redirect: Any = None

    def go_on(self) -> Attempt:
        """Return the attempt that what happens now belongs to."""
        if self.redirect is not None:
            response, self.redirect = self.redirect, None
            _follow(self.attempt, response)
        return self.attempt


_sending: ContextVar[_Sending | None] = ContextVar("asyncmagic_aiohttp_sending", default=None)


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
        attempt.mark(_FIRST_BYTE)
        attempt.answered(response.status, response.headers)
        attempt.sent(response.request_info.headers)
        attempt.expect_chunks(are_decoded=is_decoded)
        content = response.content
        for data in getattr(content, "_buffer", ()):
            attempt.chunk(data)
        if (error := content.exception()) is not None:
            attempt.end(error)  # its first bytes, which came with the head, cannot be decompressed
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
    url = response.url.join(type(response.url)(_location(response)))
    is_posted_on = response.method != "POST" or response.status in (307, 308)
    method = response.method if response.status != 303 and is_posted_on else "GET"
    headers = response.request_info.headers
    request = Request(method, url.scheme, url.host or "", url.port, url.path, url.query_string, None, headers)
    attempt.follow(response.status, request)


def _location(response: Any) -> str | None:
    location: str | None = response.headers.get("location") or response.headers.get("uri")
    return location


def _phases(library: ModuleType) -> Any:
    """Return the trace configuration that notes the phases of whichever attempt is being sent."""

    class Phases(library.TraceConfig):  # type: ignore[misc, name-defined]
        def trace_config_ctx(self, trace_request_ctx: Any = None) -> _Sending | None:
            return _sending.get()

    def marking(name: str) -> Callable[[Any, _Sending | None, Any], Awaitable[None]]:
        async def note(session: Any, sending: _Sending | None, params: Any) -> None:
            if sending is not None:
                sending.go_on().mark(name)

        return note

    async def queue(session: Any, sending: _Sending | None, params: Any) -> None:
        if sending is not None:
            sending.go_on().wait_for_connection(_full_pool(session.connector))

    async def upload(session: Any, sending: _Sending | None, params: Any) -> None:
        # The last piece is the end.
        if sending is not None and (marks := sending.attempt.marks) and marks[-1][0] == _SENT:
            marks[-1] = (_SENT, sending.attempt.clock())

    async def redirect(session: Any, sending: _Sending | None, params: Any) -> None:
        if sending is not None and _location(params.response):
            sending.attempt.mark(_FIRST_BYTE)
            sending.redirect = params.response

    phases = Phases()
    phases.on_request_redirect.append(redirect)
    phases.on_connection_queued_start.append(queue)
    phases.on_connection_create_start.append(marking("connection.connect_tcp.started"))
    phases.on_connection_create_end.append(marking(_SEND))
    phases.on_connection_reuseconn.append(marking(_SEND))
    phases.on_request_headers_sent.append(marking(_SENT))
    phases.on_request_chunk_sent.append(upload)
    phases.freeze()
    return phases


def _full_pool(connector: Any) -> int:
    """Return the number of connections for which one has to wait: all, or those to one host."""
    limit: int = connector.limit
    is_full = limit and len(getattr(connector, "_acquired", ())) >= limit
    return limit if is_full or not connector.limit_per_host else connector.limit_per_host
