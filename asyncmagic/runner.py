"""Run: start agents together on the loop that is running, wait for all of them, and lose nothing that they brought."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Literal, TypeVar

from asyncmagic.holding import substitute
from asyncmagic.slots import Slots
from asyncmagic.tracing import Span, Trace, Tracer
from asyncmagic.tracing.leftovers import leftovers
from asyncmagic.tracing.semconv import CODE_FUNCTION, CODE_LINE, LIMIT

#: How long, in seconds, cancelled agents may take for their `finally` blocks before the cell goes on without them.
GRACE = 5.0

#: Characters of an error's message in a list of failures.
_MOST_SAID = 200

#: Why a run ended early: `interrupted` by Stop, `cancelled` from the page, or the owner was cancelled from `outside`.
Reason = Literal["interrupted", "cancelled", "outside", "timeout", "failed"]

#: Who cancels the agents then; the trace shows it.
_WHO: dict[Reason, str] = {
    "interrupted": "Stop",
    "cancelled": "the page",
    "outside": "whoever cancelled the cell",
    "timeout": "the timeout of the run",
    "failed": "the failure of another agent",
}


@dataclass(frozen=True, slots=True)
class Options:
    """How a run behaves: at most `limit` agents in flight, timeouts in seconds, and what a failure does."""

    limit: int | None = None
    timeout: float | None = None
    agent_timeout: float | None = None
    fail_fast: bool = False
    return_exceptions: bool = False

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit must be 1 or more, not {self.limit}")
        for name, seconds in (("timeout", self.timeout), ("agent_timeout", self.agent_timeout)):
            if seconds is not None and not seconds > 0:
                raise ValueError(f"{name} is in seconds and must be above 0, not {seconds:g}")


@dataclass(slots=True, eq=False, repr=False)
class Agent:
    """One coroutine of the run: its name, the line of the cell that made it, its task and its span."""

    name: str
    line: int | None
    span: Span
    task: asyncio.Task[Any] = field(init=False)
    #: Cancelled from the page: somebody wanted that, so it is no failure of the cell.
    is_unwanted: bool = False
    #: When its coroutine was over, in nanoseconds of the tracer's clock.
    ended: int | None = None
    #: What it raised to end the program. Let out of a task, it would stop the loop, and with it the kernel.
    exit: KeyboardInterrupt | SystemExit | None = None

    def __repr__(self) -> str:
        # It stands in what asyncio prints of the agent's task.
        return f"<agent {self.name}>"

    @property
    def error(self) -> BaseException | None:
        """What the finished task raised, if anything; asking does not count as having handled it."""
        if self.task.cancelled():
            return _plain(asyncio.CancelledError(f"{self.name} was cancelled"))
        return self.exit or self.task._exception

    @property
    def was_called_off(self) -> bool:
        """Whether somebody cancelled it: the page, or the user's code by `task.cancel()` or `wait_for`."""
        return self.is_unwanted or (self.task.cancelled() and self.task.cancelling() > 0)

    @property
    def was_handled(self) -> bool:
        """Whether the user's own code has awaited it and so already met what it raised."""
        return not self.task.cancelled() and not self.task._log_traceback


@dataclass(frozen=True, slots=True)
class Failure:
    """An agent that raised: its name, its line in the cell, and the exception."""

    name: str
    line: int | None
    error: BaseException

    def __str__(self) -> str:
        where = f" (line {self.line})" if self.line else ""
        first, *more = _text(self.error).strip().splitlines() or [""]
        said = f"{first[:_MOST_SAID]}…" if more or len(first) > _MOST_SAID else first
        return f"{self.name}{where}: {type(self.error).__name__}: {said}".removesuffix(": ")


