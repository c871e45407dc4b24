"""What a suspended task waits for, in words: the await chain down to the user's line and the library's call."""

from __future__ import annotations

import asyncio
import os
import re
from asyncio import tasks
from collections.abc import AsyncGenerator
from contextlib import closing
from gc import get_referents
from types import AsyncGeneratorType, CodeType, FrameType, GeneratorType
from typing import Any

from asyncmagic.instrumentation.awaited import awaited
from asyncmagic.instrumentation.places import is_cell, is_users, library, line_at
from asyncmagic.instrumentation.processes import pool_of
from asyncmagic.tracing.tracer import Tracer


async def _coroutine() -> None: ...


async def _generator() -> AsyncGenerator[None]:
    yield


#: What stands between the coroutines and generators of a chain: the `__await__` of a coroutine, which libraries await
#: in its place, and the steps of asynchronous generators. Each holds the next first.
_BETWEEN: set[type] = set()
with closing(_coroutine()) as _example:
    _Coroutine: Any = type(_example)
    _BETWEEN.add(type(_example.__await__()))
for _step in (anext(_generator(), None), _generator().aclose(), _generator().asend(None)):
    _BETWEEN.add(type(_step))
    _step.close()
#: What `async for` awaits.
_NEXT: Any = type(_step)

#: How generators call their frame; other compilers' coroutines do as Python's.
_FRAMES = {AsyncGeneratorType: "ag_frame", GeneratorType: "gi_frame"}

_Gathering: Any = tasks._GatheringFuture  # type: ignore[attr-defined]

_Place = tuple[CodeType, int]

#: The first call below the user's that stands here names the wait: (end of the file's path, qualified name) -> words.
_CALLS = {
    ("asyncio/tasks.py", "sleep"): "sleep",
    ("asyncio/tasks.py", "wait"): "tasks",
    ("asyncio/tasks.py", "as_completed.<locals>._wait_for_one"): "as_completed",
    ("asyncio/tasks.py", "_AsCompletedIterator._wait_for_one"): "as_completed",
    ("asyncio/locks.py", "Lock.acquire"): "lock",
    ("asyncio/locks.py", "Semaphore.acquire"): "semaphore",
    ("asyncio/locks.py", "Event.wait"): "event",
    ("asyncio/locks.py", "Condition.wait"): "condition",
    ("asyncio/locks.py", "Barrier.wait"): "barrier",
    ("asyncio/queues.py", "Queue.get"): "queue.get",
    ("asyncio/queues.py", "Queue.put"): "queue.put",
    ("asyncio/queues.py", "Queue.join"): "queue.join",
    ("asyncio/taskgroups.py", "TaskGroup.__aexit__"): "task group",
    ("asyncio/threads.py", "to_thread"): "thread",
    ("asyncio/base_events.py", "Server.serve_forever"): "server",
    ("asyncio/base_events.py", "Server.wait_closed"): "server",
    ("anyio/_core/_eventloop.py", "sleep"): "sleep",
    ("anyio/_backends/_asyncio.py", "TaskGroup.__aexit__"): "task group",
    ("anyio/_backends/_asyncio.py", "AsyncIOBackend.run_sync_in_worker_thread"): "thread",
    ("anyio/_backends/_asyncio.py", "SocketStream.receive"): "socket",
    ("anyio/_backends/_asyncio.py", "SocketStream.send"): "socket",
    ("anyio/_backends/_asyncio.py", "AsyncIOBackend.connect_tcp"): "connect",
    ("anyio/streams/memory.py", "MemoryObjectReceiveStream.receive"): "receive",
    ("anyio/streams/memory.py", "MemoryObjectSendStream.send"): "send",
    ("aiohttp/connector.py", "BaseConnector._wait_for_available_connection"): "connection",
    ("aiohttp/connector.py", "TCPConnector._create_connection"): "connect",
    ("aiohttp/client_reqrep.py", "ClientResponse.start"): "first byte",
    ("_async/connection_pool.py", "AsyncPoolRequest.wait_for_connection"): "connection",
}
#: What tasks of one program wait for to take turns.
_PRIMITIVES = (f"asyncio{os.sep}locks.py", f"asyncio{os.sep}queues.py")
_FILES = {
    "aiohttp/streams.py": "body",
    "asyncio/streams.py": "socket",
    "asyncio/selector_events.py": "socket",
    "asyncio/base_events.py": "connect",
    "asyncio/subprocess.py": "subprocess",
    "asyncio/base_subprocess.py": "subprocess",
}
#: Whose streams they are, a process's or a connection's, shows in their names alone.
_PIPES = re.compile(r"\.std(in|out|err)\b")


