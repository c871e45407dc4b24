"""Alarms: they wake a thread once a loop has not put them off for a while, and until then that thread costs nothing."""

from __future__ import annotations

import os
import select
import sys
import threading
from contextlib import suppress
from typing import Any

#: Seconds between looks where the system has no alarms. Each may cost a busy loop half a millisecond: as long as the
#: thread waits for the interpreter's lock, the loop wakes it in vain whenever it asks its selector.
PAUSE = 0.020

_timers: Any = None
if sys.platform == "linux":
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        # Python has them itself from 3.13 on. Not by `CDLL` or `os.read`, which let go of the interpreter's lock: that
        # takes longer than these calls, and what had held it would be over when this thread gets it back.
        _timers = ctypes.PyDLL(None)
        _timers.timerfd_create, _timers.timerfd_settime  # noqa: B018  (a C library may be without)

_MONOTONIC, _FLAGS = 1, os.O_NONBLOCK | os.O_CLOEXEC if sys.platform == "linux" else 0


class Alarm:
    """A timer of the system's; it may be set on one thread and closed on another. A forked process leaves it alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = os.getpid()
        self.descriptor: int = _timers.timerfd_create(_MONOTONIC, _FLAGS)
        if self.descriptor < 0:
            raise OSError("the system has no timer left")

    def set(self, seconds: float) -> None:
        """Go off so many seconds from now, and not when it was to before; 0 for never."""
        once = (ctypes.c_long * 4)(0, 0, *divmod(round(seconds * 1e9), 1_000_000_000))
        with self._lock:
            if self.descriptor >= 0 and self._process == os.getpid():
                _timers.timerfd_settime(self.descriptor, 0, once, None)

    def hear(self) -> None:
        """Note that it went off."""
        with self._lock:
            if self.descriptor >= 0:
                _timers.read(self.descriptor, ctypes.create_string_buffer(8), 8)

    def close(self) -> None:
        # A forked process may keep it open: it must not go off any more.
        self.set(0)
        with self._lock:
            if self.descriptor >= 0:
                os.close(self.descriptor)
                self.descriptor = -1


class Alarms:
    """What a thread waits for, without holding the interpreter's lock: any of its alarms, or its end."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._epoll = select.epoll()
        self._alarms: dict[int, Alarm] = {}
        self._end = self._add()

    def add(self) -> Alarm | None:
        """Return a new alarm; `None` where the system has none left, and in a forked process, where nobody waits."""
        try:
            return self._add() if self._process == os.getpid() else None
        except (OSError, ValueError):  # the latter where it is closed already
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
        heard = [self._alarms[descriptor] for descriptor, _ in self._epoll.poll(seconds)]
        for alarm in heard:
            alarm.hear()
        return self._end not in heard

    def stop(self) -> None:
        self._end.set(1e-9)

    def close(self) -> None:
        self._end.close()
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
