"""Registry: a table of names and the functions behind them, each loaded when it is first used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib import import_module
from typing import Any


def load(reference: str) -> Any:
    """Return the object that `"package.module:name"` names; `ImportError` or `AttributeError` where it is missing."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


class Registry(Mapping[str, Callable[..., Any]]):
    """The built-in lines of a table first, then those that other packages add as entry points of `group`."""

    def __init__(self, what: str, table: Mapping[str, str], group: str) -> None:
        self._what = what
        self._table = table
        self._group = group

    @cached_property
    def references(self) -> dict[str, str]:
        """Every known name with its reference, nothing imported."""
        # Slow: it reads a file of every installed package. Most names are built in, and nobody asks for them here.
        from importlib.metadata import entry_points

        others = {point.name: point.value for point in entry_points(group=self._group)}
        return {**others, **self._table}

    def __getitem__(self, name: str) -> Callable[..., Any]:
        reference = self._table.get(name) or self.references.get(name)
        if reference is None:
            raise KeyError(f"no {self._what} is called {name!r}; known are {', '.join(self)}")
        function: Callable[..., Any] = load(reference)
        return function

    def __iter__(self) -> Iterator[str]:
        yield from self._table
        yield from (name for name in self.references if name not in self._table)

    def __len__(self) -> int:
        return len(self.references)
