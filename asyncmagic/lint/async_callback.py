"""async-callback: an async function given to something that calls it as a plain function."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from asyncmagic.diagnostics import Diagnostic
from asyncmagic.lint.cell import Cell, Header
from asyncmagic.lint.fates import lost, misused
from asyncmagic.lint.flow import Call
from asyncmagic.lint.flow.kinds import function_name, is_async_function
from asyncmagic.lint.flow.values import Value

RULE = "async-callback"

#: Qualified name, or its end from a dot on -> where the callback stands: positions and keywords.
_CALLBACKS: dict[str, tuple[int | str, ...]] = {
    "builtins.filter": (0,),
    "builtins.sorted": ("key",),
    "builtins.min": ("key",),
    "builtins.max": ("key",),
    "builtins.list.sort": ("key",),
    "itertools.groupby": (1, "key"),
    "itertools.filterfalse": (0,),
    "itertools.takewhile": (0,),
    "itertools.dropwhile": (0,),
    "itertools.accumulate": (1, "func"),
    "_functools.reduce": (0,),
    "functools.reduce": (0,),
    "functools.cmp_to_key": (0,),
    "heapq.nlargest": ("key",),
    "heapq.nsmallest": ("key",),
    "heapq.merge": ("key",),
    "bisect.bisect_left": ("key",),
    "bisect.insort_right": ("key",),
    "json.dumps": ("default",),
    "json.dump": ("default",),
    "json.loads": ("object_hook",),
    "contextlib._BaseExitStack.callback": (0,),
    "collections.defaultdict": (0,),
    "dataclasses.field": ("default_factory",),
    "threading.Thread": (1, "target"),
    "threading.Timer": (1, "function"),
    "multiprocessing.context.Process": (1, "target"),
    "asyncio.threads.to_thread": (0,),
    "asyncio.base_events.BaseEventLoop.run_in_executor": (1,),
    "asyncio.base_events.BaseEventLoop.call_soon": (0,),
    "asyncio.base_events.BaseEventLoop.call_soon_threadsafe": (0,),
    "asyncio.base_events.BaseEventLoop.call_later": (1,),
    "asyncio.base_events.BaseEventLoop.call_at": (1,),
    "uvloop.Loop.run_in_executor": (1,),
    "uvloop.Loop.call_soon": (0,),
    "uvloop.Loop.call_soon_threadsafe": (0,),
    "uvloop.Loop.call_later": (1,),
    "_asyncio.Task.add_done_callback": (0,),
    "_asyncio.Future.add_done_callback": (0,),
    "asyncio.tasks.Task.add_done_callback": (0,),
    "asyncio.futures.Future.add_done_callback": (0,),
    "concurrent.futures._base.Future.add_done_callback": (0,),
    "concurrent.futures.thread.ThreadPoolExecutor.submit": (0,),
    "concurrent.futures.process.ProcessPoolExecutor.submit": (0,),
    "concurrent.futures._base.Executor.submit": (0,),
    "concurrent.futures._base.Executor.map": (0,),
    "concurrent.futures.process.ProcessPoolExecutor.map": (0,),
    "anyio.to_thread.run_sync": (0,),
    "signal.signal": (1,),
    "atexit.register": (0,),
    "weakref.finalize": (1,),
    "re.sub": (1, "repl"),
    "re.Pattern.sub": (0, "repl"),
    "timeit.timeit": (0,),
    "traitlets.traitlets.HasTraits.observe": (0,),
    "ipywidgets.widgets.widget_button.Button.on_click": (0,),
    "ipywidgets.widgets.widget.Widget.on_msg": (0,),
    "ipywidgets.widgets.interaction.interactive_output": (0,),
}
#: Methods that Python calls itself, and whose result it uses at once.
_PLAIN_METHODS = frozenset(
    ["__init__", "__post_init__", "__enter__", "__exit__", "__del__", "__len__", "__bool__", "__str__", "__repr__"]
)
_LOOP_METHODS = {"call_soon": 0, "call_soon_threadsafe": 0} | dict.fromkeys(
    ["call_later", "call_at", "run_in_executor", "add_signal_handler", "add_reader", "add_writer"], 1
)


def check(cell: Cell) -> Iterator[Diagnostic]:
    """A plain caller gets a coroutine back instead of a result, and drops it or takes it for the result.

    Wrong:

        best = max(answers, key=score)                  # score is async: coroutines are compared

    Right:

        scores = await asyncio.gather(*map(score, answers))
        best = answers[scores.index(max(scores))]
    """
    for method in cell.nodes:
        is_special = isinstance(method, ast.AsyncFunctionDef) and method.name in _PLAIN_METHODS
        if isinstance(method, ast.AsyncFunctionDef) and is_special and isinstance(cell.parents[method], ast.ClassDef):
            message = f"Python calls `{method.name}` as a plain function: it gets a coroutine, which never runs"
            hint = "Do the awaiting in an `async` method of another name, which the caller awaits"
            yield cell.diagnostic(RULE, Header(method), message, hint)
    seen: set[int] = set()
    for node, call in cell.flow.calls.items():
        for argument, value in _callbacks(node, call):
            if is_async_function(cell.flow, value):
                seen.add(node.lineno)
                yield _diagnostic(cell, argument, cell.text(argument), cell.text(node.func))
    for node_, _, _ in [*misused(cell, RULE), *lost(cell, RULE)]:
        if isinstance(node_, ast.Call) and node_.args and node_.lineno not in seen:
            yield _diagnostic(cell, node_.args[0], cell.text(node_.args[0]), cell.text(node_.func))


def _diagnostic(cell: Cell, node: ast.AST, callback: str, caller: str) -> Diagnostic:
    return cell.diagnostic(
        RULE,
        node,
        f"`{callback}` is async, but `{caller}` calls it as a plain function: it gets a coroutine, which never runs",
        "Await the calls first, and pass on their results",
    )


def _callbacks(node: ast.Call, call: Call) -> Iterator[tuple[ast.expr, Value | None]]:
    name = function_name(call.function)
    places = _CALLBACKS.get(name)
    if places is None and isinstance(node.func, ast.Attribute) and name.rpartition(".")[2] in _LOOP_METHODS:
        owner = name.rpartition(".")[0]
        places = (
            (_LOOP_METHODS[node.func.attr],) if owner.endswith("Loop") and node.func.attr in _LOOP_METHODS else None
        )
    for place in places or ():
        if isinstance(place, str):
            found = next((keyword.value for keyword in node.keywords if keyword.arg == place), None)
            if found is not None:
                yield found, call.keywords.get(place)
        elif place < len(node.args) and not isinstance(node.args[place], ast.Starred):
            yield node.args[place], call.argument(place)
