"""Scopes: what the frameworks' instrumentors share: spans that a library opens and closes under ids of its own."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any

from asyncmagic.instrumentation._patch import Watcher, guarded
from asyncmagic.tracing.model import Attribute, Kind, Span
from asyncmagic.tracing.semconv import AGENT_NAME, OPERATION, TOOL_ARGUMENTS, TOOL_CALL_ID, TOOL_NAME, TOOL_RESULT
from asyncmagic.tracing.tracer import Tracer


class Scopes(Watcher):
    """Spans by the library's own ids. Unless told otherwise, each is current from `open` until `close`."""

    def __init__(self, tracer: Tracer, library: str) -> None:
        super().__init__()
        self.tracer = tracer
        self._library = library
        #: By id: the span, and what was current before it (the span itself where it was not made current).
        self._open: dict[Hashable, tuple[Span, Span | None]] = {}
        self._handoffs: dict[Hashable, Span] = {}

    def __repr__(self) -> str:
        return f"the {self._library} instrumentor"

    def get(self, key: Hashable) -> Span | None:
        """Return the span opened under `key`, while it is open."""
        scope = self._open.get(key)
        return scope[0] if scope is not None else None

    @guarded
    def open(
        self,
        key: Hashable,
        name: str,
        kind: Kind = "span",
        *,
        parent: Span | None = None,
        attributes: Mapping[str, Attribute] | None = None,
        is_current: bool = True,
    ) -> Span | None:
        """Start a span below `parent` (the current span, if left out); nothing where nothing is traced."""
        parent = parent if parent is not None else self.tracer.current()
        if parent is None:
            return None
        span = self.tracer.start_span(name, kind=kind, parent=parent, attributes=attributes)
        self._open[key] = (span, self.tracer.make_current(span) if is_current else span)
        return span

    def open_agent(
        self, key: Hashable, name: str, *, parent: Span | None = None, is_current: bool = True
    ) -> Span | None:
        """Start the span of an agent at work."""
        attributes = {OPERATION: "invoke_agent", AGENT_NAME: name}
        title = f"invoke_agent {name}"
        return self.open(key, title, "invoke_agent", parent=parent, attributes=attributes, is_current=is_current)

    def open_tool(
        self,
        key: Hashable,
        name: str,
        *,
        call_id: str | None = None,
        arguments: Any = None,
        parent: Span | None = None,
        is_current: bool = True,
    ) -> Span | None:
        """Start the span of a tool call; `arguments` are kept where the trace keeps content."""
        attributes: dict[str, Attribute] = {OPERATION: "execute_tool", TOOL_NAME: name}
        if call_id:
            attributes[TOOL_CALL_ID] = call_id
        title = f"execute_tool {name}"
        span = self.open(key, title, "execute_tool", parent=parent, attributes=attributes, is_current=is_current)
        self.keep_content(span, TOOL_ARGUMENTS, arguments)
        return span

    @guarded
    def close(
        self,
        key: Hashable,
        *,
        error: BaseException | str | None = None,
        message: str | None = None,
        result: Any = None,
    ) -> None:
        """End the span opened under `key`; what was current before it is so again. `result` is that of a tool."""
        span, before = self._open.pop(key, (None, None))
        if span is None:
            return
        self.keep_content(span, TOOL_RESULT, result)
        self.tracer.end_span(span, error=error, message=message)
        # In another context (a stream that the collector closes) there is nothing to put back.
        if before is not span and (now := self.tracer.make_current(before)) is not span:
            self.tracer.make_current(now)

    @guarded
    def keep_content(self, span: Span | None, name: str, value: Any) -> None:
        """Keep what a tool was given or gave, as text, where the trace keeps content."""
        if span is None or value is None or span.trace is None or not span.trace.keeps_content:
            return
        text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
        self.tracer.set_attributes(span, {name: text})

    @guarded
    def hand_off(self, source: Span | None, source_name: str, target_name: str, key: Hashable) -> None:
        """Note that one agent leaves the work to another: linked to both, as soon as the other arrives at `key`."""
        parent = source if source is not None else self.tracer.current()
        if parent is None:
            return
        span = self.tracer.start_span(f"handoff {source_name} → {target_name}", kind="handoff", parent=parent)
        agent: Span | None = parent
        while agent is not None and agent.kind != "invoke_agent":
            agent = agent.shown_parent()
        if agent is not None:
            self.tracer.add_link(span, agent, "from")
        self.tracer.end_span(span)
        self._handoffs[key] = span

    @guarded
    def arrive(self, span: Span | None, key: Hashable) -> None:
        """Link the handoff that waits at `key`, if any, to the agent that takes over."""
        handoff = self._handoffs.pop(key, None)
        if handoff is not None and span is not None:
            self.tracer.add_link(handoff, span, "to")
