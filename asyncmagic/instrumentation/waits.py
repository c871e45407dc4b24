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

#: How coroutines and generators call their frame and what they await; other compilers' coroutines do as Python's.
_PARTS = {AsyncGeneratorType: ("ag_frame", "ag_await"), GeneratorType: ("gi_frame", "gi_yieldfrom")}
_PARTS_OF_COROUTINE = "cr_frame", "cr_await"

_Gathering: Any = tasks._GatheringFuture  # type: ignore[attr-defined]

#: An await chain as numbers, cheap to make and to compare; `Waits` knows what they stand for.
_Key = tuple[int | str, ...]
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


class Waits:
    """Numbers the await chains it is shown, and says what each means. Keeps code, never frames or coroutines."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._numbers: dict[_Key, int] = {}
        self._chains: list[tuple[list[_Place], str]] = []
        self._words: dict[int, str] = {}
        #: By the id of a code and the instruction.
        self._awaited: dict[tuple[int, int], str] = {}
        #: By the id of a code, whether it is the user's; and the codes, so that no other one gets the id.
        self._is_users: dict[int, bool] = {}
        self._codes: list[CodeType] = []

    def number(self, task: asyncio.Task[Any]) -> int:
        """Return the number of what the suspended `task` waits for, 0 if it cannot be told; on the loop's thread."""
        key: list[int | str] = []
        add, known = key.append, self._is_users
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
                number = id(code)
                add(number)
                try:
                    is_users = known[number]
                except KeyError:
                    is_users = self._meet(code)
                # Of a library only the function counts; asking for a frame makes it an object.
                if is_users:
                    frame = awaitable.cr_frame if kind not in _PARTS else getattr(awaitable, _PARTS[kind][0])
                    add(frame.f_lasti)
                awaitable = following
        except Exception:
            # A foreign awaitable: the end of what can be followed.
            pass
        try:
            if type(future := getattr(task, "_fut_waiter", None)) is not asyncio.Future:
                add(_leaf(future))
            chain = tuple(key)
            return self._numbers.get(chain) or self._new(chain, task)
        except Exception:
            # Somebody's awaitable does not answer as others do: this wait stays without words.
            return 0

    def within(self, frame: FrameType | None) -> int:
        """Return the number of what the user's innermost line in `frame` or around it calls, 0 if there is none."""
        while frame is not None and not is_users(frame.f_code.co_filename):
            frame = frame.f_back
        return self._add((id(frame.f_code), frame.f_lasti), [(frame.f_code, frame.f_lasti)], "") if frame else 0

    def _meet(self, code: CodeType) -> bool:
        self._codes.append(code)
        return self._is_users.setdefault(id(code), is_users(code.co_filename))

    def _new(self, key: _Key, task: asyncio.Task[Any]) -> int:
        chain: list[_Place] = []
        awaitable: Any = task.get_coro()
        while True:
            while type(awaitable) in _BETWEEN:
                awaitable = get_referents(awaitable)[0]
            frame_part, await_part = _PARTS.get(type(awaitable), _PARTS_OF_COROUTINE)
            if (frame := getattr(awaitable, frame_part, None)) is None:
                break
            chain.append((frame.f_code, frame.f_lasti))
            awaitable = getattr(awaitable, await_part)
        leaf, future = key[-1] if key else "", getattr(task, "_fut_waiter", None)
        if not isinstance(leaf, str):
            leaf = pool_of(future)
        return self._add(key, chain, leaf)

    def _add(self, key: _Key, chain: list[_Place], leaf: str) -> int:
        number = self._numbers.get(key)
        if number is None:
            self._chains.append((chain, leaf))
            number = self._numbers[key] = len(self._chains)
        return number

    def words(self, number: int) -> str:
        """Return what a wait of that number is for, such as `sleep (fetch:12)` or `lock (cell [3]:4)`."""
        words = self._words.get(number)
        if words is None:
            words = self._words[number] = self._describe(*self._chains[number - 1])
        return words

    def _describe(self, chain: list[_Place], leaf: str) -> str:
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
