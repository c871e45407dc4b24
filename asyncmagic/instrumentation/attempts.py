"""Attempts: which attempts belong to which call, and when the answers of many are read."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from asyncmagic.instrumentation._patch import Watcher, guarded
from asyncmagic.instrumentation.attempt import Attempt, Call
from asyncmagic.instrumentation.llm import read_request
from asyncmagic.instrumentation.places import calling_place
from asyncmagic.instrumentation.request import Request
from asyncmagic.tracing import semconv
from asyncmagic.tracing.model import Attributes, Kind, Span, Trace
from asyncmagic.tracing.redaction import read_secrets
from asyncmagic.tracing.tracer import Tracer

_MOST_FAILED = 512
_MOST_UNREAD = 64


class Attempts(Watcher):
    """Starts the span of each HTTP attempt, below the call that it is an attempt of.

    Answers that came whole are read a little later, many at a time, or when the trace is looked at.
    """

    def __init__(self, tracer: Tracer, library: str) -> None:
        super().__init__()
        self.tracer = tracer
        self._library = library
        #: Calls whose last attempt failed, by the span above them: another attempt may follow.
        self._failed: OrderedDict[int, list[Call]] = OrderedDict()
        self._failing: Trace | None = None
        self._unread: deque[Attempt] = deque()

    def __repr__(self) -> str:
        return f"the {self._library} instrumentor"

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch inside the block; afterwards what is still patched somewhere passes everything on."""
        self.tracer.add_source(self)
        try:
            yield
        finally:
            self.read_all()
            self.is_on = False
            self._failed.clear()
            self._failing = None
            read_secrets()
            self.tracer.remove_source(self)

    def collect(self, trace: Trace) -> None:
        """See `SpanSource`."""
        self.read_all()

    def start(self, parent: Span, request: Request) -> Attempt:
        """Start an attempt and its span; its call's too, unless it goes on with a call that failed."""
        now = self.tracer.clock()
        name, attributes = request.describe()
        call = self._call(parent, request, attributes, now) if request.method == "POST" else None
        if call is not None:
            parent = call.span
            if call.attempts > 1:
                attributes = {**attributes, semconv.HTTP_RESEND_COUNT: call.attempts - 1}
        span = self.tracer.start_span(name, kind="http", parent=parent, start=now, attributes=attributes)
        return Attempt(self, span, request, call)

    def failed(self, call: Call, request: Request, at: int) -> None:
        """Remember a call whose attempt failed in a way that clients try again."""
        call.failed_at = at
        call.body_hash = request.body_hash()
        if call.span.trace is not self._failing:
            self._failing = call.span.trace
            self._failed = OrderedDict(each for each in self._failed.items() if _is_running(each[1][0].span.trace))
        self._failed.setdefault(call.span.parent_id or 0, []).append(call)
        if len(self._failed) > _MOST_FAILED:
            self._failed.popitem(last=False)

    def read_later(self, attempt: Attempt) -> None:
        """Note an attempt that has ended well, and whose answer is still to be read."""
        self._unread.append(attempt)
        if len(self._unread) >= _MOST_UNREAD:
            self.read_all()

    @guarded
    def read_all(self) -> None:
        """Read all answers that are still to be read."""
        while self._unread:
            try:
                attempt = self._unread.popleft()
            except IndexError:  # another thread was quicker
                return
            attempt.write()

    def _call(self, parent: Span, request: Request, described: Attributes, now: int) -> Call | None:
        if failed := self._failed.get(parent.span_id):
            call = _retried(failed, request, described[semconv.URL])
            if call is not None:
                failed.remove(call)
                if not failed:
                    del self._failed[parent.span_id]
                self._retry(call, now)
                return call
        keeps_content = parent.trace is not None and parent.trace.keeps_content
        question = read_request(request.host, request.path, request.body, keeps_content=keeps_content)
        if question is None:
            return None
        attributes = question.attributes
        attributes.update(calling_place())
        attributes[semconv.SERVER_ADDRESS] = described[semconv.SERVER_ADDRESS]
        attributes[semconv.SERVER_PORT] = described[semconv.SERVER_PORT]
        kind: Kind = "embeddings" if question.format.operation == "embeddings" else "chat"
        span = self.tracer.start_span(question.name, kind=kind, parent=parent, start=now, attributes=attributes)
        return Call(span, question, str(described[semconv.URL]))

    def _retry(self, call: Call, now: int) -> None:
        if call.span.has_ended:
            self.tracer.reopen_span(call.span)
        call.attempts += 1
        call.span.attributes[semconv.HTTP_RESEND_COUNT] = call.attempts - 1
        waited = {semconv.HTTP_RESEND_COUNT: call.attempts - 1, semconv.BACK_OFF: (now - call.failed_at) / 1e9}
        self.tracer.add_event(call.span, semconv.EVENT_RETRY, waited, at=now)


def _is_running(trace: Trace | None) -> bool:
    return trace is not None and trace.is_running


def _retried(failed: list[Call], request: Request, url: Any) -> Call | None:
    """Return the failed call that this request tries again."""
    count = request.headers.get("x-stainless-retry-count")
    if count == "0":
        return None
    body_hash = request.body_hash()
    for call in failed:
        if (call.url, call.body_hash) == (url, body_hash) and count in (None, str(call.attempts)):
            return call
    return None
