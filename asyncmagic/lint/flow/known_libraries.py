"""Libraries whose own source does not say what their objects do: it is said here, in a few lines of stubs."""

from __future__ import annotations

import ast
import functools
import sys
import types
from typing import TYPE_CHECKING, Final

from asyncmagic.lint.flow.annotations import class_of, instance_of
from asyncmagic.lint.flow.objects import mro, qualified_name
from asyncmagic.lint.flow.values import (
    Awaitable,
    Box,
    Identity,
    Instance,
    Live,
    Plain,
    Scope,
    Value,
    nothing,
)

if TYPE_CHECKING:
    from asyncmagic.lint.flow.calls import Calls
    from asyncmagic.lint.flow.known import Handler
    from asyncmagic.lint.flow.ledger import Call

#: aiofiles makes its methods with decorators, from lists of names.
_AIOFILES: Final = """
class AsyncFile:
    async def read(self, size=-1): ...
    async def read1(self, size=-1): ...
    async def readline(self, size=-1): ...
    async def readlines(self, hint=-1) -> list: ...
    async def write(self, data) -> int: ...
    async def writelines(self, lines) -> None: ...
    async def seek(self, offset, whence=0) -> int: ...
    async def tell(self) -> int: ...
    async def truncate(self, size=None) -> int: ...
    async def flush(self) -> None: ...
    async def close(self) -> None: ...
    def __aiter__(self): return self
    async def __anext__(self): ...
    async def __aenter__(self) -> AsyncFile: ...
    async def __aexit__(self, *exception) -> None: ...

class Opening:
    def __await__(self) -> Generator[None, None, AsyncFile]: ...
    def send(self, value): ...
    def throw(self, kind): ...
    def close(self): ...
    async def __aenter__(self) -> AsyncFile: ...
    async def __aexit__(self, *exception) -> None: ...
"""


def _stub(name: str, module: str, text: str) -> Handler:
    @functools.cache
    def parsed() -> list[ast.stmt]:
        return ast.parse(text).body

    def handler(flow: Calls, call: Call, owner: Value | None) -> Value | None:
        flow.hand_over_arguments(call)
        scope = Scope({"__name__": Live(module)}, outside=flow.outside_cell)
        flow.quiet += 1
        try:
            flow.execute(parsed(), scope)
        finally:
            flow.quiet -= 1
        return flow.call_value(scope.names[name], [], call.node)

    return handler


def _keeps(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    """A decorator with or without parentheses, whose function is called as before."""
    return call.argument(0) if call.argument(0) is not None else Identity()


def _goes_over(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    """A progress bar: it gives what it is given."""
    given = call.argument(0, "iterable")
    flow.use(given, call.node, "iterated over", is_certain=True)
    return Box(types.GeneratorType, list(given.items)) if isinstance(given, Box) else None


def _validates(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    """A Pydantic model is made of data."""
    flow.use(call.argument(0), call.node, "validated", is_certain=True)
    flow.use_elements(call.argument(0), call.node, "validated", is_certain=True)
    return instance_of(owner)


def _converts(flow: Calls, call: Call, owner: Value | None) -> Value | None:
    """What pyzmq's sockets send and receive besides bytes: the asyncio ones inherit the annotations of the others."""
    cls = class_of(owner)
    flow.hand_over_arguments(call)
    if cls is None or not any(qualified_name(base) == "zmq._future._AsyncSocket" for base in mro(cls)):
        return None
    return flow.make(Awaitable("future", call.node, nothing))


def _of_sqlite(name: str) -> Handler:
    """Connections and cursors of the standard library, which are written in C."""

    def handler(flow: Calls, call: Call, owner: Value | None) -> Value | None:
        flow.hand_over_unless_used(call)
        return Instance(getattr(sys.modules["sqlite3"], name))

    return handler


#: Who calls a callback, where the callback stands among the arguments, and of which classes is what it is given.
CALLBACKS: Final[dict[str, tuple[int, tuple[str, ...]]]] = {
    "asyncio.streams.start_server": (0, ("asyncio.StreamReader", "asyncio.StreamWriter")),
    "asyncio.streams.start_unix_server": (0, ("asyncio.StreamReader", "asyncio.StreamWriter")),
    "websockets.asyncio.server.serve": (0, ("websockets.asyncio.server.ServerConnection",)),
    "aiohttp.web_urldispatcher.UrlDispatcher.add_route": (2, ("aiohttp.web.Request",)),
} | {
    f"aiohttp.web_urldispatcher.UrlDispatcher.add_{method}": (1, ("aiohttp.web.Request",))
    for method in ("delete", "get", "patch", "post", "put")
}

#: Qualified name -> what a call of it does and gives.
TABLE: Final[dict[str, Handler]] = {
    f"aiofiles.{place}": _stub("Opening", "aiofiles", _AIOFILES)
    for place in ("threadpool.open", "tempfile.TemporaryFile", "tempfile.NamedTemporaryFile")
}
TABLE.update(
    dict.fromkeys(["tenacity.retry", "backoff._decorator.on_exception", "backoff._decorator.on_predicate"], _keeps)
)
TABLE.update(dict.fromkeys(["tqdm.std.tqdm", "tqdm.asyncio.tqdm_asyncio", "tqdm.notebook.tqdm_notebook"], _goes_over))
for method in ("model_validate", "model_validate_json"):
    TABLE[f"pydantic.main.BaseModel.{method}"] = _validates
for kind in ("json", "multipart", "pyobj", "serialized", "string"):
    TABLE.update(dict.fromkeys([f"zmq.sugar.socket.Socket.{verb}_{kind}" for verb in ("recv", "send")], _converts))
TABLE["_sqlite3.connect"] = TABLE["sqlite3.connect"] = _of_sqlite("Connection")
for method in ("Connection.cursor", "Connection.execute", "Connection.executemany", "Cursor.execute"):
    TABLE[f"sqlite3.{method}"] = _of_sqlite("Cursor")
for method in ("Connection.close", "Connection.commit", "Cursor.close", "Cursor.fetchone"):
    TABLE[f"sqlite3.{method}"] = lambda flow, call, owner: Plain()
for method in ("Cursor.fetchall", "Cursor.fetchmany"):
    TABLE[f"sqlite3.{method}"] = lambda flow, call, owner: Box(list, [None])
