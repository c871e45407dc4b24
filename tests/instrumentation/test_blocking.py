"""A step that holds the loop becomes a span that names the user's line; what became ready meanwhile is dated right."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import asyncmagic
from asyncmagic.instrumentation.looks import Place, shares, stack_of
from asyncmagic.instrumentation.loop import _watchers, instrument
from asyncmagic.simulator import serve
from asyncmagic.tracing import Span, Trace, Tracer
from asyncmagic.tracing.analysis import summarize
from asyncmagic.tracing.semconv import (
    BLOCKED_BY,
    BLOCKED_TIME,
    BLOCKED_TIME_TO_END,
    CODE_LINE,
    EVENT_SENT,
    FIRST_CHUNK,
)
from tests.conftest import VirtualLoop

HUGE = json.dumps([1] * 5_000_000)
EXPONENT = 3_000_000


pytestmark = pytest.mark.usefixtures("only_asked_for_collections")


def traced(main: Callable[[Tracer], Coroutine[Any, Any, Any]], *, debug: bool = False) -> Trace:
    """Run `main(tracer)` as the body of a traced cell, in real time."""
    tracer = Tracer()

    async def cell() -> Trace:
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await main(tracer)
            tracer.end_trace(trace)
            return trace

    return asyncio.run(cell(), debug=debug)


def blocks(trace: Trace) -> list[Span]:
    return [span for span in trace.spans if span.kind == "blocked"]


def sleeping() -> None:
    time.sleep(0.2)


def computing() -> None:
    end = time.perf_counter() + 0.2
    while time.perf_counter() < end:
        pass


def parsing() -> None:
    json.loads(HUGE)


def receiving() -> None:
    near, far = socket.socketpair()
    threading.Timer(0.2, far.send, [b"x"]).start()
    with near, far:
        near.recv(1)  # blocks


def running_a_process() -> None:
    subprocess.run([sys.executable, "-c", "import time; time.sleep(0.2)"], check=True)


def over_several_lines() -> None:
    threading.Event().wait(
        0.2,
    )


def in_a_library() -> None:
    threading.Event().wait(0.2)


@pytest.mark.parametrize(
    ("blocking", "line", "culprit"),
    [
        (sleeping, 1, "time.sleep"),
        (computing, 2, "time.perf_counter"),
        (parsing, 1, "json.loads"),
        (receiving, 4, "near.recv"),
        (running_a_process, 1, "subprocess.run"),
        (over_several_lines, 1, "threading.Event().wait"),
        (in_a_library, 1, "threading.Event().wait"),
    ],
)
def test_the_line_that_blocks_is_named(blocking: Callable[[], None], line: int, culprit: str) -> None:
    async def guilty() -> None:
        await asyncio.sleep(0.01)
        blocking()

    async def main(_: Tracer) -> None:
        await asyncio.create_task(guilty(), name="guilty")

    trace = traced(main)
    (block,) = blocks(trace)
    first = blocking.__code__.co_firstlineno
    assert block.name == f"{Path(__file__).name}:{first + line} {blocking.__name__}"
    assert block.attributes[CODE_LINE] == first + line
    assert trace[block.parent_id or 0].name == "guilty"
    assert block.end is not None
    assert block.end - block.start > 0.1e9
    assert block.attributes[BLOCKED_BY] == culprit


def nothing() -> None: ...


async def before_a_call() -> None:
    3**EXPONENT
    nothing()


async def before_an_await() -> None:
    3**EXPONENT
    await asyncio.sleep(0)


async def before_the_next_round() -> None:
    for _ in range(1):
        3**EXPONENT
        _ = 0


@pytest.mark.parametrize("blocking", [before_a_call, before_an_await, before_the_next_round])
def test_an_operator_that_blocks_is_named_and_not_what_comes_after_it(
    blocking: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    async def guilty() -> None:
        await asyncio.sleep(0.01)
        await blocking()
        await asyncio.sleep(0)

    async def main(_: Tracer) -> None:
        await asyncio.create_task(guilty(), name="guilty")

    (block,) = blocks(traced(main))
    first = blocking.__code__.co_firstlineno
    line = first + 2 if blocking is before_the_next_round else first + 1
    assert block.name == f"{Path(__file__).name}:{line} {blocking.__name__}"
    assert block.attributes[BLOCKED_BY] == blocking.__name__


def test_a_block_that_ends_with_its_task_is_not_taken_for_our_own() -> None:
    async def guilty() -> None:
        await asyncio.sleep(0.01)
        3**EXPONENT

    async def main(_: Tracer) -> None:
        await asyncio.create_task(guilty(), name="guilty")

    (block,) = blocks(traced(main))
    assert (block.name, block.attributes) == ("guilty", {})


def test_a_step_that_was_long_and_blocked_nobody_leaves_nothing_behind() -> None:
    tracer = Tracer()
    tracer.blocking_threshold = 0.5

    async def cell() -> Trace:
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                time.sleep(0.3)
                await asyncio.sleep(0)
                time.sleep(0.3)
                await asyncio.sleep(0)
            trace.collect()
            assert [samples.looks for _, samples in _watchers[tracer]._loops()] == [[]]
            tracer.end_trace(trace)
            return trace

    assert blocks(asyncio.run(cell())) == []


def test_a_first_import_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.2)\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    async def main(_: Tracer) -> None:
        async def importer() -> None:
            import slow_to_import  # noqa: F401

        await asyncio.create_task(importer())

    (block,) = blocks(traced(main))
    assert block.name == "slow_to_import.py:2"


def test_what_a_library_has_written_is_named_by_who_calls_it() -> None:
    written: dict[str, Any] = {}
    exec(compile("def wait(seconds):\n    import time\n    time.sleep(seconds)", "<written by it>", "exec"), written)

    async def guilty() -> None:
        await asyncio.sleep(0)
        written["wait"](0.2)

    async def main(_: Tracer) -> None:
        await asyncio.create_task(guilty(), name="guilty")

    (block,) = blocks(traced(main))
    assert block.name == f"{Path(__file__).name}:{guilty.__code__.co_firstlineno + 2} {guilty.__name__}"


def test_a_garbage_collection_is_named() -> None:
    class Slow:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            time.sleep(0.2)

    async def main(_: Tracer) -> None:
        async def litter() -> None:
            Slow()
            gc.collect()

        await asyncio.create_task(litter())

    (block,) = blocks(traced(main))
    assert block.name == "garbage collection"


def parts(trace: Trace) -> list[tuple[str, float]]:
    """The names of the blocks, and their lengths in tenths of seconds."""
    return [(block.name, round(((block.end or 0) - block.start) / 1e8)) for block in blocks(trace)]


def test_a_step_is_shared_among_its_lines() -> None:
    def two_lines() -> None:
        time.sleep(0.2)
        time.sleep(0.3)

    async def guilty() -> None:
        await asyncio.sleep(0.01)
        two_lines()

    async def main(_: Tracer) -> None:
        await asyncio.create_task(guilty(), name="guilty")

    trace, first = traced(main), two_lines.__code__.co_firstlineno
    here = Path(__file__).name
    assert parts(trace) == [(f"{here}:{first + 1} two_lines", 2), (f"{here}:{first + 2} two_lines", 3)]
    one, other = blocks(trace)
    assert one.end == other.start


def test_a_garbage_collection_has_its_own_part_only() -> None:
    class Slow:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            time.sleep(0.2)

    async def litter() -> None:
        Slow()
        gc.collect()
        time.sleep(0.3)

    async def main(_: Tracer) -> None:
        await asyncio.create_task(litter())

    line = litter.__code__.co_firstlineno + 3
    (collecting, its_length), (sleeping, length) = parts(traced(main))
    # What there is to collect is that of all tests.
    assert (collecting, sleeping, length) == ("garbage collection", f"{Path(__file__).name}:{line} litter", 3)
    assert its_length >= 2


def test_a_callback_that_blocks_is_named_and_not_the_task_that_asked_for_it() -> None:
    async def innocent() -> None:
        asyncio.get_running_loop().call_later(0.02, partial(time.sleep, 0.2))
        await asyncio.sleep(0.05)

    async def main(tracer: Tracer) -> None:
        with tracer.span("agent"):
            await asyncio.create_task(innocent(), name="innocent")

    trace = traced(main)
    (block,) = blocks(trace)
    assert (block.name, block.attributes, block.parent_id) == (
        "time.sleep",
        {BLOCKED_BY: "time.sleep"},
        trace.root.span_id,
    )


def test_a_callback_that_answers_nothing_is_seen_and_not_hurt() -> None:
    class Obscure:
        def __call__(self) -> None:
            time.sleep(0.2)

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(f"there is no {name} yet")

    async def main(_: Tracer) -> None:
        asyncio.get_running_loop().call_soon(Obscure())
        await asyncio.sleep(0.01)

    line = Obscure.__call__.__code__.co_firstlineno + 1
    assert [block.name for block in blocks(traced(main))] == [f"{Path(__file__).name}:{line} __call__"]


def test_a_task_that_is_a_librarys_coroutine_is_named_by_where_it_was_made() -> None:
    async def main(_: Tracer) -> None:
        reader = asyncio.StreamReader(limit=1 << 30)
        reader.feed_data(b"x" * 300_000_000 + b"\n")
        await asyncio.sleep(0)
        await asyncio.create_task(reader.readuntil(b"\n"))

    line = main.__code__.co_firstlineno + 4
    block = blocks(traced(main))[-1]
    assert (block.name, block.attributes[CODE_LINE]) == (f"{Path(__file__).name}:{line}", line)
    assert str(block.attributes[BLOCKED_BY]).endswith(" (streams.py)")


def test_starting_many_agents_is_not_blamed_on_the_one_who_wants_them() -> None:
    async def agent() -> None:
        await asyncio.sleep(0.01)

    asyncmagic.run(*(agent() for _ in range(5_000)))
    trace = asyncmagic.last_trace()
    assert trace is not None
    assert {block.name for block in blocks(trace)} <= {"garbage collection"}


PLACES = {
    name: Place(compile("\n" * line + "x", "cell.py", "exec"), 0, compile("", "cell.py", "exec"), False, name == "ours")
    for line, name in enumerate(("a", "b", "c", "d", "ours"))
}


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        # What was seen last went on until the end, unless it would have been seen again.
        ([(0.0, 0.1, "a"), (0.1, 0.2, "b")], [("a", 0.1), ("b", 0.12)]),
        ([(0.0, 0.05, "a")], [("a", 0.05), (None, 0.17)]),
        ([], [(None, 0.22)]),
        # What took a moment goes to the line that took most, and has a part where it is much together.
        ([(0.0, 0.01, "b"), (0.01, 0.2, "a")], [("a", 0.22)]),
        ([(0.0, 0.16, "a"), (0.16, 0.184, "b"), (0.184, 0.198, "c"), (0.198, 0.21, "d")], [("a", 0.16), ("b", 0.06)]),
        # Not so asyncmagic's own time.
        ([(0.0, 0.01, "ours"), (0.01, 0.2, "a")], [("ours", 0.01), ("a", 0.21)]),
    ],
)
def test_the_parts_of_a_step_are_as_long_as_the_step(
    looks: list[tuple[float, float, str]], expected: list[tuple[str | None, float]]
) -> None:
    found = shares([(since, taken, PLACES[name]) for since, taken, name in looks], 0.0, 0.22, [], 0.025)
    names = {place: name for name, place in PLACES.items()}
    assert [(names[share.place] if share.place else None, round(share.seconds, 6)) for share in found] == expected


@pytest.mark.parametrize("step", ["first", "last", "only"])
def test_blocking_in_the_step_in_which_a_trace_begins_or_ends_is_that_traces(step: str) -> None:
    async def other() -> None:
        for _ in range(20):
            await asyncio.sleep(0.01)

    async def cell() -> Trace:
        task = asyncio.create_task(other())
        await asyncio.sleep(0.02)
        time.sleep(0.2)
        with asyncmagic.trace() as trace:
            if step == "last":
                await asyncio.sleep(0.01)
            time.sleep(0.3)
            if step == "first":
                await asyncio.sleep(0.01)
        time.sleep(0.4)
        await task
        assert isinstance(trace, Trace)
        return trace

    trace = asyncio.run(cell())
    line = cell.__code__.co_firstlineno + 7
    assert parts(trace) == [(f"{Path(__file__).name}:{line} cell", 3)]
    (block,) = blocks(trace)
    assert trace.root.end is not None and block.end is not None
    assert trace.root.start <= block.start < block.end <= trace.root.end


def test_a_trace_beside_another_has_only_its_own_part_of_a_step() -> None:
    async def other() -> None:
        with asyncmagic.trace("other"):
            await asyncio.sleep(1)

    async def cell() -> Trace:
        with asyncmagic.trace("before"):
            await asyncio.sleep(0)
        task = asyncio.create_task(other())
        await asyncio.sleep(0.02)
        with asyncmagic.trace("before"):
            time.sleep(0.2)
        time.sleep(0.2)
        with asyncmagic.trace() as trace:
            time.sleep(0.3)
            await asyncio.sleep(0.01)
        task.cancel()
        assert isinstance(trace, Trace)
        return trace

    assert [length for _, length in parts(asyncio.run(cell()))] == [3]


def test_a_block_outside_of_any_task_belongs_to_the_cell() -> None:
    async def main(_: Tracer) -> None:
        asyncio.get_running_loop().call_soon(time.sleep, 0.2)
        await asyncio.sleep(0.01)
        time.sleep(0.15)
        await asyncio.sleep(0)

    trace = traced(main)
    assert [block.parent_id for block in blocks(trace)] == [trace.root.span_id] * 2


def test_short_steps_block_nobody(loop: VirtualLoop) -> None:
    tracer = Tracer(clock=loop.clock)

    async def cell() -> Trace:
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                for seconds in (0.099, 0.1):
                    await asyncio.create_task(step(seconds), name=f"{seconds} s")
            tracer.end_trace(trace)
            return trace

    async def step(seconds: float) -> None:
        loop.advance(seconds)

    trace = loop.run_until_complete(cell())
    assert [trace[block.parent_id or 0].name for block in blocks(trace)] == ["0.1 s"]


def test_a_block_adds_to_a_call_by_how_much_later_its_answer_was_read(loop: VirtualLoop) -> None:
    tracer = Tracer(clock=loop.clock)

    async def until(seconds: float) -> None:
        await asyncio.sleep(seconds - loop.time())

    async def chat(name: str, end: float, *, first: float | None = None, connected: float = 0.0) -> None:
        with tracer.span(name, kind="chat") as span:
            if connected:
                with tracer.span("POST", kind="http") as attempt:
                    await until(connected)
                    tracer.add_event(attempt, EVENT_SENT)
                    end += loop.time() - connected
                    first = first and first + loop.time() - connected
            if first is not None:
                await until(first)
                span.attributes[FIRST_CHUNK] = loop.time()
            await until(end)

    async def chat_that_blocks() -> None:
        with tracer.span("blocks itself", kind="chat"):
            await asyncio.sleep(0.2)
            loop.advance(0.2)

    async def cell() -> Trace:
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await asyncio.gather(
                    chat_that_blocks(),
                    chat("comes later", 0.5),
                    chat("came before", 0.15),
                    chat("comes meanwhile", 0.3),
                    chat("begins before", 0.5, first=0.1),
                    chat("begins meanwhile", 0.5, first=0.35),
                    chat("connects meanwhile", 0.8, first=0.5, connected=0.3),
                )
            tracer.end_trace(trace)
            return trace

    trace = loop.run_until_complete(cell())
    assert [(block.start, block.end) for block in blocks(trace)] == [(200_000_000, 400_000_000)]
    noted = {
        span.name: tuple(span.attributes.get(name) for name in (BLOCKED_TIME, BLOCKED_TIME_TO_END))
        for span in trace.spans
        if span.kind == "chat"
    }
    assert noted == {
        "blocks itself": (None, None),
        "comes later": (None, None),
        "came before": (None, None),
        "comes meanwhile": (None, pytest.approx(0.1)),
        "begins before": (None, None),
        "begins meanwhile": (pytest.approx(0.05), None),
        "connects meanwhile": (pytest.approx(0.1), pytest.approx(0.1)),
    }


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the selector can be asked from outside on Linux alone")
@pytest.mark.parametrize(("begin", "end"), [(0.05, 0.25), (0.02, 1.02), (0.05, 0.65), (0.5, 0.7)])
def test_a_model_is_as_fast_on_a_blocked_loop_as_on_a_free_one(begin: float, end: float) -> None:
    openai = pytest.importorskip("openai")

    async def main(url: str) -> Trace:
        client = openai.AsyncOpenAI(base_url=url, api_key="any")

        async def ask() -> None:
            stream = await client.chat.completions.create(
                model="gpt-5", messages=[{"role": "user", "content": "hello"}], stream=True, max_tokens=20
            )
            async for _ in stream:
                pass

        async def block() -> None:
            await asyncio.sleep(begin)
            time.sleep(end - begin)

        await ask()
        with asyncmagic.trace() as trace:
            await asyncio.gather(ask(), block())
        await client.close()
        return trace

    # The least of three: a busy machine makes the model slower than it says, and never faster.
    with serve(latency=0.3, tokens_per_second=40, jitter=0.0) as url:
        summaries = [summarize(asyncio.run(main(url))) for _ in range(3)]
    first_token = min(summary.first_token.p50 for summary in summaries if summary.first_token is not None)
    latency = min(summary.latency.p50 for summary in summaries if summary.latency is not None)
    assert (first_token, latency) == (pytest.approx(0.3, abs=0.1), pytest.approx(0.78, abs=0.1))


def hold(seconds: float, how: str) -> None:
    end = time.perf_counter() + seconds
    text = "a" * (1 << 20)
    while time.perf_counter() < end:
        if how == "sleep":
            time.sleep(end - time.perf_counter())
        elif how == "compute":
            sum(range(1000))
        else:
            # C code of some milliseconds that keeps the interpreter's lock.
            (text * 10).count("b")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the selector can be asked from outside on Linux alone")
@pytest.mark.parametrize("after", [0.003, 0.012, 0.1])
@pytest.mark.parametrize("how", ["sleep", "compute", "hold the lock"])
def test_a_task_is_ready_from_when_its_answer_came_and_not_from_when_the_loop_saw_it(how: str, after: float) -> None:
    came: list[int] = []
    lasts: list[dict[int, int]] = []
    turns: list[float] = []

    async def waiter(near: socket.socket) -> None:
        await asyncio.get_running_loop().sock_recv(near, 1)

    async def main(tracer: Tracer) -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        with near, far:

            def answer() -> None:
                time.sleep(after)
                came.append(tracer.clock())
                far.send(b"x")

            task = asyncio.create_task(waiter(near), name="waiter")
            await asyncio.sleep(0.01)
            thread, control = threading.Thread(target=answer), threading.Thread(target=take_turns)
            thread.start()
            control.start()
            hold(0.3, how)
            await task
            lasts.append(_watchers[tracer].log(asyncio.get_running_loop()).lasts)
            thread.join()
            control.join()

    def take_turns() -> None:
        """Note by how much a thread may come late here and now: the machine may be busy with other things."""
        for _ in range(50):
            due = time.perf_counter() + 0.002
            time.sleep(0.002)
            turns.append(time.perf_counter() - due)

    def late() -> float:
        """Seconds from when the answer came to when the task counts as ready."""
        trace = traced(main)
        (span,) = [span for span in trace.spans if span.name == "waiter"]
        assert span.states is not None and span.end is not None
        segments = span.states.segments(span.end)
        (ready,) = [start for start, end, state, _ in segments if state == "ready" and end - start > 100e6]
        return abs(ready - came[-1]) / 1e9

    assert late() < 0.010 + 2 * max(turns)
    assert lasts == [{}]  # one byte is the first and the last


@pytest.mark.parametrize("how", ["timer", "thread"])
def test_timers_and_threads_count_from_when_they_were_due(how: str) -> None:
    due: list[int] = []

    async def main(tracer: Tracer) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def come() -> None:
            time.sleep(0.05)
            due.append(tracer.clock())
            loop.call_soon_threadsafe(future.set_result, None)

        async def waiter() -> None:
            await (asyncio.sleep(0.05) if how == "timer" else future)

        task = asyncio.create_task(waiter(), name="waiter")
        await asyncio.sleep(0)
        if how == "thread":
            threading.Thread(target=come).start()
        else:
            due.append(tracer.clock() + 50_000_000)
        time.sleep(0.2)
        await task

    trace = traced(main)
    (span,) = [span for span in trace.spans if span.name == "waiter"]
    assert span.states is not None and span.end is not None
    ready = [
        start for start, end, state, _ in span.states.segments(span.end) if state == "ready" and end - start > 50e6
    ]
    assert [abs(start - due[0]) < 10e6 for start in ready] == [True]


def test_the_watching_thread_and_the_collectors_hook_go_away() -> None:
    before = list(gc.callbacks)

    async def main(_: Tracer) -> None:
        assert any(thread.name == "asyncmagic-watchdog" for thread in threading.enumerate())

    traced(main)
    assert gc.callbacks == before
    assert not any(thread.name == "asyncmagic-watchdog" for thread in threading.enumerate())


@pytest.mark.parametrize("file", ["<string>", "<command-1>"])
def test_code_that_was_typed_somewhere_is_named_by_its_own_lines(file: str) -> None:
    source = """
import time

def inner():
    time.sleep(0.2)

async def outer():
    inner()
"""
    space: dict[str, Any] = {}
    exec(compile(source, file, "exec"), space)

    async def main(_: Tracer) -> None:
        await asyncio.create_task(space["outer"]())

    assert [block.name for block in blocks(traced(main))] == [f"{file}:5 inner"]


@pytest.mark.parametrize("is_enabled", [True, False])
def test_looking_at_a_stack_leaves_the_garbage_collector_as_it_was(is_enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if is_enabled else gc.disable)()
    try:
        assert stack_of(threading.get_ident())
        assert gc.isenabled() is is_enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_a_stack_is_that_of_the_thread() -> None:
    ready, done = threading.Event(), threading.Event()

    def inner() -> None:
        ready.set()
        done.wait()

    def outer() -> None:
        inner()

    thread = threading.Thread(target=outer)
    thread.start()
    ready.wait()
    time.sleep(0.01)
    names = [code.co_name for code, _ in stack_of(thread.ident or 0)]
    done.set()
    thread.join()
    assert names[names.index("inner") :] == ["inner", "outer", "run", "_bootstrap_inner", "_bootstrap"]
    assert stack_of(0) == []
