"""Whose code a line belongs to: the user's, a library's, the kernel's; and how a place is named."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType

from asyncmagic.tracing.model import Attributes
from asyncmagic.tracing.semconv import CODE_CELL, CODE_FILE, CODE_FUNCTION, CODE_LINE, CODE_STACK

#: Line, last line, column and end in UTF-8, as `co_positions` has them.
Position = tuple[int | None, int | None, int | None, int | None]

_OURS = str(Path(__file__).parents[1]) + os.sep
_WRAPPERS = str(Path(__file__).parent) + os.sep
_STANDARD_LIBRARY = tuple(
    {str(Path(path)) + os.sep for path in (os.path.dirname(os.__file__), sysconfig.get_path("stdlib"))}  # noqa: PTH120
)
#: It is compiled, and its files are called as they were where that was done.
_UVLOOP = "uvloop/"
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_KERNEL = tuple(
    f"{folder}{name}{os.sep}"
    for folder in _INSTALLED
    for name in ("ipykernel", "IPython", "jupyter_client", "comm", "traitlets")
)
#: What is typed, in IPython or elsewhere, and has no file.
_TYPED = ("<ipython-input-", "<python-input-", "<stdin>", "<console>", "<doctest ", "<timed ")

#: Libraries that run what they are given, as the standard library does.
_HELPERS = frozenset(("anyio", "tqdm", "nest_asyncio", "nest_asyncio2"))

#: Below these the stack is the event loop's and the kernel's; `run_once` and `step` are ours in their place.
_LOOP = frozenset(("_run", "_run_once", "run_forever", "run_once", "step"))
#: Places by the ids of their code, which is kept so that no other code gets its id, and the instructions in it.
_known: dict[tuple[int, ...], tuple[tuple[CodeType, ...], Attributes]] = {}
_MOST_KNOWN = 1024
#: The user's frames that a call remembers.
_FRAMES = 8


@lru_cache(maxsize=4096)
def is_users(filename: str) -> bool:
    """Whether the file is the user's: a cell or a project of theirs, not an installed library, not ours."""
    return not (
        filename.startswith(("<frozen ", _UVLOOP, _OURS, *_STANDARD_LIBRARY))
        or any(part in filename for part in _INSTALLED)
    )


@lru_cache(maxsize=4096)
def is_generated(filename: str) -> bool:
    """Whether there is no such file, and nobody has typed what is in it."""
    return filename.startswith("<") and not filename.startswith(_TYPED)


@lru_cache(maxsize=4096)
def library(filename: str) -> str | None:
    """Return the installed library that a file belongs to; `None` for the user's, "" for what only passes calls on."""
    if is_users(filename):
        return None
    if filename.startswith(_OURS):
        return ""
    for part in _INSTALLED:
        if part in filename:
            name = Path(filename.rpartition(part)[2]).parts[0].removesuffix(".py")
            return "" if name in _HELPERS else name
    return ""


@lru_cache(maxsize=4096)
def is_housekeeping(filename: str) -> bool:
    """Whether tasks of that file's coroutines are the kernel's or ours: they are no part of a user's trace."""
    return filename.startswith(_OURS) or any(part in filename for part in _KERNEL)


def is_uvloop(filename: str) -> bool:
    """Whether the file is uvloop's own code."""
    return filename.startswith(_UVLOOP)


@lru_cache(maxsize=4096)
def is_ours(filename: str) -> bool:
    """Whether the file is asyncmagic's."""
    return filename.startswith(_OURS)


def is_wrapper(filename: str) -> bool:
    """Whether the file is an instrumentor's: its coroutines stand around those of a library that the user calls."""
    return filename.startswith(_WRAPPERS)


def is_loop(code: CodeType) -> bool:
    """Whether code runs a step of a task: what stands below it on the stack is not that task's."""
    return code.co_name in _LOOP and library(code.co_filename) == ""


@lru_cache(maxsize=4096)
def _is_shown(filename: str) -> bool:
    return is_users(filename) and not is_housekeeping(filename)


def calling_place() -> Attributes:
    """Return where the user's code, on the stack of whatever runs now, asks for it: `code.*` attributes, or none.

    `code.stacktrace` has the user's frames alone, the innermost first, as `file:line function`. The same place is
    described once, for all who come by: nobody may change it.
    """
    frames: list[FrameType] = []
    key: list[int] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and len(frames) < _FRAMES:
        code = frame.f_code
        if _is_shown(code.co_filename):
            frames.append(frame)
            key += (id(code), frame.f_lasti)
        elif is_loop(code):
            break
        frame = frame.f_back
    known = _known.get(tuple(key))
    if known is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        known = _known[tuple(key)] = (tuple(frame.f_code for frame in frames), _describe(frames))
    return known[1]


def _describe(frames: list[FrameType]) -> Attributes:
    if not frames:
        return {}
    code, line = frames[0].f_code, frames[0].f_lineno
    stack = "\n".join(f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}" for frame in frames)
    return {CODE_FILE: code.co_filename, CODE_LINE: line, CODE_FUNCTION: code.co_qualname, CODE_STACK: stack}


def describe(code: CodeType, line: int, name_file: Callable[[str], str]) -> Attributes:
    """Return a place as `code.*` attributes, and the cell where `name_file` knows it by its number."""
    attributes: Attributes = {CODE_FUNCTION: code.co_qualname, CODE_LINE: line, CODE_FILE: code.co_filename}
    if is_cell(name := name_file(code.co_filename)):
        attributes[CODE_CELL] = name
    return attributes


def is_cell(name: str) -> bool:
    """Whether `Tracer.name_file` has given this name to a cell."""
    return name.startswith("cell [")


def line_at(code: CodeType, instruction: int) -> int:
    """Return the line number of an instruction (`frame.f_lasti`)."""
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return line
    return code.co_firstlineno


def source_at(file: str, position: Position) -> str:
    """Return what is written at a position of a file; a `LookupError` if that is not known."""
    line, last, column, end = position
    if line is None or column is None:
        raise LookupError(f"where in a line of {file}")
    lines = [text.encode() for text in linecache.getlines(file)[line - 1 : last]]
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][column:]
    return b"".join(lines).decode(errors="replace")