class _Link:
    """A function in the await chains that were seen, below those that led to it; of the user's, at one instruction."""

    __slots__ = ("_below", "_numbers", "above", "code", "instruction", "latest", "places")

    def __init__(self, above: _Link | None, code: Any, instruction: int | None = None) -> None:
        self.above = above
        self.code = code
        self.instruction = instruction or 0
        #: What was found below it the last time: most often that is what is there again.
        self.latest: _Link | None = None
        #: In place of one of the user's functions, by instruction: of a library's only the function counts.
        self.places: dict[int, _Link] | None = None
        if above is not None and instruction is None and is_users(code.co_filename):
            self.places = {}
        # Made when they are needed, for most have one link below them, and no end.
        #: By the id of the code, which each keeps alive: all that were found, once they are several.
        self._below: dict[int, _Link] | None = None
        #: Where the chain ends here, the number for each of what may be awaited at its end.
        self._numbers: dict[str | None, int] | None = None

    def find(self, code: CodeType) -> _Link:
        """Return the link of a function that is awaited here."""
        if self.latest is None:
            self.latest = _Link(self, code)
        elif self.latest.code is not code:
            if self._below is None:
                self._below = {id(self.latest.code): self.latest}
            below = self._below.get(id(code))
            if below is None:
                below = self._below[id(code)] = _Link(self, code)
            self.latest = below
        return self.latest

    def at(self, instruction: int) -> _Link:
        """Return the link of one of the user's functions at an instruction; of a library's, itself."""
        if self.places is None:
            return self
        place = self.places.get(instruction)
        if place is None:
            place = self.places[instruction] = _Link(self.above, self.code, instruction)
        return place

    @property
    def numbers(self) -> dict[str | None, int]:
        if self._numbers is None:
            self._numbers = {}
        return self._numbers

    def chain(self) -> list[_Place]:
        """Return the functions from the task's own down to this one."""
        chain: list[_Place] = []
        link: _Link | None = self
        while link is not None and link.above is not None:
            chain.append((link.code, link.instruction))
            link = link.above
        return chain[::-1]


