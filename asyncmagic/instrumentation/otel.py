"""OpenTelemetry: what other libraries' spans say lands on the timeline."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from types import ModuleType
from typing import Any

from asyncmagic.instrumentation._patch import Watcher, guarded, patched, when_imported
from asyncmagic.tracing import semconv
from asyncmagic.tracing.model import Attribute, Attributes, Kind, Span, Trace
from asyncmagic.tracing.redaction import redact
from asyncmagic.tracing.tracer import Tracer

LIBRARY = "opentelemetry.sdk"
#: The operation that a span stands for, by whatever attribute says so first.
_OPERATIONS = (semconv.OPERATION, "openinference.span.kind", "traceloop.span.kind", "llm.request.type")
_KINDS: dict[str, Kind] = {
    "chat": "chat",
    "text_completion": "chat",
    "generate_content": "chat",
    "completion": "chat",
    "llm": "chat",
    "embeddings": "embeddings",
    "embedding": "embeddings",
    "invoke_agent": "invoke_agent",
    "agent": "invoke_agent",
    "execute_tool": "execute_tool",
    "tool": "execute_tool",
}
#: Older spellings, and those of OpenInference.
_NEWEST = {
    "http.method": semconv.HTTP_METHOD,
    "http.status_code": semconv.HTTP_STATUS,
    "http.url": semconv.URL,
    "gen_ai.system": semconv.PROVIDER,
    "gen_ai.usage.prompt_tokens": semconv.INPUT_TOKENS,
    "gen_ai.usage.completion_tokens": semconv.OUTPUT_TOKENS,
    "llm.model_name": semconv.REQUEST_MODEL,
    "llm.provider": semconv.PROVIDER,
    "llm.token_count.prompt": semconv.INPUT_TOKENS,
    "llm.token_count.completion": semconv.OUTPUT_TOKENS,
    "tool.name": semconv.TOOL_NAME,
    "agent.name": semconv.AGENT_NAME,
}
#: Keys whose text may be what was asked or answered.
_CONTENT = re.compile(
    r"message|prompt|completion|content|input|output|argument|param|result|instruction|body|query|text|description|"
    r"document|entity|statement|logrecord|events|args|(request|response|data)$"
)
#: Those who tell of libraries that have an instrumentor here, which sees the same; and what we send ourselves.
_WATCHED = re.compile(r"asyncmagic$|autogen|crewai|.*\.instrumentation\.(autogen|crewai|langchain|openai_agents)")


@contextmanager
def instrument(tracer: Tracer) -> Iterator[None]:
    """Watch the spans of an OpenTelemetry SDK, whatever its providers, as soon as it is imported."""
    spans = _Spans(tracer)
    tracer.add_source(spans)
    with (
        when_imported("opentelemetry.sdk.trace", partial(_watch_spans, spans)),
        when_imported("opentelemetry.context.contextvars_context", partial(_watch_contexts, spans)),
    ):
        try:
            yield
        finally:
            tracer.remove_source(spans)
            spans.is_on = False


@contextmanager
def _watch_spans(spans: _Spans, module: ModuleType) -> Iterator[None]:
    # Not a span processor: providers come and go, and a processor cannot be taken away from one.
    start, end = module.Span.start, module.Span.end

    @wraps(start)
    def started(self: Any, *args: Any, **kwargs: Any) -> None:
        start(self, *args, **kwargs)
        spans.starts(self, timed=bool(args) or kwargs.get("start_time") is not None)

    @wraps(end)
    def ended(self: Any, *args: Any, **kwargs: Any) -> None:
        end(self, *args, **kwargs)
        spans.ends(self)

    with patched(module.Span, "start", started), patched(module.Span, "end", ended):
        yield


@contextmanager
def _watch_contexts(spans: _Spans, module: ModuleType) -> Iterator[None]:
    runtime = module.ContextVarsRuntimeContext
    with (
        patched(runtime, "attach", _attach(spans, runtime.attach)),
        patched(runtime, "detach", _detach(spans, runtime.detach)),
    ):
        yield


def _attach(spans: _Spans, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def attach(self: Any, context: Any) -> Any:
        token = original(self, context)
        spans.attaches(context, token)
        return token

    return attach


def _detach(spans: _Spans, original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def detach(self: Any, token: Any) -> Any:
        spans.detaches(token)
        return original(self, token)

    return detach


@dataclass(slots=True)
class _Foreign:
    """A span of theirs. What stands for it here is settled as late as possible: many say only later what they are."""

    theirs: Any
    parent: Span
    start: int
    #: What may be the same call of a model, seen where it is sent, has at least this id.
    first_id: int
    #: What stands for it: a span made for it, our own of the same thing, or, for a call of a model, the parent.
    span: Span | None = None
    is_own: bool = False


class _Spans(Watcher):
    """Keeps a span of ours for each of theirs, unless we have seen the same thing ourselves."""

    def __init__(self, tracer: Tracer) -> None:
        super().__init__()
        self.tracer = tracer
        self._known: dict[tuple[int, int], _Foreign] = {}
        #: By the id of a token, which is held here as long as that counts: the span, and what was current before.
        self._attached: dict[int, tuple[Any, Span, Span | None]] = {}
        self._claimed: set[int] = set()

    def __repr__(self) -> str:
        return "the OpenTelemetry instrumentor"

    @guarded
    def collect(self, trace: Trace) -> None:
        """See `SpanSource`."""
        for foreign in list(self._known.values()):
            if foreign.parent.trace is trace:
                self._settled(foreign)

    @guarded
    def starts(self, theirs: Any, *, timed: bool) -> None:
        scope = theirs.instrumentation_scope
        if scope is not None and _WATCHED.match(scope.name):
            return
        parent = self._parent(theirs)
        if parent is None or parent.trace is None:
            return
        start = theirs.start_time - parent.trace.time_origin if timed else self.tracer.clock()
        self._known[_ids(theirs)] = _Foreign(theirs, parent, start, self.tracer.next_id())

    @guarded
    def ends(self, theirs: Any) -> None:
        foreign = self._known.pop(_ids(theirs), None)
        if foreign is None:
            return
        span, kind = self._settled(foreign), _kind(theirs)
        is_own = foreign.is_own
        if kind in ("chat", "embeddings"):
            call = self._call(foreign, kind)
            if call is not None and is_own:  # it said too late what it is
                self.tracer.end_span(span)
            if call is not None or not is_own:
                span, is_own = call or self._made(foreign, kind), call is None
        if is_own:
            span.name, span.kind = _title(theirs, kind), kind
        keeps_content = span.trace is not None and span.trace.keeps_content
        attributes = _attributes(theirs.attributes or {}, keeps_content=keeps_content)
        if not is_own:
            missing = {key: value for key, value in attributes.items() if key not in span.attributes}
            self.tracer.set_attributes(span, missing)
            return
        trace_id, span_id = _ids(theirs)
        attributes[semconv.OTEL_SPAN] = f"{trace_id:032x}-{span_id:016x}"
        self.tracer.set_attributes(span, attributes)
        failed = theirs.status.status_code.name == "ERROR"
        raised = next((event for event in theirs.events if event.name == "exception"), None)
        error = str((raised.attributes or {}).get("exception.type", "error")) if raised is not None else "error"
        error = error.removeprefix("builtins.").removeprefix("asyncio.exceptions.")
        self.tracer.end_span(span, error=error if failed else None, message=theirs.status.description or "")

    @guarded
    def attaches(self, context: Any, token: Any) -> None:
        if not self._known:
            return
        theirs = sys.modules["opentelemetry.trace"].get_current_span(context).get_span_context()
        foreign = self._known.get((theirs.trace_id, theirs.span_id))
        if foreign is not None:
            span = self._settled(foreign)
            if foreign.is_own:
                self._attached[id(token)] = (token, span, self.tracer.make_current(span))

    @guarded
    def detaches(self, token: Any) -> None:
        _, span, before = self._attached.pop(id(token), (None, None, None))
        if span is not None and (now := self.tracer.make_current(before)) is not span:
            self.tracer.make_current(now)

    def _parent(self, theirs: Any) -> Span | None:
        """Return what a span of theirs belongs to: their parent's, or whatever is current below that."""
        current = self.tracer.current()
        foreign = self._known.get((theirs.parent.trace_id, theirs.parent.span_id)) if theirs.parent else None
        if foreign is None:
            return current
        span = self._settled(foreign)
        return current if current is not None and any(above is span for above in _ancestry(current)) else span

    def _settled(self, foreign: _Foreign) -> Span:
        """Return what stands for a span of theirs, by what is known of it now."""
        if foreign.span is None:
            kind = _kind(foreign.theirs)
            if kind in ("chat", "embeddings"):
                foreign.span = foreign.parent
            else:
                foreign.span = _same(foreign.parent, kind, foreign.theirs)
                if foreign.span is None:
                    foreign.span, foreign.is_own = self._made(foreign, kind), True
        return foreign.span

    def _made(self, foreign: _Foreign, kind: Kind) -> Span:
        title = _title(foreign.theirs, kind)
        return self.tracer.start_span(title, kind=kind, parent=foreign.parent, start=foreign.start)

    def _call(self, foreign: _Foreign, kind: Kind) -> Span | None:
        """Return the model call that we have seen being sent during theirs.

        It stands below theirs, or beside it where the library sends from another task: its answer tells then.
        """
        trace, stands_for = foreign.parent.trace, foreign.span
        assert trace is not None
        assert stands_for is not None
        said = foreign.theirs.attributes or {}
        asked, answered = said.get(semconv.REQUEST_MODEL), said.get(semconv.RESPONSE_ID)
        near = _above(stands_for, "thread")  # where a request is prepared in a thread, it is not sent from there
        around = _above(foreign.parent, "task", "thread")
        found: list[tuple[bool, Span]] = []
        for span in reversed(list(trace._spans.values())):
            if span.span_id < foreign.first_id:
                break
            if (
                span.kind == kind
                and span is not foreign.span
                and span.span_id not in self._claimed
                and (asked is None or span.attributes.get(semconv.REQUEST_MODEL) in (None, asked))
                and any(above is around for above in _ancestry(span))
            ):
                found.append((any(above is near for above in _ancestry(span)), span))
        if found and answered is not None:
            trace.collect()
        best: Span | None = None
        for is_below, span in found:
            response = span.attributes.get(semconv.RESPONSE_ID)
            if answered is not None and response == answered:
                best = span
                break
            if is_below and None in (answered, response):
                best = span
        if best is not None:
            self._claimed.add(best.span_id)
        return best


