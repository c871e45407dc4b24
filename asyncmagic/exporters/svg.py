"""The timeline as a picture without script: the same rows and colours as on the page, in at most some 36 kB."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from asyncmagic.exporters.bars import GUTTER, RIBBON, WIDTH, Detail, Painter
from asyncmagic.exporters.drawing import fit, legend, n, nice_step, patterns, styles, tick
from asyncmagic.exporters.view import View
from asyncmagic.layout import Block, begin, plain
from asyncmagic.tracing.limits import place
from asyncmagic.tracing.model import Trace

_HEAD, _STRIP, _AXIS = 34, 32, 22
_BAR, _MINOR, _GAP, _PAD = 18, 5, 2, 5
_MOST_HEIGHT = 1_100
_MOST_BYTES = 29_000
_GLYPHS = {"open": "•", "done": "✓", "failed": "✕", "cancelled": "⊘"}


def to_svg(trace: Trace) -> str:
    """Return the timeline as an SVG picture: light or dark as the reader's system is, its text selectable."""
    return draw(View(trace))


def draw(view: View) -> str:
    """Return the picture with as much detail as the size that a notebook can bear allows."""
    if view.svg is None:
        detail = Detail() if len(view.layout.spans) < 2_000 else Detail(1.6, has_edges=False)
        view.svg = _Picture(view, detail).svg()
        while (excess := len(view.svg) / _MOST_BYTES) > 1 and detail.pixel < 50:
            before, detail = detail, detail.less(excess)
            coarser = _Picture(view, detail).svg()
            if excess < 1.25 and len(coarser) > 0.9 * len(view.svg) and not before.has_edges:
                # It would say less and weigh the same.
                break
            view.svg = coarser
    return view.svg


