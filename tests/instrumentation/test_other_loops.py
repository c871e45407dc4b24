"""Loops and threads beside the cell's own: what is started in them belongs to whoever started it."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from asyncmagic.instrumentation import threads
from asyncmagic.instrumentation.loop import instrument
from asyncmagic.tracing import Trace, Tracer
from asyncmagic.tracing.semconv import POOL


def traced(main: Any, run: Any = asyncio.run) -> Trace:
    tracer = Tracer()

    async def cell() -> Trace:
        with instrument(tracer), threads.instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await asyncio.create_task(main(), name="main")
            tracer.end_trace(trace)
            return trace

    trace: Trace = run(cell())
    return trace


def rows(trace: Trace) -> list[tuple[str, str, str, str]]:
    """Kind, name, name of the parent and outcome of every span but the root."""
    return sorted(
        (span.kind, span.name, trace[span.parent_id].name, span.outcome)
        for span in trace.spans
        if span.parent_id is not None and span.kind != "blocked"
    )


async def inner() -> None:
    await asyncio.gather(asyncio.create_task(asyncio.sleep(0.01), name="in the thread"))


def in_a_loop_of_its_own() -> None:
    asyncio.run(inner())


def test_asyncio_run_in_a_thread() -> None:
    async def main() -> None:
        await asyncio.to_thread(in_a_loop_of_its_own)

    assert rows(traced(main)) == [
        ("task", "in the thread", "inner", "done"),
        ("task", "inner", "in_a_loop_of_its_own", "done"),
        ("task", "main", "cell", "done"),
        ("thread", "in_a_loop_of_its_own", "main", "done"),
    ]


def test_a_loop_in_a_bare_thread() -> None:
    async def main() -> None:
        thread = threading.Thread(target=in_a_loop_of_its_own)
        thread.start()
        thread.join()

    assert rows(traced(main)) == [
        ("task", "in the thread", "inner", "done"),
        ("task", "inner", "in_a_loop_of_its_own", "done"),
        ("task", "main", "cell", "done"),
        ("thread", "in_a_loop_of_its_own", "main", "done"),
    ]


def test_a_loop_that_is_blocked_in_a_thread_blocks_its_own_tasks() -> None:
    def other() -> None:
        async def inner() -> None:
            await asyncio.sleep(0.01)
            time.sleep(0.2)

        asyncio.run(inner())

    async def main() -> None:
        await asyncio.to_thread(other)

    trace = traced(main)
    (block,) = [span for span in trace.spans if span.kind == "blocked"]
    line = other.__code__.co_firstlineno + 3
    assert block.name == f"test_other_loops.py:{line} inner"
    assert trace[block.parent_id or 0].name.endswith("inner")


def work(seconds: float = 0.02) -> str:
    time.sleep(seconds)
    return "done"


def test_anyios_worker_threads() -> None:
    anyio = pytest.importorskip("anyio")

    async def main() -> None:
        limiter = anyio.CapacityLimiter(1)

        async def send() -> None:
            assert await anyio.to_thread.run_sync(work, limiter=limiter) == "done"

        async with anyio.create_task_group() as group:
            group.start_soon(send, name="one")
            group.start_soon(send, name="two")

    trace = traced(main)
    assert rows(trace) == [
        ("task", "main", "cell", "done"),
        ("task", "one", "main", "done"),
        ("task", "two", "main", "done"),
        ("thread", "work", "one", "done"),
        ("thread", "work", "two", "done"),
    ]
    (one, two) = [span for span in trace.spans if span.kind == "thread"]
    assert one.states is not None and two.states is not None
    assert [state for _, state, _ in two.states] == ["queued", "running"]
    assert one.end is not None and next(time for time, state, _ in two.states if state == "running") >= one.end - 1e6


def test_anyios_work_that_is_cancelled_in_the_queue() -> None:
    anyio = pytest.importorskip("anyio")

    async def main() -> None:
        limiter = anyio.CapacityLimiter(1)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: anyio.to_thread.run_sync(work, 0.1, limiter=limiter), name="one")
            await anyio.sleep(0.01)
            with anyio.move_on_after(0.02):
                await anyio.to_thread.run_sync(work, limiter=limiter)

    trace = traced(main)
    assert [row for row in rows(trace) if row[0] == "thread"] == [
        ("thread", "work", "main", "cancelled"),
        ("thread", "work", "one", "done"),
    ]
    assert [span.attributes.get(POOL) for span in trace.spans if span.kind == "thread"] == [
        None,
        "1 of 1 threads busy, 1 waiting",
    ]


def test_anyios_failures_pass_as_they_are() -> None:
    anyio = pytest.importorskip("anyio")

    def fail() -> None:
        raise LookupError("not there")

    async def main() -> None:
        with pytest.raises(LookupError) as raised:
            await anyio.to_thread.run_sync(fail)
        frames = [entry.frame.code.path.name for entry in raised.traceback]  # type: ignore[union-attr]
        assert "threads.py" not in frames

    assert ("thread", "test_anyios_failures_pass_as_they_are.<locals>.fail", "main", "failed") in rows(traced(main))


def test_a_callback_that_blocks_uvloop_is_not_seen_and_a_task_is() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        asyncio.get_running_loop().call_soon(time.sleep, 0.15)
        await asyncio.sleep(0.01)
        time.sleep(0.2)
        await asyncio.sleep(0)

    (block,) = [span for span in traced(main, uvloop.run).spans if span.kind == "blocked"]
    assert block.name == f"test_other_loops.py:{main.__code__.co_firstlineno + 3} main"


def test_trio_is_no_asyncio_loop_and_its_calls_belong_to_whoever_runs_it() -> None:
    pytest.importorskip("trio")
    anyio = pytest.importorskip("anyio")

    def apart() -> None:
        async def inner() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 0.01)

        anyio.run(inner, backend="trio")

    async def main() -> None:
        await asyncio.to_thread(apart)

    name = "test_trio_is_no_asyncio_loop_and_its_calls_belong_to_whoever_runs_it.<locals>.apart"
    assert rows(traced(main)) == [("task", "main", "cell", "done"), ("thread", name, "main", "done")]
