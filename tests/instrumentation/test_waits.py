"""A waiting task says what it really waits for, where its line has several calls."""

from __future__ import annotations

import asyncio
import linecache
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from types import FunctionType, SimpleNamespace
from typing import Any

import anyio
import pytest

from asyncmagic.instrumentation import loop as loop_instrumentor
from asyncmagic.instrumentation.loop import instrument
from asyncmagic.tracing import Tracer
from tests.conftest import VirtualLoop


@pytest.fixture(params=["fast", "any loop"], autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "any loop":
        monkeypatch.setattr(loop_instrumentor, "can_watch", lambda _: False)


def waits(loop: VirtualLoop, main: Callable[[], Coroutine[Any, Any, Any]], *, whole: bool = False) -> list[str]:
    """What the task of `main` waits for, one after another, without the places unless it is to be `whole`."""
    tracer = Tracer(clock=loop.clock)

    async def cell() -> list[str]:
        with instrument(tracer):
            trace = tracer.start_trace("cell")
            with tracer.use(trace.root):
                await asyncio.create_task(main(), name="main")
            tracer.end_trace(trace)
        (span,) = (span for span in trace.spans if span.name == "main")
        assert span.states is not None
        segments = span.states.segments(span.end or 0)
        found = [what or "" for _, _, state, what in segments if state == "waiting"]
        return found if whole else [what.partition(" (")[0] for what in found]

    return loop.run_until_complete(cell())


class Client:
    """Everything that it is asked for takes a second, and no coroutine shows it; as an iterator it has one thing."""

    def __getattr__(self, name: str) -> Callable[..., asyncio.Future[int]]:
        return lambda *_: later()

    def __aenter__(self) -> asyncio.Future[Client]:
        return later(self)

    def __aexit__(self, *_: object) -> asyncio.Future[int]:
        return later()

    def __aiter__(self) -> Client:
        self.is_over = False
        return self

    def __anext__(self) -> asyncio.Future[int]:
        future = later(StopAsyncIteration() if self.is_over else 0)
        self.is_over = True
        return future


def later(result: Any = 0) -> asyncio.Future[Any]:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_later(1, future.set_exception if isinstance(result, Exception) else future.set_result, result)
    return future


client = Client()
NAMES = {
    "asyncio": asyncio,
    "process": SimpleNamespace(),
    "client": client,
    "clients": client,
    "later": later,
    "lock": asyncio.Lock(),
}


def function(source: str, *, shown: str | None = None) -> FunctionType:
    """The function `main` of a source, where its file is `shown` by now."""
    file = "shown.py"
    linecache.cache[file] = (0, None, (source if shown is None else shown).splitlines(keepends=True), file)
    names: dict[str, Any] = dict(NAMES)
    exec(compile(source, file, "exec"), names)
    main: FunctionType = names["main"]
    return main


READER = "reader = asyncio.StreamReader(); asyncio.get_running_loop().call_later(1, reader.feed_eof)"

# Before Python 3.13 it cannot be told which of several is left.
LEFT = ["clients", "client"] if sys.version_info >= (3, 13) else ["client, clients"] * 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("await client.store(await client.fetch(1))", ["client.fetch(…)", "client.store(…)"]),
        ("print(await client.a() + await client.b())", ["client.a(…)", "client.b(…)"]),
        ("future = later(); await asyncio.sleep(0.5); await future", ["sleep", "future"]),
        ("await asyncio.sleep(1), await [later][0](), await (None or later())", ["sleep", "…[…](…)", "future"]),
        ("größe = 'größe'; await client.open(größe), await client.ende()", ["client.open(…)", "client.ende(…)"]),
        ("print(await client\n  .get(1,\n2), await later())", ["client.get(…)", "later(…)"]),
        ("async with lock: await client.get()", ["client.get(…)"]),
        ("async with client as other: await other.get()", ["client", "other.get(…)", "client"]),
        ("async with client, clients: await later()", ["client", "clients", "later(…)", *LEFT]),
        ("async with (\n  client\n    ):\n        await later()", ["client", "later(…)", "client"]),
        ("async for each in client.__aiter__(): await later(); break", ["client.__aiter__(…)", "later(…)"]),
        ("[await later() async for each in client]", ["client", "later(…)", "client"]),
        (f"{READER}; await reader.readline()", ["socket"]),
        (f"{READER}; process.stdout = reader; await process.stdout.readline()", ["subprocess"]),
        ("for each in asyncio.as_completed([later(), asyncio.sleep(2)]): await each", ["as_completed"] * 2),
    ],
)
def test_the_words_are_of_the_expression_that_is_awaited(loop: VirtualLoop, body: str, words: list[str]) -> None:
    assert waits(loop, function(f"async def main():\n    {body}\n")) == words


