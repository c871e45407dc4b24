"""The bars of a picture: what each span did, in its line; what they say on them, and which styles they use."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from html import escape
from itertools import groupby, zip_longest

from asyncmagic.exporters.drawing import Bars, edge, fit, n
from asyncmagic.layout import CALL_KINDS, Layout, begin, plain, short_name, states_of
from asyncmagic.tracing import semconv
from asyncmagic.tracing.model import Span
from asyncmagic.tracing.wording import duration

WIDTH = 960
GUTTER = 168
RIBBON = 8
_MOST_LABELS = 60
_MOST_EXACT = 250
_STYLE_OF_KIND = {
    "thread": "thread",
    "process": "thread",
    "invoke_agent": "agent",
    "handoff": "agent",
    "execute_tool": "tool",
    "chat": "chat",
    "embeddings": "chat",
    "http": "http",
}
#: What is drawn over what: in a folded lane an agent's calls stand over its states, the inner ones over the outer.
_UNDER, _BASE, _CALL_UNDER, _CALL, _MARK, _OVER, _WAIT, _TOKEN = range(8)
_INNER = 1 / 1024


@dataclass(frozen=True, slots=True)
class Detail:
    """How much a picture shows: what is narrower than `pixel` melts into its neighbours."""

    pixel: float = 1.0
    has_edges: bool = True

    def less(self, excess: float) -> Detail:
        """Return the next step down for a picture that is `excess` times too large."""
        return Detail(self.pixel if self.has_edges else max(2.0, self.pixel * max(1.6, excess)), has_edges=False)


class Painter:
    """Draws lines of spans on one time axis, and keeps what is to be drawn above them or explained below them."""

    def __init__(self, layout: Layout, detail: Detail) -> None:
        self.layout = layout
        self._end = layout.end  # counted once: while the run goes on it takes a look at every span
        self.length = max(self._end - layout.origin, 1_000)
        self.labels: list[str] = []
        self.used: set[str] = {"chat-edge"}
        self.places: dict[int, tuple[float, float, float, float]] = {}  # left, right, y, height of what is linked
        self._detail = detail
        self._scale = (WIDTH - GUTTER - 12) / self.length
        self.arrows = [
            (index, target)
            for index, span in enumerate(layout.spans)
            if span.kind == "handoff"
            for link in span.links
            if (target := layout.index.get(link.span_id)) is not None
        ]
        self._linked = {index for arrow in self.arrows for index in arrow}
        self._attempts_of: dict[int, list[Span]] = defaultdict(list)
        for index, span in enumerate(layout.spans):
            if self._is_inside(index):
                self._attempts_of[layout.parents[index]].append(span)

    def x(self, time: float) -> float:
        """Return where a time stands, in pixels."""
        return GUTTER + (time - self.layout.origin) * self._scale

    def end(self, span: Span) -> int:
        """Return when a span ended, or the end of the axis."""
        return span.end if span.end is not None else max(self._end, span.start)

    def age(self, span: Span) -> str:
        """Return in words how long a span took since it left the queue."""
        begun = begin(span)
        return duration((self.end(span) - (begun if begun is not None else self.end(span))) / 1e9)

    def _is_inside(self, index: int) -> bool:
        """Whether a span is an attempt, drawn inside its call's bar."""
        parent = self.layout.parents[index]
        is_attempt = self.layout.spans[index].kind == "http"
        return is_attempt and parent >= 0 and self.layout.spans[parent].kind in CALL_KINDS

    def bars(self) -> Bars:
        """Return what the lines of a block are drawn into, together: what they share is written once."""
        return Bars(0.1 if len(self.layout.spans) < _MOST_EXACT else 0.5)

    def line(self, bars: Bars, line: list[int], y: float, height: float, *, is_folded: bool) -> None:
        """Draw the spans of a line into `bars`, `height` pixels high."""
        marks: dict[int, str] = {}
        has_calls = is_folded and any(self.layout.sub[index] for index in line)
        for index in sorted(line, key=lambda index: (self.layout.sub[index], self.layout.spans[index].start)):
            span = self.layout.spans[index]
            start = begin(span) if is_folded else span.start
            if start is None or self._is_inside(index):
                continue
            left, right = self.x(start), self.x(self.end(span))
            if right - left >= self._detail.pixel * 1.5:
                self._bar(bars, index, left, right, y, height, is_folded=is_folded, has_calls=has_calls)
                continue
            # What is narrower than a pixel is a mark in its column; where something failed, that is what it shows.
            column, style = int((left - GUTTER) / self._detail.pixel), _style(span)
            if column not in marks or style == "failed":
                marks[column] = style
        self._marks(bars, marks, y, height)

    def _marks(self, bars: Bars, marks: dict[int, str], y: float, height: float) -> None:
        """Draw marks by column; those of one style beside each other are one rectangle."""
        pixel = self._detail.pixel
        columns = sorted(marks)
        for (style, _), run in groupby(enumerate(columns), lambda place: (marks[place[1]], place[1] - place[0])):
            first, *rest = (column for _, column in run)
            bars.add(f"dense {style}-edge", GUTTER + first * pixel, (1 + len(rest)) * pixel, y, height, layer=_MARK)

    def _bar(
        self,
        bars: Bars,
        index: int,
        left: float,
        right: float,
        y: float,
        height: float,
        *,
        is_folded: bool,
        has_calls: bool,
    ) -> None:
        span, style, width = self.layout.spans[index], _style(self.layout.spans[index]), right - left
        states = states_of(span, self._end, int(self._detail.pixel / self._scale)) if width > 3 else []
        is_over = is_folded and self.layout.sub[index] > 0
        around = ("waiting-edge" if height <= RIBBON else "running-edge") if states and style == "span" else edge(style)
        # An agent's edge in a folded lane is hidden by that of its call.
        if self._detail.has_edges and height > 6 and width >= 4 and (is_over or not has_calls):
            bars.add(around, left, width, y, height, layer=_CALL_UNDER if is_over else _UNDER)
            left, right, y, height = left + 1, right - 1, y + 1, height - 2
        layer = _CALL + self.layout.sub[index] * _INNER if is_over else _BASE
        first = next((event.time for event in span.events if event.name == semconv.EVENT_FIRST_CHUNK), None)
        if states:
            for begun, end, state, _ in states:
                at, to = max(self.x(begun), left), min(self.x(end), right)
                if to > at and not (is_folded and state == "queued"):
                    bars.add(state, at, to - at, y, height, layer=layer)
            if span.outcome in ("failed", "cancelled"):
                bars.add(style, max(left, right - 6), min(6, right - left), y, height, layer=_OVER)
        elif span.kind in CALL_KINDS and style == "chat":
            split = min(max(self.x(first), left), right) if first is not None else right if span.end is None else left
            if split > left:
                bars.add("chat-wait", left, split - left, y, height, layer=layer)
            if right > split:
                bars.add("chat", split, right - split, y, height, layer=layer)
        else:
            bars.add(style, left, right - left, y, height, layer=layer)
        begins = left
        if span.kind in CALL_KINDS and width > 12:
            begins = self._attempts(bars, index, left, right, y, height)
        if first is not None and width > 12:
            bars.add("token", self.x(first) - 1, 2, y, height, layer=_TOKEN)
        if index in self._linked:
            self.places[index] = (left, right, y, height)
        if height > 11 and not is_over and len(self.labels) < _MOST_LABELS:
            self._label(index, begins, right, y + height / 2 + 4, is_folded=is_folded, has_halo=bool(states))

    def _attempts(self, bars: Bars, index: int, left: float, right: float, y: float, height: float) -> float:
        """Draw waits for a connection, failed attempts and back-offs into a call; return where the last one begins."""
        attempts = self._attempts_of.get(index, [])
        begins = left
        for attempt, follower in zip_longest(attempts, attempts[1:]):
            begins, b = max(self.x(attempt.start), left), min(self.x(self.end(attempt)), right)
            status, wait = attempt.attributes.get(semconv.HTTP_STATUS), attempt.attributes.get(semconv.CONNECTION_WAIT)
            is_refused = isinstance(status, int) and status >= 400
            if attempt.outcome == "failed" or is_refused:
                bars.add("failed", begins, max(b - begins, 1.5), y, height, layer=_OVER)
            if isinstance(wait, int | float) and wait > 0.001:
                width = min(wait * 1e9 * self._scale, right - begins)
                bars.add("connect", begins, width, y, height, layer=_WAIT)
                begins += width
            if follower is not None:
                c = min(self.x(follower.start), right)
                if c - b > 1:
                    bars.add("backoff", b, c - b, y, height, layer=_WAIT)
                # A refused attempt is short: its status may stand in the pause after it.
                if is_refused and c - begins > 26 and height > 11:
                    middle = y + height / 2
                    self.labels.append(
                        f'<path class="ground" stroke-width="12" d="M{n(begins + 1)} {n(middle)}h22"/>'
                        f'<text class="r" x="{n(begins + 3)}" y="{n(middle + 3.5)}">{status}</text>'
                    )
        return begins

    def _label(self, index: int, left: float, right: float, y: float, *, is_folded: bool, has_halo: bool) -> None:
        span = self.layout.spans[index]
        name = plain(short_name(span))
        if is_folded:
            name = name[name.rfind("[") :] if "[" in name else name
            if len(name) * 6 + 10 > right - left:
                return
        if attempts := self._attempts_of.get(index):
            status = attempts[-1].attributes.get(semconv.HTTP_STATUS)
            name = f"{status} {name}" if isinstance(status, int) and status >= 400 else name
        first = next((event.time for event in span.events if event.name == semconv.EVENT_FIRST_CHUNK), None)
        split = self.x(first) if first is not None else left
        if left < split < right and split - left < len(name) * 6 + 12 and right - split > split - left:
            left = split + 1
        halo = " halo" if has_halo else ""
        if text := fit(name, right - left - 8):
            self.labels.append(f'<text class="i{halo}" x="{n(left + 4)}" y="{n(y)}">{escape(text)}</text>')
        took = "" if is_folded or span.end is None else self.age(span)
        is_on_mark = 0 < right - split < len(took) * 6.2 + 8
        if took and text == name and not is_on_mark and (len(text) + len(took)) * 6.2 + 26 < right - left:
            self.labels.append(f'<text class="i t e{halo}" x="{n(right - 5)}" y="{n(y)}">{took}</text>')


def _style(span: Span) -> str:
    return span.outcome if span.outcome in ("failed", "cancelled") else _STYLE_OF_KIND.get(span.kind, "span")
