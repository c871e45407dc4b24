"""Whatever holds the loop, and however often: the task and the user's innermost line are the right ones every time."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from asyncmagic.instrumentation import http
from asyncmagic.instrumentation.loop import instrument
from asyncmagic.simulator import start
from asyncmagic.tracing import Span, Tracer

pytestmark = pytest.mark.usefixtures("only_asked_for_collections")

TIMES = 10
#: Seconds for which each case holds the loop.
HELD = 0.13
THRESHOLD = 0.06


class Slow(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        time.sleep(HELD)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def slow_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def later(act: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Act on another thread, `HELD` seconds from now."""

    def acting() -> None:
        time.sleep(HELD)
        act(*arguments)

    return helpers.submit(acting)


# Kept ready, since starting a thread holds the loop as well.
helpers = ThreadPoolExecutor(1)
helpers.submit(int).result()


@pytest.fixture(scope="module")
def big() -> dict[str, Any]:
    """Inputs on which one call into C, which keeps the interpreter's lock, takes `HELD` seconds or some more."""

    def grown(work: Callable[[int], Any], size: int) -> int:
        # By CPU time, and with room: the machine may be busy now and idle later.
        while True:
            begun = time.thread_time()
            work(size)
            taken = time.thread_time() - begun
            if taken > HELD / 2:
                return round(size * max(2 * HELD / taken, 1))
            size *= 2

    return {
        "text": "a" * grown(lambda size: re.match(r"(?:a|b)*c", "a" * size), 1_000_000),
        "digits": grown(lambda size: pow(3, size), 100_000),
        "numbers": [
            n * 7919 % 1_000_003 for n in range(grown(lambda size: sorted(range(size, 0, -1), key=str), 50_000))
        ],
    }


# The line that is to be named ends with a mark.


def sleeping() -> None:
    time.sleep(HELD)  # <-


def receiving() -> None:
    near, far = socket.socketpair()
    with near, far:
        later(far.send, b"x")
        near.recv(1)  # <-


def computing() -> None:
    end, total = time.perf_counter() + HELD, 0
    while time.perf_counter() < end:
        total += sum(range(50_000))  # <-


def matching(big: dict[str, Any]) -> None:
    re.match(r"(?:a|b)*c", big["text"])  # <-


def raising_to_a_power(big: dict[str, Any]) -> None:
    pow(3, big["digits"])  # <-


def raising_with_an_operator(big: dict[str, Any]) -> None:
    3 ** big["digits"]  # <-
    is_done()


def is_done() -> bool:
    return True


def sorting(big: dict[str, Any]) -> None:
    sorted(big["numbers"], key=str)  # <-


def asking_with_urllib(slow_server: str) -> None:
    urllib.request.urlopen(slow_server).close()  # <-


def asking_with_httpx(slow_server: str, httpx: Any) -> None:
    httpx.get(slow_server)  # <-


def asking_with_httpx2(slow_server: str, httpx2: Any) -> None:
    httpx2.get(slow_server)  # <-


def asking_with_openai(model: Any) -> None:
    model.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])  # <-


def streaming_with_openai(model: Any) -> None:
    request = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}
    for _ in model.chat.completions.create(**request, stream=True):  # <-
        pass


def reading_a_file(pipe: Path) -> None:
    with other_end(pipe, lambda end: end.write(b"x")), pipe.open("rb", buffering=0) as file:
        file.read(1)  # <-


def writing_a_file(pipe: Path) -> None:
    with other_end(pipe, drain), pipe.open("wb", buffering=0) as file:
        file.write(bytes(1 << 20))  # <-


def drain(end: Any) -> None:
    left = 1 << 20
    while left:
        left -= len(end.read(left))


@contextmanager
def other_end(pipe: Path, act: Callable[[Any], Any]) -> Iterator[None]:
    """Act on a pipe from a thread of its own, `HELD` seconds from now."""
    # Opened for both, since opening for one would wait for the other.
    with pipe.open("rb+", buffering=0) as end:
        acting = later(act, end)
        yield
        acting.result()


