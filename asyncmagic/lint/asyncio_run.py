"""asyncio-run: `asyncio.run` where a loop is running already, as one always is in a notebook."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow import objects
from asyncmagic.lint.flow.kinds import function_name
from asyncmagic.lint.flow.sources import FUNCTIONS
from asyncmagic.lint.flow.values import Function, Value
from asyncmagic.lint.reach import called_on_loop, is_dead, run_in_place

RULE = "asyncio-run"
_RUNNERS = frozenset(
    {
        "asyncio.runners.run",
        "asyncio.runners.Runner.run",
        "asyncio.base_events.BaseEventLoop.run_until_complete",
        "asyncio.base_events.BaseEventLoop.run_forever",
        "uvloop.Loop.run_until_complete",
        "uvloop.Loop.run_forever",
        "uvloop.run",
        "anyio._core._eventloop.run",
        "trio._core._run.run",
    }
)
#: Libraries' own `asyncio.run`, each beside an async method without `_sync`.
_BLOCKING_WRAPPERS = ("agents.run.", "pydantic_ai.")
#: Servers and the like that start the loop themselves, and what to write instead.
_SERVERS = {
    "uvicorn.main.run": "`await uvicorn.Server(uvicorn.Config(…)).serve()`",
    "uvicorn.server.Server.run": "`await server.serve()`",
    "aiohttp.web.run_app": "`await web.AppRunner(app).setup()`, and a `web.TCPSite` for it",
    "hypercorn.run.run": "`await hypercorn.asyncio.serve(…)`",
    "discord.client.Client.run": "`await client.start(…)`",
    "mcp.server.fastmcp.server.FastMCP.run": "`await server.run_stdio_async()`",
    "fastmcp.server.server.FastMCP.run": "`await server.run_async()`",
}
_METHODS = frozenset({"run_until_complete", "run_forever"})


def check(cell: Cell) -> Iterator[Diagnostic]:
    """A notebook's loop is running; starting another inside it raises RuntimeError.

    Wrong:

        result = asyncio.run(main())

    Right:

        result = await main()
    """
    if _is_nested(cell):
        return
    run = list(run_in_place(cell))
    on_loop = called_on_loop(cell, run)
    runners: set[tuple[ast.AST | None, str]] = set()

    def runs_here(node: ast.expr) -> bool:
        function = cell.function_of(node)
        if function is None:
            is_here = not cell.is_agents
        else:
            is_here = isinstance(function, ast.AsyncFunctionDef) or function in on_loop
        return is_here and not _is_guarded(cell, node, on_loop) and not is_dead(cell, node)

    for node, call in cell.flow.calls.items():
        name = function_name(call.function)
        starts = _is_runner(call.function, node) or name in _SERVERS or _is_blocking_wrapper(name)
        if not starts or not runs_here(node):
            continue
        if name == "asyncio.runners.Runner.run" and isinstance(node.func, ast.Attribute):
            runner = (cell.function_of(node), ast.unparse(node.func.value))
            if runner in runners:
                continue  # The first one has raised.
            runners.add(runner)
        yield _diagnostic(cell, node, name)
    for place, function in run:
        if _runs_inside(cell, function) and runs_here(place):
            shown = place.func if isinstance(place, ast.Call) else place
            yield cell.diagnostic(RULE, place, _message(cell, shown), "Make it `async def`, and await it here")


def _message(cell: Cell, node: ast.expr) -> str:
    return f"`{cell.text(node)}` starts an event loop, and one is running: this raises RuntimeError"


def _diagnostic(cell: Cell, node: ast.Call, name: str) -> Diagnostic:
    message = _message(cell, node.func)
    if name in _SERVERS:
        return cell.diagnostic(RULE, node, message, f"Write {_SERVERS[name]}")
    if _is_blocking_wrapper(name) and isinstance(node.func, ast.Attribute):
        twin = f"{cell.text(node.func.value)}.{node.func.attr.removesuffix('_sync')}"
        return cell.diagnostic(RULE, node, message, f"Write `await {twin}(…)`")
    argument = node.args[0] if len(node.args) == 1 and not node.keywords else None
    around = next((n for n in cell.above(node) if isinstance(n, (*FUNCTIONS, ast.ClassDef))), None)
    if isinstance(argument, ast.Call) and cell.can_await(node) and not isinstance(around, ast.ClassDef):
        fix = cell.replaced_with(node, "await " + cell.text(argument, 10_000))
        return cell.diagnostic(RULE, node, message, f"Write `await {cell.text(argument)}`", fix=fix)
    return cell.diagnostic(RULE, node, message, "Await the coroutine instead")


def _is_runner(function: Value | None, node: ast.Call) -> bool:
    name = function_name(function)
    if name:
        return name in _RUNNERS or (name.rpartition(".")[2] in _METHODS and "Loop" in name)
    return isinstance(node.func, ast.Attribute) and node.func.attr == "run_until_complete" and function is None


def _is_blocking_wrapper(name: str) -> bool:
    return name.startswith(_BLOCKING_WRAPPERS) and name.endswith(".run_sync")


def _runs_inside(cell: Cell, function: Value | None, depth: int = 2) -> bool:
    """Whether a live plain function of the user's runs a loop itself."""
    for source, node, callee, _ in cell.calls_inside(function):
        if _is_runner(callee, node) or (depth and _runs_inside(cell, callee, depth - 1)):
            return not _handles_running_loop(source)
    return False


def _handles_running_loop(source: Function) -> bool:
    return any(
        isinstance(n, (ast.Name, ast.Attribute))
        and (n.id if isinstance(n, ast.Name) else n.attr)
        in ("get_running_loop", "is_running", "nest_asyncio", "Thread")
        for n in ast.walk(source.node)
    )


def _is_guarded(cell: Cell, node: ast.expr, on_loop: set[ast.AST]) -> bool:
    """Whether the cell has thought of the running loop."""
    child: ast.AST = node
    for parent in cell.above(node):
        if (
            isinstance(parent, ast.ExceptHandler)
            and parent.type is not None
            and "RuntimeError" in ast.unparse(parent.type)
        ):
            return True
        catches = isinstance(parent, ast.Try) and [h for h in parent.handlers if child in parent.body]
        if catches and any((h.type is None or "RuntimeError" in ast.unparse(h.type)) and _copes(h) for h in catches):
            return True
        if isinstance(parent, (ast.If, ast.IfExp)):
            text = ast.unparse(parent.test)
            if "is_running" in text or "running_loop" in text:
                return True
        if isinstance(parent, ast.Lambda) and parent not in on_loop:
            return True
        child = parent
    return False


def _copes(handler: ast.ExceptHandler) -> bool:
    """Whether the handler does by other means what could not be done, and does not only tell of it."""
    return any(
        isinstance(node, (ast.Await, ast.Return, ast.Pass, ast.Import, ast.ImportFrom))
        or (isinstance(node, (ast.Name, ast.Attribute)) and "loop" in ast.unparse(node))
        for node in ast.walk(handler)
    )


def _is_nested(cell: Cell) -> bool:
    """Whether nest_asyncio lets loops run inside loops."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and "_nest_patched" in objects.instance_dict(asyncio):
        return True
    return "nest_asyncio" in cell.source and ".apply" in cell.source
