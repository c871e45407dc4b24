"""The timeline as text: a row per agent on one time axis, as wide as the terminal."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from typing import TypeVar

from asyncmagic.exporters.terminal import Piece, Terminal, cells, fit, safe
from asyncmagic.exporters.view import View
from asyncmagic.layout import CALL_KINDS, Block, Row, begin, states_of
from asyncmagic.tracing import semconv
from asyncmagic.tracing.analysis import first_token_words, progress
from asyncmagic.tracing.intervals import most_at_once
from asyncmagic.tracing.limits import place
from asyncmagic.tracing.model import Span, Trace
from asyncmagic.tracing.reading import Reading
from asyncmagic.tracing.wording import duration

#: More agents than this are cut down to those that failed or were slowest.
MOST_ROWS = 20
OUTCOMES = {"open": "•", "done": "✓", "failed": "✕", "cancelled": "⊘"}

_MOST_SUBS, _MOST_LINES = 4, 48
_GLYPHS = {
    "queued": ("·", "queued"),
    "running": ("█", "running"),
    "waiting": ("░", "waiting"),
    "ready": ("▓", "ready, loop busy"),
    "work": ("▒", "at work"),
    "chat-wait": ("╌", "to first token"),
    "first": ("◆", "first token"),
    "chat": ("━", "model answers"),
    "retried": ("✕", "failed attempt"),
    "back-off": ("·", "back-off"),
    "blocked": ("▚", "loop blocked"),
}
_MARKS = ("first", "retried")
_HEIGHTS = " ▁▂▃▄▅▆▇█"

#: A stretch of time (ns) and how it is drawn.
_Stretch = tuple[int, int, str]
_T = TypeVar("_T")


def to_text(trace: Trace, *, width: int | None = None, color: bool | None = None) -> str:
    """Return the timeline as text.

    `width` is in columns, at least 60; left out, it is the terminal's. `color` asks for ANSI colours; left out, they
    are used on a terminal unless `NO_COLOR` is set. Of very many agents, those that failed or were slowest are shown.
    """
    return draw(View(trace), width=width, color=color)


def draw(view: View, *, width: int | None = None, color: bool | None = None) -> str:
    """Return the timeline as text, see `to_text`."""
    return _Timeline(view, Terminal.of(width, color)).text()


@dataclass(slots=True)
class _Line:
    """What stands left of the bar, how the bar is drawn in so many columns, what stands right of it and below it."""

    label: str
    bar: Callable[[int], Iterable[Piece]]
    note: str = ""
    style: str = ""
    below: str = ""


class _Timeline:
    def __init__(self, view: View, terminal: Terminal) -> None:
        self.view = view
        self.terminal = terminal
        self.layout = view.layout
        self.start = self.layout.origin
        self.end = max(self.layout.end, self.start + 1)
        self.used: set[str] = set()
        self.attempts: dict[int, list[Span]] = defaultdict(list)
        calls = {span.span_id for span in self.layout.spans if span.kind in CALL_KINDS}
        self.in_call: set[int] = set()
        for span in self.layout.spans:
            if span.kind == "http" and span.parent_id in calls:
                self.in_call.add(span.span_id)
                if semconv.FOLLOWED_BY not in span.attributes:
                    self.attempts[span.parent_id].append(span)
        #: By row, how many spans have no sub-row, since it has too many.
        self.unplaced = Counter(
            self.layout.row[index]
            for index, span in enumerate(self.layout.spans)
            if self.layout.sub[index] < 0 and span.kind != "blocked" and self._is_worth_a_line(span)
        )

    def text(self) -> str:
        lines = [*self._in_flight(), *self._rows(), *self._blocked()]
        third = self.terminal.width // 3
        names = min(max((cells(safe(line.label)) for line in lines), default=0), third)
        notes = min(max((cells(safe(line.note)) for line in lines), default=0), third)
        width = self.terminal.width - names - notes - 4
        drawn: list[list[Piece]] = [[(self.view.headline, "bold")]]
        if self.view.trace.is_running:
            drawn.append([(progress(Reading(self.view.trace)), "")])
        drawn.append([(" " * (names + 2) + self._axis(width), "dim")])
        for line in lines:
            label, note = fit(line.label, names), fit(line.note, notes)
            drawn.append([(label, line.style), (" │", "dim"), *line.bar(width), ("│ ", "dim"), (note, line.style)])
            if line.below:
                below = fit(line.below, self.terminal.width - names - 3)
                drawn.append([(" " * names, ""), (" │ ", "dim"), (below, "failed")])
        drawn += self._legend()
        return "\n".join(map(self.terminal.line, drawn))

    # -- lines

    def _rows(self) -> Iterator[_Line]:
        blocks = [block for block in self.view.blocks if self._is_worth_a_block(block)]
        shown = _worst(blocks, lambda block: self._badness(max(map(self._owner, block.rows), key=self._badness)))
        subs = min(_MOST_SUBS, max(_MOST_LINES // max(len(shown), 1) - 1, 0))
        for block in shown:
            if block.is_folded:
                rows = _worst(block.rows, lambda row: self._badness(self._owner(row)))
                for row in rows:
                    yield self._agent(row.name, self._owner(row), block.depth)
                yield _more(len(block.rows) - len(rows))
            else:
                yield self._agent(block.name, self._owner(block.rows[0]), block.depth)
                yield from self._parts(block, subs)
        if len(shown) < len(blocks):
            yield _more(len(blocks) - len(shown))

    def _parts(self, block: Block, most: int) -> Iterator[_Line]:
        lines = [[self.layout.spans[index] for index in line] for line in block.lines[1:]]
        lines = [shown for line in lines if (shown := [span for span in line if self._is_worth_a_line(span)])]
        for spans in lines[:most]:
            yield self._part(spans, block.depth + 1)
        more = sum(map(len, lines[most:])) + self.unplaced[block.rows[0].index]
        if most and more:
            yield _more(more, block.depth + 1)

    def _agent(self, name: str, span: Span, depth: int) -> _Line:
        begun = begin(span)
        time = duration((self._end(span) - begun) / 1e9) if begun is not None else "queued"
        return _Line(
            "  " * depth + name,
            lambda width: self._bar(self._stretches(span, width), width),
            f"{OUTCOMES[span.outcome]} {time}",
            span.outcome if span.outcome in ("failed", "cancelled") else "",
            error_words(span) if span.outcome == "failed" else cancelled_words(span),
        )

    def _part(self, spans: Sequence[Span], depth: int) -> _Line:
        first = spans[0]
        tokens = sum(_number(span, name) for span in spans for name in (semconv.INPUT_TOKENS, semconv.OUTPUT_TOKENS))
        retries = sum(len(self.attempts[span.span_id]) - 1 for span in spans if span.span_id in self.attempts)
        notes = [f"◆ {words}"] if len(spans) == 1 and (words := first_token_words(first)) else []
        notes += [f"↻{retries}"] if retries else []
        notes += [f"{tokens:,} tok"] if tokens else []
        return _Line(
            "  " * depth + (first.name if len(spans) == 1 else f"{first.name} +{len(spans) - 1}"),
            lambda width: self._bar([drawn for span in spans for drawn in self._stretches(span, width)], width),
            " ".join(notes),
            "failed" if any(span.outcome == "failed" for span in spans) else "",
        )

    def _blocked(self) -> Iterator[_Line]:
        bands: dict[str, list[Span]] = defaultdict(list)
        for index in self.layout.bands:
            band = self.layout.spans[index]
            bands[place(band) or band.name].append(band)
        for where, spans in sorted(bands.items(), key=lambda item: -sum(map(self._length, item[1])))[:3]:
            drawn = [(span.start, self._end(span), "blocked") for span in spans]
            yield _Line(
                f"blocked: {where}",
                partial(self._bar, drawn),
                f"▚ {duration(sum(map(self._length, spans)) / 1e9)}",
                "blocked",
            )
        if len(bands) > 3:
            yield _more(len(bands) - 3)

    def _is_worth_a_block(self, block: Block) -> bool:
        """Whether to show it: a library's short work in a thread says nothing about the agents."""
        owner = self._owner(block.rows[0])
        return owner.kind != "thread" or self._is_worth_a_line(owner)

    def _is_worth_a_line(self, span: Span) -> bool:
        """Whether to show it: attempts are drawn inside their call, and a library's helper tasks are over at once."""
        if span.kind == "http" and span.span_id in self.in_call:
            return False
        return span.kind in CALL_KINDS or span.status == "ERROR" or self._length(span) * 100 >= self.end - self.start

    def _in_flight(self) -> Iterator[_Line]:
        calls = [self.layout.spans[index] for index in self.layout.calls]
        most = most_at_once((span.start, self._end(span)) for span in calls)
        if len(calls) > 1:
            yield _Line("calls in flight", lambda width: [(self._heights(calls, width), "chat")], f"most {most}")

    # -- drawing

    def _stretches(self, span: Span, width: int) -> list[_Stretch]:
        end = self._end(span)
        if span.kind in CALL_KINDS:
            return self._call(span, end)
        if span.states:
            finest = (self.end - self.start) // width // 4
            return [(start, stop, state) for start, stop, state, _ in states_of(span, end, finest)]
        return [(span.start, end, "work")]

    def _call(self, call: Span, end: int) -> list[_Stretch]:
        drawn: list[_Stretch] = []
        begun = call.start
        for attempt, following in pairwise(self.attempts.get(call.span_id, ())):
            failed = self._end(attempt)
            drawn += [(attempt.start, failed, "chat-wait"), (failed, failed, "retried")]
            drawn.append((failed, following.start, "back-off"))
            begun = following.start
        first = next((event.time for event in call.events if event.name == semconv.EVENT_FIRST_CHUNK), None)
        if first is not None:
            return [*drawn, (begun, first, "chat-wait"), (first, first, "first"), (first, end, "chat")]
        return [*drawn, (begun, end, "chat-wait" if call.attributes.get(semconv.REQUEST_STREAM) else "chat")]

    def _bar(self, stretches: Iterable[_Stretch], width: int) -> Iterator[Piece]:
        """Draw in each column what most of its time was; marks stand above all."""
        weights: list[dict[str, float]] = [{} for _ in range(width)]
        for start, stop, style in stretches:
            left, right = self._column(start, width), self._column(stop, width)
            if style in _MARKS:
                weights[min(int(left), width - 1)][style] = float("inf")
                continue
            for column in range(int(left), min(int(right), width - 1) + 1):
                weight = min(right, column + 1) - max(left, column)
                weights[column][style] = weights[column].get(style, 0.0) + max(weight, 1e-9)
        styles = [max(column, key=column.__getitem__) if column else "" for column in weights]
        self.used.update(styles)
        for style, run in groupby(styles):
            glyph = _GLYPHS[style][0] if style else " "
            yield glyph * len(list(run)), "failed" if style == "retried" else style

    def _heights(self, spans: Sequence[Span], width: int) -> str:
        """Draw how many of the spans were open in each column at most."""
        times = [(time, change) for span in spans for time, change in ((span.start, 1), (self._end(span), -1))]
        counts = [0] * width
        current = column = 0
        for time, change in sorted(times):
            here = int(self._column(time, width))
            for passed in range(column, here + 1):
                counts[passed] = max(counts[passed], current)
            column, current = here, current + change
            counts[here] = max(counts[here], current)
        most = max(*counts, 1)
        return "".join(_HEIGHTS[-(-8 * number // most)] for number in counts)

    def _axis(self, width: int) -> str:
        seconds = (self.end - self.start) / 1e9
        step = _round_step(seconds * 14 / width)
        axis, mark = "", 0.0
        while mark <= seconds:
            label = _mark(mark, step) if mark else "0"
            at = int(mark / seconds * (width - 1))
            if at + len(label) <= width:
                axis = axis.ljust(at) + label
            mark += step
        return axis

    def _legend(self) -> list[list[Piece]]:
        lines: list[list[Piece]] = [[]]
        used = 0
        for style, (glyph, words) in _GLYPHS.items():
            if style not in self.used:
                continue
            if used + len(words) + 5 > self.terminal.width:
                lines.append([])
                used = 0
            lines[-1] += [(glyph, "failed" if style == "retried" else style), (f" {words}   ", "dim")]
            used += len(words) + 5
        return lines if lines[0] else []

    # -- times

    def _column(self, time: int, width: int) -> float:
        return min(max((time - self.start) / (self.end - self.start), 0.0), 1.0) * (width - 1e-6)

    def _end(self, span: Span) -> int:
        return span.end if span.end is not None else max(self.end, span.start)

    def _length(self, span: Span) -> int:
        return self._end(span) - span.start

    def _owner(self, row: Row) -> Span:
        return self.layout.spans[row.owner]

    def _badness(self, span: Span) -> tuple[int, int]:
        begun = begin(span)
        return ("done", "open", "cancelled", "failed").index(span.outcome), self._end(span) - (begun or span.start)


def cancelled_words(span: Span) -> str:
    """Return who cancelled a span's task: `cancelled by timeout`, or nothing where nobody was seen."""
    who = span.attributes.get(semconv.CANCELLED_BY)
    return f"cancelled by {who}" if who and span.outcome == "cancelled" else ""


def error_words(span: Span) -> str:
    """Return what a span failed with: `ValueError: no such city`, the first line of it."""
    error = str(span.attributes.get(semconv.ERROR_TYPE, "")).rpartition(".")[2]
    message = span.message.strip().partition("\n")[0]
    return f"{error}: {message}" if message else error


def _worst(items: Sequence[_T], badness: Callable[[_T], tuple[int, int]]) -> list[_T]:
    """Return all of them in their order, or of too many the worst ones, worst first."""
    return list(items) if len(items) <= MOST_ROWS else sorted(items, key=badness, reverse=True)[:MOST_ROWS]


def _more(number: int, depth: int = 0) -> _Line:
    return _Line("  " * depth + f"… and {number:,} more", lambda width: [(" " * width, "")], style="dim")


def _number(span: Span, name: str) -> int:
    value = span.attributes.get(name)
    return int(value) if isinstance(value, int | float) else 0


def _round_step(least: float) -> float:
    """Return 1, 2 or 5 times a power of ten seconds, `least` or more."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _mark(seconds: float, step: float) -> str:
    if step >= 60:
        return duration(seconds)
    if step < 1e-3:
        return f"{seconds * 1e3:.{max(-math.floor(math.log10(step)) - 3, 0)}f} ms"
    if step < 0.1:
        return f"{seconds * 1e3:.0f} ms"
    return f"{seconds:.1f} s" if step < 1 else f"{seconds:.0f} s"
