"""CrewAI: its crews, agents, tools and flows, from the events on its bus; and threads enough for all crews at once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from types import ModuleType
from typing import Any

from asyncmagic.instrumentation._patch import guarded, patched, when_imported
from asyncmagic.instrumentation._scopes import Scopes
from asyncmagic.tracing.model import Span
from asyncmagic.tracing.tracer import Tracer

LIBRARY = "crewai"
#: Every model call of a crew holds a thread while it waits, and a loop's own pool has four and one for each core.
THREADS = 64


@contextmanager
def instrument(tracer: Tracer) -> Iterator[None]:
    """Watch CrewAI, as soon as it is imported, and let its crews run at once."""
    events = _Events(tracer, "CrewAI")
    with (
        when_imported("crewai.events.event_bus", partial(_watch, events)),
        when_imported("crewai.crew", partial(_watch_ends, events, "Crew")),
        when_imported("crewai.agent.core", partial(_watch_ends, events, "Agent")),
        when_imported("crewai", _threads_for_all),
    ):
        try:
            yield
        finally:
            events.is_on = False


def calls_home() -> list[str]:
    """Return where the library sends what the user's crews do, and how that is switched off."""
    if LIBRARY not in sys.modules:
        return []
    found = []
    if not _is_set("CREWAI_DISABLE_TELEMETRY", "CREWAI_DISABLE_TRACKING", "OTEL_SDK_DISABLED"):
        found.append(
            "crewai reports to telemetry.crewai.com and takes over the handlers of SIGINT and SIGTERM: "
            "CREWAI_DISABLE_TELEMETRY=true, set before the import, switches both off"
        )
    if _is_set("CREWAI_TRACING_ENABLED"):
        found.append("crewai sends its traces to app.crewai.com: CREWAI_TRACING_ENABLED=false switches that off")
    if not _is_set("CREWAI_DISABLE_VERSION_CHECK"):
        found.append("crewai asks PyPI for its newest version: CREWAI_DISABLE_VERSION_CHECK=true switches that off")
    return found


def _is_set(*names: str) -> bool:
    return any(os.environ.get(name, "").lower() in ("true", "1") for name in names)


@contextmanager
def _watch(events: _Events, module: ModuleType) -> Iterator[None]:
    # Not a listener on the bus: those are called in threads of their own, in any order and too late to be current.
    emit = module.CrewAIEventsBus.emit

    @wraps(emit)
    def tell(self: Any, source: Any, event: Any) -> Any:
        # The event does not say which call of the model it answers: the method that sends it knows.
        call_id = sys._getframe(1).f_locals.get("call_id") if event.type == "tool_usage_started" else None
        events.happens(source, event, call_id)
        return emit(self, source, event)

    with patched(module.CrewAIEventsBus, "emit", tell):
        yield


@contextmanager
def _watch_ends(events: _Events, name: str, module: ModuleType) -> Iterator[None]:
    # Cancelling is told by no event.
    kind = getattr(module, name)
    with ExitStack() as stack:
        for method in ("akickoff", "kickoff_async"):
            stack.enter_context(patched(kind, method, _told_when_cancelled(events, getattr(kind, method))))
        yield


def _told_when_cancelled(events: _Events, original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(original)
    async def kickoff(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await original(self, *args, **kwargs)
        except asyncio.CancelledError as error:
            events.is_cancelled(self, error)
            raise

    return kickoff


@contextmanager
def _threads_for_all(_: ModuleType) -> Iterator[None]:
    loop: Any = asyncio._get_running_loop()
    if not hasattr(loop, "_default_executor"):
        yield  # no loop, or one that does not tell what to give back
        return
    before = loop._default_executor
    if getattr(before, "_max_workers", 0) >= THREADS:
        yield
        return
    wide = ThreadPoolExecutor(THREADS, thread_name_prefix="asyncio")
    loop.set_default_executor(wide)
    try:
        yield
    finally:
        if loop._default_executor is wide:
            loop._default_executor = before
        # What a cancelled agent has left behind there goes on; there is no way to stop a thread.
        wide.shutdown(wait=False)


class _Events(Scopes):
    """Opens and closes spans with the events that begin and end something.

    By what they are about: the ids by which the events name their beginnings are wrong after a failed call.
    """

    @guarded
    def happens(self, source: Any, event: Any, call_id: str | None = None) -> None:
        subject, _, phase = event.type.rpartition("_")
        what = _SUBJECTS.get(subject)
        if what is None or (subject in ("flow", "method_execution") and type(source).__module__.startswith("crewai.")):
            return  # CrewAI's own agents are flows too
        key = (subject, what(source, event))
        if phase == "started":
            self._start(key, subject, source, event, call_id)
        elif phase in ("failed", "error"):
            self.close(key, error=_error(event.error), message=str(event.error))
        elif phase in ("completed", "finished"):
            failure = getattr(event, "failure", None)
            if failure is not None:
                self.close(key, error="ToolFailure", message=str(getattr(failure, "message", failure)))
            else:
                self.close(key, result=getattr(event, "output", None) if subject == "tool_usage" else None)

    @guarded
    def is_cancelled(self, source: Any, error: asyncio.CancelledError) -> None:
        """End a crew or an agent with those in it; the calls and tools that are in a thread go on."""
        outermost = self.get(("crew_kickoff", id(source))) or self.get(("lite_agent_execution", str(source.id)))
        if outermost is None or outermost.trace is None:
            return
        for key, (span, _) in reversed(list(self._open.items())):
            above: Span | None = span
            while above is not None and above is not outermost and above.kind != "execute_tool":
                above = outermost.trace.get(above.parent_id)
            if above is outermost:
                self.close(key, error=error)

    def _start(self, key: Hashable, subject: str, source: Any, event: Any, call_id: str | None) -> None:
        match subject:
            case "crew_kickoff":
                self.open_agent(key, event.crew_name or "crew")
            case "agent_execution":
                self.open_agent(key, event.agent.role.strip())
            case "lite_agent_execution":
                self.open_agent(key, event.agent_info["role"].strip())
            case "tool_usage":
                self.open_tool(key, event.tool_name, call_id=call_id, arguments=event.tool_args)
            case "flow":
                self.open(key, event.flow_name)
            case "method_execution":
                self.open(key, event.method_name)


#: The first words of an event's type, and what it is about.
_SUBJECTS: dict[str, Callable[[Any, Any], Hashable]] = {
    "crew_kickoff": lambda source, event: id(source),
    "agent_execution": lambda source, event: (event.agent.id, getattr(event.task, "id", None)),
    "lite_agent_execution": lambda source, event: event.agent_info["id"],
    "tool_usage": lambda source, event: (event.tool_name, event.agent_key, event.task_id, str(event.tool_args)),
    "flow": lambda source, event: id(source),
    "method_execution": lambda source, event: (id(source), event.method_name),
}


def _error(error: Any) -> BaseException | str:
    """Return what failed: the exception, where the event has it or it is being handled, else a word for it."""
    if isinstance(error, BaseException):
        return error
    raised = sys.exception()
    return raised if raised is not None and str(raised) in str(error) else "CrewAIError"
