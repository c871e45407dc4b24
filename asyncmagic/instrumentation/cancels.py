"""Who cancelled a task: read from the stack at the moment when the cancellation reaches it, and only then."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio import tasks
from collections import deque
from gc import get_referents
from itertools import islice
from types import CodeType, FrameType
from typing import Any
from weakref import WeakKeyDictionary

from asyncmagic.instrumentation.places import is_housekeeping, is_users, is_wrapper, library
from asyncmagic.instrumentation.waits import task_name
from asyncmagic.tracing.redaction import redact
from asyncmagic.tracing.tracer import Tracer

Gathering: Any = tasks._GatheringFuture  # type: ignore[attr-defined]
_Group: Any = asyncio.TaskGroup

#: Whose cancelling it is where one of these is on the stack: (end of the file's path, qualified name) -> words.
_CALLERS = {
    ("asyncio/timeouts.py", "Timeout._on_timeout"): "timeout",
    ("asyncio/tasks.py", "wait_for"): "wait_for",
    ("asyncio/taskgroups.py", "TaskGroup._abort"): "task group",
    ("asyncio/runners.py", "_cancel_all_tasks"): "loop shutdown",
    ("asyncio/runners.py", "Runner._on_sigint"): "interrupt",
    ("_backends/_asyncio.py", "CancelScope._deliver_cancellation"): "cancel scope",
}
#: How many of the last callbacks in the queue are looked at.
_LAST = 8
#: Below these the stack is the loop's.
_LOOP = {"run_once", "_run_once", "_run"}


class Cancels:
    """Notes who cancelled which waiting task; keeps no task.

    While a task does not wait, and before it does for the first time, nobody is seen but a task group.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._who: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def note(self, task: asyncio.Task[Any], future: Any) -> None:
        """Note who has just cancelled `future`, for which `task` waits; call it where the future wakes the task up."""
        try:
            who = self._read(task, future)
            if who:
                name, colon, message = who.partition(": ")
                # What it awaited was cancelled by it, which had cancelled itself.
                self._who[task] = f"itself{colon}{message}" if name == _name(task) else who
        except Exception:
            # Somebody's future does not answer as others do: it is not known who.
            pass

    def who(self, task: asyncio.Task[Any]) -> str:
        """Return who cancelled a task that ended so, or "" where nobody was seen."""
        try:
            return self._who.get(task) or self._group(task) or _message(task)
        except Exception:
            # A task that cannot be hashed.
            return ""

    def _group(self, task: asyncio.Task[Any]) -> str:
        """Return who cancelled a task that has just ended, if its task group did."""
        # What is to be called because it ended is the last in the queue, but for what other threads have sent.
        queue: deque[Any] = getattr(task.get_loop(), "_ready", deque()).copy()
        for handle in islice(reversed(queue), _LAST):
            group = getattr(handle._callback, "__self__", None)
            if isinstance(group, _Group) and handle._args[:1] == (task,) and group._aborting:
                return self._who.get(group._parent_task) or "task group"
        return ""

    def _read(self, task: asyncio.Task[Any], future: Any) -> str:
        if type(future) is Gathering:
            # It passes cancellations on: to its tasks, and when they have ended to the one that waits.
            if not task.cancelling():
                return ""
            return next((who for child in future._children if (who := self._who.get(child))), "")
        what = place = ""
        is_asyncios = True
        frame: FrameType | None = sys._getframe(3)
        while frame is not None and frame.f_code.co_name not in _LOOP:
            code = frame.f_code
            what = what or _caller(code)
            is_asyncios = is_asyncios and _is_asyncios(code.co_filename)
            if is_users(code.co_filename) and not is_housekeeping(code.co_filename):
                place = f"{self._tracer.name_file(code.co_filename)}:{frame.f_lineno}"
                break
            frame = frame.f_back
        if not what and not place and isinstance(future, asyncio.Task):
            who = self._who.get(future) or _message(future)
            if task.cancelling():
                return who
            return f"task {task_name(future)}, which was cancelled" + (f" by {who}" if who else "")
        actor = asyncio.current_task(task.get_loop())
        if what and actor is not None and (who := self._who.get(actor)):
            # It was cancelled itself, and passes that on to what it waits for.
            return who
        if what and not place:
            return what
        message = "" if what else _message(future)
        if not what and not place and not is_asyncios:
            return message
        # With none but asyncio on the stack, a task passes on what it did to itself, or the loop calls `cancel`.
        what = what or ("itself" if actor is task else _name(actor))
        return what + (f" ({place})" if place else "") + (f": {message}" if message else "")


def _is_asyncios(file: str) -> bool:
    """Whether a file is the standard library's, or of ours what only stands around it."""
    return is_wrapper(file) or (library(file) == "" and not is_housekeeping(file))


def _name(actor: asyncio.Task[Any] | None) -> str:
    if actor is None:
        return "a callback"
    code = getattr(actor.get_coro(), "cr_code", None)
    is_kernels = code is not None and is_housekeeping(code.co_filename)
    return "the cell" if is_kernels else f"task {task_name(actor)}"


def _message(future: Any) -> str:
    message = getattr(future, "_cancel_message", None)
    if message is None:
        # Of a task that has ended it is in the exception only, which a task in C shows to nobody.
        errors = (getattr(future, "_cancelled_exc", None), *get_referents(future))
        message = next(
            (each.args[0] for each in errors if isinstance(each, asyncio.CancelledError) and each.args), None
        )
    return redact(message) if isinstance(message, str) else ""


def _caller(code: CodeType) -> str:
    file = "/".join(code.co_filename.replace(os.sep, "/").rsplit("/", 2)[1:])
    return _CALLERS.get((file, code.co_qualname), "")
