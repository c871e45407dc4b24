"""Attempts: from what an HTTP client sends and gets to the spans of calls and of their attempts."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from asyncmagic.instrumentation._patch import Watcher, guarded
from asyncmagic.instrumentation.answer import Answer, Json
from asyncmagic.instrumentation.body import Body
from asyncmagic.instrumentation.llm import Question, read_answer, read_request
from asyncmagic.tracing import semconv
from asyncmagic.tracing.model import Attributes, Kind, Span, SpanEvent
from asyncmagic.tracing.redaction import redact, remember_secrets
from asyncmagic.tracing.tracer import Tracer

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MOST_FAILED = 512
_MOST_PENDING = 256
_LEAST_WAIT = 1_000_000  # nanoseconds; less is the client's own work
_SECRET_HEADERS = ("authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie")
_PHASES = {
    "connect_tcp.started": semconv.EVENT_CONNECT,
    "connect_unix_socket.started": semconv.EVENT_CONNECT,
    "start_tls.started": semconv.EVENT_TLS,
    "send_request_headers.started": semconv.EVENT_SEND,
    "send_request_body.complete": semconv.EVENT_SENT,
    "receive_response_headers.complete": semconv.EVENT_FIRST_BYTE,
}


@dataclass(slots=True)
class Request:
    """What a client is about to send; `body` as bytes or as the object that becomes JSON."""

    method: str
    scheme: str
    host: str
    port: int | None
    path: str
    query: str
    body: bytes | Json | None
    headers: Mapping[str, str]

    def secrets(self) -> Iterator[str]:
        """Yield the keys and tokens that it carries."""
        for name in _SECRET_HEADERS:
            if value := self.headers.get(name):
                yield value
                yield value.partition(" ")[2]
        for name, value in parse_qsl(self.query):
            if any(word in name.lower() for word in ("key", "token", "secret", "sig", "pass")):
                yield value

    def body_hash(self) -> int:
        """Return what tells this body from others."""
        return hash(json.dumps(self.body, default=repr) if isinstance(self.body, dict) else self.body)


@dataclass(slots=True)
class Call:
    """One call of a language model: its span, over all its attempts."""

    span: Span
    question: Question
    url: str
    attempts: int = 0
    body_hash: int = 0
    failed_at: int = 0


class Attempts(Watcher):
    """Starts the span of each HTTP attempt, below the call that it is an attempt of."""

    def __init__(self, tracer: Tracer, library: str) -> None:
        super().__init__()
        self.tracer = tracer
        self._library = library
        #: Calls whose last attempt failed, by the span above them: another attempt may follow.
        self._failed: OrderedDict[int, list[Call]] = OrderedDict()

    def __repr__(self) -> str:
        return f"the {self._library} instrumentor"

    @guarded
    def start(self, parent: Span, request: Request, *, full_pool: int | None = None) -> Attempt:
        """Start an attempt and its span; its call's too, unless it goes on with a call that failed.

        `full_pool` is the number of connections that the client allows, where that many are open.
        """
        now = self.tracer.clock()
        name, described = _describe(request.method, request.scheme, request.host, request.port, request.path)
        attributes = dict(described)
        call = self._call(parent, request, described, now) if request.method == "POST" else None
        if call is not None and call.attempts > 1:
            attributes[semconv.HTTP_RESEND_COUNT] = call.attempts - 1
        span = self.tracer.start_span(
            name, kind="http", parent=parent if call is None else call.span, start=now, attributes=attributes
        )
        return Attempt(self, span, request, call, full_pool)

    def failed(self, call: Call, request: Request, at: int) -> None:
        """Remember a call whose attempt failed in a way that clients try again."""
        call.failed_at = at
        call.body_hash = request.body_hash()
        self._failed.setdefault(call.span.parent_id or 0, []).append(call)
        if len(self._failed) > _MOST_FAILED:
            self._failed.popitem(last=False)

    def _call(self, parent: Span, request: Request, described: Attributes, now: int) -> Call | None:
        url = str(described[semconv.URL])
        if failed := self._failed.get(parent.span_id):
            call = _retried(failed, request, url)
            if call is not None:
                failed.remove(call)
                self._retry(call, now)
                return call
        trace = parent.trace
        keeps_content = trace is not None and trace.keeps_content
        question = read_request(request.host, request.path, request.body, keeps_content=keeps_content)
        if question is None:
            return None
        attributes = question.attributes
        attributes[semconv.SERVER_ADDRESS] = described[semconv.SERVER_ADDRESS]
        attributes[semconv.SERVER_PORT] = described[semconv.SERVER_PORT]
        kind: Kind = "embeddings" if question.format.operation == "embeddings" else "chat"
        span = self.tracer.start_span(question.name, kind=kind, parent=parent, start=now, attributes=attributes)
        return Call(span, question, url, attempts=1)

    def _retry(self, call: Call, now: int) -> None:
        if call.span.has_ended:
            self.tracer.reopen_span(call.span)
        call.attempts += 1
        self.tracer.set_attributes(call.span, {semconv.HTTP_RESEND_COUNT: call.attempts - 1})
        self.tracer.add_event(
            call.span,
            semconv.EVENT_RETRY,
            {semconv.HTTP_RESEND_COUNT: call.attempts - 1, semconv.BACK_OFF: (now - call.failed_at) / 1e9},
            at=now,
        )


class Attempt:
    """One HTTP attempt: told what happens to it, it writes its span and, at its end, that of its call."""

    __slots__ = (
        "_answer",
        "_attempts",
        "_body",
        "_call",
        "_last",
        "_pending",
        "_request",
        "_status",
        "clock",
        "full_pool",
        "is_over",
        "marks",
        "span",
    )

    def __init__(
        self, attempts: Attempts, span: Span, request: Request, call: Call | None, full_pool: int | None
    ) -> None:
        self.span = span
        self.is_over = False
        #: What httpcore told, and when: (name, nanoseconds).
        self.marks: list[tuple[str, int]] = []
        self.full_pool = full_pool
        self._attempts = attempts
        self.clock = attempts.tracer.clock
        self._request: Request | None = request
        self._call = call
        self._answer = None if call is None else Answer(keeps_content=semconv.INPUT_MESSAGES in call.span.attributes)
        self._body: Body | None = None
        self._pending: list[bytes] = []
        self._status = 0
        self._last = span.start

    @property
    def is_on(self) -> bool:
        return self._attempts.is_on

    def switch_off(self, doing: str) -> None:
        self._attempts.switch_off(doing)

    def mark(self, phase: str) -> None:
        """Note that a phase begins or ends now, by httpcore's name for it."""
        self.marks.append((phase, self.clock()))

    @guarded
    def answered(self, status: int, headers: Mapping[str, str], *, is_decoded: bool) -> None:
        """Note the status and the headers; `is_decoded` says that the body will be told without its encoding."""
        self._status = status
        self._last = self.clock()
        attributes: Attributes = {semconv.HTTP_STATUS: status}
        request_id = headers.get("x-request-id") or headers.get("request-id")
        if request_id:
            attributes[semconv.REQUEST_ID] = request_id
        if status >= 400:
            attributes[semconv.RETRY_AFTER] = retry_after(headers)
        self._attempts.tracer.set_attributes(self.span, attributes)
        if self._answer is not None:
            encoding = "" if is_decoded else headers.get("content-encoding") or ""
            self._body = Body(headers.get("content-type") or "", encoding)

    def chunk(self, data: bytes) -> None:
        """Note a piece of the body; until the first content it is read at once, then now and then."""
        self._last = self.clock()
        if self._body is None:
            return
        self._pending.append(data)
        if not self._answer.has_content or len(self._pending) >= _MOST_PENDING:  # type: ignore[union-attr]
            self._read_pending()

    @guarded
    def end(
        self,
        error: BaseException | None = None,
        *,
        was_left: bool = False,
        whole: bytes | None = None,
        at: int | None = None,
    ) -> None:
        """End the attempt: with its answer's end, with an error, or because the client left it before its end.

        `whole` is the body where it was not told in pieces.
        """
        if self.is_over:
            return
        self.is_over = True
        if whole is not None:
            self._pending.append(whole)
        self._read_pending(is_last=not was_left)
        end = self.clock() if at is None else at
        if self._answer is not None and self._answer.is_complete and (was_left or error is not None):
            # All was said: how the connection was left after that is no longer of interest.
            error, was_left, end = None, False, self._last
        elif was_left and isinstance(leaving := sys.exception(), asyncio.CancelledError):
            error, was_left = leaving, False
        self._finish(error, was_left and self._status < 400, end)
        self._request = self._call = self._body = None

    def abandon(self) -> None:
        """End an attempt whose answer nobody will read any more, at the last moment known of it."""
        self.end(was_left=True, at=self._last)

    @guarded
    def _read_pending(self, *, is_last: bool = False) -> None:
        body, answer, call = self._body, self._answer, self._call
        if body is None or answer is None or call is None:
            return
        messages = body.feed(b"".join(self._pending))
        self._pending.clear()
        if is_last:
            messages += body.rest()
        if self._status >= 400:
            for message in messages:
                answer.fails(_error_in(message))
            return
        had_content = answer.has_content
        for message in messages:
            read_answer(call.question.format, answer, message)
        if answer.has_content and not had_content and call.question.streams:
            call.span.attributes[semconv.FIRST_CHUNK] = (self._last - call.span.start) / 1e9
            self._attempts.tracer.add_event(call.span, semconv.EVENT_FIRST_CHUNK, at=self._last)

    def _finish(self, error: BaseException | None, was_left: bool, end: int) -> None:
        tracer, span, call, request = self._attempts.tracer, self.span, self._call, self._request
        self._write_phases(end)
        if was_left:
            span.attributes[semconv.NOT_READ_TO_END] = True
        failure: BaseException | str | None = error
        message = None
        if error is None and self._status >= 400:
            failure = str(self._status)
            message = " ".join(filter(None, (failure, self._answer.error if self._answer is not None else None)))
        if failure is not None and request is not None:
            remember_secrets(request.secrets())
        tracer.end_span(span, error=failure, message=message, end=end)
        if call is None or self._answer is None:
            return
        if failure is None and self._answer.error is not None:
            failure = message = self._answer.error
        attributes = self._answer.attributes()
        attributes[semconv.REQUEST_ID] = span.attributes.get(semconv.REQUEST_ID)
        attributes[semconv.NOT_READ_TO_END] = was_left or None
        tracer.set_attributes(call.span, attributes)
        tracer.end_span(call.span, error=failure, message=message, end=end)
        if request is not None and _is_retried(error, self._status):
            self._attempts.failed(call, request, end)

    def _write_phases(self, end: int) -> None:
        span = self.span
        span.events.extend(SpanEvent(phase, time) for name, time in self.marks if (phase := _PHASES.get(name)))
        if self.full_pool is None:
            return
        waited = (self.marks[0][1] if self.marks else end) - span.start
        if waited >= _LEAST_WAIT:
            span.attributes[semconv.CONNECTION_WAIT] = waited / 1e9
            span.attributes[semconv.CONNECTION_LIMIT] = self.full_pool