class AgentsError(Exception):
    """Several agents failed. `failures` lists them, `results` holds what every agent brought, in order.

    Not an `ExceptionGroup`: IPython prints those past the cell's error output.
    """

    def __init__(self, failures: list[Failure], total: int, results: list[Any] | None = None) -> None:
        self.failures = failures
        self.results = results
        shown = [f"  {failure}" for failure in failures[:10]]
        if len(failures) > 10:
            shown.append(f"  … and {len(failures) - 10} more; all are in `error.failures`")
        super().__init__(f"{len(failures)} of {total} agents failed\n" + "\n".join(shown))

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class Run:
    """The agents of one cell, or of one call of `asyncmagic.run`.

    An async context manager: agents start inside the block, and its end waits for them. Leaving it raises what
    PRODUCT calls the cell's failure: the one exception as it is, or an `AgentsError`; `asyncio.TimeoutError` when
    `options.timeout` has passed; `KeyboardInterrupt` when it was interrupted or cancelled as a whole.
    """

    def __init__(self, tracer: Tracer, trace: Trace, options: Options, *, say: Callable[[str], None] = print) -> None:
        self.tracer = tracer
        self.trace = trace
        self.options = options
        self.agents: list[Agent] = []
        #: After the block: the agents that failed and whose error nobody in it has handled.
        self.failed: list[Failure] = []
        self.reason: Reason | None = None
        #: Called once when all agents have ended: it may start more.
        self.on_rest: Callable[[], None] | None = None
        self._say = say
        self.agents_by_task: dict[asyncio.Task[Any], Agent] = {}
        #: By the id of their coroutine, which stands with them: an id is unique only while its object lives.
        self._agents: dict[int, tuple[Awaitable[Any], Agent]] = {}
        self._slots = Slots(options.limit, self._note_knot) if options.limit else None
        self._has_said_knot = False
        self._timer: asyncio.TimerHandle | None = None
        #: How often `stop` has cancelled the owner, which is taken back in the end: the owner lives on.
        self._cancels = 0

    async def __aenter__(self) -> Run:
        self.loop = asyncio.get_running_loop()
        # One for all of the run's own callbacks, of which there may be a hundred thousand.
        self._context = copy_context()
        self._owner = asyncio.current_task()
        self._cancelling = self._owner.cancelling() if self._owner is not None else 0
        if self.options.limit:
            self.trace.root.attributes[LIMIT] = self.options.limit
        if self.options.timeout is not None:
            self._timer = self.loop.call_later(self.options.timeout, self.stop, "timeout")
        return self

    # -- starting

    def start(self, coroutine: Awaitable[Any], name: str, line: int | None = None) -> asyncio.Task[Any]:
        """Start a coroutine as an agent of this run, or return the task that already serves it."""
        if (known := self._agents.get(id(coroutine))) is not None:
            return known[1].task
        function = getattr(coroutine, "__qualname__", type(coroutine).__name__)
        span = self.tracer.start_span(
            name,
            kind="task",
            parent=self.trace.root,
            state="queued" if self._slots else None,
            attributes={CODE_FUNCTION: function, CODE_LINE: line} if line else {CODE_FUNCTION: function},
        )
        agent = Agent(name, line, span)
        agent.task = self.loop.create_task(self._drive(agent, coroutine), name=name)
        if self.tracer.adopt_task is not None:
            self.tracer.adopt_task(agent.task, span)
        agent.task.add_done_callback(partial(self._on_done, agent, coroutine), context=self._context)
        self._agents[id(coroutine)] = coroutine, agent
        self.agents.append(agent)
        self.agents_by_task[agent.task] = agent
        return agent.task

    def has_started(self, coroutine: Awaitable[Any]) -> bool:
        return id(coroutine) in self._agents

    async def _drive(self, agent: Agent, coroutine: Awaitable[Any]) -> Any:
        __tracebackhide__ = True
        if self._slots is None:
            return await self._run(agent, coroutine)
        async with self._slots:
            self.tracer.set_state(agent.span, "running")
            return await self._run(agent, coroutine)

    def _note_knot(self, inside: int) -> None:
        if not self._has_said_knot:
            self._has_said_knot = True
            self._say(
                f"all agents that --limit {self.options.limit} lets run wait for queued ones: {inside} run now. "
                "Start those that others await first, or raise the limit."
            )

    async def _run(self, agent: Agent, coroutine: Awaitable[Any]) -> Any:
        __tracebackhide__ = True
        try:
            with self.tracer.use(agent.span):
                if self.options.agent_timeout is None:
                    return await coroutine
                async with asyncio.timeout(self.options.agent_timeout) as deadline:
                    return await coroutine
        except TimeoutError as error:
            if self.options.agent_timeout is not None and deadline.expired():
                seconds = self.options.agent_timeout
                raise _plain(TimeoutError(f"{agent.name} took longer than {seconds:g} s")) from error
            raise
        except (KeyboardInterrupt, SystemExit) as error:
            agent.exit = error
            raise RuntimeError(f"{agent.name} raised {type(error).__name__}: {error}") from error
        finally:
            # Before the slot is free: the next agent may hold the loop until the task's callbacks are called.
            agent.ended = self.tracer.clock()

    def _on_done(self, agent: Agent, coroutine: Awaitable[Any], _: asyncio.Task[Any]) -> None:
        if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            # Cancelled in the queue: nobody will ever await it, and that is meant.
            coroutine.close()
        error = agent.error
        self.tracer.end_span(agent.span, error=error, end=agent.ended)
        if error is not None and self.options.fail_fast and not agent.was_called_off:
            self.stop("failed")

    # -- stopping

    def stop(self, reason: Reason) -> None:
        """Cancel every agent and the cell's own wait; the first reason counts. Call it on the loop's thread.

        A second interrupt cancels the wait for what the agents still do in their `finally` blocks.
        """
        if self.reason is not None and not (self.reason == reason == "interrupted"):
            return
        self.reason = reason
        self.cancel_agents()
        if self._owner is not None and not self._owner.done():
            self._cancels += self._owner.cancel(reason)

    def cancel_agents(self) -> None:
        for agent in self.agents:
            if not agent.task.done():  # On a finished task it would mark the exception as read.
                agent.task.cancel(_WHO[self.reason] if self.reason else None)

    def cancel(self, span_id: int | None = None) -> None:
        """Cancel the agent whose span has that id, or the whole run. May be called on any thread."""
        if span_id is None:
            self.loop.call_soon_threadsafe(self.stop, "cancelled")
            return
        for agent in self.agents:
            if agent.span.span_id == span_id:
                agent.is_unwanted = True
                self.loop.call_soon_threadsafe(agent.task.cancel, _WHO["cancelled"])

    # -- the end

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        __tracebackhide__ = True
        try:
            ended_by = await self._settle(error)
        finally:
            if self._timer is not None:
                self._timer.cancel()
        outcome = self._outcome(ended_by)
        if outcome is None or outcome is error:
            return False
        context = outcome.__context__
        try:
            raise outcome
        finally:
            # As it is: with the cause and the context that it had, and not what happened to be handled here.
            outcome.__context__ = context

    async def _settle(self, error: BaseException | None) -> BaseException | None:
        """Wait until every agent has ended, also after an error in the body, and return what ended the body."""
        if isinstance(error, KeyboardInterrupt | SystemExit) and self.reason is None:
            self.reason = "interrupted"
            self.cancel_agents()
        elif error is not None and self.reason is None and self.options.fail_fast:
            self.reason = "failed"
            self.cancel_agents()
        try:
            # Takes up a cancellation that has been asked for and not delivered yet: kept, it would kill the cell later.
            await asyncio.sleep(0)
            while self.reason is None and (running := self._unfinished() or self._started_at_rest()):
                await asyncio.wait(running)
            if not all(agent.span.has_ended for agent in self.agents):
                # All of them took a single step: their callbacks come next.
                await asyncio.sleep(0)
        except asyncio.CancelledError as cancelled:
            error = error or cancelled
        if self.reason is None and isinstance(error, asyncio.CancelledError) and self._is_cancelled_from_outside():
            self.reason = "outside"
            self.cancel_agents()
        if self.reason is not None:
            await self._reap()
        for _ in range(self._cancels):  # It was `stop` that asked, and it has been heard.
            self._owner.uncancel()  # type: ignore[union-attr]
        return error

    def _is_cancelled_from_outside(self) -> bool:
        return self._owner is not None and self._owner.cancelling() > self._cancelling

    def _started_at_rest(self) -> list[asyncio.Task[Any]]:
        on_rest, self.on_rest = self.on_rest, None
        if on_rest is not None:
            on_rest()
        return self._unfinished()

    def _unfinished(self) -> list[asyncio.Task[Any]]:
        return [agent.task for agent in self.agents if not agent.task.done()]

    async def _reap(self) -> None:
        """Give cancelled agents `GRACE` seconds for their `finally` blocks; name those that ignore it."""
        try:
            if running := self._unfinished():
                await asyncio.wait(running, timeout=GRACE)
            else:
                await asyncio.sleep(0)  # Those that are done already write so in their callbacks, which run now.
        except asyncio.CancelledError:
            # Asked a second time: do not wait any longer.
            pass
        if stubborn := [agent.name for agent in self.agents if not agent.task.done()]:
            self._say(
                f"{_listed(stubborn)} did not stop when cancelled and still run{'s' if len(stubborn) == 1 else ''}: "
                "a `try` there catches CancelledError and goes on. Let it pass (`raise`)."
            )
        if left := leftovers(self.trace):
            self._say(
                f"{_listed(left)} still run{'s' if len(left) == 1 else ''}: what is in a thread cannot be cancelled."
            )
        late = [agent for agent in self.agents if agent.task.done() and isinstance(agent.error, Exception)]
        for agent in late if self.reason != "failed" else ():
            self._say(f"while it was stopped, {Failure(agent.name, agent.line, agent.error or Exception())}")

    def _failures(self) -> list[Failure]:
        return [
            Failure(agent.name, agent.line, error)
            for agent in self.agents
            if agent.task.done() and (error := agent.error) is not None
            # In a run that was stopped it was the run that called them off.
            if not agent.was_handled and not (agent.is_unwanted if self.reason else agent.was_called_off)
        ]

    def _outcome(self, error: BaseException | None) -> BaseException | None:
        """Return what the cell is to raise, after everything has ended."""
        failures = self.failed = self._failures()
        for agent in self.agents:
            if agent.task.done() and not agent.task.cancelled():
                agent.task.exception()  # Told below: the loop need not complain that nobody asked.
        if self.reason == "outside":
            return error
        if self.reason in ("interrupted", "cancelled"):
            if isinstance(error, KeyboardInterrupt | SystemExit):
                return error
            finished = sum(agent.task.done() and agent.error is None for agent in self.agents)
            how = "cancelled from the page" if self.reason == "cancelled" else "stopped"
            return _plain(KeyboardInterrupt(f"{how}; {finished} of {len(self.agents)} agents had finished"))
        if self.reason == "timeout":
            late = [failure.name for failure in failures if isinstance(failure.error, asyncio.CancelledError)]
            what = f"{len(late)} of {len(self.agents)} agents had not finished: {_listed(late)}" if late else "stopped"
            return _plain(TimeoutError(f"after {self.options.timeout:g} s {what}"))
        if self.options.return_exceptions and (error is None or self.reason == "failed"):
            return None
        if self.reason == "failed":
            failures = [f for f in failures if not isinstance(f.error, asyncio.CancelledError)] or failures
            error = None if isinstance(error, asyncio.CancelledError) else error
        if error is not None:
            others = [failure for failure in failures if failure.error is not error]
            if others:
                self._say("also failed:\n" + "\n".join(f"  {failure}" for failure in others[:10]))
            return error
        if len(failures) > 1:
            return AgentsError(failures, len(self.agents))
        return failures[0].error if failures else None

    # -- the results

    def result(self, value: Any) -> Any:
        """Return `value` with every task of this run in it replaced by its result, or by the exception it raised.

        Lists and dicts are changed in place; tuples and sets are made anew where they hold a task.
        """
        return substitute(value, self.is_mine, lambda task: self._brought(self.agents_by_task[task]))

    def is_mine(self, value: Any) -> bool:
        """Whether a value is the task of an agent of this run."""
        return issubclass(type(value), asyncio.Task) and value in self.agents_by_task

    def forget(self) -> None:
        """Let go of the agents and of all that they brought: the traceback of one that failed holds on to the run."""
        self.agents, self.agents_by_task, self._agents = [], {}, {}

    def _brought(self, agent: Agent) -> Any:
        if not agent.task.done():
            return agent.task
        return error if (error := agent.error) is not None else agent.task.result()


_Error = TypeVar("_Error", bound=BaseException)


def _plain(error: _Error) -> _Error:
    """Let IPython show an error of ours as its message alone: its traceback would point at asyncmagic."""
    error._render_traceback_ = lambda: [f"{type(error).__name__}: {error}"]  # type: ignore[attr-defined]
    return error


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as unreadable:  # Of the user's own making; it must not cost the message about the others.
        return f"<its message cannot be made: {type(unreadable).__name__}>"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
