"""AutoGen: its teams, agents, tools and handoffs, at the methods by which they are run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from types import ModuleType
from typing import Any

from asyncmagic.instrumentation._patch import guarded, patched, when_imported
from asyncmagic.instrumentation._scopes import Scopes
from asyncmagic.tracing.model import Span
from asyncmagic.tracing.tracer import Tracer

LIBRARY = "autogen_core"


@contextmanager
def instrument(tracer: Tracer) -> Iterator[None]:
    """Watch AutoGen's agents, teams and tools, as soon as they are imported."""
    spans = _Spans(tracer, "AutoGen")
    modules = {
        "autogen_agentchat.agents._base_chat_agent": _watch_agents,
        "autogen_agentchat.teams._group_chat._base_group_chat": _watch_teams,
        "autogen_agentchat.teams._group_chat._chat_agent_container": _watch_members,
        "autogen_core.tools._base": _watch_tools,
        "autogen_ext.tools.mcp._workbench": _watch_workbenches,
    }
    with ExitStack() as stack:
        for name, watch in modules.items():
            stack.enter_context(when_imported(name, partial(watch, spans)))
        try:
            yield
        finally:
            spans.is_on = False


@contextmanager
def _watch_agents(spans: _Spans, module: ModuleType) -> Iterator[None]:
    agent = module.BaseChatAgent
    with (
        patched(agent, "run", spans.call(spans.agent, agent.run)),
        patched(agent, "run_stream", spans.stream(spans.agent, agent.run_stream)),
    ):
        yield


@contextmanager
def _watch_teams(spans: _Spans, module: ModuleType) -> Iterator[None]:
    team = module.BaseGroupChat
    with patched(team, "run_stream", spans.stream(spans.team, team.run_stream)):
        yield


@contextmanager
def _watch_members(spans: _Spans, module: ModuleType) -> Iterator[None]:
    invoke, container = module.trace_invoke_agent_span, module.ChatAgentContainer

    @contextmanager
    def invoke_agent(agent_name: str, *args: Any, agent_id: Any = None, **kwargs: Any) -> Iterator[Any]:
        key = object()
        spans.member(key, agent_name, agent_id)
        try:
            with invoke(agent_name, *args, agent_id=agent_id, **kwargs) as theirs:
                yield theirs
        except BaseException as error:
            spans.close(key, error=error)
            raise
        spans.close(key)

    log = container._log_message

    @wraps(log)
    async def log_message(self: Any, message: Any) -> None:
        spans.says(message, self)
        await log(self, message)

    with patched(module, "trace_invoke_agent_span", invoke_agent), patched(container, "_log_message", log_message):
        yield


@contextmanager
def _watch_tools(spans: _Spans, module: ModuleType) -> Iterator[None]:
    tool, stream_tool = module.BaseTool, module.BaseStreamTool
    with (
        patched(tool, "run_json", spans.call(spans.tool, tool.run_json)),
        patched(stream_tool, "run_json_stream", spans.stream(spans.tool, stream_tool.run_json_stream)),
    ):
        yield


@contextmanager
def _watch_workbenches(spans: _Spans, module: ModuleType) -> Iterator[None]:
    workbench = module.McpWorkbench
    with patched(workbench, "call_tool", spans.call(spans.remote_tool, workbench.call_tool)):
        yield


class _Spans(Scopes):
    """Puts spans around the methods; a stream's span is current only while the stream is at work, not its reader."""

    def __init__(self, tracer: Tracer, library: str) -> None:
        super().__init__(tracer, library)
        #: A team's members run on a runtime that may have been started elsewhere: they find their team by its id.
        self._teams: dict[str, Span] = {}

    def call(self, opens: Callable[..., Any], original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @wraps(original)
        async def run(owner: Any, *args: Any, **kwargs: Any) -> Any:
            key = object()
            opens(key, owner, *args, **kwargs)
            try:
                result = await original(owner, *args, **kwargs)
            except BaseException as error:
                self.close(key, error=error)
                raise
            self.close(key, result=result)
            return result

        return run

    def stream(
        self, opens: Callable[..., Any], original: Callable[..., AsyncIterator[Any]]
    ) -> Callable[..., AsyncIterator[Any]]:
        @wraps(original)
        async def run(owner: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            key = object()
            opens(key, owner, *args, is_current=False, **kwargs)
            span = self.get(key)
            theirs: Any = original(owner, *args, **kwargs)
            if span is None:
                async for item in theirs:
                    yield item
                return
            try:
                while True:
                    try:
                        with self.tracer.use(span):
                            item = await theirs.__anext__()
                    except StopAsyncIteration:
                        break
                    yield item
            except GeneratorExit:
                with self.tracer.use(span):
                    await theirs.aclose()
                self.close(key)
                raise
            except BaseException as error:
                self.close(key, error=error)
                raise
            self.close(key)

        return run

    @guarded
    def agent(self, key: object, agent: Any, /, *_: Any, is_current: bool = True, **__: Any) -> None:
        self.open_agent(key, agent.name, is_current=is_current)

    @guarded
    def team(self, key: object, team: Any, /, *_: Any, is_current: bool = True, **__: Any) -> None:
        span = self.open_agent(key, team.name, is_current=is_current)
        team_id = getattr(team, "_team_id", None)
        if span is not None and team_id is not None:
            self._teams[team_id] = span

    @guarded
    def member(self, key: object, name: str, agent_id: str | None) -> None:
        team_id = str(agent_id).rpartition("/")[2]
        span = self.open_agent(key, name, parent=self._teams.get(team_id))
        self.arrive(span, (team_id, name))

    @guarded
    def says(self, message: Any, container: Any) -> None:
        if type(message).__name__ == "HandoffMessage":
            self.hand_off(None, message.source, message.target, (container.id.key, message.target))

    @guarded
    def tool(
        self,
        key: object,
        tool: Any,
        args: Any,
        cancellation_token: Any = None,
        call_id: str | None = None,
        is_current: bool = True,
    ) -> None:
        self.open_tool(key, tool.name, call_id=call_id, arguments=args, is_current=is_current)

    @guarded
    def remote_tool(
        self,
        key: object,
        workbench: Any,
        name: str,
        arguments: Any = None,
        cancellation_token: Any = None,
        call_id: str | None = None,
    ) -> None:
        self.open_tool(key, name, call_id=call_id, arguments=arguments)
