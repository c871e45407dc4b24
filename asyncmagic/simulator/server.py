"""Server: the simulator's thread, loop and addresses; `start` and `serve` open one."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from asyncmagic.simulator.faults import Fault, Request
from asyncmagic.simulator.log import Exchange
from asyncmagic.simulator.service import Service, Settings

_KEY = "simulator"
_BACKLOG = 4096


class BaseURL(str):
    """The address that OpenAI's clients take (`http://127.0.0.1:…/v1`); its server and log are at hand."""

    server: Server

    @property
    def log(self) -> list[Exchange]:
        return self.server.log


class Server:
    """A running simulator; `with` stops it at the end, and so does the end of the process.

    `log` lists the exchanges in the order of their ends; `in_flight` and `most_in_flight` count the requests being
    answered, now and at the busiest moment. `address` is what the clients of Cohere, Groq and Ollama take.
    """

    def __init__(self, settings: Settings, *, port: int = 0) -> None:
        self._service = Service(settings)
        self._sockets = bind_sockets(port, "127.0.0.1", backlog=_BACKLOG)
        self.address = address = f"http://127.0.0.1:{self._sockets[0].getsockname()[1]}"
        self.base_url = BaseURL(f"{address}/v1")
        self.base_url.server = self
        self.anthropic_base_url = address
        self.google_base_url = address
        self.mistral_base_url = f"{address}/mistral"
        self._changed: dict[str, tuple[str | None, str]] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="asyncmagic-simulator", daemon=True)
        self._thread.start()
        self._ready.wait()
        atexit.register(self.stop)

    @property
    def log(self) -> list[Exchange]:
        return self._service.log

    @property
    def in_flight(self) -> int:
        return self._service.in_flight

    @property
    def most_in_flight(self) -> int:
        return self._service.most_in_flight

    def wait_idle(self, timeout: float = 5.0) -> bool:
        """Wait until nothing is in flight (a client that left is noticed a moment later); False after `timeout`."""
        deadline = time.monotonic() + timeout
        while self.in_flight and time.monotonic() < deadline:
            time.sleep(0.002)
        return not self.in_flight

    def stop(self) -> None:
        """Close every connection and end the thread; environment variables get their former values back."""
        atexit.unregister(self.stop)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        for name, (former, ours) in self._changed.items():
            if os.environ.get(name) != ours:
                continue  # changed since: no longer ours
            if former is None:
                del os.environ[name]
            else:
                os.environ[name] = former
        self._changed.clear()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = f"{len(self.log)} answered, {self.in_flight} in flight" if self._thread.is_alive() else "stopped"
        return f"<simulator {self.base_url}: {state}>"

    def _set_environ(self) -> None:
        exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        no_proxy = f"{exempt},127.0.0.1" if exempt else "127.0.0.1"
        ours = {
            "OPENAI_BASE_URL": str(self.base_url),
            "OPENAI_API_KEY": _KEY,
            "ANTHROPIC_BASE_URL": self.anthropic_base_url,
            "ANTHROPIC_API_KEY": _KEY,
            "GOOGLE_GEMINI_BASE_URL": self.google_base_url,
            "GOOGLE_API_KEY": _KEY,
            "GROQ_BASE_URL": self.address,
            "GROQ_API_KEY": _KEY,
            "CO_API_URL": self.address,
            "CO_API_KEY": _KEY,
            "OLLAMA_HOST": self.address,
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
        }
        self._changed = {name: (os.environ.get(name), value) for name, value in ours.items()}
        os.environ.update(ours)

    def _run(self) -> None:
        # A plain selector loop whatever the user's policy is: tornado needs add_reader.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        http = HTTPServer(self._service)
        http.add_sockets(self._sockets)
        self._ready.set()
        await self._stopping.wait()
        http.stop()
        for task in list(self._service.tasks):
            task.cancel()
        await http.close_all_connections()


def start(
    *,
    latency: float = 0.3,
    tokens_per_second: float | None = 40.0,
    jitter: float = 0.1,
    retry_after: float = 1.0,
    faults: Callable[[Request], Fault | None] | None = None,
    port: int = 0,
    environ: bool = False,
) -> Server:
    """Start a simulator in its own thread, on loopback, and return it.

    The first token comes `latency` seconds after the request, give or take the share `jitter` (the same for the same
    prompt), the others at `tokens_per_second` (`None`: all at once). A 429 asks to come back in `retry_after` seconds.
    `faults` is asked about every request: `lambda request: Fault(status=429) if request.number == 3 else None`.
    `environ=True` points OPENAI_BASE_URL and its like here until `stop`. `port=0` takes any free one.
    """
    settings = Settings(
        latency=latency, tokens_per_second=tokens_per_second, jitter=jitter, retry_after=retry_after, faults=faults
    )
    server = Server(settings, port=port)
    if environ:
        server._set_environ()
    return server


@contextmanager
def serve(
    *,
    latency: float = 0.3,
    tokens_per_second: float | None = 40.0,
    jitter: float = 0.1,
    retry_after: float = 1.0,
    faults: Callable[[Request], Fault | None] | None = None,
    port: int = 0,
    environ: bool = False,
) -> Iterator[BaseURL]:
    """Run a simulator inside `with`, and give its base URL; the arguments are those of `start`."""
    with start(
        latency=latency,
        tokens_per_second=tokens_per_second,
        jitter=jitter,
        retry_after=retry_after,
        faults=faults,
        port=port,
        environ=environ,
    ) as server:
        yield server.base_url
