"""Alarms: they wake a thread once a loop has not put them off for a while, and until then that thread costs nothing."""

from __future__ import annotations

import os
import select
import sys
import threading
from contextlib import suppress
from functools import cache
from typing import Any

#: Seconds between looks where the system has no alarms. Each may cost a busy loop half a millisecond: as long as the
#: thread waits for the interpreter's lock, the loop wakes it in vain whenever it asks its selector.
PAUSE = 0.020
#: A timer set to 0 would never go off.
AT_ONCE = 1e-9

_timers: Any = None
if sys.platform == "linux":
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        # Python has them itself from 3.13 on. Not by `CDLL` or `os.read`, which let go of the interpreter's lock: that
        # takes longer than these calls, and what had held it would be over when this thread gets it back.
        _library = ctypes.PyDLL(None)
        _library.timerfd_create, _library.timerfd_settime  # noqa: B018  (a C library may be without)
        _MONOTONIC, _FLAGS = 1, os.O_NONBLOCK | os.O_CLOEXEC
        _Times, _count = ctypes.c_long * 4, ctypes.create_string_buffer(8)
        _timers = _library


@cache
def _once(seconds: float) -> Any:
    return _Times(0, 0, *divmod(round(seconds * 1e9), 1_000_000_000))


class Alarm:
    """A timer of the system's; any thread may set, hear and close it. A forked process leaves it to its parent."""

    def __init__(self) -> None:
        # What is collected in the middle of a call may close it, on the same thread.
        self._lock = threading.RLock()
        self._process = os.getpid()
        self.descriptor: int = _timers.timerfd_create(_MONOTONIC, _FLAGS)
        if self.descriptor < 0:
            raise OSError("the system has no timer left")

    def set(self, seconds: float) -> None:
        """Go off so many seconds from now, and not when it was to before; 0 for never."""
        # The process first: another thread may have held the lock when this one was forked.
        if self._process == os.getpid():
            with self._lock:
                if self.descriptor >= 0:
                    _timers.timerfd_settime(self.descriptor, 0, _once(seconds), None)

    def hear(self) -> None:
        """Note that it went off."""
        with self._lock:
            if self.descriptor >= 0:
                _timers.read(self.descriptor, _count, 8)

    def close(self) -> None:
        """Let it go off no more."""
        if self._process == os.getpid():
            with self._lock:
                # A forked process may have it open still, and then it would go on in here.
                self.set(0)
                descriptor, self.descriptor = self.descriptor, -1
                if descriptor >= 0:
                    os.close(descriptor)


class Alarms:
    """What a thread waits for, without holding the interpreter's lock: any of its alarms, or its end."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._epoll = select.epoll()
        self._alarms: dict[int, Alarm] = {}
        self._wake = self._add()
        self._is_over = self._is_short = False

    def add(self) -> Alarm | None:
        """Return a new alarm; `None` in a forked process, where nobody waits, and where the system has none left.

        From then on no wait is longer than `PAUSE`.
        """
        if self._process != os.getpid():
            return None
        try:
            return self._add()
        except (OSError, ValueError):  # the latter where it is closed already
            self._is_short = True
            self._wake.set(AT_ONCE)
            return None

    def _add(self) -> Alarm:
        alarm = Alarm()
        try:
            self._epoll.register(alarm.descriptor, select.EPOLLIN)
        except BaseException:
            alarm.close()
            raise
        self._alarms[alarm.descriptor] = alarm
        return alarm

    def wait(self, seconds: float | None) -> bool:
        """Wait for an alarm, at most so many seconds; `False` at the end."""
        if seconds is None and self._is_short:
            seconds = PAUSE
        for descriptor, _ in self._epoll.poll(seconds):
            self._alarms[descriptor].hear()
        return not self._is_over

    def stop(self) -> None:
        """Have the thread that waits come to its end."""
        self._is_over = True
        self._wake.set(AT_ONCE)

    def close(self) -> None:
        """Give back what the system lent for waiting; each alarm is for its owner to close."""
        self._wake.close()
        self._epoll.close()


class Pauses:
    """Stands in for them where the system has none."""

    def __init__(self) -> None:
        #: Free once it is to stop. Not an event: waiting for one takes ten times as long.
        self._stopped = threading.Lock()
        self._stopped.acquire()

    def add(self) -> Alarm | None:
        return None

    def wait(self, seconds: float | None) -> bool:
        return not self._stopped.acquire(timeout=seconds or PAUSE)

    def stop(self) -> None:
        self._stopped.release()

    def close(self) -> None:
        pass


def alarms() -> Alarms | Pauses:
    """Return what a watching thread is to wait for."""
    if _timers is not None:
        with suppress(OSError):
            return Alarms()
    return Pauses()
