"""Whose code a line belongs to: the user's, a library's, the kernel's; and how a place is named."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType

from asyncmagic.tracing.model import Attributes
from asyncmagic.tracing.semconv import CODE_FILE, CODE_FUNCTION, CODE_LINE, CODE_STACK

_OURS = str(Path(__file__).parents[1]) + os.sep
_STANDARD_LIBRARY = tuple(
    {str(Path(path)) + os.sep for path in (os.path.dirname(os.__file__), sysconfig.get_path("stdlib"))}  # noqa: PTH120
)
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_KERNEL = tuple(f"{os.sep}{name}{os.sep}" for name in ("ipykernel", "IPython", "jupyter_client", "comm", "traitlets"))

#: Below these the stack is the event loop's and the kernel's.
_LOOP = {"_run", "_run_once", "run_forever"}
#: The user's frames that a call remembers.
_FRAMES = 8


@lru_cache(maxsize=4096)
def is_users(filename: str) -> bool:
    """Whether the file is the user's: a cell or a project of theirs, not an installed library, not ours."""
    return not (
        filename.startswith(("<frozen ", _OURS, *_STANDARD_LIBRARY)) or any(part in filename for part in _INSTALLED)
    )


@lru_cache(maxsize=4096)
def is_housekeeping(filename: str) -> bool:
    """Whether tasks of that file's coroutines are the kernel's or ours: they are no part of a user's trace."""
    return filename.startswith(_OURS) or any(part in filename for part in _KERNEL)


@lru_cache(maxsize=4096)
def _is_shown(filename: str) -> bool:
    return is_users(filename) and not is_housekeeping(filename)


def calling_place() -> Attributes:
    """Return where the user's code, on the stack of whatever runs now, asks for it: `code.*` attributes, or none.

    `code.stacktrace` has the user's frames alone, the innermost first, as `file:line function`.
    """
    frames: list[str] = []
    place: Attributes = {}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and len(frames) < _FRAMES:
        code = frame.f_code
        if _is_shown(code.co_filename):
            line = frame.f_lineno
            place = place or {CODE_FILE: code.co_filename, CODE_LINE: line, CODE_FUNCTION: code.co_qualname}
            frames.append(f"{code.co_filename}:{line} {code.co_qualname}")
        elif code.co_name in _LOOP:
            break
        frame = frame.f_back
    return {**place, CODE_STACK: "\n".join(frames)} if place else {}


def line_at(code: CodeType, instruction: int) -> int:
    """Return the line number of an instruction (`frame.f_lasti`)."""
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return line
    return code.co_firstlineno
