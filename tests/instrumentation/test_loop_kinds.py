"""Whatever kind of loop it is, and whatever else hangs on it: the same tasks, parents and states."""

from __future__ import annotations

import ast
import asyncio
import gc
import logging
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from asyncmagic.instrumentation import tasklog
from asyncmagic.instrumentation.loop import instrument
from asyncmagic.tracing import Trace, Tracer
from tests.conftest import VirtualLoop
from tests.instrumentation.test_loop import MS, named, states, traced, tree

eager = getattr(asyncio, "eager_task_factory", None)
needs_eager_tasks = pytest.mark.skipif(eager is None, reason="eager tasks came with Python 3.12")


async def leaf() -> str:
    await asyncio.sleep(0.05)
    return "leaf"


async def branch() -> list[str]:
    return list(await asyncio.gather(*(asyncio.create_task(leaf(), name=name) for name in ("left", "right"))))


async def main(_: Tracer) -> None:
    assert await asyncio.create_task(branch(), name="branch") == ["leaf", "leaf"]


TREE = {"cell": None, "branch": "cell", "left": "branch", "right": "branch"}


def traced_for_real(run: Callable[[Coroutine[Any, Any, Trace]], Trace], main: Callable[[Tracer], Any] = main) -> Trace:
    tracer = Tracer()

    async def cell() -> Trace:
        before = dict(vars(asyncio.get_running_loop()))
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await main(tracer)
            tracer.end_trace(trace)
        assert vars(asyncio.get_running_loop()).keys() == before.keys()
        return trace

    return run(cell())


def outcomes(trace: Trace) -> list[str]:
    return [span.outcome for span in trace.spans]


def test_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop")
    trace = traced_for_real(uvloop.run)
    assert tree(trace) == TREE
    assert outcomes(trace) == ["done"] * 4
    seen = named(trace, "left").states
    assert seen is not None
    assert [state for _, state, _ in seen] == ["ready", "running", "waiting", "ready", "running", "waiting"]


async def blocking() -> None:
    await asyncio.create_task(leaf(), name="left")
    time.sleep(0.15)


@pytest.mark.parametrize("made", ["by itself", "elsewhere"])
def test_uvloop_in_another_thread(made: str) -> None:
    uvloop = pytest.importorskip("uvloop")
    before = set(vars(uvloop.Loop))

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(blocking())

    async def body(_: Tracer) -> None:
        if made == "by itself":
            await asyncio.to_thread(run)
        else:
            with closing(uvloop.new_event_loop()) as other:
                await asyncio.to_thread(other.run_until_complete, blocking())

    trace = traced_for_real(asyncio.run, body)
    names = {span.span_id: span.name for span in trace.spans}
    assert [(span.kind, span.name, names[span.parent_id]) for span in trace.spans if span.parent_id is not None] == [
        ("task", "blocking", "cell"),
        ("task", "left", "blocking"),
        ("blocked", f"test_loop_kinds.py:{blocking.__code__.co_firstlineno + 2} blocking", "blocking"),
    ]
    assert set(vars(uvloop.Loop)) == before


@pytest.mark.parametrize("when", ["before", "meanwhile", "afterwards"])
def test_debug_mode_keeps_its_log_of_slow_steps(when: str, caplog: pytest.LogCaptureFixture) -> None:
    async def slow() -> None:
        time.sleep(0.02)

    async def body(tracer: Tracer) -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = 0.01
        if when == "meanwhile":
            loop.set_debug(True)
            await asyncio.sleep(0)
        await main(tracer)
        await asyncio.create_task(slow(), name="slow")
        if when == "afterwards":
            loop.set_debug(False)

    with caplog.at_level(logging.WARNING, "asyncio"):
        trace = traced_for_real(lambda cell: asyncio.run(cell, debug=when != "meanwhile"), body)
    assert tree(trace) == {**TREE, "slow": "cell"}
    assert any("<Task" in message and "slow" in message for message in caplog.messages)