def _ancestry(span: Span) -> Iterator[Span]:
    at: Span | None = span
    while at is not None:
        yield at
        at = at.trace.get(at.parent_id) if at.trace is not None else None


def _above(span: Span, *but: Kind) -> Span:
    """Return the nearest span at or above this one that is of no such kind."""
    return next((each for each in _ancestry(span) if each.kind not in but), span)


def _ids(theirs: Any) -> tuple[int, int]:
    context = theirs.get_span_context()
    return context.trace_id, context.span_id


def _kind(theirs: Any) -> Kind:
    attributes = theirs.attributes or {}
    for key in _OPERATIONS:
        if key in attributes:
            return _KINDS.get(str(attributes[key]).lower(), "span")
    operation, _, of = theirs.name.partition(" ")
    if of and operation in _KINDS:  # `chat gpt-5`: some set their attributes only at the end
        return _KINDS[operation]
    is_http = "http.request.method" in attributes or "http.method" in attributes
    return "http" if is_http and theirs.kind.name == "CLIENT" else "span"


def _name(theirs: Any, *keys: str) -> str:
    attributes = theirs.attributes or {}
    known = next((attributes[key] for key in keys if key in attributes), theirs.name)
    return str(known).removeprefix("invoke_agent ").removeprefix("execute_tool ")


