"""Attempt: one HTTP request and what comes of it, written to its span and to the span of the call it is part of."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncmagic.instrumentation._patch import guarded
from asyncmagic.instrumentation.answer import STRANGE, Answer, error_kind, parse
from asyncmagic.instrumentation.body import Body, whole
from asyncmagic.instrumentation.llm import Question, read_answer
from asyncmagic.instrumentation.phases import phases
from asyncmagic.instrumentation.request import Request, retry_after
from asyncmagic.tracing import semconv
from asyncmagic.tracing.model import Span
from asyncmagic.tracing.redaction import remember_secrets

if TYPE_CHECKING:
    from asyncmagic.instrumentation.attempts import Attempts

_MOST_PENDING = 256
_LEAST_WAIT = 1_000_000  # nanoseconds; less is the client's own work


@dataclass(slots=True)
class Call:
    """One call of a language model: its span, over all its attempts."""

    span: Span
    question: Question
    url: str
    attempts: int = 1
    body_hash: int = 0
    failed_at: int = 0


class Attempt:
    """One HTTP attempt: told what happens to it, it writes its span and, at its end, that of its call."""

    __slots__ = (
        "_answer",
        "_attempts",
        "_body",
        "_call",
        "_closing",
        "_full_pool",
        "_handled",
        "_has_content",
        "_headers",
        "_last",
        "_pending",
        "_request",
        "_status",
        "_waits_since",
        "_whole",
        "clock",
        "is_over",
        "marks",
        "span",
    )

    def __init__(self, attempts: Attempts, span: Span, request: Request, call: Call | None) -> None:
        self.span = span
        self.clock = attempts.tracer.clock
        self.is_over = False
        #: What httpcore told, and when: (name, nanoseconds).
        self.marks: list[tuple[str, int]] = []
        self._attempts = attempts
        self._request: Request | None = request
        self._call = call
        self._closing = call.question.format.closing if call is not None else None
        self._answer: Answer | None = None
        self._body: Body | None = None
        self._full_pool: int | None = None
        self._has_content = False
        self._handled = id(sys.exception())
        self._headers: Mapping[str, str] = {}
        self._last = span.start
        self._pending: list[bytes] = []
        self._status = 0
        self._waits_since = 0
        self._whole: bytes | None = None

    @property
    def is_on(self) -> bool:
        return self._attempts.is_on

    def switch_off(self, doing: str) -> None:
        self._attempts.switch_off(doing)

    def mark(self, phase: str) -> None:
        """Note that a phase begins or ends now, by httpcore's name for it."""
        self.marks.append((phase, self.clock()))

    def wait_for_connection(self, full_pool: int) -> None:
        """Note that a connection is needed now, while the client has as many as it allows."""
        self._full_pool = full_pool
        self._waits_since = self.clock()

    @guarded
    def follow(self, status: int, request: Request) -> None:
        """Go on with another request, since the answer of the one so far leads there: with a span of its own."""
        tracer, span = self._attempts.tracer, self.span
        parent = span.trace.get(span.parent_id) if span.trace is not None else None
        if parent is None:
            return
        now = self.clock()
        if self._request is not None:
            remember_secrets(self._request.secrets())
        name, attributes = request.describe()
        self._write_marks()
        tracer.set_attributes(span, {semconv.HTTP_STATUS: status, semconv.FOLLOWED_BY: attributes[semconv.URL]})
        tracer.end_span(span, end=now)
        self.marks.clear()
        self._full_pool = None
        self._request = request
        self._last = now
        self.span = tracer.start_span(name, kind="http", parent=parent, start=now, attributes=attributes)
        tracer.make_current(self.span)

    @guarded
    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Note the status and the headers."""
        self._status = status
        self._headers = headers
        self._last = self.clock()
        self.span.attributes[semconv.HTTP_STATUS] = status

    @guarded
    def sent(self, headers: Mapping[str, str]) -> None:
        """Note the headers that were sent, where they are more than those that the request came with."""
        if self._request is not None:
            self._request.headers = headers

    @guarded
    def expect_chunks(self, *, are_decoded: bool) -> None:
        """Prepare for a body that comes in chunks; `are_decoded` says that they come without their encoding."""
        if self._call is not None:
            encoding = "" if are_decoded else self._headers.get("content-encoding") or ""
            self._body = Body(self._headers.get("content-type") or "", encoding)
            self._answer = self._new_answer()

    def chunk(self, data: bytes) -> None:
        """Note a piece of the body; until the first content it is read at once, then now and then."""
        self._last = self.clock()
        if self._body is None:
            return
        self._pending.append(data)
        if (
            not self._has_content
            or len(self._pending) >= _MOST_PENDING
            or (self._closing is not None and self._closing in data)
        ):
            self._read_early()

    @guarded
    def end(
        self,
        error: BaseException | None = None,
        *,
        was_left: bool = False,
        body: bytes | None = None,
        at: int | None = None,
    ) -> None:
        """End the attempt: with its answer's end, with an error, or because the client left it before its end.

        `body` is all of it where it was not told in pieces.
        """
        if self.is_over:
            return
        self.is_over = True
        end = self.clock() if at is None else at
        if self._call is not None:
            self._whole = body
        if error is None and not was_left and self._status < 400:
            self._end_spans(end)
            self._attempts.read_later(self)
            return
        self._read_pending()
        if self._answer is not None and self._answer.is_complete:
            # All was said: how the connection was left after that is no longer of interest.
            error, was_left, end = None, False, self._last
        elif was_left and _is_leaving(leaving := sys.exception(), self._handled):
            error, was_left = leaving, False
        self._fail(error, was_left and self._status < 400, end)

    def abandon(self) -> None:
        """End an attempt whose answer nobody will read any more, at the last moment known of it."""
        self.end(was_left=True, at=self._last)

    def write(self) -> None:
        """Write to the spans what an answer says that has come to its end."""
        self._read_pending(is_last=True)
        self._write_attributes()
        tracer, call, answer = self._attempts.tracer, self._call, self._answer
        tracer.update(self.span)
        if call is None or answer is None:
            return
        if answer.error is not None:
            end = call.span.end
            tracer.reopen_span(call.span)
            tracer.end_span(call.span, error=answer.error, message=answer.error, end=end)
        else:
            tracer.update(call.span)

    @guarded
    def _read_early(self) -> None:
        if self._status < 400:
            self._read_pending()
            if self._answer is not None and self._answer.is_complete:
                self.end(at=self._last)  # some clients read no further, and keep the rest

    def _new_answer(self) -> Answer:
        return Answer(keeps_content=self._call is not None and semconv.INPUT_MESSAGES in self._call.span.attributes)

    def _read_pending(self, *, is_last: bool = False) -> None:
        body, answer, call = self._body, self._answer, self._call
        if call is None:
            return
        if self._whole is not None:
            answer = self._answer = self._new_answer()
            content_type = self._headers.get("content-type") or ""
            is_json = self._whole.startswith((b"{", b"[")) and "ndjson" not in content_type
            messages = [self._whole] if is_json else whole(self._whole, content_type)
        elif body is None or answer is None:
            return
        else:
            skims = answer.has_content and not answer.keeps_content
            messages = body.feed(b"".join(self._pending), call.question.format.telling if skims else None)
            self._pending.clear()
            if is_last or self._status >= 400:
                messages += body.rest()
        if self._status >= 400:
            answer.error = next(filter(None, map(_error_in, messages)), None)
            return
        for message in messages:
            read_answer(call.question.format, answer, message)
        if answer.has_content and not self._has_content:
            self._has_content = True
            if call.question.streams:
                call.span.attributes[semconv.FIRST_CHUNK] = (self._last - call.span.start) / 1e9
                self._attempts.tracer.add_event(call.span, semconv.EVENT_FIRST_CHUNK, at=self._last)

    def _fail(self, error: BaseException | None, was_left: bool, end: int) -> None:
        """End the spans of an attempt that did not come to a good end, or not to its end."""
        call, request, answer = self._call, self._request, self._answer
        self._write_attributes()
        if was_left:
            self.span.attributes[semconv.NOT_READ_TO_END] = True
            if call is not None:
                call.span.attributes[semconv.NOT_READ_TO_END] = True
        failure: BaseException | str | None = error
        message = None
        if error is None and self._status >= 400:
            failure = str(self._status)
            message = " ".join(filter(None, (failure, answer.error if answer is not None else None)))
        said = answer.error if answer is not None and failure is None else None
        self._end_spans(end, failure, message, said)
        if call is not None and request is not None and _is_retried(error, self._status):
            self._attempts.failed(call, request, end)

    def _end_spans(
        self,
        end: int,
        failure: BaseException | str | None = None,
        message: str | None = None,
        said: str | None = None,
    ) -> None:
        tracer, call = self._attempts.tracer, self._call
        if self._request is not None:
            remember_secrets(self._request.secrets())
        tracer.end_span(self.span, error=failure, message=message, end=end)
        if call is not None:
            tracer.end_span(call.span, error=said or failure, message=said or message, end=end)
        self._request = None

    def _write_attributes(self) -> None:
        """Write what the marks, the headers and the answer say."""
        headers, call, attributes = self._headers, self._call, self.span.attributes
        self._write_marks()
        if self._status >= 400 and (seconds := retry_after(headers)) is not None:
            attributes[semconv.RETRY_AFTER] = seconds
        request_id = headers.get("x-request-id") or headers.get("request-id")
        if request_id:
            attributes[semconv.REQUEST_ID] = request_id
        if call is not None and self._answer is not None:
            call.span.attributes.update(self._answer.attributes())
            if request_id:
                call.span.attributes[semconv.REQUEST_ID] = request_id

    def _write_marks(self) -> None:
        span = self.span
        span.events += phases(self.marks)
        if self._full_pool is not None:
            ends = [time for _, time in self.marks if time >= self._waits_since] or [span.end or self.clock()]
            waited = ends[0] - self._waits_since
            if waited >= _LEAST_WAIT:
                span.attributes[semconv.CONNECTION_WAIT] = waited / 1e9
                span.attributes[semconv.CONNECTION_LIMIT] = self._full_pool


def _is_leaving(error: BaseException | None, handled_before: int) -> bool:
    # The user's code leaves the answer because of this; errors of its own are not the answer's.
    return isinstance(error, asyncio.CancelledError | TimeoutError) and id(error) != handled_before


def _is_retried(error: BaseException | None, status: int) -> bool:
    return isinstance(error, Exception) or status in (401, 408, 409, 425, 429) or status >= 500


def _error_in(message: bytes) -> str | None:
    try:
        said = parse(message)
    except STRANGE:
        return None
    return error_kind(said.get("error", said)) if isinstance(said, dict) else None
