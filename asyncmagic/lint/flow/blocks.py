"""Source text of modules that are not imported, split into statements and parsed only where it is looked at."""

from __future__ import annotations

import ast
import bisect
import functools
import itertools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Final

from asyncmagic.lint.flow.objects import instance_dict

_STATEMENT: Final = re.compile(
    r"(?:async\s+)?def\s+(?P<function>\w+)|class\s+(?P<cls>\w+)|(?P<imports>from|import)\b|(?P<nests>if|else|try|except|elif)\b"
    r"|(?P<assigned>\w+)\s*[:=]|(?P<decorator>@)"
)
_MAX_BYTES: Final = 2_000_000
_modules: dict[str, tuple[Blocks, bool] | None] = {}


@dataclass(frozen=True, slots=True)
class _Text:
    """A module's text after a line break, its lines and where they begin, and the places of triple quotes."""

    text: str
    lines: list[str]
    starts: list[int]
    quotes: list[int]

    @classmethod
    def of(cls, text: str) -> _Text:
        lines = text.splitlines(keepends=True)
        starts = [0, *itertools.accumulate(map(len, lines))]
        return cls("\n" + text, lines, starts, sorted([*_places(text, '"""'), *_places(text, "'''")]))

    def statements(self, first: int, last: int, indent: int) -> Iterator[int]:
        """The lines of a range on which something begins at exactly that indent."""
        begin = self.starts[first]
        before = bisect.bisect_left(self.quotes, begin)
        for found in _begins(indent).finditer(self.text, begin, self.starts[last]):
            place = found.start()  # Of the line break, in a text that begins with one: the line begins there.
            if (bisect.bisect_left(self.quotes, place) - before) % 2 == 0:
                yield bisect.bisect_right(self.starts, place) - 1


def _places(text: str, part: str) -> Iterator[int]:
    place = text.find(part)
    while place >= 0:
        yield place
        place = text.find(part, place + 3)


@functools.cache
def _begins(indent: int) -> re.Pattern[str]:
    return re.compile(rf"\n[ \t]{{{indent}}}(?=[^\s)\]}}#])")


class Blocks:
    """The statements in a run of lines, by the names that they bind."""

    def __init__(self, source: _Text, first: int, last: int, indent: int) -> None:
        self._source = source
        self._lines = source.lines
        self._places: dict[str, tuple[int, int]] = {}
        self._parsed: dict[str, ast.stmt | None] = {}
        self._members: dict[str, Blocks | None] = {}
        self._stars: list[tuple[int, int]] = []
        self._scan(first, last, indent)

    def _scan(self, first: int, last: int, indent: int) -> None:
        starts: list[tuple[int, re.Match[str] | None]] = []
        is_decorated = False
        for number in self._source.statements(first, last, indent):
            found = _STATEMENT.match(self._lines[number], indent)
            if not is_decorated:
                starts.append((number, found))
            elif found is not None and not found["decorator"]:
                starts[-1] = (starts[-1][0], found)
            is_decorated = found is not None and bool(found["decorator"])
        ends = [start for start, _ in starts[1:]] + [last]
        for (start, found), end in zip(starts, ends, strict=False):
            self._note(start, end, found, indent)

    def _note(self, start: int, end: int, found: re.Match[str] | None, indent: int) -> None:
        if found is None:
            return
        if found["nests"]:
            inner = next((n for n in range(start + 1, end) if self._lines[n].strip()), None)
            if inner is not None:
                line = self._lines[inner]
                self._scan(inner, end, len(line) - len(line.lstrip()))
        elif found["imports"]:
            if self._lines[start].split("#")[0].rstrip().endswith("import *"):
                self._stars.append((start, end))
            for name in _imported_names("".join(self._lines[start:end])):
                self._places.setdefault(name, (start, end))
        else:
            self._places[found["function"] or found["cls"] or found["assigned"] or ""] = (start, end)

    def statement(self, name: str) -> ast.stmt | None:
        """The statement that binds the name; of a class only its first lines, see `members`."""
        if name not in self._parsed:
            self._parsed[name] = self._parse(name) if name in self._places else None
        return self._parsed[name]

    def star_imports(self) -> list[ast.ImportFrom]:
        """The statements that import all names of another module."""
        parsed = [_statement("".join(self._lines[start:end])) for start, end in self._stars]
        return [node for node in parsed if isinstance(node, ast.ImportFrom)]

    def _parse(self, name: str) -> ast.stmt | None:
        start, end = self._places[name]
        header = self._class_header(name, start, end)
        text = "".join(self._lines[start:end])
        if header is not None:
            text = "".join(self._lines[start:header]) + self._body_indent(header, end) * " " + "pass\n"
        return _statement(text)

    def _class_header(self, name: str, start: int, end: int) -> int | None:
        """The line after the colon that opens the class's body; None if this is no class."""
        for number in range(start, end):
            words = self._lines[number].replace("(", " ").replace(":", " ").replace("[", " ").split(None, 2)
            if words[:2] == ["class", name]:
                while number < end and not self._lines[number].split("#")[0].rstrip().endswith(":"):
                    number += 1
                return min(number + 1, end)
        return None

    def _body_indent(self, header: int, end: int) -> int:
        for line in self._lines[header:end]:
            if line.strip():
                return len(line) - len(line.lstrip())
        return 4

    def members(self, name: str) -> Blocks | None:
        """The statements of the body of the class of that name."""
        if name not in self._members:
            start, end = self._places.get(name, (0, 0))
            header = self._class_header(name, start, end)
            self._members[name] = (
                Blocks(self._source, header, end, self._body_indent(header, end)) if header is not None else None
            )
        return self._members[name]


def _imported_names(text: str) -> Iterator[str]:
    """The names that an import statement binds."""
    names = re.split(r"\bimport\b", re.sub(r"#.*", "", text), maxsplit=1)[-1]
    for part in names.split(","):
        words = re.findall(r"\w+", part)
        if words:
            yield words[-1] if "as" in words else words[0]


def _statement(text: str) -> ast.stmt | None:
    """The first statement of a text that may be indented."""
    try:
        body = ast.parse("if 1:\n" + text if text[:1].isspace() else text).body
    except (SyntaxError, ValueError, RecursionError):
        return None
    return body[0].body[0] if isinstance(body[0], ast.If) and text[:1].isspace() else body[0]


def module_blocks(name: str) -> tuple[Blocks, bool] | None:
    """The source of a module, found without importing it, and whether it is a package."""
    if name not in _modules:
        try:
            _modules[name] = _read_module(name)
        except Exception:
            _modules[name] = None
    return _modules[name]


def _read_module(name: str) -> tuple[Blocks, bool] | None:
    spec = PathFinder.find_spec(name, _search_path(name.rpartition(".")[0]))
    if spec is not None and spec.origin is None and spec.submodule_search_locations is not None:
        return Blocks(_Text.of(""), 0, 0, 0), True
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin)
    if path.stat().st_size > _MAX_BYTES:
        return None
    source = _Text.of(path.read_text(encoding="utf-8"))
    return Blocks(source, 0, len(source.lines), 0), spec.submodule_search_locations is not None


def _search_path(package: str) -> list[str] | None:
    if not package:
        return None
    module = sys.modules.get(package)
    if module is not None:
        path: Any = instance_dict(module).get("__path__") or []
        return list(path)
    spec = PathFinder.find_spec(package, _search_path(package.rpartition(".")[0]))
    return list(spec.submodule_search_locations or []) if spec else []
