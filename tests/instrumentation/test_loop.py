"""Tasks of a traced run become spans with parents, states and ends, on every kind of loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import random
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import pytest

from asyncmagic.instrumentation.loop import _watchers, instrument
from asyncmagic.instrumentation.waits import Waits
from asyncmagic.tracing import Span, Trace, Tracer
from tests.conftest import VirtualLoop

MS = 1_000_000


class ForeignLoop(VirtualLoop):
    """A loop with an algorithm of its own, as uvloop and nest_asyncio have."""

    def _run_once(self) -> None:
        super()._run_once()  # type: ignore[misc]


@pytest.fixture(params=[VirtualLoop, ForeignLoop])
def loop(request: pytest.FixtureRequest) -> Iterator[VirtualLoop]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner.get_loop()  # type: ignore[misc]


def traced(loop: VirtualLoop, main: Callable[[Tracer], Coroutine[Any, Any, Any]], **options: Any) -> Trace:
    """Run `main(tracer)` as the body of a traced cell and return the trace."""
    tracer = Tracer(clock=loop.clock, **options)

    async def cell() -> Trace:
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                try:
                    await main(tracer)
                finally:
                    tracer.end_trace(trace)
            return trace

    return loop.run_until_complete(cell())


def tree(trace: Trace) -> dict[str, str | None]:
    """Each span's name with that of its parent."""
    spans = {span.span_id: span for span in trace.spans}
    return {span.name: spans[span.parent_id].name if span.parent_id is not None else None for span in trace.spans}


