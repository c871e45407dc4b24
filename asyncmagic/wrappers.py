"""Blocking entry points of libraries, and what to await instead: said where one has failed on the running loop."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Mapping
from typing import Any

#: What a blocking call says when a loop is running already: asyncio, OpenAI Agents, CrewAI, LangGraph, AutoGen.
_COMPLAINTS = (
    "running event loop",
    "loop is already running",
    "from a running loop",
    "in an async context",
    "another loop is running",
)

#: How asyncio itself refuses, which `--nest` helps; of the libraries that refuse, it knows those below.
_ASYNCIO = ("asyncio.run() cannot", "Runner.run() cannot", "This event loop is", "Cannot run the event loop")
_NESTED = ("run_sync", "kickoff", "kickoff_for_each")

#: The blocking name and its async twin, as the libraries of today spell them.
TWINS = {
    "run_sync": "run",
    "invoke": "ainvoke",
    "stream": "astream",
    "batch": "abatch",
    "kickoff": "kickoff_async",
    "kickoff_for_each": "kickoff_for_each_async",
    "run_until_complete": "",
    "run": "",
}


def explain(error: BaseException, is_users: Callable[[str], bool]) -> str | None:
    """Return what to write instead, where `error` is a blocking wrapper's complaint about the running loop."""
    # What complained first is told: on its way out, a `with asyncio.Runner()` complains a second time.
    complaints = [one for one in (error.__context__, error) if one is not None and _is_complaint(one)]
    call = next((call for one in complaints if (call := _failed_call(one, is_users)) is not None), None)
    if call is None:
        return None
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    written = ast.unparse(call)
    if name not in TWINS:
        return (
            f"`{written}` wants a loop of its own; start the cell with `%%agents --nest` to let it run inside this one."
        )
    if TWINS[name] and isinstance(call.func, ast.Attribute):
        twin = _twin(call, call.func)
    else:
        twin = f"await {ast.unparse(call.args[0])}" if call.args else "await …"
    can_nest = name in _NESTED or str(error).startswith(_ASYNCIO)
    or_nest = ", or start with `%%agents --nest`" if can_nest else ""
    return f"`{written}` blocks, and this loop is running already. Write `{twin}`{or_nest}."


def twin(line: str, namespace: Mapping[str, Any]) -> str | None:
    """Return what to await instead of the blocking call in a line of code, where the object has such a twin."""
    for call in _calls(line.strip()):
        if isinstance(call.func, ast.Attribute) and TWINS.get(call.func.attr):
            owner = call.func.value
            known = namespace.get(owner.id) if isinstance(owner, ast.Name) else None
            if known is None or hasattr(known, TWINS[call.func.attr]):
                return _twin(call, call.func)
    return None


def _twin(call: ast.Call, function: ast.Attribute) -> str:
    function.attr = TWINS[function.attr]
    return f"await {ast.unparse(call)}"


def _is_complaint(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _COMPLAINTS)


def _failed_call(error: BaseException, is_users: Callable[[str], bool]) -> ast.Call | None:
    """Return the call of the user's that the error came through: the first known wrapper, else the innermost call."""
    innermost: ast.Call | None = None
    traceback = error.__traceback__
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if is_users(file):
            calls = _calls(linecache.getline(file, traceback.tb_lineno).strip())
            known = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in TWINS]
            for call in known or calls:
                if isinstance(call.func, ast.Attribute) and TWINS.get(call.func.attr):
                    return call
                innermost = call
        traceback = traceback.tb_next
    return innermost


def _calls(line: str) -> list[ast.Call]:
    try:
        return [node for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Call)]
    except SyntaxError:
        return []
