"""Body: the bytes of an answer as they come in, decompressed and cut into the messages of its stream."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from typing import Any

Words = tuple[bytes, ...]

_MOST_KEPT = 8 << 20
_LAST = 2


class Body:
    """Takes an answer's bytes in any pieces and gives back each complete message of the stream.

    Server-sent events and lines of JSON are streams; anything else is one message, given by `rest`. What cannot be
    decompressed, or is larger than a few megabytes, is not read.
    """

    __slots__ = ("_decompress", "_is_readable", "_left", "_return", "_separator", "_size")

    def __init__(self, content_type: str, content_encoding: str = "") -> None:
        self._left: list[bytes] = []
        self._size = 0
        self._return = b""
        self._separator = _separator(content_type)
        self._decompress: Callable[[bytes], bytes] | None = None
        self._is_readable = True
        encoding = content_encoding.strip().lower()
        if encoding not in ("", "identity"):
            self._decompress = _decompressor(encoding)
            self._is_readable = self._decompress is not None

    def feed(self, data: bytes, only: Words | None = None) -> list[bytes]:
        """Return the messages that are complete with these bytes: all, or the last ones and those with such a word."""
        if not self._is_readable:
            return []
        if self._decompress is not None:
            try:
                data = self._decompress(data)
            except Exception:  # each library has errors of its own; the client will meet the same one
                self._give_up()
                return []
        messages: list[bytes] = []
        if self._separator is None:
            self._keep(data)
        else:
            messages = self._cut(data, self._separator, only)
        if self._size > _MOST_KEPT:
            self._give_up()
        return messages

    def rest(self) -> list[bytes]:
        """Return what is left when the answer has ended: all of it, where it was no stream."""
        if self._separator is not None:
            return self._cut(b"\n\n", self._separator, None)
        whole = b"".join(self._left)
        self._left.clear()
        return [whole] if whole else []

    def _cut(self, data: bytes, separator: bytes, only: Words | None) -> list[bytes]:
        """Return the data of the messages that are complete with these bytes; keep what follows the last of them."""
        if self._return or b"\r" in data:
            data = self._with_newlines(data)
        left = self._left
        if left:
            # A large message comes in many pieces, each of which is looked at once.
            if separator not in left[-1][-1:] + data:
                self._keep(data)
                return []
            data = b"".join([*left, data])
            left.clear()
            self._size = 0
        complete, end, rest = data.rpartition(separator)
        self._keep(rest)
        if not end:
            return []
        messages = complete.split(separator) if only is None else _skim(complete, separator, only)
        if separator == b"\n\n":
            messages = [_data(message) for message in messages]
        return [message for message in messages if message]

    def _keep(self, data: bytes) -> None:
        if data:
            self._left.append(data)
            self._size += len(data)

    def _with_newlines(self, data: bytes) -> bytes:
        data = self._return + data
        # A line may end in CR LF, and the LF may still be on its way.
        self._return = b"\r" if data.endswith(b"\r") else b""
        return data.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _give_up(self) -> None:
        self._is_readable = False
        self._left.clear()


def whole(body: bytes, content_type: str) -> list[bytes]:
    """Return the messages of a whole, decompressed body."""
    separator = _separator(content_type)
    return [body] if separator is None else Body(content_type)._cut(body + b"\n\n", separator, None)


def _separator(content_type: str) -> bytes | None:
    return b"\n\n" if "event-stream" in content_type else b"\n" if "ndjson" in content_type else None


def _data(event: bytes) -> bytes:
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    return b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))


def _skim(complete: bytes, separator: bytes, words: Words) -> list[bytes]:
    # A long answer is hundreds of small messages, of which all but a few bring a word of text each.
    found: dict[int, bytes] = {}

    def find(at: int) -> tuple[int, int]:
        before, behind = complete.rfind(separator, 0, at), complete.find(separator, at)
        start, end = before + len(separator) if before >= 0 else 0, behind if behind >= 0 else len(complete)
        found[start] = complete[start:end]
        return before, end

    at = len(complete)
    for _ in range(_LAST):
        at, _ = find(at)
        if at < 0:
            break
    for word in words:
        at = complete.find(word)
        while at >= 0:
            at = complete.find(word, find(at)[1])
    return [found[start] for start in sorted(found)]


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
    # Half of the world's servers send deflate without its zlib header, which is two bytes that make a multiple of 31.
    head = b""
    inflate: Any = None

    def decompress(data: bytes) -> bytes:
        nonlocal head, inflate
        if inflate is None:
            head = data = head + data
            if len(head) < 2:
                return b""
            has_header = head[0] & 15 == 8 and int.from_bytes(head[:2], "big") % 31 == 0
            inflate = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        inflated: bytes = inflate.decompress(data)
        return inflated

    return decompress


def _first(*names: str) -> Any:
    # Only libraries that the HTTP client uses itself; without one the server would not have been asked for it.
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
