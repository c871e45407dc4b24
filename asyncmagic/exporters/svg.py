"""The timeline as a picture without script: the same rows and colours as on the page, in at most some 30 kB."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from html import escape
from itertools import zip_longest
from weakref import WeakKeyDictionary

from asyncmagic.assets import palette
from asyncmagic.layout import CALL_KINDS, Block, Layout, begin, plain, short_name, states_of
from asyncmagic.tracing import semconv
from asyncmagic.tracing.analysis import headline
from asyncmagic.tracing.limits import place
from asyncmagic.tracing.model import Span, Trace
from asyncmagic.tracing.wording import duration

WIDTH = 960
GUTTER = 168
_HEAD = 34
_STRIP = 32
_AXIS = 22
_BAR, _RIBBON, _MINOR, _GAP, _PAD = 18, 8, 5, 2, 5
_MOST_HEIGHT = 1_100
_MOST_BYTES = 29_000
_MOST_SHAPES = 1_500
_MOST_LABELS = 60
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
#: Styles that say more than a colour can: (size of the tile, path, opacity).
_PATTERNS = {
    "waiting": (9, "M0 9L9 0M-1 1L1-1M8 10L10 8", 0.45),
    "ready": (4, "M2 0V4", 0.75),
    "queued": (5, "M1.5 2.1H2.8", 0.8),
    "cancelled": (6, "M0 0L6 6M-1 5L1 7M5-1L7 1", 0.5),
    "failed": (7, "M0 0L7 7M0 7L7 0", 0.32),
    "blocked": (7, "M0 0L7 7M0 7L7 0", 0.32),
    "backoff": (5, "M0 5L5 0M-1 1L1-1M4 6L6 4", 0.7),
    "connect": (5, "M1.5 2.1H2.8", 0.8),
}
_LEGEND = {
    "running": "running",
    "waiting": "waiting",
    "ready": "ready, loop busy",
    "queued": "queued",
    "chat-wait": "to first token",
    "chat": "model answers",
    "tool": "tool",
    "agent": "agent",
    "thread": "thread",
    "http": "HTTP",
    "connect": "waits for a connection",
    "backoff": "back-off",
    "failed": "failed",
    "cancelled": "cancelled",
    "blocked": "loop blocked",
}


def to_svg(trace: Trace) -> str:
    """Return the timeline as an SVG picture: light or dark as the reader's system is, its text selectable."""
    return draw(trace, Layout.of(trace))


_drawn: WeakKeyDictionary[Trace, tuple[int, str]] = WeakKeyDictionary()


