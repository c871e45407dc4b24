"""What came while the loop was held counts from when it came, through whatever callbacks lie between."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from asyncmagic.instrumentation.dating import Dating
from asyncmagic.tracing import Tracer
from asyncmagic.tracing.semconv import BLOCKED_BY
from tests.instrumentation.test_blocking import traced

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the selector can be asked from outside on Linux alone")
engines = pytest.mark.parametrize("debug", [False, True], ids=["by iterations", "by calls"])

#: Seconds from when a task begins until what it waits for comes, and those in which the loop is held meanwhile.
COMES, HELD = 0.1, (0.05, 0.35)

Waiter = Callable[[], Awaitable[Any]]


def ready_at(waiter: Waiter, *, debug: bool) -> float:
    """Return how many seconds after it had begun the waiter counts as ready, where the loop is held before."""
    began = []

    async def main(tracer: Tracer) -> None:
        waiting = named(waiter(), "waiting")
        began.append(tracer.clock())
        await asyncio.gather(waiting, named(holding(), "holding"))

    trace = traced(main, debug=debug)
    (span,) = [span for span in trace.spans if span.name == "waiting"]
    assert span.states is not None and span.end is not None
    (ready,) = [
        start for start, end, state, _ in span.states.segments(span.end) if state == "ready" and end - start > 50e6
    ]
    return (ready - began[0]) / 1e9


def named(coroutine: Any, name: str) -> asyncio.Task[Any]:
    return asyncio.create_task(coroutine, name=name)


async def holding() -> None:
    await asyncio.sleep(HELD[0])
    time.sleep(HELD[1] - HELD[0])


def later(call: Callable[..., object], *args: Any) -> None:
    threading.Timer(COMES, call, args).start()


def in_thread() -> asyncio.Future[None]:
    return asyncio.get_running_loop().run_in_executor(None, time.sleep, COMES)


async def gathered() -> None:
    await asyncio.gather(in_thread(), asyncio.gather(in_thread()))


async def waited() -> None:
    await asyncio.wait([in_thread()])


async def shielded() -> None:
    await asyncio.wait_for(asyncio.shield(in_thread()), 5)


async def as_completed() -> None:
    for one in asyncio.as_completed([in_thread()]):
        await one


async def posted() -> None:
    event = asyncio.Event()
    later(asyncio.get_running_loop().call_soon_threadsafe, event.set)
    await event.wait()


async def timer_of_many() -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(COMES, future.set_result, None)
    await asyncio.gather(future)


async def timed_out() -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.get_running_loop().create_future(), COMES)


async def process_ended() -> None:
    process = await asyncio.create_subprocess_exec("sleep", str(COMES))
    await process.wait()


async def process_wrote() -> None:
    process = await asyncio.create_subprocess_exec("sh", "-c", f"sleep {COMES}; echo x; sleep 0.5", stdout=-1)
    assert process.stdout is not None
    await process.stdout.readline()
    process.kill()
    await process.communicate()


async def accepted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        server.setblocking(False)
        later(client.connect, server.getsockname())
        connection, _ = await asyncio.get_running_loop().sock_accept(server)
        connection.close()


async def received() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        later(far.send, b"x")
        await asyncio.get_running_loop().sock_recv(near, 1)


async def received_beside_an_event() -> None:
    # As the kernel's sockets wake its loop: what is not counted in bytes.
    loop, event = asyncio.get_running_loop(), os.eventfd(0)
    loop.add_reader(event, loop.remove_reader, event)
    threading.Timer((HELD[0] + COMES) / 2, os.eventfd_write, (event, 1)).start()
    await received()
    os.close(event)


@pytest.mark.slow
@engines
@pytest.mark.parametrize(
    "waiter",
    [
        gathered,
        waited,
        shielded,
        as_completed,
        posted,
        timer_of_many,
        timed_out,
        pytest.param(process_ended, marks=linux_only),
        pytest.param(process_wrote, marks=linux_only),
        pytest.param(accepted, marks=linux_only),
        pytest.param(received, marks=linux_only),
        pytest.param(received_beside_an_event, marks=linux_only),
    ],
)
def test_who_waits_is_ready_from_when_it_came(waiter: Waiter, debug: bool) -> None:
    # A wrong date would be later by most of the time in which the loop is held; a process takes its time to start.
    assert ready_at(waiter, debug=debug) == pytest.approx(COMES, abs=0.08)


@engines
def test_a_late_callback_that_takes_long_wakes_nobody_before_its_end(debug: bool) -> None:
    async def waiter() -> None:
        future = asyncio.get_running_loop().create_future()

        def late() -> None:
            time.sleep(0.08)
            future.set_result(None)

        asyncio.get_running_loop().call_later(COMES, late)
        await future

    assert ready_at(waiter, debug=debug) == pytest.approx(COMES + 0.08, abs=0.05)


@engines
def test_who_asks_again_and_again_is_not_late_for_ever(debug: bool) -> None:
    async def waiter() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        end = time.perf_counter() + HELD[1] + 0.2

        def poll() -> None:
            if time.perf_counter() < end:
                loop.call_soon(poll)
            else:
                time.sleep(0.06)
                future.set_result(None)

        loop.call_later(COMES, poll)
        await future

    assert waited_for(waiter, debug=debug) > HELD[1] + 0.15


@engines
def test_what_another_thread_asks_for_during_a_late_callback_comes_then(debug: bool) -> None:
    async def waiter() -> None:
        loop, event = asyncio.get_running_loop(), asyncio.Event()

        def late() -> None:
            sender = threading.Thread(target=loop.call_soon_threadsafe, args=(event.set,))
            sender.start()
            sender.join()

        loop.call_later(COMES, late)
        await event.wait()

    assert waited_for(waiter, debug=debug) > HELD[1] - 0.05


def waited_for(waiter: Waiter, *, debug: bool) -> float:
    """Return how many seconds the waiter waits, where the loop is held meanwhile."""

    async def main(_: Tracer) -> None:
        await asyncio.gather(named(waiter(), "waiting"), named(holding(), "holding"))

    trace = traced(main, debug=debug)
    (span,) = [span for span in trace.spans if span.name == "waiting"]
    assert span.states is not None and span.end is not None
    waits = [end - start for start, end, state, _ in span.states.segments(span.end) if state == "waiting"]
    return max(waits) / 1e9


@engines
@pytest.mark.parametrize("how", ["timer", "callback", "thread", "reader", "done"])
def test_a_callback_that_holds_the_loop_is_seen(how: str, debug: bool) -> None:
    async def main(_: Tracer) -> None:
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        future = loop.create_future()
        match how:
            case "timer":
                loop.call_later(0.01, hold)
            case "callback":
                loop.call_soon(hold)
            case "thread":
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(loop.call_soon_threadsafe, hold)
            case "reader":
                loop.add_reader(near, lambda: (near.recv(1), hold()))
                far.send(b"x")
            case "done":
                future.add_done_callback(lambda _: hold())
                future.set_result(None)
        await asyncio.sleep(0.1)
        loop.remove_reader(near)
        near.close()
        far.close()

    trace = traced(main, debug=debug)
    assert [span.attributes[BLOCKED_BY] for span in trace.spans if span.kind == "blocked"] == ["time.sleep"]


def hold() -> None:
    time.sleep(0.2)


@linux_only
@engines
@pytest.mark.parametrize("fails", ["_date_happened", "_date_posted", "_date_woken"])
def test_dating_that_fails_says_so_once_and_hurts_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fails: str, debug: bool
) -> None:
    monkeypatch.setattr(Dating, fails, lambda *_: 1 / 0)
    monkeypatch.setattr(logging.getLogger("asyncio"), "disabled", debug)
    results: list[Any] = []

    async def main(_: Tracer) -> None:
        waiting = asyncio.gather(in_thread(), asyncio.sleep(COMES, "slept"), posted())
        results.extend((await asyncio.gather(waiting, holding()))[0])
        results.extend(await asyncio.gather(in_thread(), asyncio.sleep(COMES, "again"), posted(), holding()))

    traced(main, debug=debug)
    assert results == [None, "slept", None, None, "again", None, None]
    assert [record.message for record in caplog.records] == [
        "what came while a loop was blocked is not dated any more; your code is not affected"
    ]
