"""Body: the bytes of an answer as they come in, decompressed and cut into the messages of its stream."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from typing import Any

_MOST_KEPT = 8 << 20


class Body:
    """Takes an answer's bytes in any pieces and gives back each complete message of the stream.

    Server-sent events and lines of JSON are streams; anything else is one message, given by `rest`. What cannot be
    decompressed, or is larger than a few megabytes, is not read.
    """

    __slots__ = ("_cut", "_decompress", "_is_readable", "_left", "_parts", "_size")

    def __init__(self, content_type: str, content_encoding: str = "") -> None:
        self._left = b""
        self._parts: list[bytes] = []
        self._size = 0
        self._cut = _cutter(content_type)
        self._decompress: Callable[[bytes], bytes] | None = None
        self._is_readable = True
        encoding = content_encoding.strip().lower()
        if encoding not in ("", "identity"):
            self._decompress = _decompressor(encoding)
            self._is_readable = self._decompress is not None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that are complete with these bytes."""
        if not self._is_readable:
            return []
        if self._decompress is not None:
            try:
                data = self._decompress(data)
            except Exception:  # each library has errors of its own; the client will meet the same one
                self._give_up()
                return []
        messages: list[bytes] = []
        if self._cut is None:
            self._parts.append(data)
            self._size += len(data)
        else:
            messages, self._left = self._cut(self._left + data)
            self._size = len(self._left)
        if self._size > _MOST_KEPT:
            self._give_up()
        return messages

    def rest(self) -> list[bytes]:
        """Return what is left when the answer has ended: all of it, where it was no stream."""
        if self._cut is not None:
            messages, self._left = self._cut(self._left + b"\n\n")
            return messages
        whole = b"".join(self._parts)
        self._parts.clear()
        return [whole] if whole else []

    def _give_up(self) -> None:
        self._is_readable = False
        self._left = b""
        self._parts.clear()


_Cutter = Callable[[bytes], tuple[list[bytes], bytes]]


def cut(body: bytes, content_type: str) -> list[bytes]:
    """Return the messages of a whole, decompressed body."""
    cutter = _cutter(content_type)
    return [body] if cutter is None else cutter(body + b"\n\n")[0]


def _cutter(content_type: str) -> _Cutter | None:
    return _events if "event-stream" in content_type else _lines if "ndjson" in content_type else None


def _events(buffer: bytes) -> tuple[list[bytes], bytes]:
    """Cut server-sent events: the data of each complete one, and what follows the last."""
    if b"\r" in buffer:
        # A line may end in CR LF, and the LF may still be on its way.
        held = b"\r" if buffer.endswith(b"\r") else b""
        buffer = buffer.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    else:
        held = b""
    complete, end, left = buffer.rpartition(b"\n\n")
    found = []
    for event in complete.split(b"\n\n") if end else ():
        if event.startswith(b"data:") and b"\n" not in event:
            found.append(event[5:].strip())
            continue
        data = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
        if data:
            found.append(b"\n".join(data))
    return found, left + held


def _lines(buffer: bytes) -> tuple[list[bytes], bytes]:
    *lines, left = buffer.split(b"\n")
    return [line for line in lines if line.strip()], left


def _decompressor(encoding: str) -> Callable[[bytes], bytes] | None:
    decompress: Callable[[bytes], bytes]
    if encoding in ("gzip", "x-gzip"):
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress
    if encoding == "deflate":
        return _inflate()
    if encoding == "br" and (brotli := _first("brotli", "brotlicffi")):
        decompressor = brotli.Decompressor()
        decompress = getattr(decompressor, "decompress", None) or decompressor.process
        return decompress
    if encoding == "zstd" and (zstd := _first("compression.zstd", "backports.zstd")):
        decompress = zstd.ZstdDecompressor().decompress
        return decompress
    if encoding == "zstd" and (zstd := _first("zstandard")):
        decompress = zstd.ZstdDecompressor().decompressobj().decompress
        return decompress
    return None


def _inflate() -> Callable[[bytes], bytes]:
    # Half of the world's servers send deflate without its zlib header.
    inflate = zlib.decompressobj()

    def decompress(data: bytes) -> bytes:
        nonlocal inflate
        try:
            return inflate.decompress(data)
        except zlib.error:
            inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            return inflate.decompress(data)

    return decompress


def _first(*names: str) -> Any:
    # Only libraries that the HTTP client uses itself; without one the server would not have been asked for it.
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
