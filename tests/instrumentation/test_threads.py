"""Work sent to threads and processes has a span of its own, below the task that sent it."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
import time
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from asyncmagic.instrumentation import loop as loop_instrumentor
from asyncmagic.instrumentation import threads
from asyncmagic.tracing import Span, Trace, Tracer
from asyncmagic.tracing.semconv import LIBRARY, POOL


def traced(
    main: Callable[[Tracer], Coroutine[Any, Any, Any]], run: Callable[[Coroutine[Any, Any, Trace]], Trace] = asyncio.run
) -> Trace:
    tracer = Tracer()

    async def cell() -> Trace:
        with loop_instrumentor.instrument(tracer), threads.instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await asyncio.create_task(main(tracer), name="main")
            tracer.end_trace(trace)
            return trace

    return run(cell())


def rows(trace: Trace) -> list[tuple[str, str, str, str]]:
    """Kind, name, name of the parent and outcome of all work; a pool may well block the loop as it starts."""
    return [
        (span.kind, span.name, trace[span.parent_id].name, span.outcome)
        for span in trace.spans
        if span.parent_id is not None and span.kind not in ("task", "blocked")
    ]


def work(*_: Any) -> str:
    time.sleep(0.01)
    return "done"


def fail() -> None:
    raise LookupError("not there")


@pytest.mark.parametrize(
    "send",
    [
        lambda: asyncio.to_thread(work),
        lambda: asyncio.get_running_loop().run_in_executor(None, work),
        lambda: asyncio.get_running_loop().run_in_executor(None, partial(work, 1)),
        lambda: asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, work),
        lambda: asyncio.wrap_future(ThreadPoolExecutor(1).submit(work)),
    ],
)
def test_work_in_a_thread_is_queued_runs_and_is_done(send: Callable[[], Any]) -> None:
    async def main(_: Tracer) -> None:
        assert await send() == "done"

    trace = traced(main)
    assert rows(trace) == [("thread", "work", "main", "done")]
    (span,) = [span for span in trace.spans if span.kind == "thread"]
    assert span.states is not None
    assert [state for _, state, _ in span.states] == ["queued", "running"]


def test_a_task_that_is_nothing_but_work_in_a_thread_is_no_librarys_though_one_runs_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site-packages").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    (tmp_path / "site-packages" / "server_of_loops.py").write_text("def serve(run, main):\n    return run(main)\n")
    serve = import_module("server_of_loops").serve

    async def main(_: Tracer) -> None:
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0) for _ in range(14)))

    trace = traced(main, lambda main: serve(asyncio.run, main))
    found = [span for span in trace.spans if span.kind == "thread"]
    assert [span.attributes.get(LIBRARY) for span in found] == [None] * 14


@pytest.mark.parametrize("how", ["to_thread", "run_in_executor", "a context in a context"])
def test_what_starts_in_the_thread_belongs_to_its_span(how: str) -> None:
    async def main(tracer: Tracer) -> None:
        def work() -> None:
            tracer.start_span("inside")

        if how == "to_thread":
            await asyncio.to_thread(work)
        elif how == "run_in_executor":
            await asyncio.get_running_loop().run_in_executor(None, work)
        else:
            await asyncio.to_thread(contextvars.copy_context().run, work)
        tracer.start_span("after")

    trace = traced(main)
    names = {span.name: span for span in trace.spans}
    assert trace[names["inside"].parent_id or 0].kind == "thread"
    assert trace[names["after"].parent_id or 0].name == "main"


def test_a_failure_passes_with_the_traceback_it_would_have_had() -> None:
    async def main(_: Tracer) -> None:
        with pytest.raises(LookupError) as plain:
            await asyncio.to_thread(fail)
        files = [frame.filename for frame in traceback.extract_tb(plain.value.__traceback__)]
        assert not any("asyncmagic" in file for file in files if not file.endswith("test_threads.py"))
        assert files[-1] == __file__

    trace = traced(main)
    assert rows(trace) == [("thread", "fail", "main", "failed")]
    assert trace.spans[-1].attributes["error.type"] == "LookupError"


def test_a_full_pool_is_named() -> None:
    async def main(_: Tracer) -> None:
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(work) for _ in range(5)]
            await asyncio.gather(*map(asyncio.wrap_future, futures))

    assert [span.attributes.get(POOL) for span in traced(main).spans if span.kind == "thread"] == [
        None,
        None,
        "2 of 2 threads busy, 1 waiting",
        "2 of 2 threads busy, 2 waiting",
        "2 of 2 threads busy, 3 waiting",
    ]


def test_work_cancelled_in_the_queue_ends_as_cancelled() -> None:
    async def main(_: Tracer) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work)
            assert pool.submit(work).cancel()

    assert [row[3] for row in rows(traced(main))] == ["done", "cancelled"]


@pytest.mark.slow
def test_work_in_a_process_has_a_span_too() -> None:
    async def main(_: Tracer) -> None:
        with ProcessPoolExecutor(1) as pool:
            await asyncio.get_running_loop().run_in_executor(pool, work)

    assert rows(traced(main)) == [("process", "work", "main", "done")]


@pytest.mark.slow
def test_jobs_that_a_process_pool_maps_are_called_after_the_function() -> None:
    async def main(_: Tracer) -> None:
        with ProcessPoolExecutor(1) as pool:
            await asyncio.to_thread(list, pool.map(work, range(2)))

    assert [row for row in rows(traced(main)) if row[0] == "process"] == [("process", "work", "main", "done")] * 2


@pytest.mark.slow
def test_a_job_of_a_process_pool_runs_from_when_a_worker_is_free() -> None:
    async def main(_: Tracer) -> None:
        with ProcessPoolExecutor(2) as pool:
            loop = asyncio.get_running_loop()
            await asyncio.gather(*(loop.run_in_executor(pool, int) for _ in range(8)))
            await asyncio.gather(*(loop.run_in_executor(pool, time.sleep, 0.2) for _ in range(5)))

    spans = [span for span in traced(main).spans if span.name == "sleep"]
    states = [
        list(span.states.segments(span.end)) for span in spans if span.states is not None and span.end is not None
    ]
    assert [state for segments in states for start, end, state, _ in segments if end - start > 10e6] == [
        "running"
    ] * 2 + ["queued", "running"] * 3
    ran = [segments[-1] for segments in states]
    assert [0.19e9 < end - start < 0.26e9 for start, end, _, _ in ran] == [True] * 5
    assert [span.attributes.get(POOL) for span in spans] == [
        None,
        None,
        "2 of 2 processes busy, 1 waiting",
        "2 of 2 processes busy, 2 waiting",
        "2 of 2 processes busy, 3 waiting",
    ]


@pytest.mark.slow
def test_jobs_of_a_process_pool_that_breaks_have_not_run() -> None:
    async def main(_: Tracer) -> None:
        with ProcessPoolExecutor(1) as pool:
            jobs = [pool.submit(os._exit, 1), *(pool.submit(work) for _ in range(3))]
            with pytest.raises(BrokenExecutor):
                await asyncio.wrap_future(jobs[0])

    trace = traced(main)
    assert [row[3] for row in rows(trace)] == ["failed"] * 4
    states = [[state for _, state, _ in span.states] for span in trace.spans if span.kind == "process" and span.states]
    assert states == [["queued", "running"], ["queued"], ["queued"], ["queued"]]


@pytest.mark.slow
def test_a_task_that_waits_for_a_process_says_so() -> None:
    async def main(_: Tracer) -> None:
        with ProcessPoolExecutor(1) as pool:
            await asyncio.get_running_loop().run_in_executor(pool, time.sleep, 0.1)

    (span,) = [span for span in traced(main).spans if span.name == "main"]
    assert span.states is not None
    details = [detail or "" for _, state, detail in span.states if state == "waiting"]
    assert [detail.partition(" ")[0] for detail in details if detail] == ["process"]


@pytest.mark.parametrize("how", ["at once", "later"])
def test_a_task_that_waits_for_a_thread_says_so(how: str) -> None:
    async def main(_: Tracer) -> None:
        future = asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.05)
        await (asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.05) if how == "at once" else future)

    (span,) = [span for span in traced(main).spans if span.name == "main"]
    assert span.states is not None
    details = [detail or "" for _, state, detail in span.states if state == "waiting"]
    assert [detail.partition(" ")[0] for detail in details if detail] == ["thread"]


def test_a_thread_that_a_task_starts_has_a_span() -> None:
    class Own(threading.Thread):
        def run(self) -> None: ...

    async def main(_: Tracer) -> None:
        for thread in (threading.Thread(target=work), threading.Thread(target=work, name="mine"), Own()):
            thread.start()
            thread.join()
            assert "run" not in vars(thread)

    assert rows(traced(main)) == [
        ("thread", "work", "main", "done"),
        ("thread", "mine", "main", "done"),
        ("thread", Own.run.__qualname__, "main", "done"),
    ]


def test_outside_of_a_trace_and_afterwards_nothing_is_hooked() -> None:
    before = (ThreadPoolExecutor.submit, threading.Thread.start, ProcessPoolExecutor.submit)
    spans: list[Span] = []

    async def main(tracer: Tracer) -> None:
        assert ThreadPoolExecutor.submit is not before[0]

    trace = traced(main)
    spans.extend(trace.spans)
    assert (ThreadPoolExecutor.submit, threading.Thread.start, ProcessPoolExecutor.submit) == before
    asyncio.run(asyncio.to_thread(work))
    assert trace.spans == spans


def _process_chunk(chunk: list[int]) -> int:
    return sum(chunk)


def test_a_function_of_the_users_that_is_called_like_one_of_pythons_keeps_its_name() -> None:
    async def main(_: Tracer) -> None:
        await asyncio.to_thread(_process_chunk, [1, 2])

    assert [row[:2] for row in rows(traced(main))] == [("thread", "_process_chunk")]
