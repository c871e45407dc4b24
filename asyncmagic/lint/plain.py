"""From a cell's text to a syntax tree: magics, shell lines and help become harmless Python on the same lines."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Final

_MAX_CHARACTERS: Final = 150_000
_MAX_MAGICS: Final = 60
#: Cell magics whose body is Python.
_PYTHON_MAGICS: Final = frozenset({"agents", "asynctrace", "time", "timeit", "capture", "prun", "python3_local"})
#: Line magics that run the statement after them.
_RUNNING_MAGICS: Final = frozenset({"time", "timeit", "prun", "asynctrace", "await"})
_MAGIC: Final = re.compile(r"^(?P<indent>\s*)%(?P<name>[\w.]+)(?P<rest>.*)$", re.DOTALL)
_ASSIGNED: Final = re.compile(r"^(?P<target>\s*[^=!%'\"()]+=\s*)(?P<command>[!%].*)$")
_OPTION: Final = re.compile(r"\s*-\w+(?:\s+\d+)?(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Plain:
    """The cell as plain Python; `is_agents` under `%%agents`."""

    tree: ast.Module
    is_agents: bool


def plain_python(source: str) -> Plain | None:
    """The cell's tree, its line numbers the user's own; None where it is not Python."""
    if len(source) > _MAX_CHARACTERS:
        return None
    lines = source.split("\n")
    is_agents = False
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        if not line.startswith("%%"):
            break
        name = re.match(r"%%(\w*)", line)
        if name is None or name[1] not in _PYTHON_MAGICS:
            return None
        is_agents = is_agents or name[1] == "agents"
        lines[number] = ""
    for _ in range(_MAX_MAGICS):
        try:
            return Plain(ast.parse("\n".join(lines)), is_agents)
        except SyntaxError as error:
            if error.lineno is None or not _neutralise(lines, error.lineno - 1):
                return None
        except (ValueError, RecursionError, MemoryError):
            return None
    return None


def _neutralise(lines: list[str], number: int) -> bool:
    """Turn a line that only IPython understands into Python; False if it is no such line."""
    for candidate in range(number, max(-1, number - 3), -1):
        if candidate < len(lines):
            new = _python_line(lines[candidate])
            if new is not None:
                last = candidate
                while lines[last].rstrip().endswith("\\") and last + 1 < len(lines):
                    last += 1
                    lines[last - 1 if last - 1 > candidate else candidate] = ""
                    lines[last] = lines[last] if lines[last].rstrip().endswith("\\") else ""
                lines[candidate] = new
                return True
    return False


def _python_line(line: str) -> str | None:
    indent = line[: len(line) - len(line.lstrip())]
    stripped = line.strip()
    found = _MAGIC.match(line)
    if found:
        rest = found["rest"]
        if found["name"] in _RUNNING_MAGICS:
            while (option := _OPTION.match(rest)) is not None:
                rest = " " * option.end() + rest[option.end() :]
            body = rest.strip()
            if body and _is_python(body):
                column = line.index(body, len(indent) + 1)
                opening = "(" if _is_expression(body) else "if 1:"
                return indent + opening.ljust(column - len(indent)) + body + (")" if opening == "(" else "")
        return indent + "pass"
    if stripped.startswith(("!", "?")) or stripped.rstrip(";").endswith("?"):
        return indent + "pass"
    assigned = _ASSIGNED.match(line)
    if assigned:
        return assigned["target"] + "get_ipython()"
    return None


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        return False
    return True


def definitions(source: str) -> list[ast.stmt]:
    """What later cells build on: the imports, definitions and assignments of a cell, moved above line 1."""
    plain = plain_python(source)
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    found: list[ast.stmt] = [node for node in plain.tree.body if isinstance(node, kinds)] if plain is not None else []
    for node in found:
        ast.increment_lineno(node, -1_000_000)
    return found
