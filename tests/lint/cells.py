"""Cells with marked lines, read from files: what a rule must report, and what it must not."""

from __future__ import annotations

import ast
import asyncio
import builtins
import contextlib
import importlib.util
import inspect
import json
import linecache
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_MARK = re.compile(r"\s*# expect: (.*)")


@dataclass(frozen=True)
class Expected:
    """One mistake: its rule, and the lines at which it may be reported."""

    rule: str
    lines: tuple[int, ...]


@dataclass(frozen=True)
class MarkedCell:
    """A cell, what runs before it, and what must be said of it."""

    name: str
    setup: str
    source: str
    expected: tuple[Expected, ...]


def marked_cells() -> list[MarkedCell]:
    """The cells of `cases/*.py`: parts that begin with `# %%`, marks such as `# expect: missing-await`.

    `# %% setup` is what runs before the cells below it; `# %% setup agents` is that of `cases/setups/agents.py`, and
    what stands below it.
    """
    found = []
    for path in sorted((HERE / "cases").glob("*.py")):
        parts = re.split(r"^# %%(.*)\n", path.read_text(), flags=re.MULTILINE)
        setup = ""
        for number, (kind, text) in enumerate(zip(parts[1::2], parts[2::2], strict=True)):
            word, _, name = kind.strip().partition(" ")
            if word == "setup":
                setup = (HERE / "cases" / "setups" / f"{name}.py").read_text() + text if name else text
                continue
            marks = [(line, _MARK.search(line_text)) for line, line_text in enumerate(text.split("\n"), 1)]
            expected = tuple(
                Expected(rule.strip(), (line,)) for line, mark in marks if mark for rule in mark[1].split(",")
            )
            source = "\n".join(_MARK.sub("", line) for line in text.rstrip("\n").split("\n"))
            found.append(MarkedCell(f"{path.stem}-{number}", setup, source, expected))
    return found


def labelled_cells() -> list[MarkedCell]:
    """The cells of `cases.jsonl`, each label confirmed by running the cell."""
    found = []
    for line in (HERE / "cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        expected = tuple(Expected(e["kind"], (e["line"], *e.get("alt_lines", ()))) for e in case["expect"])
        found.append(MarkedCell(case["id"], case.get("setup") or "", case["cell"], expected))
    return found


def missing_library(cell: MarkedCell) -> str | None:
    """A library that the cell or its setup imports and that is not installed."""
    nodes = list(ast.walk(ast.parse(cell.setup)))
    with contextlib.suppress(SyntaxError):
        nodes += ast.parse(cell.source).body
    for node in nodes:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            if importlib.util.find_spec(name.partition(".")[0]) is None:
                return name
    return None


@contextmanager
def live_namespace(cell: MarkedCell) -> Iterator[dict[str, Any]]:
    """The namespace after the cell's setup has run."""
    namespace: dict[str, Any] = {"__name__": "__main__", "__builtins__": builtins}
    filename = f"<ipython-input-{cell.name}>"
    linecache.cache[filename] = (len(cell.setup), None, cell.setup.splitlines(True), filename)
    before = builtins.input
    try:
        code = compile(cell.setup, filename, "exec", flags=0x2000)  # PyCF_ALLOW_TOP_LEVEL_AWAIT
        result = eval(code, namespace)
        if inspect.iscoroutine(result):
            asyncio.run(result)
        yield namespace
    finally:
        builtins.input = before
        for value in namespace.values():
            # What nobody runs any more would complain when it is collected, in some other test.
            if isinstance(value, asyncio.AbstractEventLoop) or inspect.iscoroutine(value):
                value.close()
