"""What most tests stand on: a loop with a virtual clock, a shell that runs its cells on it, and the simulator."""

from __future__ import annotations

import asyncio
import atexit
import gc
import selectors
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from IPython.core.interactiveshell import InteractiveShell

    from asyncmagic.simulator import Server


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on which sleeping takes no time: when nothing is ready, its clock jumps to the next timer.

    `Tracer(clock=loop.clock)` makes every time in a trace exact. Real I/O on the loop is no matter for a virtual
    clock: use the simulator with a real loop instead.
    """

    def __init__(self) -> None:
        self._now = 0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._now / 1e9

    def clock(self) -> int:
        """The virtual time, in nanoseconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass while the loop is held, as a blocking call does."""
        self._now += round(seconds * 1e9)

    @property
    def has_threads(self) -> bool:
        return self._default_executor is not None


class _Jumping(selectors.DefaultSelector):
    """A selector that waits for nothing but threads."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            if events := super().select(5):
                return events
            raise RuntimeError("nothing can wake this loop any more: no timer is set, and no thread has answered")
        # A thread at work gets a moment of real time before the clock jumps past it.
        events = super().select(0.02 if timeout > 0 and self._loop.has_threads else 0)
        if not events and timeout > 0:
            self._loop.advance(timeout)
        return events


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    """A fresh loop at time 0 on which sleeps take no real time: `loop.run_until_complete(main())`."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        yield runner.get_loop()


_SHELLS: list[InteractiveShell] = []


@pytest.fixture
def shell(loop: VirtualLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """A fresh IPython shell that keeps no history and runs its cells on the virtual loop: `shell.run_cell(source)`."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(
        config=Config(HistoryManager={"enabled": False}, InteractiveShell={"colors": "nocolor"})
    )
    shell.loop_runner = loop.run_until_complete
    try:
        yield shell
    finally:
        shell.restore_sys_module_state()
        InteractiveShell.clear_instance()
        # It lives on, with coroutines that nobody awaited, but need not take half a second to clean up in the end.
        atexit.unregister(shell.atexit_operations)
        _SHELLS.append(shell)


@pytest.fixture
def simulator() -> Iterator[Server]:
    """A language model server that answers at once: `simulator.base_url`; tests of timing start their own."""
    from asyncmagic.simulator import start

    with start(latency=0.0, tokens_per_second=None, jitter=0.0) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def no_client_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect Google's clients after their tests: each closes itself in a task, on whichever loop runs just then."""
    yield
    if "genai" in vars(request.module):
        gc.collect()


@pytest.fixture
def only_asked_for_collections() -> Iterator[None]:
    """A collection has a part of its own in a step that is long, and of the garbage of all tests it may be long."""
    gc.disable()
    yield
    gc.enable()
