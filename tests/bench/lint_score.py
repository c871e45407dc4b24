"""`python -m tests.bench.lint_score [cases|mutants|libraries|peers]`: how right the rules are, and how quick.

cases      precision and recall per rule on the labelled and the marked cells, and the time per cell
mutants    clean cells with one `await` or `async` taken out, run to see if it matters: found before, or after the run
libraries  reports per 1,000 awaits in the code of installed libraries, on their live modules
peers      mypy, pyright, ty, pyrefly, ruff and flake8-async on the labelled cells, those that are installed
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import gc
import importlib
import inspect
import io
import json
import logging
import pkgutil
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tokenize
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from asyncmagic.instrumentation.never_awaited import Aftermath
from asyncmagic.lint import RULES, check
from tests.lint.cells import MarkedCell, labelled_cells, live_namespace, marked_cells, missing_library

LIBRARIES = [
    *["asyncio", "httpx", "httpcore", "httpx2", "anyio", "aiohttp", "openai", "anthropic"],
    *["google.genai", "tornado", "jupyter_client", "jupyter_server", "ipykernel", "nbclient", "websockets", "tenacity"],
    *["starlette", "fastapi", "uvicorn", "mcp", "redis", "langchain_core", "langgraph", "distributed"],
    *["ipyparallel", "motor", "asyncpg", "aiofiles", "aiosqlite", "agents", "pydantic_ai", "elasticsearch"],
    *["aiokafka", "trio"],
]
FAMILY = {"missing-await", "coroutine-left", "missing-async", "await-non-awaitable", "async-callback", "api-misuse"}
ADVICE = {"sequential-awaits", "atomic-update", "swallowed-cancel", "unchecked-exceptions"}


def usable() -> list[MarkedCell]:
    return [cell for cell in [*labelled_cells(), *marked_cells()] if missing_library(cell) is None]


def cases() -> None:
    right: Counter[str] = Counter()
    false: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    times = []
    for cell in usable():
        with live_namespace(cell) as namespace:
            begin = time.perf_counter()
            found = check(cell.source, namespace)
            times.append(time.perf_counter() - begin)
        still = list(cell.expected)
        for diagnostic in found:
            match = [e for e in still if e.rule == diagnostic.rule and diagnostic.line in e.lines]
            if match:
                still.remove(match[0])
                right[diagnostic.rule] += 1
            else:
                false[diagnostic.rule] += 1
        missed.update(expected.rule for expected in still)
    print("| rule | n | precision | recall |\n|---|---|---|---|")
    for rule in RULES:
        n = right[rule] + missed[rule]
        precision = right[rule] / max(1, right[rule] + false[rule])
        print(f"| {rule} | {n} | {precision:.2f} | {right[rule] / max(1, n):.2f} |")
    times.sort()
    p50, p95 = (times[int(len(times) * part)] * 1e3 for part in (0.5, 0.95))
    print(f"{len(times)} cells: p50 {p50:.2f} ms, p95 {p95:.2f} ms, longest {times[-1] * 1e3:.0f} ms")


def mutants_of(source: str) -> Iterator[tuple[int, str]]:
    """The source with one `await` or `async` taken out, and the line where it stood."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return
    for token in tokens:
        if token.string in ("await", "async") and token.type == tokenize.NAME:
            lines = source.split("\n")
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column] + lines[row - 1][token.end[1] :].lstrip()
            with contextlib.suppress(SyntaxError):
                ast.parse("\n".join(lines))
                yield row, "\n".join(lines)