@needs_eager_tasks
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_eager_tasks(loop: VirtualLoop, when: str) -> None:
    async def quick() -> str:
        loop.advance(0.01)
        asyncio.create_task(leaf(), name="below quick")  # noqa: RUF006 - it is the cell that waits
        return "quick"

    async def body(tracer: Tracer) -> None:
        if when == "meanwhile":
            loop.set_task_factory(eager)
        # Not `asyncio.create_task`: before Python 3.13 it gives the name to the finished task.
        task = asyncio.get_running_loop().create_task(quick(), name="quick")
        assert task.done()
        await main(tracer)

    if when == "before":
        loop.set_task_factory(eager)
    trace = traced(loop, body)
    assert loop.get_task_factory() is eager
    assert tree(trace) == {**TREE, "quick": "cell", "below quick": "quick"}
    assert states(named(trace, "quick")) == [(0, 10, "running", None)]
    assert [state for _, _, state, _ in states(named(trace, "left"))] == ["waiting"]
    assert set(outcomes(trace)) == {"done"}


def test_a_task_factory_of_the_users(loop: VirtualLoop) -> None:
    made = []

    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(factory)
    assert tree(traced(loop, main)) == TREE
    assert loop.get_task_factory() is factory
    assert len(made) == 4


def test_tasks_written_in_python(loop: VirtualLoop) -> None:
    def factory(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.tasks._PyTask(coroutine, loop=loop, **options)  # type: ignore[attr-defined,no-any-return]

    loop.set_task_factory(factory)
    trace = traced(loop, main)
    assert tree(trace) == TREE
    assert [state for _, _, state, _ in states(named(trace, "left"))] == ["waiting"]


def test_anyio_task_groups(loop: VirtualLoop) -> None:
    anyio = pytest.importorskip("anyio")

    async def body(_: Tracer) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 9, name="stopped")
            group.start_soon(leaf, name="leaf")
            await anyio.sleep(0.1)
            group.cancel_scope.cancel()

    trace = traced(loop, body)
    assert tree(trace) == {"cell": None, "stopped": "cell", "leaf": "cell"}
    assert outcomes(trace) == ["done", "cancelled", "done"]
    assert named(trace, "leaf").attributes["code.function.name"] == body.__qualname__


def test_two_tracers_see_the_same(loop: VirtualLoop) -> None:
    other = Tracer(clock=loop.clock)
    traces = []

    async def body(tracer: Tracer) -> None:
        with instrument(other):
            traces.append(other.start_trace("inner"))
            # The current span is one for both: a context has room for one run.
            with other.use(traces[0].root):
                await main(tracer)
            other.end_trace(traces[0])

    traced(loop, body)
    assert tree(traces[0]) == {"inner": None, "branch": "inner", "left": "branch", "right": "branch"}


def test_a_second_tracer_may_come_while_tasks_of_the_first_wait_for_their_turn(loop: VirtualLoop) -> None:
    other = Tracer(clock=loop.clock)

    async def body(_: Tracer) -> None:
        tasks = [asyncio.create_task(leaf(), name="outer")]
        with instrument(other):
            trace = other.start_trace("second")
            with other.use(trace.root):
                tasks.append(asyncio.create_task(leaf(), name="inner"))
                assert await asyncio.gather(*tasks) == ["leaf", "leaf"]
            other.end_trace(trace)
        assert tree(trace) == {"second": None, "inner": "second"}
        ended = [weakref.ref(task) for task in tasks]
        del tasks
        await asyncio.sleep(0)
        assert [task() for task in ended] == [None, None]

    traced(loop, body)


def test_whoever_reads_the_queue_of_a_loop_finds_handles_in_it(loop: VirtualLoop) -> None:
    async def body(_: Tracer) -> None:
        first, second = asyncio.create_task(leaf()), asyncio.create_task(leaf())
        await asyncio.sleep(0)
        first.cancel()
        second.cancel()
        third = asyncio.create_task(leaf())
        found = [
            (handle._callback.__self__, len(handle._args), handle._cancelled, handle._context is not None)
            for handle in loop._ready  # type: ignore[attr-defined]
        ]
        assert found == [(first, 1, False, True), (second, 1, False, True), (third, 0, False, True)]
        await asyncio.gather(first, second, third, return_exceptions=True)

    traced(loop, body)


def test_a_task_that_waits_for_its_turn_is_no_more_objects_than_unwatched(loop: VirtualLoop) -> None:
    async def queued() -> int:
        gc.collect()
        gc.disable()
        try:
            before = len(gc.get_objects())
            tasks = [asyncio.create_task(leaf()) for _ in range(1_000)]
            found = len(gc.get_objects()) - before
        finally:
            gc.enable()
        await asyncio.gather(*tasks)
        return found

    counts = []

    async def body(_: Tracer) -> None:
        counts.append(await queued())

    unwatched = loop.run_until_complete(queued())
    traced(loop, body)
    assert counts[0] - unwatched < 100