def states(span: Span, since: int = 0) -> list[tuple[int, int, str, str | None]]:
    """The segments of a span, in milliseconds."""
    assert span.states is not None and span.end is not None
    return [
        ((start - since) // MS, (end - since) // MS, state, detail)
        for start, end, state, detail in span.states.segments(span.end)
    ]


def named(trace: Trace, name: str) -> Span:
    (span,) = [span for span in trace.spans if span.name == name]
    return span


def test_a_task_that_is_looked_at_before_its_first_step_begins_when_it_was_made(loop: VirtualLoop) -> None:
    async def work() -> None:
        await asyncio.sleep(1)

    async def main(tracer: Tracer) -> None:
        await asyncio.sleep(5)
        task = asyncio.create_task(work(), name="work")
        assert tracer.current().trace.spans  # type: ignore[union-attr]
        await task

    work_span = named(traced(loop, main), "work")
    assert (work_span.start // MS, work_span.end) == (5000, 6000 * MS)
    assert [state[:3] for state in states(work_span)] == [(5000, 6000, "waiting")]


def test_a_task_that_is_over_before_its_span_is_asked_for_keeps_its_beginning(loop: VirtualLoop) -> None:
    kept: list[asyncio.Task[None]] = []

    async def main(tracer: Tracer) -> None:
        async def child() -> None:
            tracer.current()

        async def parent() -> None:
            kept.append(asyncio.create_task(child(), name="child"))
            loop.advance(0.05)

        loop.call_soon(_watchers[tracer].log(loop).look)  # as it is for who reads on another thread
        kept.append(asyncio.create_task(parent(), name="parent"))
        await asyncio.sleep(1)

    assert states(named(traced(loop, main), "parent")) == [(0, 50, "running", None)]


class Compiled(Coroutine[Any, Any, Any]):
    """A coroutine that is none of Python's own, as a compiler makes it."""

    def __init__(self, coroutine: Any) -> None:
        self._coroutine = coroutine
        self.send, self.throw, self.close = coroutine.send, coroutine.throw, coroutine.close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)

    def __await__(self) -> Any:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any: ...

    def throw(self, *error: Any) -> Any: ...


def test_waits_of_coroutines_of_another_make_are_told_apart(loop: VirtualLoop) -> None:
    async def sleeper() -> None:
        await asyncio.sleep(1)

    async def waiter() -> None:
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(2, event.set)
        await event.wait()

    async def main(_: Tracer) -> None:
        tasks = [asyncio.create_task(Compiled(work()), name=work.__name__) for work in (sleeper, waiter)]
        await asyncio.wait(tasks)

    trace = traced(loop, main)
    waits = {name: [detail for *_, detail in states(named(trace, name))] for name in ("sleeper", "waiter")}
    assert waits == {
        "sleeper": [f"sleep (sleeper:{sleeper.__code__.co_firstlineno + 1})"],
        "waiter": [f"event (waiter:{waiter.__code__.co_firstlineno + 3})"],
    }


def test_each_task_has_the_task_that_made_it_as_its_parent(loop: VirtualLoop) -> None:
    async def leaf() -> None:
        await asyncio.sleep(0.1)

    async def branch() -> None:
        await asyncio.gather(asyncio.create_task(leaf(), name="left"), asyncio.create_task(leaf(), name="right"))

    async def main(_: Tracer) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(branch(), name="branch")

    assert tree(traced(loop, main)) == {"cell": None, "branch": "cell", "left": "branch", "right": "branch"}


def test_a_task_without_a_name_is_called_after_its_coroutine_and_knows_where_it_was_made(loop: VirtualLoop) -> None:
    async def worker() -> None: ...

    async def main(_: Tracer) -> None:
        await asyncio.create_task(worker())

    span = traced(loop, main).spans[1]
    assert span.name == worker.__qualname__
    assert span.attributes == {
        "code.function.name": main.__qualname__,
        "code.line.number": main.__code__.co_firstlineno + 1,
        "code.file.path": __file__,
    }


def test_a_task_that_the_loop_itself_makes_was_made_nowhere(loop: VirtualLoop) -> None:
    async def worker() -> None: ...

    async def main(_: Tracer) -> None:
        loop.call_soon(loop.create_task, worker())
        await asyncio.sleep(1)

    span = named(traced(loop, main), worker.__qualname__)
    assert span.attributes == {}


def test_a_task_runs_and_waits_and_says_what_for(loop: VirtualLoop) -> None:
    async def work() -> None:
        loop.advance(0.020)
        await asyncio.sleep(0.1)
        loop.advance(0.030)

    async def main(_: Tracer) -> None:
        await asyncio.create_task(work(), name="work")

    line = work.__code__.co_firstlineno + 2
    assert states(named(traced(loop, main), "work")) == [
        (0, 20, "running", None),
        (20, 120, "waiting", f"sleep (work:{line})"),
        (120, 150, "running", None),
    ]


def test_a_task_whose_turn_has_not_come_is_ready(loop: VirtualLoop) -> None:
    async def busy() -> None:
        loop.advance(0.050)
        await asyncio.sleep(0)
        loop.advance(0.050)

    async def main(_: Tracer) -> None:
        await asyncio.gather(asyncio.create_task(busy(), name="first"), asyncio.create_task(busy(), name="second"))

    trace = traced(loop, main)
    assert states(named(trace, "first")) == [
        (0, 50, "running", None),
        (50, 100, "ready", None),
        (100, 150, "running", None),
    ]
    assert states(named(trace, "second")) == [
        (0, 50, "ready", None),
        (50, 100, "running", None),
        (100, 150, "ready", None),
        (150, 200, "running", None),
    ]


@pytest.mark.parametrize("steps", [50, 1500], ids=["short", "long enough to leave steps out"])
def test_who_reads_while_it_runs_reads_what_is_read_at_the_end(loop: VirtualLoop, steps: int) -> None:
    pauses = [random.Random(7).choice([0, 0, 0.008, 0.013]) for _ in range(steps)]

    async def work() -> None:
        for pause in pauses:
            loop.advance(0.001)
            await asyncio.sleep(pause)

    async def main(tracer: Tracer, *, reads: bool) -> None:
        task = asyncio.create_task(work(), name="work")
        while not task.done():
            await asyncio.sleep(0.07)
            if reads:
                tracer.current().trace.collect()  # type: ignore[union-attr]

    at_the_end = named(traced(loop, partial(main, reads=False)), "work")
    meanwhile = named(traced(loop, partial(main, reads=True)), "work")
    assert states(meanwhile, since=meanwhile.start) == states(at_the_end, since=at_the_end.start)
    assert meanwhile.attributes == at_the_end.attributes


def test_a_processor_may_read_the_trace_when_it_is_told_of_a_task(caplog: pytest.LogCaptureFixture) -> None:
    class Reads:
        def on_start(self, span: Span) -> None:
            if threading.current_thread() is reader and span.trace is not None:
                # By then the loop has gone on.
                time.sleep(0.005)
                assert span in span.trace.spans

        on_update = on_end = lambda self, span: None

    async def works() -> None:
        for _ in range(50):
            await asyncio.sleep(0.001)

    async def main() -> Trace:
        nonlocal reader
        tracer = Tracer()
        with instrument(tracer):
            trace = tracer.start_trace("cell", processors=(Reads(),))
            over = threading.Event()

            def read() -> None:
                while not over.wait(0.01):
                    trace.collect()

            reader = threading.Thread(target=read)
            reader.start()
            with tracer.use(trace.root):
                tasks = []
                for _ in range(10):
                    tasks.append(asyncio.create_task(works()))
                    await asyncio.sleep(0.005)
                await asyncio.gather(*tasks)
            over.set()
            reader.join()
            tracer.end_trace(trace)
        return trace

    reader: threading.Thread | None = None
    times = [[time for time, _, _ in span.states or ()] for span in asyncio.run(main()).spans]
    assert times == [sorted(each) for each in times]
    assert caplog.records == []


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        (lambda made: asyncio.Event().wait(), "event"),
        (lambda made: asyncio.Queue().get(), "queue.get"),
        (lambda made: asyncio.wait([made]), "tasks"),
        (lambda made: asyncio.Semaphore(0).acquire(), "semaphore"),
        (lambda made: made, "task long"),
        (lambda made: asyncio.gather(made, asyncio.sleep(1)), "gather of 2"),
        (lambda made: asyncio.shield(made), "wait(…)"),
        (lambda made: asyncio.Server(made.get_loop(), [], None, None, 1, None).serve_forever(), "server"),
    ],
)
def test_a_wait_is_named(loop: VirtualLoop, wait: Callable[[Any], Awaitable[Any]], words: str) -> None:
    async def waiter(made: Any) -> None:
        await wait(made)

    async def main(_: Tracer) -> None:
        long = asyncio.create_task(asyncio.sleep(9), name="long")
        task = asyncio.create_task(waiter(long), name="waiter")
        await asyncio.sleep(0.1)
        long.cancel()
        task.cancel()
        await asyncio.wait([task, long])

    span = named(traced(loop, main), "waiter")
    assert states(span) == [(0, 100, "waiting", f"{words} (waiter:{waiter.__code__.co_firstlineno + 1})")]
    assert span.outcome == "cancelled"


