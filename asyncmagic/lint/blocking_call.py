"""blocking-call: a call that holds the event loop inside async code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.blocking_names import BLOCKING
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow import Call, objects
from asyncmagic.lint.flow.annotations import class_name
from asyncmagic.lint.flow.kinds import function_name
from asyncmagic.lint.flow.sources import facts
from asyncmagic.lint.flow.values import Awaitable, Bound, Instance, Live, Returning, Value
from asyncmagic.lint.reach import definition, is_consumed, is_dead, run_in_place

RULE = "blocking-call"
_SHORTEST: Final = 0.05
#: They give an iterator: running through it waits.
_LAZY: Final = ("concurrent.futures._base.Executor.map", "concurrent.futures.process.ProcessPoolExecutor.map")
_EXECUTORS: Final = ("concurrent.futures.thread.ThreadPoolExecutor", "concurrent.futures.process.ProcessPoolExecutor")
_THREADSAFE: Final = "asyncio.tasks.run_coroutine_threadsafe"
_LOOPS: Final = ("get_running_loop", "get_event_loop")
_HTTP: Final = frozenset(["get", "post", "put", "patch", "delete", "head", "options", "request", "stream", "send"])
_CALLS: Final = _HTTP | frozenset(
    [
        "create",
        "parse",
        "list",
        "retrieve",
        "update",
        "generate",
        "generate_content",
        "count_tokens",
        "embed",
        "embed_content",
        "complete",
        "chat",
    ]
)
#: Packages whose clients have an async twin: a class of theirs without "Async" in its name is the blocking one.
_CLIENTS: Final = frozenset(["openai", "anthropic", "groq", "mistralai", "cohere", "together", "google"])
#: Methods that have an async twin on the same object.
_TWINS: Final = frozenset(
    ["invoke", "batch", "stream", "run_sync", "kickoff", "generate", "predict", "query", "complete", "chat", "call"]
)


def check(cell: Cell) -> Iterator[Diagnostic]:
    """While a blocking call waits, the loop stands still: no other task runs, no timer fires.

    Wrong:

        async def poll():
            time.sleep(2)
            return requests.get(url).json()

    Right:

        async def poll():
            await asyncio.sleep(2)
            response = await asyncio.to_thread(requests.get, url)
            return response.json()
    """
    blocking = {node for node, call in cell.flow.calls.items() if _blocks(cell, node, call)}
    run = list(run_in_place(cell))
    helpers = _blocking_helpers(cell, blocking, run)
    pending = _pending_tasks(cell)
    places: dict[ast.expr, bool] = dict.fromkeys(blocking, True)
    for place, function in run:
        found = definition(function)
        if found in helpers and (not isinstance(place, ast.Call) or _runs_now(cell, place, found)):
            places.setdefault(
                place, isinstance(place, ast.Call) and definition(cell.flow.calls[place].function) is found
            )
        elif _helper_blocks(cell, function):
            places.setdefault(place, isinstance(place, ast.Call))
    said: set[ast.AST] = set()
    for place, is_direct in places.items():
        if is_dead(cell, place) or _is_awaited(cell, place):
            continue
        caller = cell.function_of(place)
        starves = any(_starves(cell, line, place) for line in pending) or _waits_for_itself(cell, place)
        if isinstance(caller, ast.AsyncFunctionDef) or (caller is None and starves):
            said.update(cell.above(place))
            if isinstance(place, ast.Call) and is_direct:
                yield _diagnostic(cell, place, cell.flow.calls[place])
            else:
                yield _waits(cell, place, "Do it in a thread: `await asyncio.to_thread(…)`")
    for node in cell.nodes:
        if isinstance(node, ast.With) and node not in said and _waits_at_the_end(cell, node):
            hint = "Await what it runs: `await loop.run_in_executor(pool, …)`"
            yield _waits(cell, node.items[0].context_expr, hint)


def _waits(cell: Cell, node: ast.expr, hint: str) -> Diagnostic:
    message = f"`{cell.text(node)}` holds the event loop: until it returns, no other task runs"
    return cell.diagnostic(RULE, node, message, hint)


def _runs_now(cell: Cell, place: ast.Call, function: ast.AST | None) -> bool:
    """Whether the call runs the function's body: a generator's runs where it is run through."""
    is_lazy = isinstance(function, ast.FunctionDef) and facts(function).is_generator
    return not is_lazy or is_consumed(cell, place)


def _waits_for_itself(cell: Cell, node: ast.AST) -> bool:
    """Whether the result of what runs on this very loop is waited for: it never comes."""
    owner = (
        cell.flow.values.get(node.func.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        else None
    )
    if not isinstance(owner, Awaitable) or not isinstance(owner.node, ast.Call):
        return False
    loop = cell.flow.calls[owner.node].argument(1, "loop") if owner.node in cell.flow.calls else None
    own = [n for n, c in cell.flow.calls.items() if function_name(c.function).rpartition(".")[2] in _LOOPS]
    return loop is not None and any(cell.flow.values.get(n) is loop for n in own)


def _waits_at_the_end(cell: Cell, node: ast.With) -> bool:
    """Whether a pool of threads is left in async code with work that nothing has awaited."""
    if class_name(cell.flow.values.get(node.items[0].context_expr)) not in _EXECUTORS:
        return False
    inside = [child for statement in node.body for child in ast.walk(statement)]
    works = any(isinstance(n, ast.Call) and n in cell.flow.calls and _is_submitted(cell.flow.calls[n]) for n in inside)
    waits = any(isinstance(n, (ast.Await, ast.AsyncFor, ast.AsyncWith)) for n in inside)
    return works and not waits and isinstance(cell.function_of(node), ast.AsyncFunctionDef)


def _is_submitted(call: Call) -> bool:
    return function_name(call.function) in {*_LAZY, *(f"{executor}.submit" for executor in _EXECUTORS)}


def _is_awaited(cell: Cell, node: ast.expr) -> bool:
    return isinstance(cell.parents.get(node), ast.Await)


def _blocks(cell: Cell, node: ast.Call, call: Call) -> bool:
    name = call.function.name if isinstance(call.function, Returning) else function_name(call.function)
    if isinstance(node.func, ast.Name) and node.func.id == "input":
        return isinstance(call.function, Live) and call.function.obj is objects.builtin("input")
    if name == "time.sleep":
        seconds = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        return not isinstance(seconds, (int, float)) or seconds >= _SHORTEST
    if name in _LAZY:
        return is_consumed(cell, node)
    if name in ("_asyncio.Task.result", "_asyncio.Future.result") and isinstance(node.func, ast.Attribute):
        owner = cell.flow.values.get(node.func.value)
        is_of_thread = isinstance(owner, Awaitable) and function_name(owner.maker) == _THREADSAFE
        return is_of_thread and not _is_done(cell, node, ast.unparse(node.func.value))
    if name in BLOCKING:
        return not _returns_at_once(cell, node, name)
    root, _, _ = name.partition(".")
    method = name.rpartition(".")[2]
    if root in ("requests", "urllib3") and method in _HTTP:
        return True
    if root == "httpx" and method in _HTTP and "Async" not in name:
        return True
    if root == "pandas" and method.startswith("read_"):
        first = call.argument(0)
        return isinstance(first, Live) and type(first.obj) is str and "://" in first.obj
    return _is_client_call(cell, node) or _has_async_twin(call, node)


def _returns_at_once(cell: Cell, node: ast.Call, name: str) -> bool:
    """Whether the arguments or the code before say that the call will not wait."""
    if name.startswith(("queue.", "_queue.")):
        first = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "block"), None)
        return isinstance(first, ast.Constant) and first.value is False
    if name.startswith("concurrent.futures._base.Future.") and isinstance(node.func, ast.Attribute):
        return _is_done(cell, node, ast.unparse(node.func.value))
    if name.startswith(("_socket.socket.", "socket.socket.")):
        owner = cell.flow.values.get(node.func.value) if isinstance(node.func, ast.Attribute) else None
        is_made_here = isinstance(owner, Instance) and owner.is_exact
        return not is_made_here or "setblocking" in cell.source or "settimeout" in cell.source
    if name.startswith(("threading.", "multiprocessing.process")):
        timeout = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "timeout"), None)
        return isinstance(timeout, ast.Constant) and timeout.value == 0
    return False


def _is_done(cell: Cell, node: ast.Call, waited: str) -> bool:
    """Whether the code before has asked for, or awaited, the end of what is waited for."""
    for other in ast.walk(cell.function_of(node) or cell.tree):
        if isinstance(other, ast.Call) and getattr(other, "lineno", 0) <= node.lineno:
            text = ast.unparse(other.func)
            if text == f"{waited}.done" or ("wrap_future" in text and waited in map(ast.unparse, other.args)):
                return True
    return False


def _is_client_call(cell: Cell, node: ast.Call) -> bool:
    """Whether the call goes through the blocking client of a package that has an asynchronous one."""
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in _CALLS:
        return False
    root: ast.expr = node.func
    while isinstance(root, ast.Attribute):
        if root.attr == "aio":
            return False
        root = root.value
    name = class_name(cell.flow.values.get(root))
    if name.partition(".")[0] not in _CLIENTS:
        return False
    return name.rpartition(".")[2].removeprefix("Azure") in (
        "OpenAI",
        "Anthropic",
        "Client",
        "Groq",
        "Together",
        "Mistral",
    )


def _has_async_twin(call: Call, node: ast.Call) -> bool:
    """Whether the called method is the plain twin of an async one: `invoke` beside `ainvoke`."""
    if not isinstance(call.function, Bound) or not isinstance(node.func, ast.Attribute) or node.func.attr not in _TWINS:
        return False
    owner = call.function.owner
    cls = type(owner.obj) if isinstance(owner, Live) else owner.cls if isinstance(owner, Instance) else None
    if cls is None:
        return False
    name = node.func.attr
    twins = (f"a{name}", f"{name}_async", name.removesuffix("_sync") if name.endswith("_sync") else f"a_{name}")
    plain = objects.class_lookup(cls, name)
    if objects.is_coroutine_function(plain):
        return False
    found = [objects.class_lookup(cls, twin) for twin in twins]
    return any(objects.is_coroutine_function(f) or objects.is_async_generator_function(f) for f in found)


def _blocking_helpers(
    cell: Cell, blocking: set[ast.Call], run: list[tuple[ast.expr, Value | None]]
) -> set[ast.AST | None]:
    """The plain functions of the cell in which a blocking call stands, or a call of such a function."""
    helpers: set[ast.AST | None] = set()
    places: set[ast.expr] = set(blocking)
    for _ in range(3):
        functions = map(cell.function_of, places)
        helpers |= {f for f in functions if isinstance(f, (ast.FunctionDef, ast.Lambda))}
        places = {place for place, function in run if definition(function) in helpers}
    return helpers


def _helper_blocks(cell: Cell, function: Value | None, depth: int = 2) -> bool:
    """Whether a live plain function of the user's blocks."""
    return any(
        _blocks(cell, node, Call(node, callee, [], scope)) or (depth and _helper_blocks(cell, callee, depth - 1))
        for _, node, callee, scope in cell.calls_inside(function)
    )


