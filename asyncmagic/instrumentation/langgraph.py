"""LangGraph, and what else is built of LangChain's runnables: graphs, their nodes, tools and handoffs, by callbacks."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial, wraps
from importlib import import_module
from types import ModuleType
from typing import Any
from uuid import UUID

from asyncmagic.instrumentation._patch import guarded, patched, when_imported
from asyncmagic.instrumentation._scopes import Scopes
from asyncmagic.tracing.model import Span
from asyncmagic.tracing.semconv import AGENT_NAME, OPERATION
from asyncmagic.tracing.tracer import Tracer

LIBRARY = "langchain_core"
#: The nodes of the prebuilt agents: what happens in them stands in the agent itself.
_PREBUILT = frozenset(("agent", "model", "call_model", "tools"))


@contextmanager
def instrument(tracer: Tracer) -> Iterator[None]:
    """Watch LangGraph and LangChain, as soon as they are imported."""
    runs = _Runs(tracer, "LangGraph")
    with (
        when_imported("langchain_core.tracers.context", partial(_watch, runs)),
        when_imported("langchain_core.runnables.config", partial(_watch_contexts, runs)),
        when_imported("langgraph._internal._runnable", partial(_watch_contexts, runs)),
    ):
        try:
            yield
        finally:
            runs.is_on = False


def calls_home() -> list[str]:
    """Return where the library sends what the user's graphs do, and how that is switched off."""
    switches = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING", "LANGCHAIN_TRACING_V2")
    switch = next((name for name in switches if os.environ.get(name, "").lower() == "true"), None)
    if LIBRARY not in sys.modules or switch is None:
        return []
    return [f"langchain sends its traces to LangSmith: {switch}=false switches that off"]


@contextmanager
def _watch(runs: _Runs, module: ModuleType) -> Iterator[None]:
    base = import_module("langchain_core.callbacks.base").BaseCallbackHandler
    handler = type("AsyncmagicHandler", (_Callbacks, base), {})(runs)
    variable: ContextVar[Any] = ContextVar("asyncmagic_langchain", default=handler)
    module.register_configure_hook(variable, inheritable=True)
    try:
        yield
    finally:
        # There is no public way back.
        hooks: list[Any] = getattr(module, "_configure_hooks", [])
        hooks[:] = [hook for hook in hooks if hook[0] is not variable]


@contextmanager
def _watch_contexts(runs: _Runs, module: ModuleType) -> Iterator[None]:
    # Callbacks cannot make a span current: their end is told in another context. This is called in the very context
    # that a node or a tool is about to run in.
    original = module._set_config_context

    @wraps(original)
    def set_config_context(config: Any, *args: Any, **kwargs: Any) -> Any:
        runs.enters(config)
        return original(config, *args, **kwargs)

    with patched(module, "_set_config_context", set_config_context):
        yield


@dataclass(slots=True)
class _Run:
    """One of LangChain's runs: a graph, a node, or a chain of no interest."""

    run_id: UUID
    name: str
    above: _Run | None
    parent: Span
    #: What stands for it: a node's own span, or that of the graph it is hidden in; a graph's from its first node on.
    span: Span | None = None
    is_node: bool = False
    is_span_its_own: bool = False

    @property
    def outermost(self) -> _Run:
        return self if self.above is None else self.above.outermost

    def agent(self) -> _Run | None:
        """Return the innermost graph around it."""
        if self.span is not None and not self.is_node:
            return self
        return self.above.agent() if self.above is not None else None


class _Runs(Scopes):
    """Makes spans of the runs that users have names for."""

    def __init__(self, tracer: Tracer, library: str) -> None:
        super().__init__(tracer, library)
        self._runs: dict[UUID, _Run] = {}

    @guarded
    def chain_starts(self, run_id: UUID, parent_id: UUID | None, name: str, tags: Sequence[str]) -> None:
        current = self.tracer.current()
        if current is None:
            return
        above = self._runs.get(parent_id) if parent_id is not None else None
        run = self._runs[run_id] = _Run(run_id, name, above, current)
        if above is None or not any(tag.startswith("graph:step:") for tag in tags):
            return
        run.is_node = True
        run.span = graph = self._graph_span(above)
        if name not in _PREBUILT:
            run.span = self.open(run_id, name, parent=graph, is_current=False)
            run.is_span_its_own = True
            self.arrive(run.span, (id(run.outermost), name))

    @guarded
    def enters(self, config: Any) -> None:
        run_id: Any = getattr(config.get("callbacks"), "parent_run_id", None)
        run = self._runs.get(run_id)
        span = run.span if run is not None and run.is_node else self.get(run_id)
        if span is not None:
            self.tracer.make_current(span)

    @guarded
    def chain_ends(self, run_id: UUID, error: BaseException | None = None) -> None:
        run = self._runs.pop(run_id, None)
        if run is None or run.span is None:
            return
        if error is not None and any(kind.__name__ == "GraphBubbleUp" for kind in type(error).__mro__):
            error = None  # a command or an interrupt on its way up: a control flow, not a failure
        if run.is_span_its_own:
            self.close(run_id, error=error)

    def hand_over(self, parent_id: UUID | None, output: Any) -> None:
        """Note the handoffs in the command that a tool has given."""
        run = self._runs.get(parent_id) if parent_id is not None else None
        agent = run.agent() if run is not None else None
        if run is None or agent is None:
            return
        goto = getattr(output, "goto", None) or ()
        for target in (goto,) if isinstance(goto, str) or not isinstance(goto, Sequence) else goto:
            name = getattr(target, "node", target)
            self.hand_off(agent.span, agent.name, name, (id(run.outermost), name))

    def _graph_span(self, graph: _Run) -> Span | None:
        """Return the span of a graph, of which a node is the first sign: other runs look the same."""
        if graph.span is None:
            node = graph.above
            if node is not None and node.is_node and node.is_span_its_own and node.name == graph.name and node.span:
                # A node that is a graph is one agent, not two.
                graph.span = node.span
                graph.span.kind, graph.span.name = "invoke_agent", f"invoke_agent {graph.name}"
                self.tracer.set_attributes(graph.span, {OPERATION: "invoke_agent", AGENT_NAME: graph.name})
            else:
                graph.is_span_its_own = True
                graph.span = self.open_agent(graph.run_id, graph.name, parent=graph.parent, is_current=False)
        return graph.span


class _Callbacks:
    """What LangChain calls, in the task or thread that does the work."""

    run_inline = True
    ignore_llm = ignore_chat_model = ignore_retriever = True

    def __init__(self, runs: _Runs) -> None:
        self._runs = runs

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **known: Any
    ) -> None:
        name = known.get("name") or (serialized or {}).get("name") or "chain"
        self._runs.chain_starts(run_id, parent_run_id, name, known.get("tags") or ())

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **known: Any) -> None:
        self._runs.chain_ends(run_id)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **known: Any) -> None:
        self._runs.chain_ends(run_id, error)

    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, **known: Any) -> None:
        name = known.get("name") or (serialized or {}).get("name") or "tool"
        arguments = known.get("inputs") or input_str
        self._runs.open_tool(run_id, name, call_id=known.get("tool_call_id"), arguments=arguments, is_current=False)

    def on_tool_end(self, output: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **known: Any) -> None:
        self._runs.close(run_id, result=getattr(output, "content", output))
        self._runs.hand_over(parent_run_id, output)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **known: Any) -> None:
        self._runs.close(run_id, error=error)
