"""`asyncmagic.run`, the engine of `%%agents` for scripts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import asyncmagic
from asyncmagic.runner import AgentsError, Failure, Options, Run
from asyncmagic.session import session
from asyncmagic.tracing import Tracer
from tests.conftest import VirtualLoop


async def double(x: int, seconds: float = 1.0) -> int:
    await asyncio.sleep(seconds)
    return x * 2


async def fail(text: str) -> None:
    await asyncio.sleep(0.1)
    raise ValueError(text)


def test_a_script_gets_results_in_order() -> None:
    assert asyncmagic.run(double(1, 0.02), double(2, 0.01), double(3, 0)) == [2, 4, 6]


def test_agents_that_await_queued_ones_are_not_left_waiting_for_ever(loop: VirtualLoop) -> None:
    said: list[str] = []

    async def main() -> list[int]:
        tracer = Tracer()
        trace = tracer.start_trace("run")
        async with Run(tracer, trace, Options(limit=2), say=said.append) as run:
            tasks: list[asyncio.Task[int]] = []

            async def sum_of(*indexes: int) -> int:
                results: list[int] = await asyncio.gather(*(tasks[index] for index in indexes))
                return sum(results)

            async def same_as(index: int) -> int:
                return await tasks[index]

            agents = [sum_of(2, 3), same_as(0), same_as(3), double(1), double(2)]
            tasks += [run.start(agent, f"agent {number}") for number, agent in enumerate(agents)]
        return [task.result() for task in tasks]

    assert loop.run_until_complete(main()) == [4, 4, 2, 2, 4]
    assert said == [
        "all agents that --limit 2 lets run wait for queued ones: 3 run now. "
        "Start those that others await first, or raise the limit."
    ]


def test_inside_a_loop_it_is_awaited(loop: VirtualLoop) -> None:
    async def main() -> list[int]:
        results: list[int] = await asyncmagic.run(*[double(i) for i in range(6)], limit=2)
        return results

    assert loop.run_until_complete(main()) == [0, 2, 4, 6, 8, 10]
    assert loop.time() == 3.0


def test_a_failure_loses_no_result(loop: VirtualLoop) -> None:
    async def main() -> None:
        await asyncmagic.run(double(1), fail("no"), double(3))

    with pytest.raises(AgentsError, match="1 of 3 agents failed") as caught:
        loop.run_until_complete(main())
    first, second, third = caught.value.results or []
    assert (first, repr(second), third) == (2, "ValueError('no')", 6)
    assert caught.value.__cause__ is second


def test_of_several_failures_a_script_sees_each_place() -> None:
    with pytest.raises(AgentsError) as caught:
        asyncmagic.run(fail("one"), fail("two"))
    assert [repr(error) for error in caught.value.__cause__.exceptions] == ["ValueError('one')", "ValueError('two')"]  # type: ignore[union-attr]


def test_agents_of_a_single_step_have_ended_when_the_run_has() -> None:
    async def at_once() -> None: ...

    ended: list[bool] = []

    async def main() -> None:
        tracer = Tracer()
        trace = tracer.start_trace("run")
        async with Run(tracer, trace, Options()) as run:
            agents = [run.start(at_once(), "first"), run.start(at_once(), "second")]
        ended.extend(agent.span.has_ended for agent in run.agents)
        assert all(agent.done() for agent in agents)

    asyncio.run(main())
    assert ended == [True, True]


def test_a_failure_is_listed_by_the_first_line_of_its_message() -> None:
    failure = Failure("a", 3, ValueError("no\n" + "x" * 400))
    assert str(failure) == "a (line 3): ValueError: no…"
    assert str(Failure("a", None, ValueError("x" * 400))) == "a: ValueError: " + "x" * 200 + "…"


def test_one_awaitable_raises_its_own_exception() -> None:
    with pytest.raises(ValueError, match="alone"):
        asyncmagic.run(fail("alone"))


def test_exceptions_can_be_returned(loop: VirtualLoop) -> None:
    async def main() -> list[object]:
        results: list[object] = await asyncmagic.run(double(1), fail("x"), return_exceptions=True)
        return results

    first, second = loop.run_until_complete(main())
    assert (first, repr(second)) == (2, "ValueError('x')")


def test_a_timeout_keeps_what_was_finished(loop: VirtualLoop) -> None:
    async def main() -> None:
        await asyncmagic.run(double(1), double(2, 60), timeout=5)

    with pytest.raises(TimeoutError, match="1 of 2 agents had not finished") as caught:
        loop.run_until_complete(main())
    assert caught.value.results[0] == 2  # type: ignore[attr-defined]
    assert loop.time() == 5.0


def test_a_function_instead_of_its_call_is_named() -> None:
    with pytest.raises(TypeError, match=r"an async function has to be called: double\(…\)"):
        asyncmagic.run(double)  # type: ignore[arg-type]


def test_a_list_of_awaitables_wants_a_star() -> None:
    with pytest.raises(TypeError, match=r"not a list of them: put a star before it, run\(\*…\)"):
        asyncmagic.run([])  # type: ignore[arg-type]


def test_what_is_given_twice_is_returned_twice() -> None:
    coroutine = double(1, 0)
    assert asyncmagic.run(coroutine, double(2, 0), coroutine) == [2, 4, 2]


def test_a_span_in_an_async_generator_that_another_task_closes(loop: VirtualLoop) -> None:
    async def numbers() -> AsyncIterator[int]:
        with asyncmagic.span("inside"):
            yield 1

    async def main() -> int:
        generator = numbers()
        number = await anext(generator)
        await asyncio.create_task(generator.aclose())  # type: ignore[attr-defined]
        return number

    with asyncmagic.trace() as trace:
        assert loop.run_until_complete(main()) == 1
    assert [(span.name, span.has_ended) for span in trace.spans if span.kind == "span"] == [("inside", True)]


def test_threads_may_run_at_the_same_time() -> None:
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(asyncmagic.run, double(i, 0.01), double(i, 0.02), limit=1) for i in range(8)]
    assert [run.result() for run in runs] == [[2 * i, 2 * i] for i in range(8)]
    assert not session.is_watching


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit must be 1 or more, not 0"),
        ({"timeout": -1.0}, "timeout is in seconds and must be above 0"),
    ],
)
def test_wrong_options_are_named(options: dict[str, float], message: str) -> None:
    coroutine = double(1)
    with pytest.raises(ValueError, match=message):
        asyncmagic.run(coroutine, **options)  # type: ignore[arg-type]
    coroutine.close()


def test_the_owner_can_still_be_cancelled(loop: VirtualLoop) -> None:
    async def main() -> tuple[bool, int]:
        task = asyncio.ensure_future(asyncmagic.run(double(1, 60), double(2, 60)))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled(), len(asyncio.all_tasks())

    assert loop.run_until_complete(main()) == (True, 1)


def test_a_run_is_traced(loop: VirtualLoop) -> None:
    async def main() -> None:
        await asyncmagic.run(double(1), double(2), name="numbers")

    loop.run_until_complete(main())
    trace = asyncmagic.last_trace()
    assert trace is not None
    assert (trace.name, [span.name for span in trace.spans[1:]]) == ("numbers", ["double[0]", "double[1]"])


def test_what_a_stopped_run_leaves_in_a_thread_is_named() -> None:
    gate = threading.Event()
    said: list[str] = []

    def wait_long() -> None:
        gate.wait()

    async def think() -> None:
        await asyncio.to_thread(wait_long)

    async def rest() -> None:
        await asyncio.sleep(60)

    def say(text: str) -> None:
        said.append(text)
        gate.set()

    with pytest.raises(TimeoutError):
        asyncmagic.run(think(), rest(), timeout=0.05, say=say)
    assert said == ["wait_long of think[0] still runs: what is in a thread cannot be cancelled."]