def test_a_tool_that_wraps_call_soon_meanwhile_gets_its_handles(loop: VirtualLoop) -> None:
    handles: list[asyncio.Handle] = []

    async def body(_: Tracer) -> None:
        before = loop.call_soon

        def call_soon(*args: Any, **options: Any) -> asyncio.Handle:
            handles.append(before(*args, **options))
            return handles[-1]

        loop.call_soon = call_soon  # type: ignore[method-assign]
        stopped, unstopped = asyncio.create_task(leaf()), asyncio.create_task(leaf())
        assert [handle.cancelled() for handle in handles] == [False, False]
        handles[0].cancel()
        assert [handle.cancelled() for handle in handles] == [True, False]
        assert await unstopped == "leaf"
        assert not stopped.done()
        stopped._log_destroy_pending = False  # type: ignore[attr-defined]
        stopped.get_coro().close()  # type: ignore[union-attr]
        del loop.call_soon

    traced(loop, body)


def test_a_tool_that_patched_all_loops_before_is_called_as_often_as_without_us(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    before = asyncio.BaseEventLoop.call_soon

    def call_soon(self: Any, *args: Any, **options: Any) -> asyncio.Handle:
        nonlocal calls
        calls += 1
        return before(self, *args, **options)

    def counted(main: Coroutine[Any, Any, Any]) -> int:
        nonlocal calls
        calls = 0
        asyncio.run(main)
        return calls

    async def unwatched() -> None:
        await branch()

    async def watched() -> None:
        tracer = Tracer()
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await branch()
            tracer.end_trace(trace)

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_soon", call_soon)
    assert counted(watched()) == counted(unwatched())


def test_a_tool_that_wraps_the_iterations_meanwhile_outlives_us(loop: VirtualLoop) -> None:
    iterations = 0

    async def body(_: Tracer) -> None:
        before = loop._run_once  # type: ignore[attr-defined]

        def run_once() -> None:
            nonlocal iterations
            iterations += 1
            before()

        loop._run_once = run_once  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    tracer = Tracer(clock=loop.clock)

    async def cell() -> int:
        with instrument(tracer):
            await body(tracer)
        known = iterations
        await asyncio.sleep(0.01)
        return iterations - known

    assert loop.run_until_complete(cell()) > 0


def test_a_clock_that_is_replaced_meanwhile_is_the_loop_s() -> None:
    async def body(tracer: Tracer) -> None:
        loop = asyncio.get_running_loop()
        time_before = loop.time
        loop.time = lambda: time_before() + 60  # type: ignore[method-assign]
        async with asyncio.timeout(5):
            await asyncio.sleep(0.01)
        del loop.time

    began = time.monotonic()
    traced_for_real(asyncio.run, body)
    assert time.monotonic() - began < 5


def test_tasks_that_wait_for_their_first_turn_stay_one_each_where_the_loop_changes_its_kind(loop: VirtualLoop) -> None:
    async def body(_: Tracer) -> None:
        async def parent() -> None:
            tasks = [asyncio.create_task(leaf(), name=name) for name in ("left", "right")]
            loop.set_debug(True)
            await asyncio.gather(*tasks)

        await asyncio.create_task(parent(), name="branch")

    trace = traced(loop, body)
    assert len(trace.spans) == 4
    assert tree(trace) == TREE
    assert outcomes(trace) == ["done"] * 4


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_loop_that_is_left_with_tasks_in_its_queue_is_not_kept(is_closed: bool, debug: bool) -> None:
    async def spin() -> None:
        for _ in range(1_000_000):
            await asyncio.sleep(0)

    async def body() -> weakref.ref[Any]:
        task = asyncio.create_task(spin())
        await asyncio.sleep(0.01)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        return weakref.ref(task)

    def left() -> list[weakref.ref[Any]]:
        loop = asyncio.new_event_loop()
        loop.set_debug(debug)
        task = loop.run_until_complete(body())
        if is_closed:
            loop.close()
        else:
            # Otherwise a loop says that it was not closed.
            loop._closed = True  # type: ignore[attr-defined]
            loop._close_self_pipe()  # type: ignore[attr-defined]
        return [task, weakref.ref(loop)]

    tracer = Tracer()
    with instrument(tracer):
        trace = tracer.start_trace("cell")
        with tracer.use(trace.root):
            gone = left()
            deadline = time.monotonic() + 5
            while any(one() for one in gone) and time.monotonic() < deadline:
                # The thread that watches may be looking at the loop just now.
                time.sleep(0.01)
                gc.collect()
            assert [one() for one in gone] == [None, None]
        tracer.end_trace(trace)


def test_a_task_that_is_queued_while_its_loop_stands_still_is_ready_all_the_time(loop: VirtualLoop) -> None:
    async def spin() -> None:
        for _ in range(9):
            await asyncio.sleep(0)

    async def begin() -> asyncio.Task[None]:
        return asyncio.create_task(spin(), name="spinning")

    tracer = Tracer(clock=loop.clock)
    with instrument(tracer):
        trace = tracer.start_trace("cell")
        with tracer.use(trace.root):
            task = loop.run_until_complete(begin())
            loop._now += 1000 * MS
            loop.run_until_complete(task)
        tracer.end_trace(trace)
    assert states(named(trace, "spinning")) == [(0, 1000, "ready", None)]


@pytest.mark.parametrize("debug", [False, True])
def test_a_loop_whose_methods_take_less_works_as_without_us(debug: bool) -> None:
    class Plain(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, callback: Any, *args: Any) -> Any:  # type: ignore[override]
            return super().call_soon_threadsafe(callback, *args)

    async def body(_: Tracer) -> None:
        assert await asyncio.wait_for(asyncio.to_thread(sum, [2, 3]), 5) == 5

    def run(main: Coroutine[Any, Any, Trace]) -> Trace:
        loop = Plain()
        loop.set_debug(debug)
        try:
            return loop.run_until_complete(main)
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    traced_for_real(run, body)


def test_a_loop_with_a_mock_in_it_runs_on() -> None:
    def run(main: Coroutine[Any, Any, Trace]) -> Trace:
        loop = asyncio.new_event_loop()
        loop.set_debug(True)
        loop._process_events = Mock()  # type: ignore[attr-defined]
        try:
            return loop.run_until_complete(main)
        finally:
            loop.close()

    assert tree(traced_for_real(run)) == TREE


def test_what_was_posted_to_a_loop_that_is_closed_is_not_kept() -> None:
    class Payload:
        pass

    payload = Payload()
    gone = weakref.ref(payload)
    tracer = Tracer()
    with instrument(tracer):
        trace = tracer.start_trace("cell")
        with tracer.use(trace.root):
            loop = asyncio.new_event_loop()
            loop.run_until_complete(leaf())
            loop.call_soon_threadsafe(id, payload)
            loop.close()
        del payload
        gc.collect()
        assert gone() is None
        tracer.end_trace(trace)


@pytest.mark.slow
def test_tracing_may_begin_and_end_while_loops_run_in_other_threads(caplog: pytest.LogCaptureFixture) -> None:
    is_over = False
    left: set[str] = set()

    def comes_and_goes() -> None:
        while not is_over:
            asyncio.run(asyncio.sleep(0))

    def stays() -> None:
        loop = asyncio.new_event_loop()
        before = set(vars(loop))
        while not is_over:
            loop.run_until_complete(asyncio.sleep(0.0005))
        for _ in range(3):
            loop.run_until_complete(asyncio.sleep(0))
        left.update(vars(loop).keys() - before)
        loop.close()

    threads = [threading.Thread(target=target) for target in (comes_and_goes, comes_and_goes, stays)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        with instrument(Tracer()):
            time.sleep(0.005)
    is_over = True
    for thread in threads:
        thread.join()
    assert left == set()
    assert caplog.records == []


def test_hooks_that_come_and_go_in_any_order_leave_the_loop_as_it_was(loop: VirtualLoop) -> None:
    async def body() -> None:
        before = vars(loop).keys() - {"_ready"}
        first, second, third = (instrument(Tracer(clock=loop.clock)) for _ in range(3))
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        await asyncio.create_task(leaf())
        third.__enter__()
        second.__exit__(None, None, None)
        await asyncio.create_task(leaf())
        third.__exit__(None, None, None)
        await asyncio.create_task(leaf())
        assert vars(loop).keys() - {"_ready"} == before

    loop.run_until_complete(body())


def test_tracing_may_begin_and_end_while_tasks_run(loop: VirtualLoop) -> None:
    async def spin() -> int:
        for _ in range(5):
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        return 1

    async def body() -> None:
        tasks = [asyncio.create_task(spin()) for _ in range(20)]
        tracer = Tracer(clock=loop.clock)
        for _ in range(6):
            await asyncio.sleep(0)
            with instrument(tracer):
                trace = tracer.start_trace("cell")
                with tracer.use(trace.root):
                    tasks += [asyncio.create_task(spin()) for _ in range(20)]
                    await asyncio.sleep(0)
                tracer.end_trace(trace)
        assert sum(await asyncio.gather(*tasks)) == 140

    loop.run_until_complete(body())


def test_another_thread_may_end_the_tracing_of_a_running_loop() -> None:
    tracer = Tracer()
    watching = instrument(tracer)

    async def body() -> int:
        loop = asyncio.get_running_loop()
        watching.__enter__()
        trace = tracer.start_trace("cell")
        with tracer.use(trace.root):
            tasks = [asyncio.create_task(leaf()) for _ in range(10)]
            await asyncio.sleep(0.01)
            await asyncio.to_thread(watching.__exit__, None, None, None)
            count = len(await asyncio.gather(*tasks))
        assert not {"call_soon", "_run_once"} & vars(loop).keys()
        return count

    assert asyncio.run(body()) == 10


def test_loops_that_come_and_go_are_not_kept() -> None:
    tracer = Tracer()
    seen: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def body() -> None:
        seen.append(weakref.ref(asyncio.get_running_loop()))
        await asyncio.create_task(leaf(), name="leaf")

    with instrument(tracer):
        trace = tracer.start_trace("cell")
        with tracer.use(trace.root):
            for _ in range(3):
                asyncio.run(body())
        deadline = time.monotonic() + 5
        while any(loop() for loop in seen) and time.monotonic() < deadline:
            # The thread that watches may be looking at the last one just now.
            time.sleep(0.01)
            gc.collect()
        assert [loop() for loop in seen] == [None] * 3
        tracer.end_trace(trace)
    assert [span.name for span in trace.spans if span.name == "leaf"] == ["leaf"] * 3


def test_a_keyboard_interrupt_in_a_task_ends_its_span(loop: VirtualLoop) -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    tracer = Tracer(clock=loop.clock)
    with instrument(tracer):
        trace = tracer.start_trace("cell")

        async def cell() -> None:
            with tracer.use(trace.root):
                await asyncio.create_task(interrupted(), name="interrupted")

        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(cell())
        tracer.end_trace(trace)
    span = named(trace, "interrupted")
    assert (span.outcome, span.attributes["error.type"]) == ("failed", "KeyboardInterrupt")


def test_a_failure_of_the_watcher_is_logged_once_and_hurts_nobody(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> str:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(tasklog, "_name", broken)
    traced(loop, main)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize("debug", [False, True])
def test_an_exception_that_nobody_read_is_told_as_soon_as_its_task_is_gone(debug: bool) -> None:
    told = []

    async def failing() -> None:
        raise LookupError

    async def body(_: Tracer) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["message"]))
        asyncio.create_task(failing())  # noqa: RUF006
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert told == ["Task exception was never retrieved"]

    gc.disable()
    try:
        traced_for_real(lambda cell: asyncio.run(cell, debug=debug), body)
    finally:
        gc.enable()


NESTED = """
import asyncio, sys
import {module} as nest
from asyncmagic.instrumentation.loop import instrument
from asyncmagic.tracing import Tracer
when = {when!r}
async def leaf():
    await asyncio.sleep(0.02)
    return 1
async def outer():
    return asyncio.get_event_loop().run_until_complete(asyncio.gather(leaf(), leaf()))
async def cell():
    tracer = Tracer()
    with instrument(tracer):
        trace = tracer.start_trace("cell")
        with tracer.use(trace.root):
            if when == "meanwhile":
                await asyncio.create_task(leaf())
                nest.apply()
                await asyncio.sleep(0)
            assert await asyncio.gather(outer(), outer()) == [[1, 1], [1, 1]]
        tracer.end_trace(trace)
    assert "call_soon" not in vars(asyncio.get_running_loop())
    return trace
if when == "before":
    nest.apply()
trace = asyncio.run(cell())
names = [(span.name, trace[span.parent_id].name, span.outcome) for span in trace.spans[1:]]
print(sorted(names))
"""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["nest_asyncio", "nest_asyncio2"])
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_nest_asyncio(module: str, when: str) -> None:
    pytest.importorskip(module)
    program = NESTED.format(module=module, when=when)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    once = [("leaf", "cell", "done")] if when == "meanwhile" else []
    assert done.stdout.strip() == str(
        sorted([*once, *[("leaf", "outer", "done")] * 4, *[("outer", "cell", "done")] * 2])
    )


