"""A loop that gets on is left in peace, and one that does not is looked at; without alarms all are, all the time."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

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
    assert seconds(lambda: waiting.wait(5)) == pytest.approx(0.2, abs=0.1)
    assert seconds(lambda: waiting.wait(0.1)) == pytest.approx(0.1, abs=0.05)


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
    assert waiting.wait(None) is False


@linux_only
@pytest.mark.slow
def test_only_a_loop_that_does_not_get_on_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    held = blocking._held

    def looking(log: object) -> tuple[float, float]:
        looks.append(time.perf_counter())
        return held(log)  # type: ignore[arg-type]

    monkeypatch.setattr(blocking, "_held", looking)

    def looked(begin: float, end: float) -> int:
        return sum(begin <= look < end for look in looks)

    async def cell() -> list[int]:
        tracer = Tracer()
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                times = [time.perf_counter()]
                for _ in range(100_000):
                    await asyncio.sleep(0)
                times.append(time.perf_counter())
                await asyncio.sleep(1)
                times.append(time.perf_counter())
                time.sleep(0.2)
                times.append(time.perf_counter())
            tracer.end_trace(trace)
        return [looked(*span) for span in pairwise(times)]

    busy, idle, blocked = asyncio.run(cell())
    # A machine that does other things may hold any loop now and then; all the time would be fifty times a second.
    assert busy < 25
    assert idle <= 2
    assert blocked > 20


def test_without_alarms_it_is_looked_at_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "_timers", None)

    async def cell() -> list[str]:
        tracer = Tracer()
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await asyncio.sleep(0.05)
                time.sleep(0.2)
                await asyncio.sleep(0)
            tracer.end_trace(trace)
        return [str(span.attributes.get(BLOCKED_BY)) for span in trace.spans if span.kind == "blocked"]

    assert asyncio.run(cell()) == ["time.sleep"]


@linux_only
@pytest.mark.parametrize("kind", ["stock", "debug"])
def test_a_loop_that_is_closed_keeps_no_descriptor(kind: str) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

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
