"""asyncio's functions: what each does to the awaitables that it is given, and what it gives."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from asyncmagic.lint.flow.containers import element, result_of
from asyncmagic.lint.flow.values import (
    Awaitable,
    Box,
    Instance,
    Live,
    Plain,
    Value,
    awaitables,
    nothing,
)

if TYPE_CHECKING:
    from asyncmagic.lint.flow.calls import Calls
    from asyncmagic.lint.flow.known import Handler
    from asyncmagic.lint.flow.ledger import Call


def _task(flow: Calls, call: Call, owner: Value | None, *, is_kept: bool = False) -> Value | None:
    given = call.argument(0, "coro")
    for value in call.values:
        flow.hand_over(value)
    flow.spend(given, call.node, call.scope)
    if isinstance(given, Awaitable) and given.kind != "coroutine":
        return given
    return flow.make(Awaitable("task", call.node, lambda: result_of(given), maker=call.function, is_handed_on=is_kept))


def _kept_task(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    return _task(flow, call, owner, is_kept=True)


def _gather(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    results: list[Callable[[], Value | None]] = []
    for position, value in enumerate(call.args):
        flow.hand_over(value)
        flow.spend(value, call.node, call.scope)
        if position in call.starred:
            results.append(lambda value=value: result_of(element(flow, value)))  # type: ignore[misc]
        else:
            results.append(lambda value=value: result_of(value))  # type: ignore[misc]
    returns_exceptions = "return_exceptions" in call.keywords
    has_places = not call.starred

    def result() -> Value | None:
        items = [None if returns_exceptions else item() for item in results]
        return Box(list, items, list(range(len(items))) if has_places else None)

    return flow.make(Awaitable("future", call.node, result, maker=call.function))


def _closed(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    flow.hand_over(owner)
    call.scope.spent.update(awaitables(owner))
    return Live(None)


def _shield(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    given = call.argument(0, "arg")
    flow.hand_over_arguments(call)
    flow.spend(given, call.node, call.scope)
    return Awaitable("future", call.node, lambda: result_of(given), maker=call.function, is_handed_on=True)


def _wait_for(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    given = call.argument(0, "fut")
    flow.hand_over_arguments(call)
    flow.spend(given, call.node, call.scope)
    return flow.coroutine(call, lambda: result_of(given))


def _wait(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    tasks = element(flow, call.argument(0, "fs"))
    if any(awaitable.kind == "coroutine" for awaitable in awaitables(tasks)):
        tasks = None  # It refuses them.
    flow.hand_over_arguments(call)
    return flow.coroutine(call, lambda: Box(tuple, [Box(set, [tasks]), Box(set, [tasks])], [0, 1]))


def _as_completed(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    given = element(flow, call.argument(0, "fs"))
    flow.hand_over_arguments(call)
    return Box(types.GeneratorType, [Awaitable("coroutine", None, lambda: result_of(given), maker=call.function)])


def _in_thread(position: int) -> Handler:
    def handler(flow: Calls, call: Call, owner: Value | None) -> Value | None:
        function = call.argument(position)
        flow.hand_over_arguments(call)
        return flow.coroutine(call, lambda: _called_elsewhere(flow, function, call))

    return handler


def _called_elsewhere(flow: Calls, function: Value | None, call: Call) -> Value | None:
    """What the function returns to another thread; a coroutine would be the mistake of having sent it there."""
    if isinstance(function, Awaitable):
        return None
    flow.quiet += 1
    try:
        value = flow.call_value(function, [], call.node)
    finally:
        flow.quiet -= 1
    return None if any(True for _ in awaitables(value)) else value


def _in_executor(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    function = call.argument(1)
    flow.hand_over_arguments(call)
    return Awaitable(
        "future",
        call.node,
        lambda: _called_elsewhere(flow, function, call),
        maker=call.function,
        is_handed_on=True,
    )


def _future(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    flow.hand_over_arguments(call)
    return Awaitable("future", call.node, nothing, maker=call.function, is_handed_on=True)


def _run(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    given = call.argument(0)
    flow.hand_over_arguments(call)
    flow.spend(given, call.node, call.scope)
    return result_of(given)


def _loop(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    return Instance(asyncio.SelectorEventLoop)


def _future_result(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    flow.hand_over(owner)
    return result_of(owner)


def _future_method(result: Callable[[], Value | None]) -> Handler:
    def handler(flow: Calls, call: Call, owner: Value | None) -> Value | None:
        flow.hand_over(owner)
        flow.hand_over_arguments(call)
        return result()

    return handler


def _subprocess(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    flow.hand_over_arguments(call)
    read, write = Instance(asyncio.StreamReader), Instance(asyncio.StreamWriter)
    process = Instance(asyncio.subprocess.Process, attributes={"stdin": write, "stdout": read, "stderr": read})
    return flow.coroutine(call, lambda: process)


def _table() -> dict[str, Handler]:
    table: dict[str, Handler] = {}

    def put(handler: Handler, *names: str) -> None:
        table.update(dict.fromkeys(names, handler))

    put(_task, "asyncio.tasks.create_task", "asyncio.tasks.ensure_future", "uvloop.Loop.create_task")
    put(_task, "asyncio.base_events.BaseEventLoop.create_task", "asyncio.events.AbstractEventLoop.create_task")
    put(_kept_task, "asyncio.taskgroups.TaskGroup.create_task", "asyncio.tasks.run_coroutine_threadsafe")
    put(_gather, "asyncio.tasks.gather")
    put(_subprocess, "asyncio.subprocess.create_subprocess_exec", "asyncio.subprocess.create_subprocess_shell")
    put(_closed, "builtins.coroutine.close", "builtins.coroutine.throw")
    put(_shield, "asyncio.tasks.shield", "asyncio.futures.wrap_future")
    put(_wait_for, "asyncio.tasks.wait_for")
    put(_wait, "asyncio.tasks.wait")
    put(_as_completed, "asyncio.tasks.as_completed")
    put(_in_thread(0), "asyncio.threads.to_thread")
    put(_in_executor, "asyncio.base_events.BaseEventLoop.run_in_executor", "uvloop.Loop.run_in_executor")
    put(_future, "asyncio.base_events.BaseEventLoop.create_future", "uvloop.Loop.create_future")
    put(_run, "asyncio.runners.run", "asyncio.runners.Runner.run", "nest_asyncio._patch_asyncio.<locals>.run")
    put(_run, "asyncio.base_events.BaseEventLoop.run_until_complete", "uvloop.Loop.run_until_complete")
    put(_loop, "asyncio.events.get_running_loop", "_asyncio.get_running_loop", "asyncio.events.new_event_loop")
    put(_loop, "asyncio.events.get_event_loop", "_asyncio.get_event_loop")
    for cls in ("_asyncio.Task", "_asyncio.Future", "asyncio.tasks.Task", "asyncio.futures.Future"):
        put(_future_result, f"{cls}.result")
        put(_future_method(nothing), f"{cls}.exception")
        for method in ("cancel", "add_done_callback", "uncancel"):
            put(_future_method(Plain), f"{cls}.{method}")
        for method in ("done", "cancelled", "set_name", "get_name"):
            put(lambda flow, call, owner: Plain(), f"{cls}.{method}")
    return table


#: Qualified name -> what a call of it does and gives.
TABLE: Final = _table()
