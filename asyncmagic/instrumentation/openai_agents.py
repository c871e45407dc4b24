"""OpenAI Agents SDK: its agents, tools, handoffs and guardrails, from the spans that it makes for itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from types import ModuleType
from typing import Any

from asyncmagic.instrumentation._patch import guarded, patched, when_imported
from asyncmagic.instrumentation._scopes import Scopes
from asyncmagic.tracing.semconv import TOOL_CALL_ID, TOOL_NAME
from asyncmagic.tracing.tracer import Tracer

LIBRARY = "agents"
#: The SDK's spans that add nothing: a turn is what stands in it, and a model call is seen where it is sent.
_TRANSPARENT = frozenset(("task", "turn", "response", "generation"))


@contextmanager
def instrument(tracer: Tracer) -> Iterator[None]:
    """Watch the OpenAI Agents SDK, as soon as it is imported."""
    spans = _Spans(tracer, "OpenAI Agents")
    with (
        when_imported("agents.tracing.spans", partial(_watch, spans)),
        when_imported("agents.tool_context", partial(_watch_calls, spans)),
    ):
        try:
            yield
        finally:
            spans.is_on = False


def calls_home() -> list[str]:
    """Return where the SDK sends what the user's agents do, and how that is switched off."""
    if LIBRARY not in sys.modules or os.environ.get("OPENAI_AGENTS_DISABLE_TRACING", "").lower() in ("1", "true"):
        return []
    provider = getattr(sys.modules[LIBRARY], "get_trace_provider", object)()
    if getattr(provider, "_manual_disabled", False):
        return []  # by `agents.set_tracing_disabled(True)`
    return ["openai-agents sends its traces to api.openai.com: OPENAI_AGENTS_DISABLE_TRACING=1 switches that off"]


@contextmanager
def _watch(spans: _Spans, module: ModuleType) -> Iterator[None]:
    # Not a trace processor: it is told nothing where tracing is disabled, and cannot be taken away again.
    with ExitStack() as stack:
        for kind in (module.SpanImpl, module.NoOpSpan):
            stack.enter_context(patched(kind, "start", _before(spans.starts, kind.start)))
            stack.enter_context(patched(kind, "finish", _before(spans.finishes, kind.finish)))
            stack.enter_context(patched(kind, "set_error", _before(spans.fails, kind.set_error)))
        yield


@contextmanager
def _watch_calls(spans: _Spans, module: ModuleType) -> Iterator[None]:
    # A tool's span does not say which call of the model it answers: the context does that is then made for it.
    context = module.ToolContext
    original = context.__init__

    @wraps(original)
    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        spans.serves(self.tool_name, self.tool_call_id)

    with patched(context, "__init__", make):
        yield


def _before(tell: Callable[..., None], original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        tell(self, *args)
        return original(self, *args, **kwargs)

    return call


class _Spans(Scopes):
    """Opens and closes ours with theirs, which they do in the task that does the work."""

    def __init__(self, tracer: Tracer, library: str) -> None:
        super().__init__(tracer, library)
        #: What was being handled when a span began: it is no failure of that span.
        self._handled: dict[Any, BaseException | None] = {}
        self._errors: dict[Any, tuple[BaseException | str, str]] = {}

    @guarded
    def starts(self, theirs: Any, *_: Any) -> None:
        data = theirs.span_data
        if theirs in self._handled or data.type in _TRANSPARENT or self.tracer.current() is None:
            return
        match data.type:
            case "agent":
                span = self.open_agent(theirs, data.name)
                if span is not None:
                    self.arrive(span, (span.parent_id, data.name))
            case "function":
                self.open_tool(theirs, data.name)
            case "handoff":
                pass  # where it goes is known at its end
            case _:
                name = getattr(data, "name", None) or getattr(data, "server", None) or ""
                self.open(theirs, name if data.type == "custom" else f"{data.type} {name}".rstrip())
        self._handled[theirs] = sys.exception()

    @guarded
    def serves(self, tool: str, call_id: str) -> None:
        span = self.tracer.current()
        if span is not None and span.attributes.get(TOOL_NAME) == tool and TOOL_CALL_ID not in span.attributes:
            self.tracer.set_attributes(span, {TOOL_CALL_ID: call_id})

    @guarded
    def fails(self, theirs: Any, error: Any) -> None:
        if theirs not in self._handled:
            return
        raised = sys.exception()
        if raised is None or raised is self._handled[theirs]:
            raised = None
        details = (error or {}).get("data") or {}
        message = str(raised or details.get("error") or (error or {}).get("message", ""))
        self._errors[theirs] = (raised or "ToolError", message)

    @guarded
    def finishes(self, theirs: Any, *_: Any) -> None:
        if theirs not in self._handled:
            return
        raised, handled = sys.exception(), self._handled.pop(theirs)
        error, message = self._errors.pop(theirs, (None, None))
        if raised is not None and raised is not handled and not isinstance(raised, GeneratorExit):
            error, message = raised, None
        data = theirs.span_data
        if data.type == "handoff":
            source = self.tracer.current()
            if data.to_agent and source is not None:
                self.hand_off(None, data.from_agent, data.to_agent, (source.parent_id, data.to_agent))
            return
        if data.type == "function":
            self.keep_content(self.get(theirs), "gen_ai.tool.call.arguments", data.input)
        self.close(theirs, error=error, message=message, result=getattr(data, "output", None))