class _Picture:
    """One drawing."""

    def __init__(self, view: View, detail: Detail) -> None:
        self.view = view
        self.layout = view.layout
        self.painter = Painter(view.layout, detail)

    def svg(self) -> str:
        top = _HEAD + _STRIP + _AXIS
        y: float = top + (15 if self.layout.bands else 0)
        blocks = self.view.blocks
        bodies: list[str] = []
        for number, block in enumerate(blocks):
            if y > _MOST_HEIGHT:
                bodies.append(_more(len(blocks) - number, 8, y))
                y += 24
                break
            body, height = self._block(block, y)
            if number % 2:
                bodies.append(f'<path class="stripe" d="M0 {n(y)}h{WIDTH}v{n(height)}H0z"/>')
            bodies.append(body)
            y += height
        around = [*self._axis(top, y), *bodies, *self._bands(top, y), *self.painter.labels, *self._handoffs()]
        key, bottom = legend(self.painter.used, y + 8, WIDTH)
        title = escape(plain(self.view.headline))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {n(bottom)}" width="{WIDTH}" '
            f'height="{n(bottom)}" role="img" aria-label="{title}">'
            f"<title>{escape(plain(self.view.trace.name))}: {title}</title><style>{styles(self.painter.used)}</style>"
            f"<defs>{patterns(self.painter.used)}</defs>"
            f'<rect class="page" width="{WIDTH}" height="{n(bottom)}" rx="8"/>'
            f'<text class="h" x="8" y="21">{title}</text>{self._strip(_HEAD, _STRIP - 4)}{"".join(around)}'
            f'<path class="line" d="M{GUTTER - 0.5} {_HEAD}V{n(y)}"/>{key}</svg>'
        )

    # -- rows

    def _block(self, block: Block, top: float) -> tuple[str, float]:
        y, count, more = top + _PAD, len(block.lines), ""
        bars = self.painter.bars()
        lane: float = 14 if count <= 12 else 9 if count <= 30 else max(2, min(6, round(320 / count)))
        for sub, line in enumerate(block.lines):
            if y > _MOST_HEIGHT:
                more = _more(count - sub, GUTTER + 8, y - 6)
                y += 18
                break
            if block.is_folded:
                height, gap = lane, 2 if lane > 5 else 1
            else:
                height = RIBBON if sub == 0 and count > 1 else _MINOR if sub > 1 and self._is_minor(line) else _BAR
                gap = _GAP
            self.painter.line(bars, line, y, height, is_folded=block.is_folded)
            y += height + gap
        self._name(block, top + 18)
        self.painter.used |= bars.styles
        return "".join(bars.svg()) + more, max(y - _GAP + _PAD, top + 28) - top

    def _is_minor(self, line: list[int]) -> bool:
        """Whether all in a line is too short to deserve its height: under a fiftieth of the run."""
        spans = [self.layout.spans[index] for index in line]
        least = self.painter.length / 50
        return len(line) < 50 and all(span.end is not None and span.end - span.start < least for span in spans)

    def _name(self, block: Block, y: float) -> None:
        owner = self.layout.spans[block.rows[0].owner]
        note = f"×{len(block.rows):,}" if block.is_folded else self.painter.age(owner)
        x = 8 + min(block.depth, 4) * 12
        glyph = "▸" if block.is_folded else _GLYPHS[owner.outcome]
        name = fit(plain(block.name), GUTTER - x - 32 - len(note) * 6, 6.6)
        kind = "b" if owner.outcome == "failed" and not block.is_folded else "m"
        self.painter.labels.append(
            f'<text class="{kind}" x="{x}" y="{n(y)}">{glyph}</text>'
            f'<text class="n" x="{x + 14}" y="{n(y)}">{escape(name)}</text>'
            f'<text class="{kind} e" x="{GUTTER - 10}" y="{n(y)}">{escape(note)}</text>'
        )

    # -- around the rows

    def _bands(self, top: float, bottom: float) -> Iterator[str]:
        """Draw where the loop was blocked; of labels that would cover each other, the longest blocks have theirs."""
        taken: list[tuple[float, float]] = []
        bands = [self.layout.spans[index] for index in self.layout.bands]
        for span in sorted(bands, key=lambda span: span.start - self.painter.end(span))[:40]:
            self.painter.used |= {"blocked", "blocked-edge"}
            a = self.painter.x(span.start)
            width = max(self.painter.x(self.painter.end(span)) - a, 1.5)
            middle, tall = n((top + bottom) / 2), n(bottom - top)
            yield (
                f'<path class="band" stroke-width="{tall}" d="M{n(a)} {middle}h{n(width)}"/>'
                f'<path class="blocked-edge" d="M{n(a + 0.5)} {n(top)}v{tall}m{n(width - 1)} 0v-{tall}"/>'
            )
            where = f" · {place(span)}" if place(span) else ""
            text = plain(f"blocked {self.painter.age(span)}{where}", 60)
            wide = 5.9 * len(text) + 8
            at = max(min(a, WIDTH - wide), GUTTER)
            if all(at + wide <= left or at >= right for left, right in taken):
                taken.append((at, at + wide))
                self.painter.labels.append(
                    f'<path class="blocked-edge" stroke-width="15" d="M{n(at)} {n(top + 7.5)}h{n(wide)}"/>'
                    f'<text class="p" x="{n(at + 4)}" y="{n(top + 11.5)}">{escape(text)}</text>'
                )

    def _axis(self, top: float, bottom: float) -> Iterator[str]:
        step = nice_step(self.painter.length / 8)
        for number in range(min(int(self.painter.length / step) + 1, 40)):
            x = self.painter.x(self.layout.origin + number * step)
            yield f'<path class="line" d="M{n(x)} {n(top - 6)}V{n(bottom)}"/>'
            if x < WIDTH - 40:
                yield f'<text class="m" x="{n(x + 4)}" y="{n(top - 7)}">{tick(number * step, step)}</text>'

    def _strip(self, top: float, height: float) -> str:
        layout = self.layout
        calls = layout.calls or [row.owner for row in layout.rows if row.index and not row.depth]
        spans = [layout.spans[index] for index in calls]
        begun = [(start, self.painter.end(span)) for span in spans if (start := begin(span)) is not None]
        columns = [0] * (WIDTH - GUTTER)
        current = last = 0
        for time, change in sorted([(start, 1) for start, _ in begun] + [(end, -1) for _, end in begun]):
            column = min(max(int(self.painter.x(time) - GUTTER), 0), len(columns) - 1)
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
        for source, target in self.painter.arrows:
            if source in self.painter.places and target in self.painter.places:
                _, right, y, height = self.painter.places[source]
                left, _, to, tall = self.painter.places[target]
                down = to > y
                begin, end, bend = (y + height, to, 14) if down else (y, to + tall, -14)
                tip = -6 if down else 6
                self.painter.used.add("agent-edge")
                yield (
                    f'<path class="agent-edge" d="M{n(right)} {n(begin)}'
                    f'C{n(right)} {n(begin + bend)} {n(left)} {n(end - bend)} {n(left)} {n(end)}"/>'
                    f'<path class="arrow" d="M{n(left)} {n(end)}l-4 {tip}h8z"/>'
                )


def _more(rows: int, x: float, y: float) -> str:
    return f'<text class="m" x="{n(x)}" y="{n(y + 16)}">… {rows:,} more rows</text>'
