"""What a run needs of the process around it: Stop that stops, and Cancel that arrives."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

logger = logging.getLogger("asyncmagic")

#: Seconds after which an interrupt that the loop has not taken up is raised in the code that blocks it.
_PATIENCE = 0.3


class Interrupt:
    """While entered, the kernel's interrupt (SIGINT) calls `stop` on the loop, at once and wherever the loop waits.

    ipykernel's own handler only queues a callback, which an idle loop notices at its next event (ipykernel#881). Where
    synchronous code holds the loop, the interrupt is raised in that code a moment later: as `KeyboardInterrupt` in the
    cell's own task, as `CancelledError` in one that the cell started, where a `KeyboardInterrupt` would stop the
    kernel's loop.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._has_arrived = threading.Event()
        self._is_installed = False
        self._was_asked = False
        self._insists = False

    def __enter__(self) -> Interrupt:
        self._loop = asyncio.get_running_loop()
        self._owner = asyncio.current_task()
        self._others = asyncio.all_tasks()
        if threading.current_thread() is threading.main_thread():
            self._former = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, self._on_signal)
            self._is_installed = True
        return self

    def __exit__(self, *_: object) -> None:
        self._has_arrived.set()
        # Compared by ==: a bound method is made anew at every access.
        if self._is_installed and signal.getsignal(signal.SIGINT) == self._on_signal:
            signal.signal(signal.SIGINT, self._former)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        __tracebackhide__ = True
        if not self._was_asked:
            self._was_asked = True
            self._loop.call_soon_threadsafe(self._arrive)
            threading.Thread(target=self._insist, name="asyncmagic-interrupt", daemon=True).start()
            return
        current = asyncio.current_task(self._loop)
        if current is self._owner:
            raise KeyboardInterrupt
        if current is not None and current not in self._others:
            raise asyncio.CancelledError("interrupted")
        if not self._insists:  # The user asks a second time.
            self._loop.call_soon_threadsafe(self._arrive)
        self._insists = False

    def _arrive(self) -> None:
        self._has_arrived.set()
        self._stop()

    def _insist(self) -> None:
        if not self._has_arrived.wait(_PATIENCE) and hasattr(signal, "pthread_kill"):
            self._insists = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


# -- Cancel buttons on kernels that queue messages behind the running cell

_COMM_MESSAGES = ("comm_open", "comm_msg", "comm_close")


@contextmanager
def comm_messages(shell: Any) -> Iterator[None]:
    """Deliver widget messages while an async cell runs. ipykernel 7.4 does so itself; older ones keep them waiting."""
    kernel: Any = getattr(shell, "kernel", None)
    undo: Callable[[], None] | None = None
    try:
        if hasattr(kernel, "_main_asyncio_lock") and "concurrent" not in kernel.dispatch_shell.__code__.co_varnames:
            undo = _pass_the_lock(kernel)
        elif hasattr(kernel, "msg_queue") and not hasattr(kernel, "_main_asyncio_lock"):
            undo = _pass_the_queue(kernel)
    except Exception:
        logger.debug("this kernel delivers Cancel only after the cell", exc_info=True)
    try:
        yield
    finally:
        if undo is not None:
            undo()


def _message_type(session: Any, message: Any) -> str | None:
    try:
        _, frames = session.feed_identities(message, copy=False)
        kind: str = session.unpack(frames[1].bytes)["msg_type"]
    except Exception:
        return None
    return kind


def _pass_the_queue(kernel: Any) -> Callable[[], None]:
    """ipykernel 5 and 6: one queue holds every message until the cell has ended."""
    queue = kernel.msg_queue
    put = queue.put_nowait

    def put_nowait(item: Any) -> None:
        message = item[-1][-1] if item[-1] else None
        if isinstance(message, list) and _message_type(kernel.session, message) in _COMM_MESSAGES:
            asyncio.get_running_loop().call_soon(_handle, kernel, message)
        else:
            put(item)

    queue.put_nowait = put_nowait
    return lambda: queue.__dict__.pop("put_nowait", None)


def _handle(kernel: Any, raw: Any) -> None:
    _, parts = kernel.session.feed_identities(raw, copy=False)
    identities = raw[: len(raw) - len(parts) - 1]
    message = kernel.session.deserialize(parts, content=True, copy=False)
    stream = getattr(kernel, "shell_stream", None) or kernel.shell_streams[0]
    try:
        kernel.shell_handlers[message["header"]["msg_type"]](stream, identities, message)
    finally:  # Front ends send the next message only after the idle status of the last.
        try:
            kernel._publish_status("idle", "shell", parent=message)
        except TypeError:
            kernel._publish_status("idle", parent=message)


def _pass_the_lock(kernel: Any) -> Callable[[], None]:
    """ipykernel 7.0 to 7.3: every message waits for one asyncio lock."""
    lock = kernel._main_asyncio_lock
    kernel._main_asyncio_lock = _PassingLock(kernel, lock)

    def undo() -> None:
        kernel._main_asyncio_lock = lock

    return undo


class _PassingLock:
    """Lets comm messages pass a held lock, and gives the cell its parent message back after each."""

    def __init__(self, kernel: Any, lock: asyncio.Lock) -> None:
        self._kernel = kernel
        self._lock = lock
        self._passing: dict[asyncio.Task[Any] | None, tuple[Any, Any]] = {}

    def locked(self) -> bool:
        return self._lock.locked()

    async def __aenter__(self) -> None:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_name != "shell_main":
            frame = frame.f_back
        message = frame.f_locals.get("msg") if frame is not None else None
        kernel = self._kernel
        if self._lock.locked() and message is not None and _message_type(kernel.session, message) in _COMM_MESSAGES:
            if hasattr(kernel, "_get_shell_context_var"):
                identity = kernel._get_shell_context_var(kernel._shell_parent_ident)
            else:
                identity = kernel._shell_parent_ident.get(b"")
            self._passing[asyncio.current_task()] = (identity, kernel.get_parent("shell"))
            return
        await self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        passing = self._passing.pop(asyncio.current_task(), None)
        if passing is None:
            self._lock.release()
        else:
            self._kernel.set_parent(*passing, channel="shell")
