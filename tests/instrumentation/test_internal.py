"""What libraries keep for themselves: tasks and threads are counted, and what they hold is shown in their place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from asyncmagic.delta import DeltaWriter
from asyncmagic.instrumentation import loop as loop_instrumentor
from asyncmagic.instrumentation import threads
from asyncmagic.layout import Layout
from asyncmagic.tracing import Trace, Tracer
from asyncmagic.tracing.analysis import summarize
from asyncmagic.tracing.semconv import LIBRARY

LIBRARY_SOURCE = """
import asyncio

async def pump():
    await asyncio.sleep(0.001)

async def hold(awaitable):
    return await awaitable

async def call(make):
    "Start the library's own coroutine, which calls something of the user's."
    async def inner():
        await make()
    await asyncio.gather(pump(), inner())

async def start(coroutine):
    "Start a coroutine of the user's in a task, as it is."
    await asyncio.create_task(coroutine)

async def wrap(coroutine):
    "Start a coroutine of the user's in a task of the library's."
    await asyncio.create_task(hold(coroutine))

async def enclose(coroutine):
    "The same, by what the task's function has around it."
    async def inner():
        await coroutine
    await asyncio.create_task(inner())

def work():
    pass

async def off_loop(function=work):
    await asyncio.to_thread(function)

async def own_loop():
    await asyncio.to_thread(asyncio.run, pump())

async def fail():
    raise LookupError("nothing there")

async def overlook():
    await asyncio.gather(fail(), return_exceptions=True)
"""


@pytest.fixture(scope="module")
def lib() -> ModuleType:
    """A library, by the place where its file is."""
    module = ModuleType("lib")
    exec(compile(LIBRARY_SOURCE, str(Path("/usr/lib/python3/site-packages/lib/core.py")), "exec"), vars(module))
    return module


def traced(main: Callable[[Tracer], Coroutine[Any, Any, Any]]) -> Trace:
    tracer = Tracer()

    async def cell() -> Trace:
        with loop_instrumentor.instrument(tracer), threads.instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await asyncio.create_task(main(tracer), name="main")
            tracer.end_trace(trace)
            return trace

    return asyncio.run(cell())


def shown(trace: Trace) -> list[tuple[str, str]]:
    """The name of every span that is shown with that of what it is shown below."""
    return [
        (span.name.rpartition(".")[2], above.name.rpartition(".")[2])
        for span in trace.spans
        if not span.is_internal and span.kind != "blocked" and (above := span.shown_parent()) is not None
    ]


async def mine() -> None:
    await asyncio.sleep(0)


def test_what_a_library_starts_of_its_own_is_not_shown_but_what_that_starts_is(lib: ModuleType) -> None:
    async def main(tracer: Tracer) -> None:
        async def tell() -> None:
            with tracer.span("telling"):
                await asyncio.create_task(mine())

        await lib.call(tell)

    trace = traced(main)
    assert shown(trace) == [("main", "cell"), ("telling", "main"), ("mine", "telling")]
    internal = [(span.name, span.attributes[LIBRARY]) for span in trace.spans if span.is_internal]
    assert sorted(internal) == [("call.<locals>.inner", "lib"), ("pump", "lib")]


def test_what_the_user_starts_is_shown_whoever_runs_it(lib: ModuleType) -> None:
    async def main(tracer: Tracer) -> None:
        await asyncio.gather(lib.pump(), lib.hold(mine()))
        await lib.start(mine())
        await lib.wrap(mine())
        await lib.enclose(mine())
        await asyncio.to_thread(lib.work)

    started = [name for name, above in shown(traced(main)) if above == "main"]
    assert sorted(started) == ["hold", "hold", "inner", "mine", "pump", "work"]


def test_threads_of_a_library_are_its_own_unless_they_run_the_users_code(lib: ModuleType) -> None:
    def mine() -> None:
        pass

    async def main(tracer: Tracer) -> None:
        await lib.off_loop()
        await lib.off_loop(mine)
        await lib.own_loop()

    trace = traced(main)
    assert shown(trace) == [("main", "cell"), ("mine", "main")]
    internal = [(span.kind, span.name) for span in trace.spans if span.is_internal]
    assert internal == [("thread", "work"), ("thread", "run"), ("task", "pump")]


def test_figures_and_pictures_are_of_what_is_shown(lib: ModuleType) -> None:
    async def main(tracer: Tracer) -> None:
        await lib.overlook()
        with tracer.span("chat gpt-5", kind="chat"):
            await lib.call(mine)

    trace = traced(main)
    summary = summarize(trace)
    assert (summary.agent_count, summary.errors) == (1, 0)
    assert {share.span.name for share in summary.critical_path} <= {"cell", "main", "chat gpt-5"}
    layout = Layout.of(trace)
    assert [span.name for span in layout.spans] == ["cell", "main", "chat gpt-5"]
    assert sorted(span.name for span in trace.spans if span.span_id in layout.internal) == [
        "call.<locals>.inner",
        "fail",
        "pump",
    ]
    assert layout.internal_counts == {1: 3}
    assert "not shown     3 library tasks" in str(trace.export("report"))


def test_the_page_is_told_how_many_tasks_an_agent_is_spared(lib: ModuleType) -> None:
    tracer = Tracer()
    trace = tracer.start_trace("cell")
    agent = tracer.start_span("agent", kind="task", parent=trace.root)
    layout = Layout()
    layout.update(trace.spans)
    writer = DeltaWriter(layout)
    writer.write([0, 1], {}, now=agent.start)
    pump = tracer.start_span("pump", kind="task", parent=agent, attributes={LIBRARY: "lib"})
    assert layout.update([pump]) == [1]
    assert b'"facts":[[1,' in (told := writer.write([1], {}, now=agent.start))
    assert b'"not shown"' in told and b"1 library task" in told
    assert layout.update([pump]) == []
