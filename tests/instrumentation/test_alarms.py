"""A loop that gets on is left in peace, and one that does not is looked at; without alarms all are, all the time."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from asyncmagic.instrumentation import alarms, blocking
from asyncmagic.instrumentation.alarms import Alarms
from asyncmagic.instrumentation.loop import instrument
from asyncmagic.tracing import Tracer
from asyncmagic.tracing.semconv import BLOCKED_BY

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="other systems' timers cannot be waited for like that")


@pytest.fixture
def waiting() -> Iterator[Alarms]:
    alarms = Alarms()
    yield alarms
    alarms.close()


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


@linux_only
def test_an_alarm_that_is_put_off_goes_off_later_and_once(waiting: Alarms) -> None:
    alarm = waiting.add()
    assert alarm is not None
    alarm.set(0.03)
    alarm.set(0.2)
    assert seconds(lambda: waiting.wait(5)) >= 0.19
    assert waiting._epoll.poll(0.1) == []


@linux_only
def test_a_closed_alarm_wakes_nobody_even_where_a_forked_process_has_it_still(waiting: Alarms) -> None:
    alarm = waiting.add()
    assert alarm is not None
    kept = os.dup(alarm.descriptor)  # as a child has it
    try:
        alarm.set(0.01)
        alarm.close()
        alarm.set(0.01)
        assert seconds(lambda: waiting.wait(0.2)) >= 0.19
    finally:
        os.close(kept)


@linux_only
def test_a_forked_process_sets_none_and_gets_none(waiting: Alarms, monkeypatch: pytest.MonkeyPatch) -> None:
    alarm = waiting.add()
    assert alarm is not None
    alarm.set(0.1)
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: -1)
        alarm.set(60)
        assert waiting.add() is None
    assert seconds(lambda: waiting.wait(5)) < 1


@linux_only
def test_the_end_is_heard(waiting: Alarms) -> None:
    waiting.stop()
    assert waiting.wait(5) is False


@linux_only
def test_where_the_system_has_none_left_no_wait_is_long(waiting: Alarms, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    looker = threading.Thread(target=lambda: waits.extend(seconds(lambda: waiting.wait(None)) for _ in range(3)))
    looker.start()
    with monkeypatch.context() as system:
        system.setattr(waiting, "_add", lambda: os.close(-1))
        assert waiting.add() is None
    looker.join(5)
    assert len(waits) == 3
    assert waits[1] >= 0.019
    assert waiting.wait(None) is True


@linux_only
@pytest.mark.slow
def test_only_a_loop_that_does_not_get_on_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    held = blocking._held

    def looking(log: object) -> tuple[float, float]:
        looks.append(time.perf_counter())
        return held(log)  # type: ignore[arg-type]

    monkeypatch.setattr(blocking, "_held", looking)

    def looked(begin: float, end: float) -> float:
        """Return how often a second."""
        # Those close to the one before follow a step that was long: the machine may do other things meanwhile.
        apart = [look for before, look in pairwise([0.0, *looks]) if look - before > 0.005]
        return sum(begin <= look < end for look in apart) / (end - begin)

    async def cell() -> tuple[list[float], int]:
        tracer = Tracer()
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                times = [time.perf_counter()]
                while time.perf_counter() < times[0] + 2:  # noqa: ASYNC110  (a loop that is busy)
                    await asyncio.sleep(0)
                times.append(time.perf_counter())
                await asyncio.sleep(2)
                times.append(time.perf_counter())
                time.sleep(0.2)
                blocked = sum(look > times[-1] for look in looks)
            tracer.end_trace(trace)
        return [looked(*span) for span in pairwise(times)], blocked

    (busy, idle), blocked = asyncio.run(cell())
    # All the time would be fifty times a second.
    assert busy < 10
    assert idle <= 1
    assert blocked > 20


def blocked_by(
    *, prelude: Callable[[], object] = int, wait: float = 0.05, threshold: float = 0.1, block: float = 0.2
) -> list[str]:
    """Return what is found to block a loop, and where, if `prelude` is called before."""

    async def cell() -> list[str]:
        tracer = Tracer()
        tracer.blocking_threshold = threshold
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                prelude()
                await asyncio.sleep(wait)
                time.sleep(block)
                await asyncio.sleep(0)
            tracer.end_trace(trace)
        return [str(span.attributes.get(BLOCKED_BY)) for span in trace.spans if span.kind == "blocked"]

    return asyncio.run(cell())


def test_without_alarms_it_is_looked_at_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "_timers", None)
    assert blocked_by() == ["time.sleep"]


@linux_only
def test_a_loop_for_which_no_alarm_is_left_is_looked_at_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Alarms, "add", no_alarm_left)
    assert blocked_by() == ["time.sleep"]


def no_alarm_left(alarms: Alarms) -> None:
    with pytest.MonkeyPatch.context() as system:
        system.setattr(alarms, "_add", lambda: os.close(-1))
        assert add(alarms) is None


add = Alarms.add


def test_what_the_loop_itself_did_before_a_step_hides_no_block() -> None:
    def many_timers() -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + 0.3
        loop.call_at(at, lambda: time.sleep(0.5))
        for _ in range(40_000):
            loop.call_at(at, int)

    assert "time.sleep" in blocked_by(prelude=many_timers, wait=0.4, threshold=0.3, block=0)


def test_a_block_shorter_than_an_alarm_is_seen_where_the_threshold_is_low() -> None:
    assert blocked_by(threshold=0.008, block=0.013) == ["time.sleep"]


@linux_only
def test_a_watchdog_that_fails_says_so_once_and_hurts_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(blocking, "_held", lambda log: 1 / 0)
    assert blocked_by() == ["None"]
    assert [record.message for record in caplog.records] == [
        "what blocks a loop is not seen any more; your code is not affected"
    ]


@pytest.mark.parametrize("debug", [False, True])
def test_a_loop_that_refuses_to_close_is_watched_on(debug: bool) -> None:
    def close() -> None:
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            asyncio.get_running_loop().close()

    assert blocked_by(prelude=close) == ["time.sleep"]


@linux_only
@pytest.mark.parametrize("kind", ["stock", "debug"])
def test_a_loop_that_is_closed_keeps_no_descriptor(kind: str) -> None:
    def descriptors() -> int:
        links = [path.readlink().name for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        return links.count("anon_inode:[timerfd]")

    async def nothing() -> None:
        await asyncio.sleep(0)

    tracer = Tracer()
    with instrument(tracer):
        trace = tracer.start_trace("cell")
        with tracer.use(trace.root):
            asyncio.run(nothing(), debug=kind == "debug")
            before = descriptors()
            for _ in range(20):
                asyncio.run(nothing(), debug=kind == "debug")
            assert descriptors() == before
        tracer.end_trace(trace)


def test_where_no_thread_can_be_started_the_next_trace_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def cell() -> list[str]:
        tracer = Tracer()
        with monkeypatch.context() as system, pytest.raises(RuntimeError, match="new thread"):
            system.setattr(threading.Thread, "start", no_thread)
            with instrument(tracer):
                pass
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await asyncio.create_task(asyncio.sleep(0), name="seen")
            tracer.end_trace(trace)
        return [span.name for span in trace.spans]

    assert asyncio.run(cell()) == ["cell", "seen"]