def draw(trace: Trace, layout: Layout) -> str:
    """Return the picture with as much detail as the size that a notebook can bear allows."""
    count, picture = _drawn.get(trace, (0, ""))
    if trace.is_running or count != len(layout.spans):
        lines = min(sum(len(block.lines) for block in layout.blocks()), _MOST_HEIGHT // _BAR)
        pixel = max(1.0, lines * (WIDTH - GUTTER) / _MOST_SHAPES) if len(layout.spans) > _MOST_SHAPES else 1.0
        picture = Picture(trace, layout, pixel=pixel).svg()
        while len(picture) > _MOST_BYTES and pixel < 50:
            pixel = max(2.0, pixel * 1.6)
            picture = Picture(trace, layout, pixel=pixel).svg()
        _drawn[trace] = (len(layout.spans), picture)
    return picture


class Picture:
    """One drawing: shapes are gathered by style so that each style is written once a line."""

    def __init__(self, trace: Trace, layout: Layout, *, pixel: float) -> None:
        self.trace = trace
        self.layout = layout
        self.origin = layout.origin
        self.length = max(layout.end - layout.origin, 1_000)
        self.scale = (WIDTH - GUTTER - 12) / self.length
        self.out: list[str] = []
        self.labels: list[str] = []
        self.used: set[str] = set()
        self.attempts: dict[int, list[int]] = defaultdict(list)
        for index, span in enumerate(layout.spans):
            parent = layout.parents[index]
            if span.kind == "http" and parent >= 0 and layout.spans[parent].kind in CALL_KINDS:
                self.attempts[parent].append(index)
        self.pixel = pixel
        self.blocks = layout.blocks()

    def svg(self) -> str:
        top = _HEAD + _STRIP + _AXIS
        y: float = top + (15 if self.layout.bands else 0)
        bodies: list[str] = []
        for number, block in enumerate(self.blocks):
            if y > _MOST_HEIGHT:
                bodies.append(
                    f'<text class="m" x="8" y="{y + 16:.0f}">… {len(self.blocks) - number:,} more rows</text>'
                )
                y += 24
                break
            self.out = []
            height = self._block(block, y)
            stripe = f'<path class="stripe" d="M0 {_n(y)}h{WIDTH}v{_n(height)}H0z"/>' if number % 2 else ""
            bodies.append(stripe + "".join(self.out))
            y += height
        bands = "".join(self._bands(top, y))
        axis = "".join(self._axis(top, y))
        legend, bottom = self._legend(y + 8)
        title = plain(headline(self.trace))
        strip = self._strip(_HEAD, _STRIP - 4)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {_n(bottom)}" width="{WIDTH}" '
            f'height="{_n(bottom)}" role="img" aria-label="{escape(title)}">'
            f"<title>{escape(plain(self.trace.name))}: {escape(title)}</title><style>{_styles(self.used)}</style>"
            f"<defs>{''.join(_patterns(self.used))}</defs>"
            f'<rect class="page" width="{WIDTH}" height="{_n(bottom)}" rx="8"/>'
            f'<text class="h" x="8" y="21">{escape(title)}</text>{strip}'
            f"{axis}{''.join(bodies)}{bands}{''.join(self.labels)}"
            f'<path class="line" d="M{GUTTER - 0.5} {_HEAD}V{_n(y)}"/>{legend}</svg>'
        )

    def x(self, time: float) -> float:
        return GUTTER + (time - self.origin) * self.scale

    # -- rows

    def _block(self, block: Block, top: float) -> float:
        y = top + _PAD
        count = len(block.lines)
        if block.is_folded:
            height: float = 14 if count <= 12 else 9 if count <= 30 else max(2, min(6, round(320 / count)))
            for line in block.lines:
                self._line(line, y, height, is_folded=True)
                y += height + (2 if height > 5 else 1)
        else:
            for sub, line in enumerate(block.lines):
                height = _RIBBON if sub == 0 and count > 1 else _MINOR if sub > 1 and self._is_minor(line) else _BAR
                self._line(line, y, height, is_folded=False)
                y += height + _GAP
        self._label(block, top + 18)
        return max(y - _GAP + _PAD, top + 28) - top

    def _is_minor(self, line: list[int]) -> bool:
        """Whether all in a line is too short to deserve its height: under a fiftieth of the run."""
        spans = [self.layout.spans[index] for index in line]
        return len(line) < 50 and all(
            span.end is not None and span.end - span.start < self.length / 50 for span in spans
        )

    def _label(self, block: Block, y: float) -> None:
        owner = self.layout.spans[block.rows[0].owner]
        note = f"×{len(block.rows):,}" if block.is_folded else self._age(owner)
        x = 8 + min(block.depth, 4) * 12
        glyph = "▸" if block.is_folded else _GLYPHS[owner.outcome]
        name = _fit(plain(block.name), GUTTER - x - 32 - len(note) * 6, 6.6)
        kind = "b" if owner.outcome == "failed" and not block.is_folded else "m"
        self.labels.append(
            f'<text class="m" x="{x}" y="{_n(y)}">{glyph}</text>'
            f'<text class="n" x="{x + 14}" y="{_n(y)}">{escape(name)}</text>'
            f'<text class="{kind} e" x="{GUTTER - 10}" y="{_n(y)}">{escape(note)}</text>'
        )

    def _age(self, span: Span) -> str:
        end = span.end if span.end is not None else self.layout.end
        begun = begin(span)
        return duration((end - (begun if begun is not None else end)) / 1e9)

    def _line(self, line: list[int], y: float, height: float, *, is_folded: bool) -> None:
        shapes: dict[str, list[str]] = defaultdict(list)
        run: tuple[str, float, float] | None = None
        for index in sorted(line, key=lambda index: (self.layout.sub[index], self.layout.spans[index].start)):
            span = self.layout.spans[index]
            if (
                span.kind == "http"
                and self.layout.parents[index] >= 0
                and self.layout.spans[self.layout.parents[index]].kind in CALL_KINDS
            ):
                continue
            start = begin(span) if is_folded else span.start
            if start is None:
                continue
            end = span.end if span.end is not None else max(self.layout.end, start)
            left, right = self.x(start), self.x(end)
            style = _style(span)
            if right - left < self.pixel * 1.5:
                # What is narrower than a pixel is one mark, and marks beside each other are one rectangle.
                at = GUTTER + int((left - GUTTER) / self.pixel) * self.pixel
                if run is not None and run[0] == style and run[1] <= at <= run[2] + 0.01:
                    run = (style, run[1], max(run[2], at + self.pixel))
                    continue
                self._add_run(shapes, run, y, height)
                run = (style, at, at + self.pixel)
                continue
            self._add_run(shapes, run, y, height)
            run = None
            self._bar(shapes, index, span, style, left, right, y, height, is_folded=is_folded)
        self._add_run(shapes, run, y, height)
        for style, paths in shapes.items():
            self.used.add(style)
            self.out.append(f'<path class="{style}" d="{"".join(paths)}"/>')

    def _bar(
        self,
        shapes: dict[str, list[str]],
        index: int,
        span: Span,
        style: str,
        left: float,
        right: float,
        y: float,
        height: float,
        *,
        is_folded: bool,
    ) -> None:
        first = next((event.time for event in span.events if event.name == semconv.EVENT_FIRST_CHUNK), None)
        states = states_of(span, self.layout.end, int(self.pixel / self.scale)) if right - left > 3 else []
        if states:
            for begun, end, state, _ in states:
                at = max(self.x(begun), left)
                if not (is_folded and state == "queued") and self.x(end) > at:
                    self._add(shapes, state, at, self.x(end) - at, y, height)
            if span.outcome in ("failed", "cancelled"):
                self._add(shapes, style, max(left, right - 6), min(6, right - left), y, height)
        elif span.kind in CALL_KINDS and style == "chat":
            split = self.x(first) if first is not None else right if span.end is None else left
            if split > left:
                self._add(shapes, "chat-wait", left, split - left, y, height)
            if right > split:
                self._add(shapes, "chat", split, right - split, y, height)
        else:
            self._add(shapes, style, left, right - left, y, height)
        room = right - left
        if span.kind in CALL_KINDS and room > 12:
            room = self._attempts(shapes, index, left, right, y, height)
        if height > 6 and self.pixel == 1:
            edge = "running" if states and span.outcome == "done" else style
            shapes[f"o {edge}-edge"].append(_rounded(left + 0.5, y + 0.5, max(right - left - 1, 0.5), height - 1))
            self.used.add(f"{edge}-edge")
        if first is not None and right - left > 12:
            self._add(shapes, "token", self.x(first) - 1, 2, y, height)
        if height < 12 or len(self.labels) > _MOST_LABELS or (is_folded and self.layout.sub[index]):
            return
        name = plain(short_name(span))
        start = right - room
        if span.kind in CALL_KINDS:
            last = (
                self.layout.spans[self.attempts[index][-1]].attributes.get(semconv.HTTP_STATUS)
                if self.attempts.get(index)
                else None
            )
            name = f"{last} {name}" if isinstance(last, int) and last >= 400 else name
            split = self.x(first) if first is not None else start
            if start < split < right and split - start < len(name) * 6 + 12 and right - split > split - start:
                start = split + 1
        if text := _fit(name, right - start - 10, 6.2):
            halo = " halo" if states else ""
            spot = f'x="{_n(start + 5)}" y="{_n(y + height / 2 + 4)}"'
            self.labels.append(f'<text class="i{halo}" {spot}>{escape(text)}</text>')

    def _attempts(
        self, shapes: dict[str, list[str]], index: int, left: float, right: float, y: float, height: float
    ) -> float:
        """Draw failed attempts and back-offs into a call's bar and return the room that is left at its end."""
        attempts = [self.layout.spans[attempt] for attempt in self.attempts.get(index, ())]
        room = right - left
        for attempt, follower in zip_longest(attempts, attempts[1:]):
            a = max(self.x(attempt.start), left)
            b = min(self.x(attempt.end if attempt.end is not None else self.layout.end), right)
            status = attempt.attributes.get(semconv.HTTP_STATUS)
            wait = attempt.attributes.get(semconv.CONNECTION_WAIT)
            if isinstance(wait, int | float) and wait > 0.001:
                self._add(shapes, "connect", a, wait * 1e9 * self.scale, y + 1, height - 2)
            if attempt.outcome == "failed" or (isinstance(status, int) and status >= 400):
                self._add(shapes, "failed", a, max(b - a, 1.5), y + 1, height - 2)
                if isinstance(status, int) and status >= 400 and follower is not None and b - a > 24 and height > 11:
                    self.labels.append(
                        f'<text class="i s" x="{_n(a + 3)}" y="{_n(y + height / 2 + 4)}">{status}</text>'
                    )
            if follower is not None:
                c = min(self.x(follower.start), right)
                if c - b > 1:
                    self._add(shapes, "backoff", b, c - b, y + 1, height - 2)
                room = right - c
        return room

    def _add_run(
        self, shapes: dict[str, list[str]], run: tuple[str, float, float] | None, y: float, height: float
    ) -> None:
        if run is not None:
            self._add(shapes, f"{run[0]}-edge", run[1], run[2] - run[1], y, height)

    def _add(self, shapes: dict[str, list[str]], style: str, x: float, width: float, y: float, height: float) -> None:
        self.used.add(style)
        shapes[style].append(f"M{_n(x)} {_n(y)}h{_n(max(width, 0.5))}v{_n(height)}h-{_n(max(width, 0.5))}z")

    # -- around the rows

    def _bands(self, top: float, bottom: float) -> Iterator[str]:
        for index in self.layout.bands[:40]:
            span = self.layout.spans[index]
            a, b = self.x(span.start), self.x(span.end if span.end is not None else self.layout.end)
            width = max(b - a, 1.5)
            self.used |= {"blocked", "blocked-edge"}
            where = f" · {place(span)}" if place(span) else ""
            text = plain(f"blocked {self._age(span)}{where}", 60)
            at = max(min(a, WIDTH - 6.4 * len(text) - 6), GUTTER)
            yield (
                f'<path class="blocked band" d="M{_n(a)} {_n(top)}h{_n(width)}V{_n(bottom)}h-{_n(width)}z"/>'
                f'<path class="blocked-edge" d="M{_n(a)} {_n(top)}h{_n(width)}v3h-{_n(width)}z"/>'
                f'<path class="blocked-edge" d="M{_n(at)} {_n(top)}h{_n(6.4 * len(text) + 6)}v15H{_n(at)}z"/>'
                f'<text class="p" x="{_n(at + 4)}" y="{_n(top + 11.5)}">{escape(text)}</text>'
            )

    def _axis(self, top: float, bottom: float) -> Iterator[str]:
        step = nice_step(self.length / 8)
        for number in range(min(int(self.length / step) + 1, 40)):
            x = self.x(self.origin + number * step)
            yield f'<path class="line" d="M{_n(x)} {_n(top - 6)}V{_n(bottom)}"/>'
            label = _tick(number * step, step) if x < WIDTH - 40 else ""
            yield f'<text class="m" x="{_n(x + 4)}" y="{_n(top - 7)}">{label}</text>'

    def _strip(self, top: float, height: float) -> str:
        layout = self.layout
        calls = layout.calls or [row.owner for row in layout.rows if row.index and not row.depth]
        columns = [0] * (WIDTH - GUTTER)
        changes: list[tuple[float, int]] = []
        for index in calls:
            span = layout.spans[index]
            begun = begin(span)
            if begun is not None:
                end = span.end if span.end is not None else layout.end
                changes += [(self.x(begun), 1), (self.x(end), -1)]
        current = most = 0
        last = 0
        for x, change in sorted(changes):
            column = min(max(int(x - GUTTER), 0), len(columns) - 1)
            for at in range(last + 1, column + 1):
                columns[at] = max(columns[at], current)
            last = column
            current += change
            columns[column] = max(columns[column], current)
            most = max(most, current)
        path = [f"M{GUTTER} {_n(top + height)}"]
        before = 0
        for at, count in enumerate(columns):
            if count != before:
                path.append(f"H{GUTTER + at}V{_n(top + height - count / max(most, 1) * (height - 6))}")
                before = count
        what = "calls in flight" if layout.calls else "agents at work"
        self.used |= {"chat-wait", "chat-edge"}
        return (
            f'<path class="strip" d="{"".join(path)}V{_n(top + height)}z"/>'
            f'<text class="m" x="8" y="{_n(top + height / 2 + 6)}">{what}{f" · most {most}" if most else ""}</text>'
        )

    def _legend(self, top: float) -> tuple[str, float]:
        x, y = 8.0, top
        parts = []
        for style, word in _LEGEND.items():
            if style not in self.used:
                continue
            width = 36 + len(word) * 6.1
            if x + width > WIDTH:
                x, y = 8.0, y + 18
            edge = (
                f"{style.replace('chat-wait', 'chat').replace('backoff', 'failed').replace('connect', 'queued')}-edge"
            )
            self.used.add(edge)
            swatch = _rounded(x + 0.5, y + 3.5, 16, 10)
            parts.append(
                f'<path class="{style}" d="{swatch}"/><path class="o {edge}" d="{swatch}"/>'
                f'<text class="m" x="{_n(x + 21)}" y="{_n(y + 13)}">{word}</text>'
            )
            x += width
        return "".join(parts), y + 24


