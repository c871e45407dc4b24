"""What a program does while it is traced, it does untraced as well, however oddly it treats its loop."""

from __future__ import annotations

import asyncio
import logging
import time
from asyncio import events
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from asyncmagic.instrumentation.loop import instrument
from asyncmagic.tracing import Tracer

Out = Callable[[Any], None]
Program = Callable[[Any, Out], Awaitable[None]]


class Runs:
    """All that a loop asks of a context."""

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)


async def turn() -> None:
    await asyncio.sleep(0.01)


async def closes_a_loop_with_tasks(loop: Any, out: Out) -> None:
    async def spins() -> None:
        while True:  # noqa: ASYNC110  (its next step is to be in the queue)
            await asyncio.sleep(0)

    async def starts() -> None:
        for _ in range(3):
            asyncio.create_task(spins())  # noqa: RUF006  (nobody is to keep it)
        await turn()

    def elsewhere() -> None:
        other = asyncio.new_event_loop()
        other.run_until_complete(starts())
        other.close()
        out("closed")

    await asyncio.to_thread(elsewhere)


async def names_the_coroutine(loop: Any, out: Out) -> None:
    loop.set_task_factory(lambda loop, coro, **options: asyncio.Task(coro, loop=loop, **options))
    out(await loop.create_task(coro=asyncio.sleep(0, "done")))


async def patches_call_soon(loop: Any, out: Out) -> None:
    before = loop._call_soon

    def patched(callback: Any, *args: Any) -> Any:
        if callback == out:
            out("patched")
        return before(callback, *args)

    loop._call_soon = patched
    loop.call_soon(out, "called")
    await turn()
    loop.call_soon(out, "called again")
    await turn()
    del loop._call_soon


async def patches_the_handle(loop: Any, out: Out) -> None:
    class Own(events.Handle):
        def _run(self) -> None:
            out("runs")
            super()._run()

    before, events.Handle = events.Handle, Own
    try:
        out(type(loop.call_soon(out, "called")).__name__)
        await turn()
    finally:
        events.Handle = before


async def has_contexts_of_its_own(loop: Any, out: Out) -> None:
    loop.call_soon(lambda: time.sleep(0.2), context=Runs())
    await turn()
    task = loop.create_task(asyncio.sleep(0.02, "done"), context=Runs())
    loop.set_debug(True)
    await turn()
    loop.set_debug(False)
    out(await task)
    loop.set_task_factory(lambda loop, coro, **options: asyncio.Task(coro, loop=loop, **options))
    out(await loop.create_task(asyncio.sleep(0, "made"), context=Runs()))


async def has_futures_of_its_own(loop: Any, out: Out) -> None:
    class Own(asyncio.Future[int]):
        def cancelled(self) -> bool:
            out("asked")
            raise RuntimeError("not for you")

    future = Own()
    loop.call_later(0.01, future.set_result, 5)
    out(await future)


async def has_objects_that_say_nothing(loop: Any, out: Out) -> None:
    class Odd:
        @property
        def __class__(self) -> Any:
            raise RuntimeError("not for you")

        def method(self) -> None:
            out("called")

    loop.call_soon(Odd().method)
    await turn()


async def loses_a_task_that_failed(loop: Any, out: Out) -> None:
    async def fails() -> None:
        raise ValueError

    loop.set_exception_handler(lambda _, context: out(context["message"]))
    loop.create_task(fails())
    loop.call_soon(out, "called")
    await turn()


async def asks_who_called(loop: Any, out: Out) -> None:
    def blocks() -> None:
        time.sleep(0.15)

    def fails() -> None:
        raise ValueError

    def who(made: Any) -> None:
        out([frame.name for frame in made._source_traceback[-1:]])

    loop.set_exception_handler(lambda _, context: out("source_traceback" in context))
    loop.set_debug(True)
    who(loop.call_soon(blocks))
    await turn()
    who(loop.call_soon(blocks))
    who(loop.call_soon_threadsafe(blocks))
    loop.call_soon(fails)
    loop.set_debug(False)
    await turn()


async def empties_the_queue(loop: Any, out: Out) -> None:
    async def work() -> None:
        out("worked")

    def takes() -> None:
        task = loop.create_task(work())
        loop._ready.pop()._run()
        out(task.done())

    loop.call_soon(takes)
    await turn()


PROGRAMS = [
    closes_a_loop_with_tasks,
    names_the_coroutine,
    patches_call_soon,
    patches_the_handle,
    has_contexts_of_its_own,
    has_futures_of_its_own,
    has_objects_that_say_nothing,
    loses_a_task_that_failed,
    asks_who_called,
    empties_the_queue,
]


def told(program: Program, *, is_traced: bool) -> list[Any]:
    """Return what the program tells of itself."""
    said: list[Any] = []

    async def traced() -> None:
        tracer = Tracer()
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await asyncio.create_task(plain())
            tracer.end_trace(trace)

    async def plain() -> None:
        await program(asyncio.get_running_loop(), said.append)

    asyncio.run(traced() if is_traced else plain())
    return said


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_program_does_what_it_does_untraced(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", True)
    expected = told(program, is_traced=False)
    assert expected and told(program, is_traced=True) == expected
