"""What watching HTTP calls costs, against the same calls unwatched: `python -m tests.bench http`.

Pairs of runs, one plain and one watched, next to each other and in changing order; the medians of their ratios, for
the processor time of this process and for the wall. The servers have processes of their own: a simulator that
answers at once, where the client's processor time is all there is to wait for; one as slow as a small model; and for
the streams one that sends exactly 100 chunks.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2

from asyncmagic.instrumentation import INSTRUMENTORS
from asyncmagic.tracing import Tracer

QUESTION = {"model": "gpt-5", "messages": [{"role": "user", "content": "How long does it take to count to ten?"}]}
KEY = {"authorization": "Bearer sk-bench-0123456789abcdef"}


def client() -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=100, max_keepalive_connections=100)
    return httpx2.AsyncClient(limits=limits, timeout=120, headers=KEY)


async def requests(url: str, count: int) -> None:
    """`count` chat completions at once, over at most 100 connections."""
    async with client() as c:

        async def ask() -> None:
            response = await c.post(f"{url}/chat/completions", json=QUESTION)
            assert response.status_code == 200

        await asyncio.gather(*(ask() for _ in range(count)))


CHUNK = (
    b'data: {"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":1700000000,"model":"gpt-5",'
    b'"choices":[{"index":0,"delta":{"content":"word "},"logprobs":null,"finish_reason":null}],"usage":null}\n\n'
)


LAST = b"data: [DONE]\n\n"


async def streams(url: str, count: int) -> None:
    """`count` streamed completions at once, each of 100 chunks that come singly."""
    async with client() as c:

        async def ask() -> None:
            async with c.stream("POST", url, json=QUESTION | {"stream": True}) as response:
                assert sum([len(data) async for data in response.aiter_bytes()]) == 100 * len(CHUNK) + len(LAST)

        await asyncio.gather(*(ask() for _ in range(count)))


async def serve_streams() -> None:
    """Answer every request with 100 chunks, one every 5 ms; print the address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]))
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                )
                for chunk in (*[CHUNK] * 100, LAST):
                    await asyncio.sleep(0.005)
                    writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                    await writer.drain()
                writer.write(b"0\r\n\r\n")

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions", flush=True)
    await server.serve_forever()


class InMemory(httpx2.AsyncBaseTransport):
    """Answers without a network: what is left is what the client's own code costs."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        class Stream(httpx2.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                for _ in range(100):
                    yield CHUNK
                yield LAST

        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream())


async def chunks(url: str, count: int) -> None:
    """`count` streams of 100 chunks out of memory, one after another: the price of a chunk."""
    async with httpx2.AsyncClient(transport=InMemory()) as c:
        for _ in range(count):
            async with c.stream(
                "POST", "http://host/v1/chat/completions", json=QUESTION | {"stream": True}
            ) as response:
                async for _ in response.aiter_raw():
                    pass


@contextmanager
def watching(*instrumentors: str) -> Iterator[Callable[[Any], Any]]:
    tracer = Tracer()
    with ExitStack() as stack:
        for name in instrumentors:
            stack.enter_context(INSTRUMENTORS[name](tracer))

        async def traced(work: Any) -> None:
            trace = tracer.start_trace("bench")
            with tracer.use(trace.root):
                await work
            tracer.end_trace(trace)

        yield traced


async def plainly(work: Any) -> None:
    await work


def measure(work: Callable[[], Any], *instrumentors: str) -> tuple[float, float]:
    """Return the processor and the wall seconds of one run."""
    gc.collect()
    with ExitStack() as stack:
        run = stack.enter_context(watching(*instrumentors)) if instrumentors else plainly
        cpu, wall = time.process_time(), time.perf_counter()
        asyncio.run(run(work()))
        return time.process_time() - cpu, time.perf_counter() - wall


def compare(name: str, work: Callable[[], Any], units: int, pairs: int, *instrumentors: str) -> None:
    """Print the medians of `pairs` pairs: both ratios with their quartiles, and microseconds for each unit."""
    measure(work), measure(work, *instrumentors)
    plain, watched = [], []
    for number in range(pairs):
        for kind in ("plain", "watched") if number % 2 else ("watched", "plain"):
            (plain if kind == "plain" else watched).append(measure(work, *(instrumentors if kind == "watched" else ())))
    cells = []
    for which in (0, 1):
        ratios = [mine[which] / theirs[which] for mine, theirs in zip(watched, plain, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        cells.append(f"{middle:5.3f} ({low:.3f}-{high:.3f})")
    more = statistics.median((mine[0] - theirs[0]) * 1e6 / units for mine, theirs in zip(watched, plain, strict=True))
    each = statistics.median(theirs[0] * 1e6 / units for theirs in plain)
    print(f"{name:32} {'+'.join(instrumentors):10} {cells[0]:>22} {cells[1]:>22} {each:9.1f} {more:+9.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--only", default="", help="only the lines whose name has this in it")
    parser.add_argument("--serve-streams", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_streams:
        asyncio.run(serve_streams())
    simulated = ["-m", "asyncmagic.simulator", "--jitter", "0", "--tokens-per-second", "0", "--latency"]
    servers = ([*simulated, "0.05"], [*simulated, "0.5"], [__file__, "--serve-streams"])
    with ExitStack() as stack:
        urls = []
        for server in servers:
            process = stack.enter_context(subprocess.Popen([sys.executable, *server], stdout=subprocess.PIPE))
            stack.callback(process.terminate)
            assert process.stdout is not None
            urls.append(process.stdout.readline().decode().strip())
        prompt, model, paced = urls
        print(f"{'':32} {'watched':10} {'CPU ratio':>22} {'wall ratio':>22} {'plain us':>9} {'more us':>9}")
        for name, work, units, watched in [
            ("a chunk (100 streams x 100)", lambda: chunks("", 100), 10_000, ["http"]),
            ("1,000 requests of 0.05 s", lambda: requests(prompt, 1000), 1000, ["http"]),
            ("1,000 requests of 0.05 s", lambda: requests(prompt, 1000), 1000, ["loop", "http"]),
            ("1,000 requests of 0.5 s", lambda: requests(model, 1000), 1000, ["http"]),
            ("1,000 requests of 0.5 s", lambda: requests(model, 1000), 1000, ["loop", "http"]),
            ("200 streams x 100 chunks", lambda: streams(paced, 200), 20_000, ["http"]),
            ("200 streams x 100 chunks", lambda: streams(paced, 200), 20_000, ["loop", "http"]),
        ]:
            if options.only in name:
                compare(name, work, units, options.pairs, *watched)


if __name__ == "__main__":
    main()