INSIDE = """
import asyncio, time
import {module} as nest
from asyncmagic.instrumentation.loop import instrument
from asyncmagic.tracing import Tracer
async def leaf():
    await asyncio.sleep(0.2)
    time.sleep(0.2)
async def outer():
    time.sleep(0.2)
    asyncio.run(leaf())
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.2, done.set_result, None)
    asyncio.get_running_loop().run_until_complete(done)
    time.sleep(0.2)
    {last}
def callback():
    asyncio.run(leaf())
    time.sleep(0.2)
async def cell():
    tracer = Tracer()
    with instrument(tracer):
        trace = tracer.start_trace("cell")
        with tracer.use(trace.root):
            tracer.adopt_task(asyncio.current_task(), trace.root)
            {within}
            await {awaited}
        tracer.end_trace(trace)
    return trace
{before}
trace = asyncio.run(cell())
whole = trace.spans
print([(span.attributes["code.line.number"], trace[span.parent_id].name) for span in whole if span.kind == "blocked"])
states = next(span for span in whole if span.name == {name!r}).states
print([
    (state, words, round((end - start) / 1e9, 1))
    for start, end, state, words in states.segments(trace.end)
    if end - start > 50_000_000
])
"""


def inside(tmp_path: Path, **parts: str) -> tuple[Any, Any]:
    """Run that program; return what blocked, and the longer states of what has the name."""
    program = tmp_path / "program.py"
    program.write_text(INSIDE.format(**parts))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    blocked, states = map(ast.literal_eval, done.stdout.splitlines())
    return blocked, states