def test_tasks_end_as_they_ended(loop: VirtualLoop) -> None:
    async def done() -> None: ...

    kept: list[asyncio.Task[None]] = []

    async def failed() -> None:
        raise LookupError("not there")

    async def main(_: Tracer) -> None:
        stopped = asyncio.create_task(asyncio.sleep(9), name="stopped")
        tasks = [asyncio.create_task(done(), name="done"), asyncio.create_task(failed(), name="failed")]
        await asyncio.sleep(1)
        stopped.cancel()
        await asyncio.wait([*tasks, stopped])
        tasks[1].exception()
        kept.append(asyncio.create_task(asyncio.sleep(9), name="open"))
        await asyncio.sleep(0)

    trace = traced(loop, main)
    assert [(span.name, span.outcome, span.attributes.get("error.type")) for span in trace.spans[1:]] == [
        ("stopped", "cancelled", "CancelledError"),
        ("done", "done", None),
        ("failed", "failed", "LookupError"),
        ("open", "open", None),
    ]


def test_a_span_made_in_a_task_belongs_to_the_task(loop: VirtualLoop) -> None:
    async def work(tracer: Tracer) -> None:
        with tracer.span("own"):
            await asyncio.create_task(asyncio.sleep(0), name="below own")
        await asyncio.sleep(0)
        tracer.start_span("beside")

    async def main(tracer: Tracer) -> None:
        await asyncio.create_task(work(tracer), name="work")

    assert tree(traced(loop, main)) == {
        "cell": None,
        "work": "cell",
        "own": "work",
        "below own": "own",
        "beside": "work",
    }