def _title(theirs: Any, kind: Kind) -> str:
    match kind:
        case "invoke_agent":
            return f"invoke_agent {_name(theirs, semconv.AGENT_NAME, 'agent.name')}"
        case "execute_tool":
            return f"execute_tool {_name(theirs, semconv.TOOL_NAME, 'tool.name')}"
    return str(theirs.name)


def _same(parent: Span, kind: Kind, theirs: Any) -> Span | None:
    """Return our own span of the same agent, tool or request, if theirs is made inside it."""
    if str((theirs.attributes or {}).get(semconv.OPERATION)) == "create_agent":
        return parent  # which is no work worth a line
    span = _above(parent, "task", "thread")
    if span.kind == kind and (kind == "http" or (kind != "span" and span.name == _title(theirs, kind))):
        return span
    return None


def _attributes(theirs: Mapping[str, Any], *, keeps_content: bool) -> Attributes:
    """Return their attributes by the newest names, without keys and, unless it is kept, content."""
    ours: Attributes = {}
    for key, value in theirs.items():
        known: Attribute = value
        if isinstance(value, str):
            known = redact(value)
        elif isinstance(value, Sequence):
            known = [redact(item) if isinstance(item, str) else item for item in value]
        is_text = isinstance(value, str) or (isinstance(value, Sequence) and any(isinstance(v, str) for v in value))
        if keeps_content or not is_text or not _CONTENT.search(key.lower()):
            ours[_NEWEST.get(key, key)] = known
    return ours