class Waits:
    """Numbers the await chains it is shown, and says what each means. Keeps code, never frames or coroutines."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._first = _Link(None, None)
        #: By number, less one: where the chain ends, and what is awaited there.
        self._ends: list[tuple[_Link, str]] = []
        self._words: dict[int, str] = {}
        #: By the id of a code and the instruction.
        self._awaited: dict[tuple[int, int], str] = {}

    def number(self, task: asyncio.Task[Any]) -> int:
        """Return the number of what the suspended `task` waits for, 0 if it cannot be told; on the loop's thread."""
        link = self._first
        awaitable: Any = task.get_coro()
        try:
            # Written out, since every chunk of a stream comes through a dozen of these.
            while True:
                if (kind := type(awaitable)) is _Coroutine:
                    code, following = awaitable.cr_code, awaitable.cr_await
                elif kind is AsyncGeneratorType:
                    code, following = awaitable.ag_code, awaitable.ag_await
                    if type(following) is _NEXT:
                        # At once: it is what a generator awaits most often.
                        following = get_referents(following)[0]
                elif kind in _BETWEEN:
                    awaitable = get_referents(awaitable)[0]
                    continue
                elif kind is GeneratorType:
                    code, following = awaitable.gi_code, awaitable.gi_yieldfrom
                elif hasattr(awaitable, "cr_code"):
                    code, following = awaitable.cr_code, awaitable.cr_await
                else:
                    # A future's iterator: the end of what can be followed.
                    break
                below = link.latest
                if below is None or below.code is not code:
                    below = link.find(code)
                if below.places is not None:
                    # Only of the user's: asking for a frame makes it an object.
                    frame = awaitable.cr_frame if kind not in _FRAMES else getattr(awaitable, _FRAMES[kind])
                    below = below.places.get(frame.f_lasti) or below.at(frame.f_lasti)
                link, awaitable = below, following
        except Exception:
            # A foreign awaitable: the end of what can be followed.
            pass
        try:
            if type(future := getattr(task, "_fut_waiter", None)) is asyncio.Future:
                return link.numbers.get(None) or self._add(link, None, pool_of(future))
            leaf = _leaf(future)
            return link.numbers.get(leaf) or self._add(link, leaf, leaf)
        except Exception:
            # Somebody's awaitable does not answer as others do: this wait stays without words.
            return 0

    def within(self, frame: FrameType | None) -> int:
        """Return the number of what the user's innermost line in `frame` or around it calls, 0 if there is none."""
        while frame is not None and not is_users(frame.f_code.co_filename):
            frame = frame.f_back
        if frame is None:
            return 0
        link = self._first.find(frame.f_code).at(frame.f_lasti)
        return link.numbers.get("") or self._add(link, "", "")

    def _add(self, link: _Link, leaf: str | None, words: str) -> int:
        self._ends.append((link, words))
        number = link.numbers[leaf] = len(self._ends)
        return number

    def words(self, number: int) -> str:
        """Return what a wait of that number is for, such as `sleep (fetch:12)` or `lock (cell [3]:4)`."""
        words = self._words.get(number)
        if words is None:
            words = self._words[number] = self._describe(*self._ends[number - 1])
        return words

    def _describe(self, link: _Link, leaf: str) -> str:
        chain = link.chain()
        users = [index for index, (code, _) in enumerate(chain) if is_users(code.co_filename)]
        innermost = users[-1] if users else 0
        call = _first_call([code for code, _ in chain[innermost + 1 if users else 0 :]])
        if not users:
            return call or leaf
        code, instruction = chain[innermost]
        what = call or leaf or self._expression(code, instruction) or "future"
        if what == "socket" and _PIPES.search(self._expression(code, instruction)):
            what = "subprocess"
        name = self._tracer.name_file(code.co_filename)
        return f"{what} ({name if is_cell(name) else code.co_name}:{line_at(code, instruction)})"

    def _expression(self, code: CodeType, instruction: int) -> str:
        # By the id: equal codes may stand in different files.
        place = id(code), instruction
        text = self._awaited.get(place)
        if text is None:
            text = self._awaited[place] = awaited(code, instruction)
        return text


def _leaf(future: Any) -> str:
    if isinstance(future, asyncio.Task):
        return f"task {task_name(future)}"
    if isinstance(future, _Gathering):
        return f"gather of {len(future._children)}"
    return ""


def task_name(task: asyncio.Task[Any]) -> str:
    """Return what a task is called: by the user, or by its coroutine."""
    given = given_name(task)
    return given if given is not None else str(getattr(task.get_coro(), "__qualname__", task.get_name()))


def given_name(task: asyncio.Task[Any]) -> str | None:
    """Return the name that the user gave the task, or `None` where asyncio numbered it."""
    name = task.get_name()
    # Python 3.13.0 calls a task that comes from a factory "None".
    return None if name == "None" or (name.startswith("Task-") and name[5:].isdecimal()) else name


def _first_call(codes: list[CodeType]) -> str:
    """Return the words of the first call that has some; of a lock or queue that a library has of its own, whose."""
    owner = ""
    for code in codes:
        if words := _call(code):
            return f"{words} in {owner}" if owner and code.co_filename.endswith(_PRIMITIVES) else words
        owner = owner or library(code.co_filename) or ""
    return ""


def _call(code: CodeType) -> str | None:
    file = "/".join(code.co_filename.replace(os.sep, "/").rsplit("/", 3)[1:])
    for length in (2, 3):
        tail = "/".join(file.split("/")[-length:])
        if words := _CALLS.get((tail, code.co_qualname)) or _FILES.get(tail):
            return words
    return None