def test_a_span_asked_for_late_starts_when_its_task_was_made(loop: VirtualLoop) -> None:
    async def work(tracer: Tracer) -> None:
        await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
        tracer.start_span("inside")

    async def main(tracer: Tracer) -> None:
        await asyncio.create_task(work(tracer), name="work")

    span = named(traced(loop, main), "work")
    assert span.start == 0
    assert [(start, end, state) for start, end, state, _ in states(span)] == [
        (0, 100, "waiting"),
        (100, 200, "waiting"),
    ]


def test_a_task_with_a_context_of_its_own_is_still_found(loop: VirtualLoop) -> None:
    async def work(tracer: Tracer) -> None:
        tracer.start_span("inside")

    async def main(tracer: Tracer) -> None:
        await asyncio.create_task(work(tracer), name="work", context=contextvars.Context())

    assert tree(traced(loop, main)) == {"cell": None, "work": "cell", "inside": "work"}


def test_an_adopted_task_writes_its_states_to_the_given_span_and_leaves_its_end_to_others(loop: VirtualLoop) -> None:
    async def main(tracer: Tracer) -> None:
        span = tracer.start_span("agent", kind="task", state="queued")
        task = asyncio.create_task(asyncio.sleep(0.1))
        assert tracer.adopt_task is not None
        await asyncio.sleep(0.05)
        tracer.set_state(span, "running")
        tracer.adopt_task(task, span)
        await task
        assert not span.has_ended
        tracer.end_span(span)

    trace = traced(loop, main)
    assert [span.name for span in trace.spans] == ["cell", "agent"]
    assert states(trace.spans[1])[0] == (0, 50, "queued", None)


def test_only_what_belongs_to_the_trace_is_seen(loop: VirtualLoop) -> None:
    async def other() -> None:
        await asyncio.create_task(asyncio.sleep(0.1), name="not mine")

    async def before_and_after() -> Trace:
        outside = asyncio.create_task(other())
        tracer = Tracer(clock=loop.clock)
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await asyncio.create_task(asyncio.sleep(0.2), name="mine")
            tracer.end_trace(trace)
        await outside
        return trace

    assert tree(loop.run_until_complete(before_and_after())) == {"cell": None, "mine": "cell"}


def test_a_folder_of_the_users_may_be_called_like_a_part_of_the_kernel(loop: VirtualLoop) -> None:
    names: dict[str, Any] = {}
    exec(compile("async def agent(): pass", "/project/app/comm/agents.py", "exec"), names)

    async def main(_: Tracer) -> None:
        await asyncio.create_task(names["agent"]())

    assert tree(traced(loop, main)) == {"cell": None, "agent": "cell"}


def test_a_loop_is_left_as_it_was(loop: VirtualLoop) -> None:
    before = dict(loop.__dict__)
    set_running_loop = asyncio.events._set_running_loop

    async def main(tracer: Tracer) -> None:
        assert "call_soon" in loop.__dict__
        with instrument(tracer), instrument(Tracer(clock=loop.clock)):
            await asyncio.create_task(asyncio.sleep(0.1))

    traced(loop, main)
    traced(loop, main)
    assert {name for name in loop.__dict__ if loop.__dict__[name] is not before.get(name)} <= {"_now", "_scheduled"}
    assert loop.__dict__.keys() == before.keys()
    assert asyncio.events._set_running_loop is set_running_loop


def test_a_hook_of_someone_else_survives(loop: VirtualLoop) -> None:
    calls = []
    original = loop.call_soon

    def theirs(callback: Any, *args: Any, context: Any = None) -> Any:
        calls.append(callback)
        return original(callback, *args, context=context)

    async def main(_: Tracer) -> None:
        await asyncio.create_task(asyncio.sleep(0))

    loop.call_soon = theirs  # type: ignore[method-assign]
    traced(loop, main)
    assert loop.call_soon is theirs
    assert len(calls) > 3


def test_a_step_that_runs_the_loop_is_not_hurt_where_that_cannot_be_noted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Waits, "within", lambda *_: 1 / 0)
    called: list[int] = []

    async def running() -> None:
        for number in range(2):
            loop.call_soon(called.append, number)
            loop._run_once()

    async def main(_: Tracer) -> None:
        await asyncio.create_task(running())

    with asyncio.Runner(loop_factory=VirtualLoop, debug=True) as runner:
        loop: Any = runner.get_loop()
        traced(loop, main)
    assert called == [0, 1]
    assert [record.message for record in caplog.records] == [
        "the tasks of a loop are not watched any more; your code is not affected"
    ]


