"""What these tests share: nothing leaves the machine, every provider's address is the simulator, all is quiet."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from asyncmagic.simulator import Server, start
from tests.clients.sdks import SDKS

QUIET = {
    "ANONYMIZED_TELEMETRY": "false",
    "DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NO_PROXY": "*",
    "no_proxy": "*",
}
HERE = ("127.0.0.1", "::1", "localhost")
PROVIDERS = {sdk.host for sdk in SDKS}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The providers' names lead to this machine; whoever looks for another one fails the test: the list of those."""
    left: list[str] = []
    look_up, connect, connect_ex = socket.getaddrinfo, socket.socket.connect, socket.socket.connect_ex

    def here(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in (*HERE, *PROVIDERS, None):
            left.append(name)
            raise socket.gaierror(f"a test must not leave this machine: {name}")
        return look_up("127.0.0.1" if name in PROVIDERS else name, *args, **options)

    def check(address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in HERE:
            left.append(str(address))
            raise ConnectionRefusedError(f"a test must not leave this machine: {address}")

    def only_here(self: socket.socket, address: Any) -> None:
        check(address)
        connect(self, address)

    def only_here_ex(self: socket.socket, address: Any) -> int:
        check(address)
        return connect_ex(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    monkeypatch.setattr(socket.socket, "connect", only_here, raising=False)
    monkeypatch.setattr(socket.socket, "connect_ex", only_here_ex, raising=False)
    yield left
    assert left == []


@pytest.fixture
def server() -> Iterator[Server]:
    with start(latency=0.0, tokens_per_second=None, jitter=0.0, retry_after=0.05) as server:
        yield server