async def ticks() -> AsyncIterator[int]:
    await asyncio.sleep(1)
    yield 1


@asynccontextmanager
async def connected() -> AsyncIterator[None]:
    await asyncio.sleep(1)
    yield
    await client.close()


class Job:
    def __await__(self) -> Iterator[Any]:
        yield from asyncio.sleep(1).__await__()
        yield from later()


NAMES |= {"ticks": ticks, "connected": connected, "Job": Job}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("async for each in ticks(): pass", ["sleep (ticks:1)"]),
        ("[each async for each in ticks()]", ["sleep (ticks:1)"]),
        ("await anext(ticks())", ["sleep (ticks:1)"]),
        ("await anext(ticks(), None)", ["sleep (ticks:1)"]),
        ("async with connected(): pass", ["sleep (connected:2)", "client.close(…) (connected:4)"]),
        ("await Job()", ["sleep (__await__:1)", "later(…) (__await__:2)"]),
    ],
)
def test_a_wait_inside_a_generator_is_told_by_what_the_generator_waits_for(
    loop: VirtualLoop, body: str, words: list[str]
) -> None:
    main = function(f"async def main():\n    {body}\n")
    first = {"ticks": ticks, "connected": connected.__wrapped__, "__await__": Job.__await__}  # type: ignore[attr-defined]

    def counted(found: re.Match[str]) -> str:
        return f"{found[1]}:{int(found[2]) - first[found[1]].__code__.co_firstlineno}"

    assert [re.sub(r"(\w+):(\d+)", counted, each) for each in waits(loop, main, whole=True)] == words


def test_a_stream_of_anyio(loop: VirtualLoop) -> None:
    async def main() -> None:
        send, receive = anyio.create_memory_object_stream[int](0)
        asyncio.get_running_loop().call_later(1, send.send_nowait, 1)
        with send, receive:
            await receive.receive()

    assert waits(loop, main) == ["receive"]


SOURCE = "async def main(): await asyncio.sleep(1); await client.get(1)\n"


def test_where_the_source_is_not_known_it_is_a_future(loop: VirtualLoop) -> None:
    assert waits(loop, function(SOURCE)) == ["sleep", "client.get(…)"]
    assert waits(loop, function(SOURCE, shown="")) == ["sleep", "future"]


def test_where_the_source_has_changed_its_line_is_all_there_is(loop: VirtualLoop) -> None:
    assert waits(loop, function(SOURCE, shown=f"if 1: {SOURCE}")) == ["sleep", "asyncio.sleep(…)"]


def test_where_columns_are_missing_the_line_is_all_there_is(loop: VirtualLoop) -> None:
    main = function(SOURCE)
    units = len(main.__code__.co_code) // 2
    # Entries that have lines only, as `python -X no_debug_ranges` writes them, for up to eight instructions each.
    sizes = [min(8, units - start) for start in range(0, units, 8)]
    main.__code__ = main.__code__.replace(co_linetable=b"".join(bytes((0xE8 | size - 1, 0)) for size in sizes))
    assert waits(loop, main) == ["sleep", "asyncio.sleep(…)"]


def test_a_compiled_coroutine_without_code_hides_nobody_above_it() -> None:
    class Compiled:
        cr_code = cr_frame = cr_await = None

        def __await__(self) -> Iterator[Any]:
            return self

        def __init__(self) -> None:
            self._steps = later().__await__()

        def __iter__(self) -> Iterator[Any]:
            return self

        def __next__(self) -> Any:
            return next(self._steps)

    async def main() -> None:
        await Compiled()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop: Any = runner.get_loop()
        line = main.__code__.co_firstlineno + 1
        assert waits(loop, main, whole=True) == [f"Compiled(…) (main:{line})"]