def _pending_tasks(cell: Cell) -> list[int]:
    """The lines at the top level where tasks are started."""
    return [
        getattr(task.node, "lineno", 0)
        for task in cell.flow.made
        if task.kind == "task" and task.scope is None and task.node is not None
    ]


def _starves(cell: Cell, line: int, node: ast.expr) -> bool:
    """Whether a task started on the line is still to run when the call comes."""
    awaits = [n.lineno for n, _ in cell.flow.awaits if cell.function_of(n) is None]
    return line < node.lineno and not any(line <= awaited < node.lineno for awaited in awaits)


def _diagnostic(cell: Cell, node: ast.Call, call: Call) -> Diagnostic:
    text = cell.text(node)
    message = f"`{text}` holds the event loop: until it returns, no other task runs"
    arguments = [cell.text(arg, 1000) for arg in node.args]
    arguments += [f"{k.arg}={cell.text(k.value, 1000)}" if k.arg else f"**{cell.text(k.value)}" for k in node.keywords]
    name = function_name(call.function)
    if name in _LAZY:
        return _waits(
            cell, node, f"Await them: `await asyncio.gather(*(loop.run_in_executor({_owner(cell, node)}, …) for …))`"
        )
    if name.startswith("_asyncio.") and isinstance(node.func, ast.Attribute):
        return _waits(cell, node, f"Await it: `await asyncio.wrap_future({cell.text(node.func.value)})`")
    if name == "time.sleep":
        new = f"await asyncio.sleep({', '.join(arguments)})"
    else:
        new = f"await asyncio.to_thread({', '.join([cell.text(node.func, 1000), *arguments])})"
    is_tight = isinstance(cell.parents.get(node), (ast.Attribute, ast.Subscript))
    has_asyncio = cell.flow.lookup("asyncio", cell.flow.final) is not None
    fix = cell.replaced_with(node, f"({new})" if is_tight else new) if has_asyncio else None
    return cell.diagnostic(RULE, node, message, f"Write `{new}`", fix=fix)


def _owner(cell: Cell, node: ast.Call) -> str:
    return cell.text(node.func.value) if isinstance(node.func, ast.Attribute) else "pool"
