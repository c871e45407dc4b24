"""What a picture is drawn with: bars gathered by style, the patterns and colours of the styles, text that fits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from asyncmagic.assets import palette
from asyncmagic.tracing.wording import duration

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
_GROUNDS = {"backoff": ("bg", "failed-edge"), "connect": ("queued", "chat-edge")}
_EDGES = {"chat-wait": "chat", "backoff": "failed", "connect": "chat"}
_TEXT_STYLES = (
    "text{font:11px system-ui,'Segoe UI','Helvetica Neue',Arial,sans-serif;fill:var(--fg);white-space:pre}"
    ".h{font-size:14px;font-weight:600}.n{font-size:12px}.m{fill:var(--muted)}.e{text-anchor:end}.i{fill:var(--ink)}"
    ".p{fill:var(--bg);font-size:10px;font-weight:600}.b{fill:var(--failed-edge)}.r{fill:var(--failed-edge);font-size:10px;font-weight:600}.ground{stroke:var(--bg)}.t{opacity:.75}"
    ".halo{stroke:var(--bg);stroke-width:3px;stroke-opacity:.85;paint-order:stroke;stroke-linejoin:round}"
    "path{fill:none}.page{fill:var(--bg)}.stripe{fill:var(--stripe)}.line{stroke:var(--line)}.band{stroke:var(--blocked);stroke-opacity:.45}"
    ".strip{fill:var(--chat-wait);stroke:var(--chat-edge)}.dense{stroke-opacity:.75}.arrow{fill:var(--agent-edge)}"
)
_TEXT_COLOURS = frozenset(("fg", "bg", "muted", "ink", "line", "stripe", "chat-wait", "chat-edge", "failed-edge"))


def edge(style: str) -> str:
    """Return the colour around a style: that of the call around the wait for its first token."""
    return f"{_EDGES.get(style, style)}-edge"


class Bars:
    """Bars by style, drawn as thick lines: the next one of a style costs its length and the way to it, no more."""

    def __init__(self, grain: float) -> None:
        self._grain = grain  # the least difference that is written: pixels
        self._of: dict[tuple[float, str, float], list[tuple[float, int, int]]] = {}

    def add(self, style: str, x: float, width: float, y: float, height: float, *, layer: float = 0) -> None:
        """Add a bar in pixels; higher layers are drawn over lower ones."""
        at, to = round(x / self._grain), round((x + max(width, 0.5)) / self._grain)
        self._of.setdefault((layer, style, height), []).append((y, at, to - at))

    def svg(self) -> Iterator[str]:
        for (_, style, height), bars in sorted(self._of.items(), key=lambda item: item[0][0]):
            path, line, here = [], None, 0
            for y, at, length in bars:
                if y == line:
                    path.append(f"m{n((at - here) * self._grain)} 0h{n(length * self._grain)}")
                else:
                    path.append(f"M{n(at * self._grain)} {n(y + height / 2)}h{n(length * self._grain)}")
                line, here = y, at + length
            yield f'<path class="{style}" stroke-width="{n(height)}" d="{"".join(path)}"/>'

    @property
    def styles(self) -> set[str]:
        return {name for _, style, _ in self._of for name in style.split()}


def patterns(used: Iterable[str]) -> str:
    """Return the definitions of the patterns that these styles have."""
    return "".join(
        f'<pattern id="p-{style}" width="{size}" height="{size}" patternUnits="userSpaceOnUse">'
        f'<path class="g-{style}" d="M0 0h{size}v{size}H0z"/><path class="l-{style}" d="{path}"/></pattern>'
        for style, (size, path, _) in _PATTERNS.items()
        if style in used
    )


def styles(used: Iterable[str]) -> str:
    """Return the style sheet of a picture that uses these styles, in light and in dark."""
    rules, names = [_TEXT_STYLES], set(_TEXT_COLOURS)
    for style in sorted(used):
        if style in _PATTERNS:
            ground, ink = _GROUNDS.get(style, (style, f"{style}-edge"))
            names |= {ground, ink}
            rules.append(f".{style}{{stroke:url(#p-{style})}}.g-{style}{{fill:var(--{ground})}}")
            rules.append(f".l-{style}{{stroke:var(--{ink});stroke-opacity:{_PATTERNS[style][2]}}}")
        elif style != "dense":
            names.add(style)
            rules.append(f".{style}{{stroke:var(--{style})}}")
    light, dark = (
        "".join(f"--{name}:{colour};" for name, colour in palette(theme).items() if name in names)
        for theme in ("light", "dark")
    )
    return f"svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}" + "".join(rules)


def legend(used: set[str], top: float, width: float) -> tuple[str, float]:
    """Return what explains the styles that a picture uses, and where it ends; the edges join the styles used."""
    x, y, parts = 8.0, top, []
    for style, word in _LEGEND.items():
        if style not in used:
            continue
        room = 36 + len(word) * 6.1
        if x + room > width:
            x, y = 8.0, y + 18
        used.add(edge(style))
        parts.append(
            f'<path class="{edge(style)}" stroke-width="11" d="M{n(x)} {n(y + 8.5)}h17"/>'
            f'<path class="{style}" stroke-width="9" d="M{n(x + 1)} {n(y + 8.5)}h15"/>'
            f'<text class="m" x="{n(x + 21)}" y="{n(y + 13)}">{word}</text>'
        )
        x += room
    return "".join(parts), y + 24


def fit(text: str, room: float, letter: float = 6.2) -> str:
    """Return a text cut so that it fits into so many pixels, or nothing where not even three letters do."""
    most = int(room / letter)
    if len(text) <= most:
        return text
    return text[: most - 1].rstrip() + "…" if most >= 4 else ""


def nice_step(least: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at least `least`."""
    power = 10.0 ** math.floor(math.log10(max(least, 1)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


def tick(time: float, step: float) -> str:
    """Return what stands at a place of the axis, in nanoseconds, whose marks stand `step` apart."""
    if not time:
        return "0"
    if step >= 60e9:
        return duration(time / 1e9)
    if step >= 1e8 or time >= 1e9:
        return f"{time / 1e9:.{max(0, math.ceil(9 - math.log10(step)))}f} s"
    return f"{time / 1e6:.{max(0, math.ceil(6 - math.log10(step)))}f} ms"


def n(value: float) -> str:
    """Return a number of pixels as it is written."""
    return f"{value:.1f}".removesuffix(".0")
