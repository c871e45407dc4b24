"""Many runs with everything that goes wrong in one: nothing is lost that is not counted, and nothing grows."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import tracemalloc
from typing import Any

import pytest

from asyncmagic.instrumentation import loop as loop_instrumentor
from asyncmagic.instrumentation import threads
from asyncmagic.tracing import Trace, Tracer


class Fault(Exception): ...


async def faulty(chance: random.Random, depth: int = 2) -> None:
    match chance.randrange(7):
        case 0:
            raise Fault
        case 1:
            await asyncio.sleep(chance.random() / 1_000)
        case 2:
            await asyncio.to_thread(int)
        case 3:
            await asyncio.wait_for(asyncio.sleep(1), 0.001)
        case 4 if depth:
            await asyncio.gather(*(faulty(chance, depth - 1) for _ in range(3)), return_exceptions=True)
        case 5:
            asyncio.current_task().cancel()  # type: ignore[union-attr]
            await asyncio.sleep(0)
        case _:
            for _ in range(5):
                await asyncio.sleep(0)


async def run(tracer: Tracer, chance: random.Random, count: int) -> Trace:
    with loop_instrumentor.instrument(tracer), threads.instrument(tracer):
        trace = tracer.start_trace("cell")
        finished = threading.Event()

        def page() -> None:
            while not finished.wait(0.002):
                trace.collect()

        reader = threading.Thread(target=page)
        reader.start()
        with tracer.use(trace.root):
            tasks = [asyncio.create_task(faulty(chance), name=f"top {number}") for number in range(count)]
            await asyncio.wait(tasks)
        finished.set()
        reader.join()
        tracer.end_trace(trace)
    outcomes = {task.get_name(): "cancelled" if task.cancelled() else task.exception() for task in tasks}
    expected = {name: "failed" if isinstance(how, Exception) else how or "done" for name, how in outcomes.items()}
    seen = {span.name: span.outcome for span in trace.spans if span.name.startswith("top ")}
    assert seen == expected
    assert {span.outcome for span in trace.spans} <= {"done", "failed", "cancelled"}
    return trace


@pytest.mark.slow
def test_a_hundred_runs_with_faults_lose_and_keep_nothing() -> None:
    tracer, chance = Tracer(), random.Random(7)

    async def soak() -> list[int]:
        before: dict[str, Any] = dict(vars(asyncio.get_running_loop()))
        sizes = []
        tracemalloc.start()
        for round_ in range(100):
            await run(tracer, chance, 100)
            if 10 <= round_ < 20 or round_ >= 90:
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert vars(asyncio.get_running_loop()).keys() - before.keys() == set()
        return sizes

    sizes = asyncio.run(soak())
    # The least of ten: what is on its way at the moment of a look comes and goes.
    assert min(sizes[-10:]) - min(sizes[:10]) < 100_000