def observed(cell: MarkedCell, source: str) -> tuple[bool, bool]:
    """Whether running the source shows a mistake at all, and whether the run-time watch tells of it."""
    with live_namespace(cell) as namespace:
        filename = "<mutant>"
        watch = Aftermath(namespace, {filename: ("1", source)}.get)

        async def run() -> tuple[bool, bool]:
            watch.start("1")
            error = None
            try:
                code = compile(source, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    result = eval(code, namespace)
                    if inspect.iscoroutine(result):
                        await asyncio.wait_for(result, 5)
            except (Exception, SystemExit) as caught:
                error = caught
            told = watch.finish(None, error)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            return error is not None or bool(told), bool([d for d in told if d.rule in FAMILY])

        try:
            return asyncio.run(run())
        finally:
            watch.close()


def mutants() -> None:
    static = either = total = 0
    misses = []
    for cell in usable():
        if cell.expected or any(
            word in cell.source
            for word in (
                "OpenAI",
                "client.",
                "claude.",
                "http.",
                "http://",
                "localhost",
                "input(",
                "nest_asyncio",
                "loop",
                "worker(",
            )
        ):
            continue
        if observed(cell, cell.source)[0]:
            continue
        for line, mutant in mutants_of(cell.source):
            is_seen, is_told = observed(cell, mutant)
            if not is_seen:
                continue
            with live_namespace(cell) as namespace:
                found = any(d.rule in FAMILY for d in check(mutant, namespace))
            total += 1
            static += found
            either += found or is_told
            if not found:
                misses.append((cell.name, line, is_told))
    gc.collect()
    print(f"{total} mutants that matter: static {static / total:.2f}, static or at run time {either / total:.2f}")
    for name, line, is_told in misses:
        print(f"  missed: {name} line {line}{'' if is_told else ', also at run time'}")


def modules_of(name: str) -> Iterator[ModuleType]:
    package = importlib.import_module(name)
    yield package
    for found in pkgutil.walk_packages(getattr(package, "__path__", []), name + "."):
        if not re.search(r"test|__main__|conftest", found.name):
            with contextlib.suppress(BaseException):
                yield importlib.import_module(found.name)


def libraries() -> None:
    lines = awaits = definitions = 0
    reports: Counter[str] = Counter()
    for name in LIBRARIES:
        try:
            modules = list(modules_of(name))
        except BaseException as error:
            print(f"{name}: left out ({type(error).__name__})")
            continue
        for module in modules:
            path = getattr(module, "__file__", None) or ""
            if not path.endswith(".py"):
                continue
            source = Path(path).read_text("utf-8", "replace")
            lines += source.count("\n")
            for node in ast.parse(source).body:
                inside = sum(isinstance(n, (ast.Await, ast.AsyncFor, ast.AsyncWith)) for n in ast.walk(node))
                if inside and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    awaits += inside
                    definitions += 1
                    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                    part = "\n".join(source.split("\n")[first - 1 : node.end_lineno])
                    for found in check(part, vars(module)):
                        reports[found.rule] += 1
                        if found.rule not in ADVICE:
                            print(f"{module.__name__}:{first + found.line - 1} {found.rule}: {found.message}")
    errors = sum(count for rule, count in reports.items() if rule not in ADVICE)
    print(f"{lines:,} lines, {definitions:,} functions and classes, {awaits:,} awaits: {dict(reports)}")
    print(f"{1000 * errors / max(1, awaits):.2f} errors reported per 1,000 awaits")


PEERS: dict[str, tuple[str, ...]] = {
    "mypy": (
        "--check-untyped-defs",
        "--ignore-missing-imports",
        "--enable-error-code=unused-awaitable",
        "--enable-error-code=truthy-bool",
        "--disable-error-code=top-level-await",
        "--no-error-summary",
    ),
    "pyright": ("--pythonpath", sys.executable),
    "ty": ("check", "--output-format=concise", "--python", sys.prefix),
    "pyrefly": (
        "check",
        "--preset=default",
        "--output-format=min-text",
        "--python-interpreter-path",
        sys.executable,
    ),
    "ruff": ("check", "--preview", "--select=ASYNC,RUF006,PLE,F704", "--output-format=concise", "--no-cache"),
    "flake8": ("--select=ASYNC",),
}
NOTEBOOK_READERS = {"ty", "pyrefly", "ruff"}
_RELATED = re.compile(r"dangling|blocking|run-process|await|async|coroutine|RUF006|truthy", re.IGNORECASE)
#: Complaints about `await` at the top level, which a notebook allows, and about styles that are not asked for.
_IGNORED = re.compile(
    r"(in|out|with)(side|in) (of )?(an )?(async|asynchronous)? ?function|invalid-syntax|outside-(async|function)"
    r"|not be resolved|missing-import|ASYNC9|ASYNC124|ASYNC127|ASYNC106"
)


def peers() -> None:
    cells = [cell for cell in labelled_cells() if not re.search(r"^\s*[%!]|= !", cell.source, re.MULTILINE)]
    print("| checker | recall | clean cells with a report |\n|---|---|---|")
    ours: list[str] = []
    for number, cell in enumerate(cells):
        if missing_library(cell) is None:
            with live_namespace(cell) as namespace:
                offset = cell.setup.count("\n") + 1
                ours += [f"cell{number}.py:{d.line + offset} await" for d in check(cell.source, namespace)]
    _peer_row("asyncmagic", cells, "\n".join(ours))
    for name, options in PEERS.items():
        beside = Path(sys.executable).with_name(name)
        command = str(beside) if beside.exists() else shutil.which(name)
        if command is None:
            print(f"| {name} | not installed | |")
            continue
        with tempfile.TemporaryDirectory() as folder:
            for number, cell in enumerate(cells):
                _write(Path(folder, f"cell{number}"), cell, as_notebook=name in NOTEBOOK_READERS)
            out = subprocess.run([command, *options, folder], capture_output=True, text=True, check=False, cwd=folder)
        _peer_row(name, cells, out.stdout + out.stderr)


def _write(path: Path, cell: MarkedCell, *, as_notebook: bool) -> None:
    """The setup and the cell as a notebook of two cells, or as one Python file."""
    if not as_notebook:
        path.with_suffix(".py").write_text(f"{cell.setup}\n{cell.source}\n")
        return
    parts = [
        {"cell_type": "code", "source": text, "metadata": {}, "outputs": [], "execution_count": None, "id": str(number)}
        for number, text in enumerate([cell.setup or "pass", cell.source])
    ]
    document = {"cells": parts, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
    path.with_suffix(".ipynb").write_text(json.dumps(document))


def _peer_row(name: str, cells: list[MarkedCell], output: str) -> None:
    said: dict[int, set[int]] = {}
    for match in re.finditer(r"cell(\d+)\.(?:py:(\d+)|ipynb(?::cell |#)2:(\d+))(.*)", output):
        if _RELATED.search(match[4]) and not _IGNORED.search(match[4]):
            number = int(match[1])
            line = int(match[3]) if match[3] else int(match[2]) - cells[number].setup.count("\n") - 1
            said.setdefault(number, set()).add(line)
    hits = total = false = 0
    for number, cell in enumerate(cells):
        lines = {line for line in said.get(number, ()) if line > 0}
        total += len(cell.expected)
        hits += sum(bool(lines & set(expected.lines)) for expected in cell.expected)
        false += not cell.expected and bool(lines)
    clean = sum(not cell.expected for cell in cells)
    print(f"| {name} | {hits / total:.2f} | {false} of {clean} |")


PARTS: dict[str, Callable[[], None]] = {"cases": cases, "mutants": mutants, "libraries": libraries, "peers": peers}


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable()
    for name in sys.argv[1:] or ["cases", "mutants", "peers"]:
        print(json.dumps(name).strip('"'))
        PARTS[name]()


if __name__ == "__main__":
    main()
