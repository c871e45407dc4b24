"""What was seen of a step that held the loop: which of the user's lines ran, for how long, and what they called."""

from __future__ import annotations

import ast
import linecache
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import CodeType, FrameType
from typing import NamedTuple

from asyncmagic.instrumentation.places import is_loop, is_ours, is_users, is_wrapper, line_at


class Place(NamedTuple):
    """Where the loop's thread was."""

    #: The user's innermost code and instruction; `None` where none of the code that runs is the user's.
    code: CodeType | None
    instruction: int
    #: The code that ran there in the end.
    inner: CodeType
    is_import: bool
    #: Whether the user's line had called asyncmagic, which was at work.
    is_ours: bool


#: Seconds without a look after which nobody knows what runs: the interpreter's lock has been held since then, and not
#: by what was seen last.
_UNSEEN = 0.05

#: Seconds of the clock since when a look stands for what it saw, when it was taken, and that.
Look = tuple[float, float, Place]


@dataclass(slots=True)
class Share:
    """The part of a step that one line took, in seconds; of what `places` names none, what nobody saw."""

    seconds: float = 0.0
    places: dict[Place, float] = field(default_factory=lambda: defaultdict(float))
    is_collection: bool = False
    #: Whether it is that of many lines, each of which took a moment.
    is_rest: bool = False

    @property
    def is_ours(self) -> bool:
        return any(place.is_ours for place in self.places)

    @property
    def place(self) -> Place | None:
        """The place that was seen most."""
        return max(self.places, key=self.places.__getitem__, default=None)

    def add(self, other: Share) -> None:
        self.seconds += other.seconds
        for place, seconds in other.places.items():
            self.places[place] += seconds


def place_of(frame: FrameType | None, listener: CodeType) -> Place | None:
    """Return where a step is, by the innermost frame of its thread; `None` if it is in none of its own.

    `listener` is called in the middle of anything, and is no part of it.
    """
    inner: CodeType | None = None
    if frame is not None and frame.f_code is listener:
        frame = frame.f_back
    importing = ours = False
    while frame is not None and not is_loop(frame.f_code):
        code = frame.f_code
        file = code.co_filename
        # Around what the user calls stand wrappers of ours: then what they call is at work.
        ours = ours or (is_ours(file) and (inner is None or not is_wrapper(file)))
        inner = inner or code
        importing = importing or file == "<frozen importlib._bootstrap>"
        # What the standard library writes for its data classes and named tuples has no lines.
        if is_users(file) and not (file.startswith("<string>") and code.co_name.startswith("__")):
            return Place(code, frame.f_lasti, inner, importing, ours)
        frame = frame.f_back
    return Place(None, 0, inner, importing, ours) if inner is not None else None


def shares(
    looks: Sequence[Look], start: float, end: float, collections: Iterable[tuple[float, float]], least: float
) -> list[Share]:
    """Share the time between `start` and `end` among the lines that were seen, in the order in which they were.

    Those that took less than `least` seconds have a share together. Garbage collections have one, whoever set them
    off, except where asyncmagic did.
    """
    found: dict[object, Share] = {}
    edges = [start, *(taken for _, taken, _ in looks)]
    places: list[Place | None] = [place for *_, place in looks]
    if not looks or end - edges[-1] > _UNSEEN:
        places.append(None)
    else:
        edges.pop()
    for (since, until), place in zip(pairwise([*edges, end]), places, strict=True):
        collecting = 0.0
        if place is None or not place.is_ours:
            collecting = sum(max(min(until, stop) - max(since, begun), 0) for begun, stop in collections)
        if until - since > collecting:
            share = found.setdefault(_line(place), Share())
            share.seconds += until - since - collecting
            if place is not None:
                share.places[place] += until - since - collecting
        if collecting:
            found.setdefault("a collection", Share(is_collection=True)).seconds += collecting
    return _without_small(list(found.values()), least)


def _line(place: Place | None) -> object:
    if place is None or place.is_ours or place.code is None:
        return None if place is None else place.is_ours
    return place.code, line_at(place.code, place.instruction)


def _without_small(found: list[Share], least: float) -> list[Share]:
    largest = max(found, key=lambda share: share.seconds)
    kept = [share for share in found if share is largest or share.seconds >= least or share.is_ours]
    rest = Share(is_rest=True)
    for share in found:
        if share not in kept:
            rest.add(share)
    if rest.seconds >= least and largest.seconds >= least:
        return [*kept, rest]
    largest.seconds += rest.seconds
    return kept


def culprit(share: Share) -> str:
    """Return what the user's line called: the import or call that stands there, or the library's function."""
    place = share.place
    assert place is not None
    code, inner = place.code, place.inner
    written = _written(code, place.instruction) if code is not None else ""
    importing = sum(seconds for place, seconds in share.places.items() if place.is_import)
    if code is not None and importing * 2 > sum(share.places.values()) and not written.startswith("from "):
        return written if written.startswith("import ") else f"import on first use of {written or code.co_qualname}"
    if written:
        return written
    return f"{inner.co_qualname} ({os.path.basename(inner.co_filename)})" if inner is not code else code.co_qualname  # noqa: PTH119


def _written(code: CodeType, instruction: int) -> str:
    """Return the call or import that an instruction stands for, as it is written, without its arguments."""
    positions = list(code.co_positions())
    first, last, column, stop = positions[instruction // 2]
    if first is None or last is None or column is None or stop is None:
        return ""
    source = linecache.getline(code.co_filename, first).encode()
    text = source[column : stop if first == last else None].decode(errors="replace").strip()
    if text.startswith(("import ", "from ")):
        return text
    try:
        expression = ast.parse(text, mode="eval").body
    except SyntaxError:
        return ""
    return _name(expression.func) if isinstance(expression, ast.Call) else ""


def _name(expression: ast.expr) -> str:
    """Return a name as it is written, and nothing of any argument: those may be private."""
    match expression:
        case ast.Name(name):
            return name
        case ast.Attribute(value, attribute):
            return f"{_name(value)}.{attribute}"
        case ast.Call(function):
            return f"{_name(function)}()"
    return "…"