def test_nothing_of_the_users_is_kept_alive(loop: VirtualLoop) -> None:
    class Big: ...

    class Failure(Exception): ...

    seen: list[weakref.ref[Any]] = []

    async def big() -> Big:
        made = Big()
        seen.append(weakref.ref(made))
        await asyncio.sleep(0.1)
        return made

    async def failing() -> None:
        error = Failure()
        seen.append(weakref.ref(error))
        raise error

    async def main(_: Tracer) -> None:
        tasks = [asyncio.create_task(big()), asyncio.create_task(failing())]
        seen.extend(map(weakref.ref, tasks))
        await asyncio.wait(tasks)
        tasks[1].exception()
        del tasks
        await asyncio.sleep(0)
        gc.collect()
        assert [reference() for reference in seen] == [None] * 4

    traced(loop, main)


def test_a_task_that_nobody_kept_ends_as_destroyed(loop: VirtualLoop) -> None:
    async def lost() -> None:
        await asyncio.Future()

    async def main(_: Tracer) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        asyncio.create_task(lost())  # noqa: RUF006
        await asyncio.sleep(0.1)
        gc.collect()

    span = named(traced(loop, main), lost.__qualname__)
    assert (span.outcome, span.attributes["error.type"]) == ("failed", "TaskDestroyed")


def test_a_loop_that_runs_in_a_thread_is_watched_too(loop: VirtualLoop) -> None:
    async def inner() -> None:
        await asyncio.create_task(asyncio.sleep(0), name="inner")

    async def main(_: Tracer) -> None:
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(asyncio.run, inner()))
        thread.start()
        thread.join()

    assert tree(traced(loop, main)) == {"cell": None, inner.__qualname__: "cell", "inner": inner.__qualname__}


def test_what_was_not_kept_is_counted(loop: VirtualLoop) -> None:
    async def main(_: Tracer) -> None:
        await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(10)))

    trace = traced(loop, main, max_spans=5)
    assert (len(trace.spans), trace.dropped_spans) == (5, 6)


def test_closing_a_generator_that_was_left_is_no_task_of_the_users(loop: VirtualLoop) -> None:
    tracer = Tracer(clock=loop.clock)

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)

    async def leave() -> None:
        async for _ in numbers():
            break
        await asyncio.sleep(0.1)

    async def cell() -> list[str]:
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await asyncio.create_task(leave(), name="leave")
            tracer.end_trace(trace)
            return [span.name for span in trace.spans]

    assert loop.run_until_complete(cell()) == ["cell", "leave"]


def test_the_cell_itself_says_what_it_waited_for(loop: VirtualLoop) -> None:
    tracer = Tracer(clock=loop.clock)
    line = test_the_cell_itself_says_what_it_waited_for.__code__.co_firstlineno

    async def one() -> Trace:
        trace = tracer.start_trace("cell")
        task = asyncio.current_task()
        assert task is not None and tracer.adopt_task is not None
        tracer.adopt_task(task, trace.root)
        with tracer.use(trace.root):
            loop.advance(0.05)
            await asyncio.sleep(1)
            loop.advance(0.3)
            await asyncio.create_task(asyncio.sleep(2), name="child")
        tracer.end_trace(trace)
        return trace

    async def kernel() -> tuple[Trace, Trace]:
        with instrument(tracer):
            background = tracer.start_trace("background")
            traces = await one(), await one()
            tracer.end_trace(background)
        return traces

    for trace in loop.run_until_complete(kernel()):
        start = trace.root.start
        assert trace.root.states is not None and trace.root.end is not None
        assert [
            ((begun - start) / 1e9, (end - begun) / 1e9, state, detail)
            for begun, end, state, detail in trace.root.states.segments(trace.root.end)
        ] == [
            (0, 0.05, "running", None),
            (0.05, 1, "waiting", f"sleep (one:{line + 11})"),
            (1.05, 0.3, "running", None),
            (1.35, 2, "waiting", f"task child (one:{line + 13})"),
        ]
        assert [(span.kind, span.name, span.parent_id) for span in trace.spans[1:]] == [
            ("task", "child", trace.root.span_id),
            ("blocked", "cell", trace.root.span_id),
        ]
