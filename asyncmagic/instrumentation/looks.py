"""What was seen of a step that held the loop: which of the user's lines ran, for how long, and what they called."""

from __future__ import annotations

import ast
import dis
import gc
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, chain, compress, pairwise, repeat, starmap, takewhile
from operator import attrgetter, is_not
from types import CodeType
from typing import Any, NamedTuple

from asyncmagic.instrumentation.places import is_generated, is_loop, is_ours, is_users, is_wrapper, line_at, source_at


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

#: The instructions at which the interpreter lets another thread have its lock.
_TURNS = {"RESUME", "CALL", "CALL_KW", "CALL_FUNCTION_EX", "JUMP_BACKWARD"} | {
    name for name in dis.opmap if name.startswith("POP_JUMP_BACKWARD")
}
#: Those that may take long and give no turn; and those that do so only by what they let go of or look up.
_OPERATORS = re.compile(
    "BINARY_(OP|SLICE)|BUILD_(SLICE|STRING)|COMPARE_OP|CONTAINS_OP|CONVERT_VALUE|DICT_(MERGE|UPDATE)|FORMAT_"
    "|LIST_EXTEND|SET_UPDATE|UNARY_|UNPACK_"
)
_OTHERS = re.compile("BINARY_SUBSCR|DELETE_|POP_TOP|STORE_")

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


#: The code and the instruction of each frame of a thread, the innermost first.
Stack = Sequence[tuple[CodeType, int]]


def stack_of(thread: int) -> Stack:
    """Return the stack of a thread, as it is at one moment.

    Without a line of Python in between, nor a garbage collection, which calls some: if the thread went on while a
    frame of its is made an object, CPython 3.11 would crash (python/cpython#106883 is of that kind).
    """
    once: list[tuple[()]] = [()]
    was_enabled: list[bool] = []
    frame: Iterator[Any] = map(dict.get, starmap(sys._current_frames, once), [thread])
    frames = takewhile(partial(is_not, None), accumulate(chain(frame, repeat("f_back")), getattr))
    steps: Iterator[Any] = chain(
        map(was_enabled.append, starmap(gc.isenabled, once)),
        starmap(gc.disable, once),
        map(attrgetter("f_code", "f_lasti"), frames),
        starmap(gc.enable, compress(once, was_enabled)),
    )
    return list(filter(None, steps))


def place_of(stack: Stack, listener: CodeType, unseen: float) -> Place | None:
    """Return where a step is, by the stack of its thread; `None` if it is in none of its own.

    `listener` is called in the middle of anything, and is no part of it. After `unseen` seconds without a look it is
    where the interpreter's lock was held since.
    """
    if stack and stack[0][0] is listener:
        stack = stack[1:]
    held = inner = None
    if stack and unseen > _UNSEEN and (turn := _opname(*stack[0])) in _TURNS and not turn.startswith("CALL"):
        # What came before the turn held it: if a function has only been entered, something in its caller.
        stack = stack[1:] if turn == "RESUME" else stack
        held = _held_before(*stack[0]) if stack else None
    importing = ours = False
    step = list(takewhile(lambda frame: not is_loop(frame[0]), stack))
    for (code, instruction), caller in zip(step, [*step, None][1:], strict=True):
        file = code.co_filename
        # Around what the user calls stand wrappers of ours: then what they call is at work.
        ours = ours or (is_ours(file) and (inner is None or not is_wrapper(file)))
        inner = inner or code
        importing = importing or file == "<frozen importlib._bootstrap>"
        # What a library has written itself has no lines of its own: it is named by who calls it.
        if is_users(file) and (caller is None or caller[0].co_filename == file or not is_generated(file)):
            return Place(code, instruction if held is None else held, inner, importing, ours)
        held = None
    return Place(None, 0, inner, importing, ours) if inner is not None else None


def _opname(code: CodeType, instruction: int) -> str:
    return dis.opname[code.co_code[instruction]]


def _held_before(code: CodeType, instruction: int) -> int:
    """Return the last instruction that may have held the interpreter's lock until this one."""
    *earlier, last = takewhile(lambda each: each.offset <= instruction, dis.get_instructions(code))
    since = [last]
    for each in reversed(earlier):
        # The call that makes a coroutine, which is then awaited, gives no turn.
        if each.opname in _TURNS and since[-1].opname != "GET_AWAITABLE":
            break
        since.append(each)
    # From CPython 3.14 on looking an item up is an operator as well.
    operators = [each for each in since if _OPERATORS.match(each.opname) and each.argrepr != "[]"]
    others = [each for each in since if _OTHERS.match(each.opname)]
    return next((each.offset for each in (*operators, *others)), instruction)


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
        # What nobody saw goes with what was no line of the user's.
        return place is not None and place.is_ours
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
    try:
        text = source_at(code.co_filename, list(code.co_positions())[instruction // 2]).strip()
        if text.startswith(("import ", "from ")):
            return ast.unparse(ast.parse(text))
        # A call may be written over several lines.
        expression = ast.parse(f"({text}\n)", mode="eval").body
    except (LookupError, SyntaxError):
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
