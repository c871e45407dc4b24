"""A real kernel for tests: code goes in, and everything that a page would see comes out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

Message = dict[str, Any]
OUTPUTS = {"stream", "display_data", "execute_result", "error"}


@dataclass
class Cell:
    """One execution: it fills up while the kernel's messages are read, also with what arrives after its end."""

    kernel: Kernel = field(repr=False)
    id: str
    messages: list[Message] = field(default_factory=list, repr=False)
    """Every iopub message whose parent is this execution, as it came (`header`, `content`, `buffers`)."""
    outputs: list[Message] = field(default_factory=list)
    """The outputs as a page shows them now: later updates of a display have replaced its `data`."""
    reply: Message | None = None

    def wait(self, timeout: float = 30) -> Cell:
        """Read messages until the kernel has answered and is idle again; `TimeoutError` after `timeout` seconds."""
        self.kernel.read_until(lambda: self.is_done, timeout, f"an answer to {self}")
        return self

    @property
    def is_done(self) -> bool:
        return self.reply is not None and any(state == "idle" for state, _ in self._states())

    @property
    def status(self) -> str:
        """What the kernel answered: `ok`, `error` or `aborted`."""
        assert self.reply is not None, "the cell still runs: wait() first"
        return self.reply["content"]["status"]

    @property
    def seconds(self) -> float:
        """From busy to idle, by the kernel's own clock."""
        dates = dict(self._states())
        return (dates["idle"] - dates["busy"]).total_seconds()

    @property
    def stdout(self) -> str:
        return self._stream("stdout")

    @property
    def stderr(self) -> str:
        return self._stream("stderr")

    @property
    def error(self) -> Message | None:
        """`ename`, `evalue` and `traceback` of the exception shown, or `None`."""
        return next((output for output in self.outputs if output["output_type"] == "error"), None)

    @property
    def result(self) -> dict[str, Any] | None:
        """The data of `Out[n]` by mime type, or `None`."""
        results = [output["data"] for output in self.outputs if output["output_type"] == "execute_result"]
        return results[-1] if results else None

    @property
    def displays(self) -> list[dict[str, Any]]:
        """The data of everything displayed, by mime type, as it stands now."""
        return [output["data"] for output in self.outputs if output["output_type"] == "display_data"]

    def of_type(self, kind: str) -> list[Message]:
        """The messages of one type, such as `comm_open`, `comm_msg` or `update_display_data`."""
        return [message for message in self.messages if message["header"]["msg_type"] == kind]

    def _stream(self, name: str) -> str:
        return "".join(output["text"] for output in self.outputs if output.get("name") == name)

    def _states(self) -> Iterator[tuple[str, Any]]:
        for message in self.of_type("status"):
            yield message["content"]["execution_state"], message["header"]["date"]


class Kernel:
    """A running ipykernel and its client. Messages are read only inside `run`, `wait` and `read_until`."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.messages: list[Message] = []
        """Every iopub message so far, whatever its parent."""
        self._cells: dict[str, Cell] = {}
        self._displays: dict[str, list[Message]] = {}

    def run(self, code: str, *, timeout: float = 30) -> Cell:
        """Run the code as a cell and return it when the kernel is idle again."""
        return self.submit(code).wait(timeout)

    def submit(self, code: str) -> Cell:
        """Send the code and return at once; `Cell.wait` reads what comes of it."""
        cell = Cell(self, self.client.execute(code, allow_stdin=False))
        self._cells[cell.id] = cell
        return cell

    def interrupt(self) -> None:
        """Press Stop."""
        self.manager.interrupt_kernel()

    def send_comm(self, comm_id: str, data: Any, *, buffers: Sequence[bytes] = ()) -> None:
        """Send a comm_msg as the page would, for instance `{"method": "custom", "content": …}` to a widget."""
        message = self.client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        channel = self.client.shell_channel
        channel.session.send(channel.socket, message, buffers=list(buffers))

    def read_until(self, condition: Callable[[], bool], timeout: float = 30, what: str = "the condition") -> None:
        """Read messages until the condition holds; `TimeoutError` when it still does not after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{timeout} s went by without {what}")
            if not self._read(min(left, 0.5)) and not self.manager.is_alive():
                raise RuntimeError(f"the kernel died while a test waited for {what}")

    def _read(self, timeout: float) -> bool:
        """Take in the next message from either channel; tell whether one came in time."""
        iopub, shell = self.client.iopub_channel, self.client.shell_channel
        ready, _, _ = zmq.select([iopub.socket, shell.socket], [], [], timeout)
        if iopub.socket in ready:
            self._take(self.client.get_iopub_msg(timeout=0))
        if shell.socket in ready:
            reply = self.client.get_shell_msg(timeout=0)
            if cell := self._cells.get(reply["parent_header"].get("msg_id")):
                cell.reply = reply
        return bool(ready)

    def _take(self, message: Message) -> None:
        self.messages.append(message)
        cell = self._cells.get(message["parent_header"].get("msg_id"))
        if cell is None:
            return
        cell.messages.append(message)
        kind, content = message["header"]["msg_type"], message["content"]
        display_id = content.get("transient", {}).get("display_id")
        if kind == "update_display_data":
            for output in self._displays.get(display_id, ()):
                output.update(data=content["data"], metadata=content["metadata"])
        elif kind in OUTPUTS:
            output = {"output_type": kind, **content}
            cell.outputs.append(output)
            if display_id:
                self._displays.setdefault(display_id, []).append(output)


@contextmanager
def running_kernel(directory: Path) -> Iterator[Kernel]:
    """Start a kernel of this very Python that reads nothing of the user's, and kill it in the end."""
    try:
        manager, client = _started(directory)
    except RuntimeError:
        # Its ports are chosen before it takes them, and another process may have been quicker.
        manager, client = _started(directory)
    try:
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _started(directory: Path) -> tuple[KernelManager, BlockingKernelClient]:
    manager = KernelManager(
        kernel_name="python3",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
        connection_file=str(directory / "kernel.json"),
    )
    manager.start_kernel(
        cwd=str(directory),
        # The debugger would warn in every kernel's stderr that it cannot see into frozen modules.
        env={**os.environ, "IPYTHONDIR": str(directory / "ipython"), "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
    )
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
    except BaseException:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        raise
    return manager, client


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for a whole test file, with the extension loaded."""
    with running_kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        loaded = kernel.run("%load_ext asyncmagic")
        assert (loaded.status, loaded.outputs) == ("ok", []), loaded
        yield kernel


@pytest.fixture
def bare_kernel(tmp_path: Path) -> Iterator[Kernel]:
    """A fresh kernel for one test, in which nothing has run yet."""
    with running_kernel(tmp_path) as kernel:
        yield kernel
