"""api-misuse: an asyncio function given something other than it takes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow import Call
from asyncmagic.lint.flow.containers import element
from asyncmagic.lint.flow.kinds import function_name, is_async_function, is_awaitable, is_callable
from asyncmagic.lint.flow.values import Awaitable, Box, Live, Value, options

RULE = "api-misuse"
_WANTS_COROUTINE = frozenset({"create_task", "run_coroutine_threadsafe"})
_WANTS_AWAITABLE = frozenset({"ensure_future", "shield", "wait_for"})
_WANTS_TASKS = frozenset({"wait", "as_completed"})
#: Functions that call their argument later: the position of the callable.
_WANTS_FUNCTION = {
    "asyncio.threads.to_thread": 0,
    "asyncio.base_events.BaseEventLoop.run_in_executor": 1,
    "asyncio.base_events.BaseEventLoop.call_soon": 0,
    "asyncio.base_events.BaseEventLoop.call_soon_threadsafe": 0,
    "asyncio.base_events.BaseEventLoop.call_later": 1,
    "asyncio.base_events.BaseEventLoop.call_at": 1,
    "uvloop.Loop.run_in_executor": 1,
    "uvloop.Loop.call_soon": 0,
    "uvloop.Loop.call_later": 1,
    "_asyncio.Task.add_done_callback": 0,
    "_asyncio.Future.add_done_callback": 0,
    "concurrent.futures.thread.ThreadPoolExecutor.submit": 0,
    "concurrent.futures.process.ProcessPoolExecutor.submit": 0,
    "anyio.to_thread.run_sync": 0,
}
_TASK_GROUPS = ("TaskGroup", "Nursery")


def check(cell: Cell) -> Iterator[Diagnostic]:
    """asyncio's functions want coroutines here, functions there; mixing them up raises TypeError.

    Wrong:

        task = asyncio.create_task(fetch)                       # the function itself
        pages = await asyncio.gather([fetch(u) for u in urls])  # one list
        text = await asyncio.to_thread(read_file(path))         # what it returned

    Right:

        task = asyncio.create_task(fetch(url))
        pages = await asyncio.gather(*[fetch(u) for u in urls])
        text = await asyncio.to_thread(read_file, path)
    """
    for node, call in cell.flow.calls.items():
        name = function_name(call.function)
        module, _, short = name.rpartition(".")
        if module.startswith(("asyncio.", "uvloop.")) or module == "asyncio":
            yield from _asyncio_call(cell, node, call, short, module)
        position = _WANTS_FUNCTION.get(name)
        if position is not None and position < len(node.args) and not isinstance(node.args[position], ast.Starred):
            yield from _uncalled(cell, node.args[position], call.argument(position), node)
        if name == "threading.Thread" and (target := _keyword(node, "target")) is not None:
            yield from _uncalled(cell, target, call.keywords.get("target"), node)
        if short in ("start_soon", "start") and node.args and _is_task_group(name):
            value = call.argument(0)
            if isinstance(value, Awaitable) and isinstance(node.args[0], ast.Call):
                yield _say(
                    cell, node.args[0], "is a coroutine", f"`{short}` wants the function and its arguments apart"
                )


def _is_task_group(name: str) -> bool:
    return any(part in name for part in _TASK_GROUPS)


def _asyncio_call(cell: Cell, node: ast.Call, call: Call, name: str, module: str) -> Iterator[Diagnostic]:
    first = node.args[0] if node.args else node.keywords[0].value if node.keywords else None
    if first is None:
        return
    if isinstance(first, ast.Starred):
        if name in _WANTS_TASKS and module == "asyncio.tasks":
            text = cell.text(first.value)
            yield _say(cell, first, "is several arguments, not one list", f"Write `{name}({text})`")
        return
    value = call.args[0] if call.args else next(iter(call.keywords.values()))
    if name in _WANTS_COROUTINE or (name in _WANTS_AWAITABLE and module == "asyncio.tasks"):
        if is_async_function(cell.flow, value) and not isinstance(first, ast.Call):
            yield _say(
                cell,
                first,
                "is a function that is not called",
                f"Write `{cell.text(node.func)}({cell.text(first)}(…))`",
            )
        elif is_awaitable(cell.flow, value) is False:
            yield _say(cell, first, "is nothing that can be awaited", f"`{name}` wants a coroutine")
        elif name in _WANTS_COROUTINE and isinstance(value, Awaitable) and value.kind == "future":
            yield _say(cell, first, "is a future, not a coroutine", "Await it as it is: it runs already")
    elif name == "run_in_executor" and len(node.args) == 1 and not node.keywords:
        fix = cell.inserted(first, "None, ")
        yield _say(cell, first, "is taken for the executor, and no function is left", "Write `None` before it", fix)
    elif name == "gather" and module == "asyncio.tasks":
        for argument, given in zip(node.args, call.args, strict=True):
            if isinstance(argument, ast.Starred):
                continue
            if isinstance(given, Box) or isinstance(argument, (ast.List, ast.ListComp, ast.GeneratorExp, ast.Tuple)):
                fix = cell.inserted(argument, "*") if not isinstance(argument, ast.GeneratorExp) else None
                hint = f"Unpack it: `gather(*{cell.text(argument, 40)})`"
                yield _say(cell, argument, "is one object, not several awaitables", hint, fix)
            elif is_async_function(cell.flow, given) and not isinstance(argument, ast.Call):
                yield _say(cell, argument, "is a function that is not called", f"Call it: `{cell.text(argument)}(…)`")
            elif is_awaitable(cell.flow, given) is False:
                yield _say(cell, argument, "is nothing that can be awaited", "`gather` wants awaitables")
    elif name in _WANTS_TASKS and module == "asyncio.tasks":
        yield from _tasks(cell, first, value, name)


def _tasks(cell: Cell, first: ast.expr, value: Value | None, name: str) -> Iterator[Diagnostic]:
    if isinstance(value, Awaitable):
        yield _say(cell, first, "is one awaitable, not a list of them", f"Write `{name}([{cell.text(first)}])`")
        return
    item = element(cell.flow, value) if isinstance(value, Box) else None
    kinds = {option.kind for option in options(item) if isinstance(option, Awaitable)}
    if name == "wait" and kinds == {"coroutine"} and all(isinstance(o, Awaitable) for o in options(item)):
        hint = "Make tasks of them first: `asyncio.create_task(…)`"
        yield _say(cell, first, "holds coroutines, which `asyncio.wait` refuses", hint)


def _uncalled(cell: Cell, argument: ast.expr, value: Value | None, node: ast.Call) -> Iterator[Diagnostic]:
    """A call where the function itself is wanted."""
    if not isinstance(argument, ast.Call):
        return
    if is_callable(cell.flow, value) is False or (isinstance(value, Live) and value.obj is None):
        inner = ", ".join([cell.text(argument.func), *(cell.text(arg, 30) for arg in argument.args)])
        message = "is called here and now, and its result is passed on instead of the function"
        yield _say(
            cell, argument, message, f"Pass the function and its arguments apart: `{cell.text(node.func)}({inner})`"
        )


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)


def _say(cell: Cell, node: ast.expr, what: str, hint: str, fix: str | None = None) -> Diagnostic:
    return cell.diagnostic(RULE, node, f"`{cell.text(node)}` {what}", hint, fix=fix)
