"""`python -m asyncmagic check FILE.ipynb|FILE.py …`: look for missing awaits in files, without running them."""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from asyncmagic.diagnostics import render_text
from asyncmagic.lint import check_cells, registry

_Cell = tuple[str | None, str]


def main(arguments: list[str] | None = None) -> int:
    """Print what is wrong, and return 1 if any error was found, 2 if a file could not be read."""
    parser = argparse.ArgumentParser(prog="python -m asyncmagic", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="look for missing awaits in notebooks and Python files")
    checking.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a .ipynb or .py file")
    checking.add_argument("--rule", action="append", metavar="RULE", help=f"only these rules: {', '.join(registry)}")
    checking.add_argument("--advice", action="store_true", help="advice too, not only errors")
    options = parser.parse_args(arguments)
    for rule in options.rule or ():
        if rule not in registry:
            parser.error(f"no rule is called {rule!r}; known are {', '.join(registry)}")
    status = 0
    for path in options.files:
        try:
            cells = list(_cells(path))
        except (OSError, ValueError) as error:
            print(f"{path}: cannot be read: {error}", file=sys.stderr)
            status = 2
            continue
        if _check_file(path, cells, options.rule, shows_advice=options.advice):
            status = status or 1
    return status


def _cells(path: Path) -> Iterator[_Cell]:
    """The code cells of a notebook with their labels, or the one text of a Python file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        try:
            ast.parse(text)
        except SyntaxError as error:
            raise ValueError(f"line {error.lineno}: {error.msg}") from None
        yield None, text
        return
    document = json.loads(text)
    if not isinstance(document, dict) or "cells" not in document:
        raise ValueError("this is no notebook")
    number = 0
    for cell in document["cells"]:
        if cell.get("cell_type") == "code":
            number += 1
            source = cell.get("source", "")
            yield f"cell {number}", "".join(source) if isinstance(source, list) else source


def _check_file(path: Path, cells: list[_Cell], rules: list[str] | None, *, shows_advice: bool) -> bool:
    """Print what is wrong with one file; True if there is an error."""
    is_script = path.suffix != ".ipynb"
    # A script has no running loop: `asyncio.run` is what it needs.
    names = [name for name in rules or registry if rules or not is_script or name != "asyncio-run"]
    has_error = False
    reports = check_cells([s for _, s in cells], rules=names, is_script=is_script)
    for (label, source), found in zip(cells, reports, strict=True):
        shown = [d for d in found if shows_advice or d.severity == "error"]
        if shown:
            where = str(path) if label is None else f"{path}, {label}"
            print(render_text(shown, source, cell_label=where, color=sys.stdout.isatty()))
            has_error = has_error or any(d.severity == "error" for d in shown)
    return has_error


if __name__ == "__main__":
    sys.exit(main())