@pytest.mark.slow
@pytest.mark.parametrize("module", ["nest_asyncio", "nest_asyncio2"])
@pytest.mark.parametrize(("awaited", "name"), [("asyncio.create_task(outer())", "outer"), ("outer()", "cell")])
@pytest.mark.parametrize(
    ("when", "last"),
    [
        ("before", "return"),
        ("before", "await asyncio.sleep(0.3)"),
        ("in the first step", "await asyncio.sleep(0.3)"),
        ("in a later step", "return"),
    ],
)
def test_a_step_that_runs_the_loop_inside_waits_for_it_and_blocks_before_and_after(
    module: str, awaited: str, name: str, when: str, last: str, tmp_path: Path
) -> None:
    pytest.importorskip(module)
    before, within = ("nest.apply()", "") if when == "before" else ("", "nest.apply()")
    if when == "in a later step":
        within = f"await asyncio.sleep(0); {within}"
    blocked, states = inside(
        tmp_path, module=module, awaited=awaited, name=name, before=before, within=within, last=last
    )
    assert blocked == [(10, name), (8, "leaf"), (15, name)]
    assert states == [
        ("running", None, 0.2),
        ("waiting", "asyncio.run(…) (outer:11)", 0.4),
        ("waiting", "asyncio.get_running_loop(…).run_until_complete(…) (outer:14)", 0.2),
        ("running", None, 0.2),
        *([("waiting", "sleep (outer:16)", 0.3)] if last != "return" else []),
    ]


@pytest.mark.slow
def test_a_callback_that_runs_the_loop_inside_blocks_afterwards(tmp_path: Path) -> None:
    pytest.importorskip("nest_asyncio")
    within = "asyncio.get_running_loop().call_soon(callback)"
    blocked, _ = inside(
        tmp_path,
        module="nest_asyncio",
        awaited="asyncio.sleep(0.9)",
        name="cell",
        before="nest.apply()",
        within=within,
        last="return",
    )
    assert blocked == [(8, "leaf"), (19, "cell")]
