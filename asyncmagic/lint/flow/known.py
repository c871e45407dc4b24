"""Functions whose effect on awaitables is known, by name, and the libraries of which something is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from asyncmagic.lint.flow import known_asyncio, known_builtins, known_containers, known_libraries
from asyncmagic.lint.flow.values import Value

if TYPE_CHECKING:
    from asyncmagic.lint.flow.calls import Calls
    from asyncmagic.lint.flow.ledger import Call

Handler: TypeAlias = "Callable[[Calls, Call, Value | None], Value | None]"

#: Qualified name -> what a call of it does and gives.
KNOWN: Final = known_asyncio.TABLE | known_builtins.TABLE | known_containers.TABLE | known_libraries.TABLE
#: Modules whose functions show, format or compute with what they are given.
SHOWING_MODULES: Final = frozenset(
    {"json", "logging", "math", "pprint", "statistics", "IPython", "pandas", "numpy", "matplotlib", "seaborn"}
)
#: Modules whose functions return ordinary data.
DATA_MODULES: Final = frozenset(
    [
        "json",
        "math",
        "time",
        "re",
        "random",
        "os",
        "posix",
        "posixpath",
        "ntpath",
        "genericpath",
        "statistics",
        "string",
        "textwrap",
        "uuid",
        "pprint",
        "hashlib",
        "base64",
        "datetime",
        "html",
        "sys",
        "platform",
        "shutil",
        "glob",
        "csv",
        "decimal",
        "fractions",
        "_json",
    ]
)
