"""`%asynctrace tasks`: the tasks alive on the loop now, as a tree of who awaits whom."""

from __future__ import annotations

import asyncio
import linecache
from pathlib import PurePath
from types import FrameType
from typing import Any

from asyncmagic.instrumentation.places import is_users
from asyncmagic.slots import awaited_tasks

_KERNEL = ("ipykernel", "IPython", "jupyter_client", "tornado", "zmq")


def tree(loop: asyncio.AbstractEventLoop | None = None) -> str:
    """Return the tasks of the loop as text: a line each with its state and where it awaits, awaited ones below."""
    loop = loop or _the_loop()
    alive = {task for task in asyncio.all_tasks(loop) if not _is_kernels(task)}
    if not alive:
        return "no tasks are alive on this loop"
    awaited = {task: [other for other in awaited_tasks(task) if other in alive] for task in alive}
    below = {other for others in awaited.values() for other in others}
    lines: list[str] = []
    written: set[asyncio.Task[Any]] = set()

    def write(task: asyncio.Task[Any], depth: int) -> None:
        again = "  (see above)" if task in written else f"  {_state(task)}{_place(task)}"
        lines.append(f"{'  ' * depth}{task.get_name()}{again}")
        if task not in written and depth < 50:
            written.add(task)
            for other in awaited[task]:
                write(other, depth + 1)

    # Those that nobody awaits, and then those that await each other in a circle.
    for task in sorted(alive, key=lambda task: (task in below, task.get_name())):
        if task not in written:
            write(task, 0)
    return "\n".join(lines)


def _the_loop() -> asyncio.AbstractEventLoop:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.get_event_loop_policy().get_event_loop()


def _is_kernels(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and any(part in PurePath(code.co_filename).parts for part in _KERNEL)


def _waiter(task: asyncio.Task[Any]) -> Any:
    return getattr(task, "_fut_waiter", None)


def _state(task: asyncio.Task[Any]) -> str:
    if task is asyncio.current_task(task.get_loop()):
        return "running"
    if task.cancelling():
        return "being cancelled"
    return "waiting" if _waiter(task) is not None else "ready"


def _place(task: asyncio.Task[Any]) -> str:
    """Return where the task awaits: the user's innermost line, or a library's outermost with its file."""
    found: FrameType | None = None
    coroutine: Any = task.get_coro()
    for _ in range(100):
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            break
        if found is None or is_users(frame.f_code.co_filename):
            found = frame
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    if found is None:
        return ""
    file = found.f_code.co_filename
    library = "" if is_users(file) else f" in {'/'.join(PurePath(file).parts[-2:])}"
    line = linecache.getline(file, found.f_lineno).strip()
    return f"  {found.f_code.co_qualname}{library}" + (f" line {found.f_lineno}: {line}" if line else "")
