"""Who may import whom, kept true: downwards only, and neighbours are strangers."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncmagic.exporters import EXPORTERS
from asyncmagic.instrumentation import INSTRUMENTORS
from asyncmagic.lint import registry as RULES

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "asyncmagic"
FILES = sorted(PACKAGE.rglob("*.py"))

#: The ground floor first. A room is a file or a folder of the package; it imports from the floors below its own.
FLOORS = (
    {"registry", "diagnostics", "assets", "holding", "slots"},
    {"tracing", "simulator"},
    {"instrumentation", "layout"},
    {"delta"},
    {"exporters", "widget", "terminal"},
    {"costs", "lint", "runner", "kernel", "nesting", "tasks", "wrappers"},
    {"cell", "session", "rewrite"},
    {"doctor", "watcher"},
    {"magics", "__main__"},
    {"__init__"},
)
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}

#: What these tables name is reached through them, and through nothing else.
DOORS = (RULES, INSTRUMENTORS, EXPORTERS)
ACQUAINTED = {
    ("exporters.html", "exporters.svg"),  # the page that a browser without scripts shows is that picture
    ("exporters.svg", "exporters.bars"),  # a picture, and the bars in its rows
    ("exporters.svg", "exporters.drawing"),  # what a picture shows, and what it is drawn with
    ("exporters.bars", "exporters.drawing"),
    *(("exporters.output", f"exporters.{name}") for name in ("html", "svg", "text")),  # one run in all of them
    ("exporters.report", "exporters.text"),  # the report speaks in the same words
}

#: The libraries that a room stands on. An instrumentor or exporter imports its own when it is used, not before.
LIBRARIES = {
    "__init__": {"IPython"},
    "magics": {"IPython"},
    "watcher": {"IPython", "traitlets"},
    "rewrite": {"IPython"},
    "session": {"IPython"},
    "kernel": {"IPython", "ipykernel"},
    "widget": {"IPython", "anywidget", "traitlets"},
    "simulator": {"tornado"},
}
IN_FUNCTIONS = {"instrumentation", "exporters"}

#: Named after what they are about, inside a folder where no import can mistake them for the standard library's.
NAMESAKES = {"exporters.html", "instrumentation.http"}


def name_of(path: Path) -> str:
    """`exporters.html` of a file, and `exporters` of a folder's face."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST, name: str, is_face: bool) -> Iterator[str]:
    """The dotted names of what a file imports, wherever in the file it does so; ours begin with `asyncmagic`."""
    own = f"asyncmagic.{name}".split(".")
    folder = own if is_face else own[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = folder[: len(folder) + 1 - node.level] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def ours(path: Path) -> set[str]:
    """The files of the package that a file imports, by name."""
    found = set()
    for imported in imports(ast.parse(path.read_text("utf-8")), name_of(path), path.stem == "__init__"):
        parts = imported.split(".")
        if parts[0] == "asyncmagic":
            while parts[1:] and not is_file(parts[1:]):
                parts.pop()  # the last part is a thing in a file
            found.add(".".join(parts[1:]) or "__init__")
    return found - {name_of(path)}


def is_file(parts: list[str]) -> bool:
    place = PACKAGE.joinpath(*parts)
    return place.is_dir() or place.with_suffix(".py").is_file()


def libraries(path: Path, *, at_once: bool) -> set[str]:
    """The libraries beside the standard one that a file imports: anywhere in it, or as soon as it is imported."""
    tree = ast.parse(path.read_text("utf-8"))
    if at_once:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                node.body = []
    roots = {name.split(".")[0] for name in imports(tree, name_of(path), path.stem == "__init__")}
    return roots - sys.stdlib_module_names - {"asyncmagic", "__future__"}


def test_imports_are_found_in_whatever_way_they_are_written():
    source = """
import json, asyncmagic.layout
from . import semconv
from .model import Span
from ..layout import Layout
from asyncmagic import session
if TYPE_CHECKING:
    from IPython.display import HTML
def late():
    from tornado import web
"""
    expected = {"json", "asyncmagic.layout", "asyncmagic.tracing.semconv", "asyncmagic.tracing.model.Span"}
    expected |= {"asyncmagic.layout.Layout", "asyncmagic.session", "IPython.display.HTML", "tornado.web"}
    assert set(imports(ast.parse(source), "tracing.tracer", is_face=False)) == expected
    assert list(imports(ast.parse("from .model import Span"), "tracing", is_face=True)) == [
        "asyncmagic.tracing.model.Span"
    ]


every_file = pytest.mark.parametrize("path", FILES, ids=name_of)


@every_file
def test_a_file_imports_from_the_floors_below_it_only(path):
    room = name_of(path).split(".")[0]
    assert room in FLOOR_OF, f"put {room} on its floor in FLOORS"
    others = {name.split(".")[0] for name in ours(path)} - {room}
    assert {other for other in others if FLOOR_OF[other] >= FLOOR_OF[room]} == set()


@every_file
def test_what_stands_behind_a_door_is_reached_through_its_table_only(path):
    references = [reference for table in DOORS for reference in table.references.values()]
    behind = {reference.split(":")[0].removeprefix("asyncmagic.") for reference in references}
    assert {(name_of(path), other) for other in ours(path) & behind} - ACQUAINTED == set()


@every_file
def test_a_file_imports_only_the_libraries_that_its_room_stands_on(path):
    room = name_of(path).split(".")[0]
    assert libraries(path, at_once=room in IN_FUNCTIONS) - LIBRARIES.get(room, set()) == set()


@every_file
def test_no_file_is_named_after_a_module_of_the_standard_library(path):
    assert path.stem not in sys.stdlib_module_names or name_of(path) in NAMESAKES


def test_importing_asyncmagic_costs_the_standard_library_alone():
    program = "import sys; before = set(sys.modules); import asyncmagic; print(*sys.modules.keys() - before)"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {name.split(".")[0] for name in loaded.stdout.split()} - sys.stdlib_module_names == {"asyncmagic"}
