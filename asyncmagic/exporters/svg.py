"""The timeline as a picture without script: the same rows and colours as on the page, in at most some 30 kB."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from weakref import WeakKeyDictionary

from asyncmagic.exporters.drawing import Bars, edge, fit, legend, n, nice_step, outline, patterns, styles, tick
from asyncmagic.layout import CALL_KINDS, Block, Layout, begin, plain, short_name, states_of
from asyncmagic.tracing import semconv
from asyncmagic.tracing.analysis import headline
from asyncmagic.tracing.limits import place
from asyncmagic.tracing.model import Span, Trace
from asyncmagic.tracing.wording import duration

WIDTH = 960
GUTTER = 168
_HEAD, _STRIP, _AXIS = 34, 32, 22
_BAR, _RIBBON, _MINOR, _GAP, _PAD = 18, 8, 5, 2, 5
_MOST_HEIGHT = 1_100
_MOST_BYTES = 29_000
_MOST_LABELS = 60
_MOST_ROUND = 250
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
_GLYPHS = {"open": "•", "done": "✓", "failed": "✕", "cancelled": "⊘"}
#: What is drawn over what: in a folded lane an agent's calls stand over its states.
_UNDER, _BASE, _CALL_UNDER, _CALL, _OVER = range(5)


def to_svg(trace: Trace) -> str:
    """Return the timeline as an SVG picture: light or dark as the reader's system is, its text selectable."""
    return draw(trace, Layout.of(trace))


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much a picture shows: what is narrower than `pixel` melts into its neighbours."""

    pixel: float = 1.0
    has_edges: bool = True

    def less(self, excess: float) -> _Detail:
        """Return the next step down for a picture that is `excess` times too large."""
        return _Detail(self.pixel if self.has_edges else max(2.0, self.pixel * max(1.6, excess)), has_edges=False)


_drawn: WeakKeyDictionary[Trace, tuple[int, _Detail, str]] = WeakKeyDictionary()


def draw(trace: Trace, layout: Layout) -> str:
    """Return the picture with as much detail as the size that a notebook can bear allows."""
    count, detail, picture = _drawn.get(trace, (0, _Detail(), ""))
    if trace.is_running or count != len(layout.spans):
        detail = detail if count or len(layout.spans) < 2_000 else _Detail(1.6, has_edges=False)
        picture = _Picture(trace, layout, detail).svg()
        while len(picture) > _MOST_BYTES and detail.pixel < 50:
            detail = detail.less(len(picture) / _MOST_BYTES)
            picture = _Picture(trace, layout, detail).svg()
        _drawn[trace] = (len(layout.spans), detail, picture)
    return picture


class _Picture:
    """One drawing."""

    def __init__(self, trace: Trace, layout: Layout, detail: _Detail) -> None:
        self.trace = trace
        self.layout = layout
        self.pixel = detail.pixel
        self.has_edges = detail.has_edges
        self.is_small = len(layout.spans) < _MOST_ROUND
        self.origin = layout.origin
        self.length = max(layout.end - layout.origin, 1_000)
        self.scale = (WIDTH - GUTTER - 12) / self.length
        self.labels: list[str] = []
        self.used: set[str] = {"chat-edge"}
        self.arrows = [
            (index, target)
            for index, span in enumerate(layout.spans)
            if span.kind == "handoff"
            for link in span.links
            if (target := layout.index.get(link.span_id)) is not None
        ]
        self.linked = {index for arrow in self.arrows for index in arrow}
        self.places: dict[int, tuple[float, float, float, float]] = {}  # of what is linked
        self.attempts: dict[int, list[Span]] = defaultdict(list)
        self.in_call = {
            index
            for index, span in enumerate(layout.spans)
            if span.kind == "http" and layout.parents[index] >= 0 and self._is_call(layout.parents[index])
        }
        for index in sorted(self.in_call):
            self.attempts[layout.parents[index]].append(layout.spans[index])
        self.blocks = layout.blocks()

    def svg(self) -> str:
        top = _HEAD + _STRIP + _AXIS
        y: float = top + (15 if self.layout.bands else 0)
        bodies: list[str] = []
        for number, block in enumerate(self.blocks):
            if y > _MOST_HEIGHT:
                rest = len(self.blocks) - number
                bodies.append(f'<text class="m" x="8" y="{y + 16:.0f}">… {rest:,} more rows</text>')
                y += 24
                break
            body, height = self._block(block, y)
            if number % 2:
                bodies.append(f'<path class="stripe" d="M0 {n(y)}h{WIDTH}v{n(height)}H0z"/>')
            bodies.append(body)
            y += height
        around = [*self._axis(top, y), *bodies, *self._bands(top, y), *self.labels, *self._handoffs()]
        key, bottom = legend(self.used, y + 8, WIDTH)
        title = escape(plain(headline(self.trace)))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {n(bottom)}" width="{WIDTH}" '
            f'height="{n(bottom)}" role="img" aria-label="{title}">'
            f"<title>{escape(plain(self.trace.name))}: {title}</title><style>{styles(self.used)}</style>"
            f"<defs>{patterns(self.used)}</defs>"
            f'<rect class="page" width="{WIDTH}" height="{n(bottom)}" rx="8"/>'
            f'<text class="h" x="8" y="21">{title}</text>{self._strip(_HEAD, _STRIP - 4)}{"".join(around)}'
            f'<path class="line" d="M{GUTTER - 0.5} {_HEAD}V{n(y)}"/>{key}</svg>'
        )

    def x(self, time: float) -> float:
        return GUTTER + (time - self.origin) * self.scale

    def _end(self, span: Span) -> int:
        return span.end if span.end is not None else max(self.layout.end, span.start)

    def _is_call(self, index: int) -> bool:
        return self.layout.spans[index].kind in CALL_KINDS

    # -- rows

    def _block(self, block: Block, top: float) -> tuple[str, float]:
        y, count, drawn = top + _PAD, len(block.lines), []
        lane: float = 14 if count <= 12 else 9 if count <= 30 else max(2, min(6, round(320 / count)))
        for sub, line in enumerate(block.lines):
            if block.is_folded:
                height, gap = lane, 2 if lane > 5 else 1
            else:
                height = _RIBBON if sub == 0 and count > 1 else _MINOR if sub > 1 and self._is_minor(line) else _BAR
                gap = _GAP
            drawn.append(self._line(line, y, height, is_folded=block.is_folded))
            y += height + gap
        self._name(block, top + 18)
        return "".join(drawn), max(y - _GAP + _PAD, top + 28) - top

    def _is_minor(self, line: list[int]) -> bool:
        """Whether all in a line is too short to deserve its height: under a fiftieth of the run."""
        spans = [self.layout.spans[index] for index in line]
        least = self.length / 50
        return len(line) < 50 and all(span.end is not None and span.end - span.start < least for span in spans)

    def _name(self, block: Block, y: float) -> None:
        owner = self.layout.spans[block.rows[0].owner]
        note = f"×{len(block.rows):,}" if block.is_folded else self._age(owner)
        x = 8 + min(block.depth, 4) * 12
        glyph = "▸" if block.is_folded else _GLYPHS[owner.outcome]
        name = fit(plain(block.name), GUTTER - x - 32 - len(note) * 6, 6.6)
        kind = "b" if owner.outcome == "failed" and not block.is_folded else "m"
        self.labels.append(
            f'<text class="{kind}" x="{x}" y="{n(y)}">{glyph}</text>'
            f'<text class="n" x="{x + 14}" y="{n(y)}">{escape(name)}</text>'
            f'<text class="{kind} e" x="{GUTTER - 10}" y="{n(y)}">{escape(note)}</text>'
        )

    def _age(self, span: Span) -> str:
        begun = begin(span)
        return duration((self._end(span) - (begun if begun is not None else self._end(span))) / 1e9)

    def _line(self, line: list[int], y: float, height: float, *, is_folded: bool) -> str:
        bars, outlines = Bars(0.1 if self.is_small else 0.5), defaultdict[str, list[str]](list)
        run: tuple[str, float, float] | None = None
        has_calls = is_folded and any(self.layout.sub[index] for index in line)
        for index in sorted(line, key=lambda index: (self.layout.sub[index], self.layout.spans[index].start)):
            span = self.layout.spans[index]
            start = begin(span) if is_folded else span.start
            if start is None or index in self.in_call:
                continue
            left, right = self.x(start), self.x(self._end(span))
            if right - left >= self.pixel * 1.5:
                self._bar(bars, outlines, index, left, right, y, height, is_folded=is_folded, has_calls=has_calls)
                continue
            # What is narrower than a pixel is one mark, and marks beside each other are one rectangle.
            at = GUTTER + int((left - GUTTER) / self.pixel) * self.pixel
            if run is not None and run[0] == _style(span) and run[1] <= at <= run[2] + 0.01:
                run = (run[0], run[1], max(run[2], at + self.pixel))
                continue
            _add_run(bars, run, y, height)
            run = (_style(span), at, at + self.pixel)
        _add_run(bars, run, y, height)
        self.used |= bars.styles | outlines.keys()
        return "".join(bars.svg()) + "".join(
            f'<path class="{style}" d="{"".join(paths)}"/>' for style, paths in outlines.items()
        )

    def _bar(
        self,
        bars: Bars,
        outlines: dict[str, list[str]],
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
        states = states_of(span, self.layout.end, int(self.pixel / self.scale)) if width > 3 else []
        is_over = is_folded and self.layout.sub[index] > 0
        around = (
            ("waiting-edge" if height <= _RIBBON else "running-edge") if states and style == "span" else edge(style)
        )
        # An agent's edge in a folded lane is hidden by that of its call.
        has_edge = self.has_edges and height > 6 and width >= 4 and (is_over or not has_calls)
        if has_edge and self.is_small:
            outlines[around].append(outline(left + 0.5, y + 0.5, width - 1, height - 1))
        elif has_edge:
            bars.add(around, left, width, y, height, layer=_CALL_UNDER if is_over else _UNDER)
            left, right, y, height = left + 1, right - 1, y + 1, height - 2
        layer = _CALL if is_over else _BASE
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
            bars.add("token", self.x(first) - 1, 2, y, height, layer=_OVER)
        if index in self.linked:
            self.places[index] = (left, right, y, height)
        if height > 11 and not is_over and len(self.labels) < _MOST_LABELS:
            self._label(index, begins, right, y + height / 2 + 4, is_folded=is_folded, has_halo=bool(states))

    def _attempts(self, bars: Bars, index: int, left: float, right: float, y: float, height: float) -> float:
        """Draw waits for a connection, failed attempts and back-offs into a call; return where the last one begins."""
        attempts = self.attempts.get(index, [])
        begins = left
        for attempt in attempts:
            begins, b = max(self.x(attempt.start), left), min(self.x(self._end(attempt)), right)
            status, wait = attempt.attributes.get(semconv.HTTP_STATUS), attempt.attributes.get(semconv.CONNECTION_WAIT)
            is_refused = isinstance(status, int) and status >= 400
            if attempt.outcome == "failed" or is_refused:
                bars.add("failed", begins, max(b - begins, 1.5), y + 1, height - 2, layer=_OVER)
                if is_refused and attempt is not attempts[-1] and b - begins > 24 and height > 11:
                    self.labels.append(
                        f'<text class="i s" x="{n(begins + 3)}" y="{n(y + height / 2 + 4)}">{status}</text>'
                    )
            if isinstance(wait, int | float) and wait > 0.001:
                width = min(wait * 1e9 * self.scale, right - begins)
                bars.add("connect", begins, width, y + 1, height - 2, layer=_OVER)
                begins += width
        for attempt, follower in pairwise(attempts):
            b, c = self.x(self._end(attempt)), min(self.x(follower.start), right)
            if c - b > 1:
                bars.add("backoff", b, c - b, y + 1, height - 2, layer=_OVER)
        return begins

    def _label(self, index: int, left: float, right: float, y: float, *, is_folded: bool, has_halo: bool) -> None:
        span = self.layout.spans[index]
        name = plain(short_name(span))
        if is_folded:
            name = name[name.rfind("[") :] if "[" in name else name
            if len(name) * 6 + 10 > right - left:
                return
        if attempts := self.attempts.get(index):
            status = attempts[-1].attributes.get(semconv.HTTP_STATUS)
            name = f"{status} {name}" if isinstance(status, int) and status >= 400 else name
        first = next((event.time for event in span.events if event.name == semconv.EVENT_FIRST_CHUNK), None)
        split = self.x(first) if first is not None else left
        if left < split < right and split - left < len(name) * 6 + 12 and right - split > split - left:
            left = split + 1
        halo = " halo" if has_halo else ""
        if text := fit(name, right - left - 10):
            self.labels.append(f'<text class="i{halo}" x="{n(left + 5)}" y="{n(y)}">{escape(text)}</text>')
        took = "" if is_folded or span.end is None else self._age(span)
        is_on_mark = 0 < right - split < len(took) * 6.2 + 8
        if took and text == name and not is_on_mark and (len(text) + len(took)) * 6.2 + 26 < right - left:
            self.labels.append(f'<text class="i t e{halo}" x="{n(right - 5)}" y="{n(y)}">{took}</text>')

    # -- around the rows

    def _bands(self, top: float, bottom: float) -> Iterator[str]:
        """Draw where the loop was blocked; of labels that would cover each other, the longest blocks have theirs."""
        taken: list[tuple[float, float]] = []
        bands = [self.layout.spans[index] for index in self.layout.bands]
        for span in sorted(bands, key=lambda span: span.start - self._end(span))[:40]:
            self.used |= {"blocked", "blocked-edge"}
            a = self.x(span.start)
            width = max(self.x(self._end(span)) - a, 1.5)
            middle, tall = n((top + bottom) / 2), n(bottom - top)
            yield (
                f'<path class="band" stroke-width="{tall}" d="M{n(a)} {middle}h{n(width)}"/>'
                f'<path class="blocked-edge" d="M{n(a + 0.5)} {n(top)}v{tall}m{n(width - 1)} 0v-{tall}"/>'
            )
            where = f" · {place(span)}" if place(span) else ""
            text = plain(f"blocked {self._age(span)}{where}", 60)
            wide = 5.9 * len(text) + 8
            at = max(min(a, WIDTH - wide), GUTTER)
            if all(at + wide <= left or at >= right for left, right in taken):
                taken.append((at, at + wide))
                self.labels.append(
                    f'<path class="blocked-edge" stroke-width="15" d="M{n(at)} {n(top + 7.5)}h{n(wide)}"/>'
                    f'<text class="p" x="{n(at + 4)}" y="{n(top + 11.5)}">{escape(text)}</text>'
                )

    def _axis(self, top: float, bottom: float) -> Iterator[str]:
        step = nice_step(self.length / 8)
        for number in range(min(int(self.length / step) + 1, 40)):
            x = self.x(self.origin + number * step)
            yield f'<path class="line" d="M{n(x)} {n(top - 6)}V{n(bottom)}"/>'
            if x < WIDTH - 40:
                yield f'<text class="m" x="{n(x + 4)}" y="{n(top - 7)}">{tick(number * step, step)}</text>'

    def _strip(self, top: float, height: float) -> str:
        layout = self.layout
        calls = layout.calls or [row.owner for row in layout.rows if row.index and not row.depth]
        spans = [layout.spans[index] for index in calls]
        begun = [(start, self._end(span)) for span in spans if (start := begin(span)) is not None]
        columns = [0] * (WIDTH - GUTTER)
        current = last = 0
        for time, change in sorted([(start, 1) for start, _ in begun] + [(end, -1) for _, end in begun]):
            column = min(max(int(self.x(time) - GUTTER), 0), len(columns) - 1)
            for at in range(last + 1, column + 1):
                columns[at] = max(columns[at], current)
            last, current = column, current + change
            columns[column] = max(columns[column], current)
        most = max(columns)
        path, before = [f"M{GUTTER} {n(top + height)}"], 0
        for at, count in enumerate(columns):
            if count != before:
                path.append(f"H{GUTTER + at}V{n(top + height - count / max(most, 1) * (height - 6))}")
                before = count
        what = "calls in flight" if layout.calls else "agents at work"
        return (
            f'<path class="strip" d="{"".join(path)}V{n(top + height)}z"/>'
            f'<text class="m" x="8" y="{n(top + height / 2 + 6)}">{what}{f" · most {most}" if most else ""}</text>'
        )

    def _handoffs(self) -> Iterator[str]:
        for source, target in self.arrows:
            if source in self.places and target in self.places:
                _, right, y, height = self.places[source]
                left, _, to, tall = self.places[target]
                down = to > y
                end, bend = (to, -24) if down else (to + tall, 24)
                tip = -6 if down else 6
                self.used.add("agent-edge")
                yield (
                    f'<path class="agent-edge" d="M{n(right)} {n(y + height / 2)}'
                    f'C{n(right + 16)} {n(y + height / 2)} {n(left)} {n(end + bend)} {n(left)} {n(end)}"/>'
                    f'<path class="arrow" d="M{n(left)} {n(end)}l-4 {tip}h8z"/>'
                )


def _style(span: Span) -> str:
    return span.outcome if span.outcome in ("failed", "cancelled") else _STYLE_OF_KIND.get(span.kind, "span")


def _add_run(bars: Bars, run: tuple[str, float, float] | None, y: float, height: float) -> None:
    if run is not None:
        bars.add(f"dense {run[0]}-edge", run[1], run[2] - run[1], y, height, layer=_CALL)
