"""What a trace says of the cell's own lines: which held the loop, and what awaiting one after another has cost."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import pairwise

from asyncmagic.tracing import Span, Trace
from asyncmagic.tracing.semconv import BLOCKED_BY, CODE_FILE, CODE_LINE, CODE_STACK


def sequence_cost(line: int, source: str, file: str, trace: Trace) -> str | None:
    """Say what the awaits around `line` of a cell took one after another, where the trace knows it.

    `file` is the name under which the cell was compiled. The time of an await is that of the model calls which were
    made on its line; together they would take as long as the longest.
    """
    lines = _lines_of_sequence(line, source)
    calls = _calls(trace, file, lines)
    times = [(stop - start) / 1e9 for start, stop in calls]
    if len(times) < 2 or any(later < stop for (_, stop), (later, _) in pairwise(calls)):
        return None
    return (
        f"these {len(times)} awaits took {sum(times):.1f} s one after another; together they would take about "
        f"{max(times):.1f} s"
    )


def blocking_lines(trace: Trace) -> dict[tuple[str, int], float]:
    """Return the lines that held the loop, by file and line number, with the longest time of each in seconds."""
    held: dict[tuple[str, int], float] = {}
    for span in trace.spans:
        file, line = span.attributes.get(CODE_FILE), span.attributes.get(CODE_LINE)
        by = str(span.attributes.get(BLOCKED_BY, ""))
        if by.startswith(("import ", "from ")) or by == "garbage collection":
            continue  # It happens once, or anywhere: the line is not to blame.
        if span.kind == "blocked" and span.end is not None and isinstance(file, str) and isinstance(line, int):
            held[file, line] = max(held.get((file, line), 0.0), (span.end - span.start) / 1e9)
    return held


def _lines_of_sequence(line: int, source: str) -> range:
    """Return the lines of the neighbouring statements that await, around the one on `line`."""
    try:
        tree = ast.parse(_without_magics(source))
    except SyntaxError:
        return range(line, line + 1)
    for node in ast.walk(tree):
        for block in (getattr(node, "body", None), getattr(node, "orelse", None)):
            if isinstance(block, list):
                at = next((i for i, one in enumerate(block) if one.lineno <= line <= (one.end_lineno or 0)), None)
                if at is not None and not isinstance(
                    block[at], ast.For | ast.AsyncFor | ast.While | ast.AsyncFunctionDef
                ):
                    return _spread(block, at)
    return range(line, line + 1)


def _spread(block: Sequence[ast.stmt], at: int) -> range:
    first = last = at
    while first > 0 and _awaits(block[first - 1]):
        first -= 1
    while last + 1 < len(block) and _awaits(block[last + 1]):
        last += 1
    return range(block[first].lineno, (block[last].end_lineno or block[last].lineno) + 1)


def _awaits(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Await) for node in ast.walk(statement))


def _without_magics(source: str) -> str:
    return "\n".join("" if line.startswith(("%", "!")) else line for line in source.split("\n"))


def _calls(trace: Trace, file: str, lines: range) -> list[tuple[int, int]]:
    """Return start and end of what was awaited: all the calls of a line, or, on one line in a loop, each of them."""
    by_line: dict[int, list[Span]] = {}
    for span in trace.spans:
        line = _line_in(span, file)
        if span.kind in ("chat", "embeddings") and span.has_ended and line is not None and line in lines:
            by_line.setdefault(line, []).append(span)
    groups = [[span] for span in next(iter(by_line.values()))] if len(by_line) == 1 else list(by_line.values())
    return sorted((min(span.start for span in group), max(span.end or 0 for span in group)) for group in groups)


def _line_in(span: Span, file: str) -> int | None:
    """Return the line of the cell, the outermost on the stack, from which a call was made."""
    for frame in reversed(str(span.attributes.get(CODE_STACK, "")).split("\n")):
        place, _, _ = frame.rpartition(" ")
        name, _, line = place.rpartition(":")
        if name == file and line.isdigit():
            return int(line)
    return None
