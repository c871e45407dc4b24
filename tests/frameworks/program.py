"""Program: what a framework's users write, and the tree that its trace must be."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Program:
    """`source` defines it, `cell` runs five agents at once under `%%agents`, and `tree` is the outline of that.

    `one_tool` runs an agent that calls one tool; `state` is code whose value changes while the library is hooked.
    """

    requires: tuple[str, ...]
    source: str
    cell: str
    tree: str
    one_tool: str
    state: str

    @property
    def missing(self) -> str:
        """What cannot be imported here, if anything."""
        return ", ".join(name for name in self.requires if find_spec(name) is None)
