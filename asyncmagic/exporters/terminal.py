"""What a terminal can show: its width, its colours, its characters; and text made fit for it."""

from __future__ import annotations

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from asyncmagic.layout import plain

NARROWEST, WIDEST = 60, 160
#: What would vanish, reorder the line or move the cursor: format and control characters, surrogates, unassigned ones.
_HARMFUL = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_MOST_MARKS = 2

_COLORS = {
    "bold": "1",
    "dim": "2",
    "running": "32",
    "ready": "33",
    "waiting": "36",
    "queued": "90",
    "work": "34",
    "chat-wait": "35",
    "chat": "35",
    "first": "1;35",
    "back-off": "90",
    "blocked": "1;31",
    "failed": "31",
    "cancelled": "33",
    "done": "32",
    "open": "36",
}
#: Every character beyond ASCII that we draw, and what stands for it where the encoding has no such character.
_ASCII = {
    "█": "#",
    "▓": "%",
    "░": ":",
    "·": ".",
    "▒": "=",
    "╌": "-",
    "━": "=",
    "◆": "*",
    "✕": "x",
    "⊘": "o",
    "✓": "+",
    "•": ">",
    "▚": "X",
    "×": "x",
    "…": "~",
    "↻": "r",
    "─": "-",
    "│": "|",
    "▁": "1",
    "▂": "2",
    "▃": "3",
    "▄": "4",
    "▅": "5",
    "▆": "6",
    "▇": "7",
}
_TO_ASCII = str.maketrans(_ASCII)

#: A piece of a line and its colour, if any.
Piece = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Terminal:
    """Where text is going to be shown."""

    width: int
    has_color: bool
    encoding: str

    @classmethod
    def of(cls, width: int | None, color: bool | None) -> Terminal:
        """Return the terminal of this process, `width` and `color` as given."""
        stream = sys.stdout
        if color is None:
            is_terminal = stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
            color = is_terminal and not os.environ.get("NO_COLOR")
        columns = width if width is not None else min(shutil.get_terminal_size().columns, WIDEST)
        return cls(max(columns, NARROWEST), color, getattr(stream, "encoding", None) or "utf-8")

    def line(self, pieces: Iterable[Piece]) -> str:
        """Return one line, its pieces in their colours, its end without spaces, in characters that can be shown."""
        joined: list[Piece] = []
        for text, style in pieces:
            if joined and joined[-1][1] == style:
                joined[-1] = joined[-1][0] + text, style
            else:
                joined.append((text, style))
        while joined and not joined[-1][0].strip():
            joined.pop()
        if joined:
            joined[-1] = joined[-1][0].rstrip(), joined[-1][1]
        return "".join(self._paint(self._encodable(text), style) for text, style in joined)

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{_COLORS[style]}m{text}\x1b[0m" if self.has_color and style else text

    def _encodable(self, text: str) -> str:
        try:
            text.encode(self.encoding)
        except UnicodeError:
            return text.translate(_TO_ASCII).encode(self.encoding, "replace").decode(self.encoding)
        return text


def cells(text: str) -> int:
    """Return how many columns a text takes."""
    return sum(map(_cells, text))


def fit(text: str, width: int) -> str:
    """Return a text as harmless as `safe` makes it, cut or filled up to `width` columns."""
    text = safe(text)
    if cells(text) > width:
        kept, used = "", 0
        for character in text:
            used += _cells(character)
            if used > width - 1:
                break
            kept += character
        text = kept + "…"
    return text + " " * (width - cells(text))


def safe(text: str) -> str:
    """Return a text from a trace without what could act on the terminal: it can only be read."""
    kept: list[str] = []
    marks = 0
    for character in plain(text):
        marks = marks + 1 if _cells(character) == 0 else 0
        if marks <= _MOST_MARKS:
            kept.append("\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in _HARMFUL else character)
    return "".join(kept)


def _cells(character: str) -> int:
    if character < "\u0300":
        return 1
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
