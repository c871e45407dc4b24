"""api-misuse: an asyncio function given something other than it takes."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.arguments import Argument, Arguments, bound
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.annotations import class_name, class_of
from asyncmagic.lint.flow.containers import boxed, element
from asyncmagic.lint.flow.kinds import function_name, is_async_function, is_awaitable, is_callable, is_iterable
from asyncmagic.lint.flow.values import (
    Awaitable,
    Bound,
    Box,
    Function,
    Instance,
    Live,
    Partial,
    Plain,
    Value,
    awaitables,
    options,
)

RULE = "api-misuse"
_LOOP = "asyncio.base_events.BaseEventLoop"
_CALLBACK = {"callback": "function"}
_LATER = {"delay": "number", "callback": "function"}
_CORO = {"coro": "coroutine"}
#: What a function takes: the kind of each parameter that it is particular about.
_TAKES: dict[str, dict[str, str]] = {
    "asyncio.tasks.create_task": _CORO,
    "asyncio.tasks.run_coroutine_threadsafe": _CORO,
    "asyncio.taskgroups.TaskGroup.create_task": _CORO,
    f"{_LOOP}.create_task": _CORO,
    "asyncio.tasks.ensure_future": {"coro_or_future": "awaitable"},
    "asyncio.tasks.shield": {"arg": "awaitable"},
    "asyncio.tasks.wait_for": {"fut": "awaitable", "timeout": "number or None"},
    "asyncio.tasks.wait": {"fs": "tasks", "timeout": "number or None", "return_when": "return_when"},
    "asyncio.tasks.as_completed": {"fs": "awaitables", "timeout": "number or None"},
    "asyncio.tasks.sleep": {"delay": "number"},
    "asyncio.timeouts.timeout": {"delay": "number or None"},
    "asyncio.timeouts.timeout_at": {"when": "number or None"},
    "asyncio.locks.Semaphore": {"value": "number"},
    "asyncio.locks.BoundedSemaphore": {"value": "number"},
    "asyncio.threads.to_thread": {"func": "function"},
    f"{_LOOP}.run_in_executor": {"executor": "executor", "func": "function"},
    f"{_LOOP}.call_soon": _CALLBACK,
    f"{_LOOP}.call_soon_threadsafe": _CALLBACK,
    f"{_LOOP}.call_later": _LATER,
    f"{_LOOP}.call_at": {"when": "number", "callback": "function"},
}
#: Functions without a signature that Python knows, and those of other packages: the position of the callable.
_WANTS_FUNCTION = {
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
_WHEN = ("FIRST_COMPLETED", "FIRST_EXCEPTION", "ALL_COMPLETED")
_NO_NUMBERS = (str, bytes, list, dict, tuple, set, type(None))


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
        if name.startswith(("asyncio.", "_asyncio.")) and (arguments := bound(node, call)) is not None:
            yield from _asyncio_call(cell, node, name, arguments)
        elif name.startswith("uvloop.Loop.create_task") and node.args:
            yield from _given(cell, node, Argument(node.args[0], call.argument(0)), "coroutine")
        position = _WANTS_FUNCTION.get(name)
        if position is not None and position < len(node.args) and not isinstance(node.args[position], ast.Starred):
            yield from _given(cell, node, Argument(node.args[position], call.argument(position)), "function")
        if name == "threading.Thread" and (target := _keyword(node, "target")) is not None:
            yield from _uncalled(cell, node, Argument(target, call.keywords.get("target")))
        if name.rpartition(".")[2] in ("start_soon", "start") and node.args and _is_task_group(name):
            value = call.argument(0)
            if isinstance(value, Awaitable) and isinstance(node.args[0], ast.Call):
                hint = f"`{name.rpartition('.')[2]}` wants the function and its arguments apart"
                yield _say(cell, node.args[0], "is a coroutine", hint)


def _is_task_group(name: str) -> bool:
    return any(part in name for part in _TASK_GROUPS)


def _asyncio_call(cell: Cell, node: ast.Call, name: str, arguments: Arguments) -> Iterator[Diagnostic]:
    short = name.rpartition(".")[2]
    if short in ("wait", "as_completed") and node.args and isinstance(star := node.args[0], ast.Starred):
        text = cell.text(star.value)
        yield _say(cell, star, "is several arguments, not one list", f"Write `{short}({text})`")
    elif short == "run_in_executor" and len(node.args) == 1 and not node.keywords:
        fix = cell.inserted(node.args[0], "None, ")
        yield _say(cell, node.args[0], "is taken for the executor, and no function is left", "Write `None` first", fix)
    elif arguments.error and not name.endswith((".run", ".Runner")) and not _is_meant(cell, node):
        function_first = [a for a in node.args[:1] if isinstance(a, ast.Name)]
        is_function = bool(function_first) and is_async_function(cell.flow, cell.flow.values.get(function_first[0]))
        if is_function and "coro" in _TAKES.get(name, ()) and node.args[1:]:
            inner = ", ".join(cell.text(arg, 30) for arg in node.args[1:])
            hint = f"Write `{cell.text(node.func)}({cell.text(node.args[0])}({inner}))`"
        else:
            hint = _HINTS.get(short, f"`help({cell.text(node.func)})` says what it takes")
        message = f"`{cell.text(node.func)}` does not take these arguments: {arguments.error}"
        yield cell.diagnostic(RULE, node, message, hint)
    elif name == "asyncio.tasks.gather":
        yield from _gather(cell, arguments.rest)
    for parameter, kind in _TAKES.get(name, {}).items():
        if parameter in arguments.named:
            yield from _given(cell, node, arguments.named[parameter], kind)


def _is_meant(cell: Cell, node: ast.Call) -> bool:
    """Whether the call is for another version of Python, or for a future of threads, which takes other arguments."""
    for parent in cell.above(node):
        if isinstance(parent, (ast.If, ast.IfExp)) and "version" in ast.unparse(parent.test):
            return True
        if isinstance(parent, ast.Try) and any(h.type and "TypeError" in ast.unparse(h.type) for h in parent.handlers):
            return True
    owner = cell.flow.values.get(node.func.value) if isinstance(node.func, ast.Attribute) else None
    return isinstance(owner, Awaitable) and function_name(owner.maker) == "asyncio.tasks.run_coroutine_threadsafe"


_HINTS = {
    "gather": "Put it under `async with asyncio.timeout(…):` for a timeout",
    "wait_for": "Give the seconds: `asyncio.wait_for(…, timeout=10)`",
    "get": "For a timeout: `await asyncio.wait_for(queue.get(), timeout)`",
    "wait": "For a timeout: `await asyncio.wait_for(event.wait(), timeout)`",
    "acquire": "For a timeout: `await asyncio.wait_for(lock.acquire(), timeout)`",
    "join": "For a timeout: `await asyncio.wait_for(queue.join(), timeout)`",
    "result": "For a timeout: `await asyncio.wait_for(task, timeout)`",
}


def _given(cell: Cell, node: ast.Call, argument: Argument, kind: str) -> Iterator[Diagnostic]:
    """What is wrong with an argument of which the function wants a certain kind."""
    value, shown = argument.value, argument.node
    short = cell.text(node.func).rpartition(".")[2]
    if kind in ("coroutine", "awaitable"):
        if is_async_function(cell.flow, value) and not isinstance(shown, ast.Call):
            hint = f"Write `{cell.text(node.func)}({cell.text(shown)}(…))`"
            yield _say(cell, shown, "is a function that is not called", hint)
        elif is_awaitable(cell.flow, value) is False:
            yield _say(cell, shown, "is nothing that can be awaited", f"`{short}` wants a coroutine")
        elif kind == "coroutine" and isinstance(value, Awaitable) and value.kind == "future":
            yield _say(cell, shown, "is a future, not a coroutine", "Await it as it is: it runs already")
    elif kind == "function":
        yield from _uncalled(cell, node, argument)
    elif kind.startswith("number"):
        if _is_no_number(value) and not (kind == "number or None" and isinstance(value, Live) and value.obj is None):
            yield _say(cell, shown, "is not a number", f"`{short}` wants a number there: look at the order")
    elif kind == "executor":
        if _is_function(value):
            fix = cell.inserted(shown, "None, ")
            yield _say(cell, shown, "is taken for the executor", "Write `None` before it", fix)
    elif kind == "return_when":
        if isinstance(value, Live) and type(value.obj) is str and value.obj not in _WHEN:
            hint = f"Write one of {', '.join(f'`asyncio.{when}`' for when in _WHEN)}"
            yield _say(cell, shown, "is nothing that `asyncio.wait` knows: it raises ValueError", hint)
    else:
        yield from _several(cell, argument, short, takes_coroutines=kind == "awaitables")


def _gather(cell: Cell, arguments: tuple[Argument, ...]) -> Iterator[Diagnostic]:
    for argument in arguments:
        node, value = argument.node, argument.value
        if isinstance(node, ast.Starred):
            unpacks = any(isinstance(n, ast.Starred) for n in ast.walk(node.value))
            if isinstance(value, Box) and not unpacks and _holds_data(cell, value):
                hint = "Call the async function for each: `gather(*(fetch(x) for x in …))`"
                yield _say(cell, node, "are no awaitables but values", hint)
        elif isinstance(value, Box) or isinstance(node, (ast.List, ast.ListComp, ast.GeneratorExp, ast.Tuple)):
            fix = cell.inserted(node, "*") if not isinstance(node, ast.GeneratorExp) else None
            hint = f"Unpack it: `gather(*{cell.text(node, 40)})`"
            yield _say(cell, node, "is one object, not several awaitables", hint, fix)
        elif is_async_function(cell.flow, value) and not isinstance(node, ast.Call):
            yield _say(cell, node, "is a function that is not called", f"Call it: `{cell.text(node)}(…)`")
        elif is_awaitable(cell.flow, value) is False:
            yield _say(cell, node, "is nothing that can be awaited", "`gather` wants awaitables")


def _several(cell: Cell, argument: Argument, name: str, *, takes_coroutines: bool) -> Iterator[Diagnostic]:
    value, node = boxed(cell.flow, argument.value), argument.node
    if isinstance(value, Awaitable):
        yield _say(cell, node, "is one awaitable, not a list of them", f"Write `{name}([{cell.text(node)}])`")
    elif is_iterable(cell.flow, value) is False:
        yield _say(cell, node, "is not a list of tasks", f"`{name}` wants a list or a set")
    elif isinstance(value, Box):
        found = options(element(cell.flow, value))
        kinds = {option.kind for option in found if isinstance(option, Awaitable)}
        if kinds == {"coroutine"} and all(isinstance(o, Awaitable) for o in found) and not takes_coroutines:
            hint = "Make tasks of them first: `asyncio.create_task(…)`"
            yield _say(cell, node, "holds coroutines, which `asyncio.wait` refuses", hint)
        elif _holds_data(cell, value) and not any(isinstance(n, ast.Starred) for n in ast.walk(node)):
            yield _say(cell, node, "holds no awaitables but values", f"`{name}` wants a list of tasks")


def _holds_data(cell: Cell, box: Box) -> bool:
    """Whether nothing that stands in the container can be awaited, and no place in it is still empty."""
    if box.kind is dict:
        return isinstance(element(cell.flow, box), Plain) or any(isinstance(i, Awaitable) for i in box.items)
    if any(isinstance(i, Box) and (i.kind is not dict or box.kind is set) for i in box.items) or any(awaitables(box)):
        return False  # A list unpacked into a list stands there as a whole.
    is_empty_place = any(isinstance(o, Live) and o.obj is None for i in box.items for o in options(i))
    return bool(box.items) and not is_empty_place and is_awaitable(cell.flow, element(cell.flow, box)) is False


def _is_no_number(value: Value | None) -> bool:
    """Whether the value is certainly of another kind."""
    if isinstance(value, (Awaitable, Box)) or _is_function(value):
        return True
    cls = class_of(value) if isinstance(value, (Live, Instance)) else None
    return any(cls is other for other in _NO_NUMBERS) or class_name(value) == "datetime.timedelta"


def _is_function(value: Value | None) -> bool:
    if isinstance(value, Live):
        return type(value.obj) is types.FunctionType or objects.is_builtin_function(value.obj)
    return isinstance(value, (Function, Partial, Bound))


def _uncalled(cell: Cell, node: ast.Call, argument: Argument) -> Iterator[Diagnostic]:
    """Something else, such as a call, where a function is wanted."""
    value, shown = argument.value, argument.node
    is_none = isinstance(value, Live) and value.obj is None
    if is_callable(cell.flow, value) is not False and not is_none:
        return
    if isinstance(shown, ast.Call):
        inner = ", ".join([cell.text(shown.func), *(cell.text(arg, 30) for arg in shown.args)])
        message = "is called here and now, and its result is passed on instead of the function"
        hint = f"Pass the function and its arguments apart: `{cell.text(node.func)}({inner})`"
        yield _say(cell, shown, message, hint)
    elif not is_none:
        yield _say(cell, shown, "is no function", f"`{cell.text(node.func)}` wants one there: look at the order")


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)


def _say(cell: Cell, node: ast.expr, what: str, hint: str, fix: str | None = None) -> Diagnostic:
    call = next((parent for parent in cell.above(node) if isinstance(parent, ast.Call)), node)
    # Python names the line where the call begins.
    place = node if call.lineno == node.lineno else call
    return cell.diagnostic(RULE, place, f"`{cell.text(node)}` {what}", hint, fix=fix)