def running_a_process() -> None:
    subprocess.run([sys.executable, "-S", "-c", f"import time; time.sleep({HELD})"], check=True)  # <-


def calling_a_shell() -> None:
    os.system(f"sleep {HELD}")  # <-


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.fixture(scope="module")
def httpx() -> Iterator[Any]:
    # Making a client takes its own time, which is no request's.
    with pytest.importorskip("httpx").Client(trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def httpx2() -> Iterator[Any]:
    with pytest.importorskip("httpx2").Client(trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def model() -> Iterator[Any]:
    openai = pytest.importorskip("openai")
    with (
        start(latency=HELD, tokens_per_second=None, jitter=0.0) as server,
        openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0) as client,
    ):
        # The first call of all imports, and that takes its own time.
        asking_with_openai(client)
        yield client


async def blocks_of(blocking: Callable[[], None]) -> list[Span]:
    """Return the blocks that are seen while a task calls `blocking` and others take their turns beside it."""
    tracer = Tracer()
    tracer.blocking_threshold = THRESHOLD
    with instrument(tracer), http.instrument(tracer):
        trace = tracer.start_trace("cell")
        with tracer.use(trace.root):

            async def guilty() -> None:
                await asyncio.sleep(0.002)
                blocking()
                await asyncio.sleep(0)

            async def innocent() -> None:
                for _ in range(10):
                    await asyncio.sleep(0.001)

            async with asyncio.TaskGroup() as group:
                group.create_task(innocent())
                group.create_task(guilty(), name="guilty")
                group.create_task(innocent())
        tracer.end_trace(trace)
    return [span for span in trace.spans if span.kind == "blocked"]


def marked(function: Callable[..., None]) -> str:
    """What a block has to be called that happens in `function`."""
    lines, first = inspect.getsourcelines(function)
    (line,) = [first + index for index, text in enumerate(lines) if text.rstrip().endswith("# <-")]
    return f"{Path(__file__).name}:{line} {function.__name__}"


CASES = [
    sleeping,
    receiving,
    computing,
    matching,
    raising_to_a_power,
    raising_with_an_operator,
    sorting,
    asking_with_urllib,
    asking_with_httpx,
    asking_with_httpx2,
    asking_with_openai,
    streaming_with_openai,
    reading_a_file,
    writing_a_file,
    running_a_process,
    calling_a_shell,
]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_line_that_blocks_is_right_every_time(case: Callable[..., None], request: pytest.FixtureRequest) -> None:
    needs = [request.getfixturevalue(name) for name in inspect.signature(case).parameters]
    found = [
        (block.name, block.trace[block.parent_id or 0].name if block.trace else "")
        for _ in range(TIMES)
        for block in asyncio.run(blocks_of(lambda: case(*needs)))
    ]
    assert found == [(marked(case), "guilty")] * TIMES


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["project", "site-packages"])
def test_a_first_import_is_right_every_time(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / folder).mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def importing() -> None:
        import imported_slowly  # noqa: F401  # <-

    (tmp_path / folder / "imported_slowly.py").write_text(f"import time\n\ntime.sleep({HELD})\n")
    found = []
    for _ in range(TIMES):
        found += [block.name for block in asyncio.run(blocks_of(importing))]
        del sys.modules["imported_slowly"]
    # A module of the user's own is named by its line, one that is installed by the import of it.
    expected = "imported_slowly.py:3" if folder == "project" else marked(importing)
    assert found == [expected] * TIMES


@pytest.mark.slow
def test_a_garbage_collection_is_right_every_time() -> None:
    class Heavy:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            time.sleep(HELD)

    def littering() -> None:
        Heavy()
        gc.collect()

    gc.collect()
    found = [[block.name for block in asyncio.run(blocks_of(littering))] for _ in range(TIMES)]
    assert found == [["garbage collection"]] * TIMES
