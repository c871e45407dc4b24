"""A task that ends cancelled says who did it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from asyncmagic.instrumentation import loop as loop_instrumentor
from asyncmagic.instrumentation.loop import instrument
from asyncmagic.runner import Options, Run
from asyncmagic.tracing import Trace, Tracer
from asyncmagic.tracing.semconv import CANCELLED_BY
from tests.conftest import VirtualLoop

HERE = Path(__file__).name


@pytest.fixture(params=["fast", "any loop"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "any loop":
        monkeypatch.setattr(loop_instrumentor, "can_watch", lambda _: False)


def traced(loop: VirtualLoop, main: Callable[[], Coroutine[Any, Any, Any]]) -> Trace:
    tracer = Tracer(clock=loop.clock)

    async def cell() -> Trace:
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await asyncio.gather(asyncio.create_task(main(), name="main"), return_exceptions=True)
            tracer.end_trace(trace)
            return trace

    return loop.run_until_complete(cell())


def cancelled(trace: Trace) -> dict[str, Any]:
    """Who cancelled what, by name; lines of this file are counted from the first one of the coroutine."""
    return {span.name: span.attributes.get(CANCELLED_BY) for span in trace.spans if span.outcome == "cancelled"}


def line(main: Any, after: int) -> str:
    return f"{HERE}:{main.__code__.co_firstlineno + after}"


async def work() -> None:
    await asyncio.sleep(60)


def test_another_task_and_its_line(loop: VirtualLoop) -> None:
    async def main() -> None:
        victim = asyncio.create_task(work(), name="victim")
        await asyncio.sleep(1)
        victim.cancel()
        await asyncio.wait([victim])

    assert cancelled(traced(loop, main)) == {"victim": f"task main ({line(main, 3)})"}


def test_a_message_is_kept(loop: VirtualLoop) -> None:
    async def main() -> None:
        victim = asyncio.create_task(work(), name="victim")
        await asyncio.sleep(1)
        victim.cancel("not needed any more")
        await asyncio.wait([victim])

    assert cancelled(traced(loop, main)) == {"victim": f"task main ({line(main, 3)}): not needed any more"}


def test_before_its_first_step_nobody_is_seen_but_a_message_is_kept(loop: VirtualLoop) -> None:
    async def main() -> None:
        unborn = [asyncio.create_task(work(), name=name) for name in ("unborn", "told why")]
        unborn[0].cancel()
        unborn[1].cancel("not needed any more")
        await asyncio.wait(unborn)

    assert cancelled(traced(loop, main)) == {"unborn": None, "told why": "not needed any more"}


def test_a_message_is_kept_of_a_task_whose_turn_was_to_come(loop: VirtualLoop) -> None:
    async def main() -> None:
        event = asyncio.Event()
        victim = asyncio.create_task(event.wait(), name="victim")
        await asyncio.sleep(1)
        event.set()
        victim.cancel("not needed any more")
        await asyncio.wait([victim])

    assert cancelled(traced(loop, main)) == {"victim": "not needed any more"}


def test_a_callback_and_its_line(loop: VirtualLoop) -> None:
    async def main() -> None:
        victim = asyncio.create_task(work(), name="victim")
        asyncio.get_running_loop().call_later(1, lambda: victim.cancel())
        await asyncio.wait([victim])

    assert cancelled(traced(loop, main)) == {"victim": f"a callback ({line(main, 2)})"}


def test_cancel_itself_as_the_callback(loop: VirtualLoop) -> None:
    async def main() -> None:
        victim, other = (asyncio.create_task(work(), name=name) for name in ("victim", "other"))
        both = asyncio.gather(victim, other, return_exceptions=True)
        asyncio.get_running_loop().call_later(1, victim.cancel)
        asyncio.get_running_loop().call_later(2, other.cancel, "too late")
        await both

    assert cancelled(traced(loop, main)) == {"victim": "a callback", "other": "a callback: too late"}


def test_a_task_that_cancels_itself(loop: VirtualLoop) -> None:
    async def main() -> None:
        async def alone() -> None:
            asyncio.current_task().cancel()  # type: ignore[union-attr]
            await asyncio.sleep(60)

        async def with_others() -> None:
            others = [asyncio.create_task(work(), name=name) for name in ("a", "b")]
            await asyncio.sleep(1)
            asyncio.current_task().cancel("enough")  # type: ignore[union-attr]
            await asyncio.gather(*others)

        async def above() -> None:
            other = asyncio.create_task(work(), name="other")
            await asyncio.sleep(1)
            asyncio.current_task().cancel()  # type: ignore[union-attr]
            await other

        makers = (alone, with_others, above)
        await asyncio.wait([asyncio.create_task(maker(), name=maker.__name__) for maker in makers])

    assert cancelled(traced(loop, main)) == {
        "alone": "itself",
        "with_others": "itself: enough",
        "a": "task with_others: enough",
        "b": "task with_others: enough",
        "above": "itself",
        "other": "task above",
    }


def test_what_a_cancelled_task_awaited_was_cancelled_by_the_same(loop: VirtualLoop) -> None:
    async def main() -> None:
        async def outer() -> None:
            await asyncio.create_task(work(), name="inner")

        victim = asyncio.create_task(outer(), name="victim")
        await asyncio.sleep(1)
        victim.cancel()
        await asyncio.wait([victim])

    who = f"task main ({line(main, 6)})"
    assert cancelled(traced(loop, main)) == {"victim": who, "inner": who}


def test_awaiting_a_task_that_another_cancelled(loop: VirtualLoop) -> None:
    async def main() -> None:
        async def outer() -> None:
            await inner

        inner = asyncio.create_task(work(), name="inner")
        waiter = asyncio.create_task(outer(), name="waiter")
        await asyncio.sleep(1)
        inner.cancel()
        await asyncio.wait([waiter])

    who = f"task main ({line(main, 7)})"
    assert cancelled(traced(loop, main)) == {
        "inner": who,
        "waiter": f"task inner, which was cancelled by {who}",
    }


def test_gather_passes_it_on(loop: VirtualLoop) -> None:
    async def main() -> None:
        async def outer() -> None:
            await asyncio.gather(asyncio.create_task(work(), name="a"), asyncio.create_task(work(), name="b"))

        victim = asyncio.create_task(outer(), name="victim")
        await asyncio.sleep(1)
        victim.cancel()
        await asyncio.wait([victim])

    assert cancelled(traced(loop, main)) == dict.fromkeys(("victim", "a", "b"), f"task main ({line(main, 6)})")


def test_a_timeout(loop: VirtualLoop) -> None:
    async def main() -> None:
        task = asyncio.create_task(work(), name="task")
        async with asyncio.timeout(1):
            await task

    assert cancelled(traced(loop, main)) == {"task": "timeout"}


def test_wait_for(loop: VirtualLoop) -> None:
    async def main() -> None:
        await asyncio.wait_for(asyncio.create_task(work(), name="task"), 1)

    who = "timeout" if sys.version_info >= (3, 12) else f"wait_for ({line(main, 1)})"
    assert cancelled(traced(loop, main)) == {"task": who}


def test_a_task_group(loop: VirtualLoop) -> None:
    async def main() -> None:
        async def fail() -> None:
            await asyncio.sleep(1)
            raise LookupError

        async with asyncio.TaskGroup() as group:
            group.create_task(work(), name="task")
            group.create_task(fail())

    assert cancelled(traced(loop, main)) == {"task": "task group"}


def test_a_task_group_cancels_what_has_not_begun(loop: VirtualLoop) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(work(), name="task")
            raise LookupError

    assert cancelled(traced(loop, main)) == {"task": "task group"}


def test_a_swallowed_cancellation_leaves_nothing(loop: VirtualLoop) -> None:
    async def main() -> None:
        try:
            async with asyncio.timeout(1):
                await asyncio.sleep(60)
        except TimeoutError:
            await asyncio.sleep(1)

    trace = traced(loop, main)
    assert [span.attributes.get(CANCELLED_BY) for span in trace.spans] == [None, None]


def test_a_run_says_why_it_cancelled_its_agents(loop: VirtualLoop) -> None:
    tracer = Tracer(clock=loop.clock)

    async def cell() -> Trace:
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root), pytest.raises(TimeoutError):
                async with Run(tracer, trace, Options(limit=1, timeout=1)) as run:
                    run.start(work(), "running")
                    run.start(work(), "queued")
            tracer.end_trace(trace)
            return trace

    trace = loop.run_until_complete(cell())
    assert cancelled(trace) == {"running": "the timeout of the run", "queued": "the timeout of the run"}
    assert "cancelled by the timeout of the run" in trace.export("text")


class Foreign:
    """As little of a future as a task can wait for."""

    _asyncio_future_blocking = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __await__(self) -> Any:
        self._asyncio_future_blocking = True
        return (yield self)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(self, callback: Any, *, context: Any) -> None:
        self._loop.call_later(1, lambda: self._loop.call_soon(callback, self, context=context))

    def result(self) -> None: ...


def test_a_future_of_somebody_elses_needs_no_cancelled(loop: VirtualLoop) -> None:
    async def main() -> None:
        await Foreign(asyncio.get_running_loop())

    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    assert [(span.name, span.outcome) for span in traced(loop, main).spans] == [("cell", "done"), ("main", "done")]
    assert errors == []