def nice_step(least: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at least `least`."""
    power = 10.0 ** math.floor(math.log10(max(least, 1)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


def _tick(time: float, step: float) -> str:
    if not time:
        return "0"
    if step >= 60e9:
        return duration(time / 1e9)
    if step >= 1e8 or time >= 1e9:
        return f"{time / 1e9:.{max(0, math.ceil(9 - math.log10(step)))}f} s"
    return f"{time / 1e6:.{max(0, math.ceil(6 - math.log10(step)))}f} ms"


def _style(span: Span) -> str:
    return span.outcome if span.outcome in ("failed", "cancelled") else _STYLE_OF_KIND.get(span.kind, "span")


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _rounded(x: float, y: float, width: float, height: float) -> str:
    r = min(3.0, width / 2, height / 2)
    w, h, q = _n(width - 2 * r), _n(height - 2 * r), _n(r)
    return f"M{_n(x + r)} {_n(y)}h{w}q{q} 0 {q} {q}v{h}q0 {q}-{q} {q}h-{w}q-{q} 0-{q}-{q}v-{h}q0-{q} {q}-{q}z"


def _fit(text: str, room: float, letter: float) -> str:
    most = int(room / letter)
    if len(text) <= most:
        return text
    return text[: most - 1].rstrip() + "…" if most >= 4 else ""


def _patterns(used: set[str]) -> Iterator[str]:
    for style, (size, path, _) in _PATTERNS.items():
        if style in used:
            yield (
                f'<pattern id="p-{style}" width="{size}" height="{size}" patternUnits="userSpaceOnUse">'
                f'<path class="g-{style}" d="M0 0h{size}v{size}H0z"/><path class="l-{style}" d="{path}"/></pattern>'
            )


def _styles(used: set[str]) -> str:
    rules = [
        "text{font:11px system-ui,'Segoe UI','Helvetica Neue',Arial,sans-serif;fill:var(--fg);white-space:pre}",
        ".h{font-size:14px;font-weight:600}.n{font-size:12px}.m{fill:var(--muted)}.e{text-anchor:end}.i{fill:var(--ink)}",
        ".p{fill:var(--bg);font-size:10px;font-weight:600}.b{fill:var(--blocked-edge);font-weight:600}.s{font-weight:600}",
        ".halo{stroke:var(--bg);stroke-width:3px;stroke-opacity:.85;paint-order:stroke;stroke-linejoin:round}",
        ".page{fill:var(--bg)}.stripe{fill:var(--stripe)}.line{stroke:var(--line);fill:none}.band{opacity:.45}",
        ".strip{fill:var(--chat-wait);stroke:var(--chat-edge)}",
    ]
    aliases = {"backoff": ("bg", "failed-edge"), "connect": ("queued", "queued-edge")}
    names = {"fg", "bg", "muted", "ink", "line", "stripe", "chat-wait", "chat-edge", "blocked-edge"}
    for style in sorted(used):
        if style in _PATTERNS:
            ground, ink = aliases.get(style, (style, f"{style}-edge"))
            names |= {ground, ink}
            opacity = _PATTERNS[style][2]
            rules.append(f".{style}{{fill:url(#p-{style})}}.g-{style}{{fill:var(--{ground})}}")
            rules.append(f".l-{style}{{stroke:var(--{ink});stroke-opacity:{opacity};fill:none}}")
        elif not style.startswith("o "):
            names.add(style)
            rules.append(f".{style}{{fill:var(--{style})}}")
            if style.endswith("-edge"):
                rules.append(f".o.{style}{{fill:none;stroke:var(--{style})}}")
    light, dark = (
        {name: colour for name, colour in palette(theme).items() if name in names} for theme in ("light", "dark")
    )
    declare = "".join(f"--{name}:{colour};" for name, colour in light.items())
    declare_dark = "".join(f"--{name}:{colour};" for name, colour in dark.items())
    return f"svg{{{declare}}}@media(prefers-color-scheme:dark){{svg{{{declare_dark}}}}}" + "".join(rules)
