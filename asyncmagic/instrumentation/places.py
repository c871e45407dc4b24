"""Whose code a line belongs to: the user's, a library's, the kernel's; and how a place is named."""

from __future__ import annotations

import os
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import CodeType

_OURS = str(Path(__file__).parents[1]) + os.sep
_STANDARD_LIBRARY = tuple(
    {str(Path(path)) + os.sep for path in (os.path.dirname(os.__file__), sysconfig.get_path("stdlib"))}  # noqa: PTH120
)
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_KERNEL = tuple(f"{os.sep}{name}{os.sep}" for name in ("ipykernel", "IPython", "jupyter_client", "comm", "traitlets"))


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


def line_at(code: CodeType, instruction: int) -> int:
    """Return the line number of an instruction (`frame.f_lasti`)."""
    for start, end, line in code.co_lines():
        if start <= instruction < end and line is not None:
            return line
    return code.co_firstlineno