@lru_cache(maxsize=512)
def _describe(method: str, scheme: str, host: str, port: int | None, path: str) -> tuple[str, Attributes]:
    """Return the name and the first attributes of an attempt's span; what looks like a key in the path is masked."""
    path = redact(path)
    address = f"[{host}]" if ":" in host else host
    place = address if port is None or port == _DEFAULT_PORTS.get(scheme) else f"{address}:{port}"
    return f"{method} {path if len(path) <= 80 else path[:79] + '…'}", {
        semconv.HTTP_METHOD: method,
        semconv.URL: f"{scheme}://{place}{path}",
        semconv.SERVER_ADDRESS: host,
        semconv.SERVER_PORT: port or _DEFAULT_PORTS.get(scheme),
    }


def _retried(failed: list[Call], request: Request, url: str) -> Call | None:
    """Return the failed call that this request tries again."""
    count = request.headers.get("x-stainless-retry-count")
    if count == "0":
        return None
    body_hash = request.body_hash()
    for call in failed:
        if (call.url, call.body_hash) == (url, body_hash) and (count is None or int(count) == call.attempts):
            return call
    return None


def _is_retried(error: BaseException | None, status: int) -> bool:
    return isinstance(error, Exception) or status in (408, 409, 425, 429) or status >= 500


def _error_in(message: bytes) -> Any:
    try:
        said = json.loads(message)
    except ValueError:
        return None
    return said.get("error", said) if isinstance(said, dict) else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds after which the server wants to be asked again: from milliseconds, seconds or a date."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return float(milliseconds) / 1000
        value = headers.get("retry-after")
        if not value:
            return None
        if value.replace(".", "", 1).strip().isdigit():
            return float(value)
        date = headers.get("date")
        now = parsedate_to_datetime(date).timestamp() if date else time.time()
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None
