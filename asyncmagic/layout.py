"""Layout: in which row and sub-row each span of a trace stands; both painters read it."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from asyncmagic.tracing.model import Span, State, StateLog, Trace

#: A group of more rows than this (`answers[0]` … `answers[499]`) is folded: drawn as the lanes that were in use.
FOLD_ABOVE = 24
#: Beyond this many sub-rows in one row, spans are kept and counted but not drawn.
MAX_SUBS = 200

OWNER_KINDS = frozenset(("cell", "task", "thread", "process", "invoke_agent"))
CALL_KINDS = frozenset(("chat", "embeddings"))

_NEVER = 1 << 63

_INDEX_IN_NAME = re.compile(r"(\[.*\]|[-_ ]?\d+)$", re.DOTALL)
# Control characters and those that turn the direction of the text around them would change what a reader sees.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)


def plain(text: str, limit: int = 300, *, keeps_lines: bool = False) -> str:
    """Return text from a trace safe to show: control and direction characters made visible, cut at `limit`."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable() and cut.isascii():
        return cut
    return _UNSEEN.sub(lambda match: _picture(match[0], keeps_lines), cut)


def _picture(character: str, keeps_lines: bool) -> str:
    if character < " ":
        return character if keeps_lines and character in "\n\t" else chr(0x2400 + ord(character))
    return "\N{REPLACEMENT CHARACTER}"


@dataclass(slots=True)
class Row:
    """One agent's row. `lane` is its place while its group is folded, -1 as long as the agent is queued."""

    index: int
    name: str
    owner: int
    parent: int = -1
    depth: int = 0
    group: str = ""
    lane: int = -1
    lasts: list[int] = field(default_factory=list)  # the last span of each sub-row

    @property
    def is_empty(self) -> bool:
        """Whether nothing but its owner stands in it."""
        return len(self.lasts) < 2


@dataclass(slots=True)
class Block:
    """What is drawn together under one label: a row with its sub-rows, or a folded group with its lanes."""

    name: str
    depth: int
    rows: list[Row]
    is_folded: bool = False
    lines: list[list[int]] = field(default_factory=list)  # span indexes by sub-row or lane, in drawing order


@dataclass(slots=True)
class _Group:
    rows: list[int] = field(default_factory=list)
    ended: list[tuple[int, int, int]] = field(default_factory=list)  # heap of ends, the lanes they free, and whose
    free: list[tuple[int, int]] = field(
        default_factory=list
    )  # heap of lanes whose agent has ended, and which one that is
    lanes: list[int] = field(default_factory=list)  # the last row of each lane


class Layout:
    """Gives every span an index, a row and a sub-row when it is first seen, and keeps them.

    Rows belong to the agents: tasks, threads and framework agents directly below the run, and agents that an agent
    calls. What else they do stands below them, in the first sub-row that is free; HTTP attempts stand inside their
    call. Spans of one sub-row never overlap.
    """

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.index: dict[int, int] = {}
        self.parents: list[int] = []
        self.row: list[int] = []
        self.sub: list[int] = []
        self.rows: list[Row] = []
        self.bands: list[int] = []
        self.calls: list[int] = []
        self.hidden_spans = 0
        #: The tasks and threads that libraries keep for themselves, and how many of them each row's owner is spared.
        self.internal: set[int] = set()
        self.internal_counts: dict[int, int] = {}
        self.changed_rows: set[int] = set()
        self._in_agent: list[bool] = []
        self._agent_rows: dict[tuple[int, str], int] = {}
        self._groups: dict[tuple[int, str], _Group] = {}
        self._full: dict[int, tuple[int, int]] = {}  # rows by index: from which sub-row on none is free, and until when

    @classmethod
    def of(cls, trace: Trace, spans: Iterable[Span] | None = None) -> Layout:
        """Return the layout of all that a trace holds, or of these spans of it."""
        layout = cls()
        layout.update(trace.spans if spans is None else spans)
        return layout

    @property
    def origin(self) -> int:
        """Zero of the time axis: the start of the run."""
        return self.spans[0].start if self.spans else 0

    @property
    def end(self) -> int:
        """The end of the time axis: that of the run, or the latest time known."""
        if self.spans and self.spans[0].end is not None:
            return self.spans[0].end
        return max((span.end if span.end is not None else span.start for span in self.spans), default=0)

    def update(self, spans: Iterable[Span]) -> list[int]:
        """Place new spans, take up what changed in known ones, and return the indexes of all of them.

        What libraries keep for themselves is counted and not placed: what it holds stands where it would.
        """
        given = sorted(spans, key=lambda span: (span.start, span.span_id))
        changed = [span for span in given if not span.is_internal]
        self._full.clear()  # what was open then may have ended
        for span in changed:
            if span.span_id not in self.index:
                self._place(span)
        for span in changed:
            self._update_lane(span)
        indexes = [self.index[span.span_id] for span in changed]
        if len(changed) < len(given):
            indexes += sorted({self._count_internal(span) for span in given if span.is_internal} - {-1, *indexes})
        return indexes

    def _count_internal(self, span: Span) -> int:
        """Count a span that is not shown, and return the index of the owner of the row that it would stand in."""
        above = span.shown_parent()
        if span.span_id in self.internal or above is None or above.span_id not in self.index:
            return -1
        self.internal.add(span.span_id)
        owner = self.rows[self.row[self.index[above.span_id]]].owner
        self.internal_counts[owner] = self.internal_counts.get(owner, 0) + 1
        return owner

    def is_folded(self, row: Row) -> bool:
        """Whether the row's group is too large to be drawn row by row."""
        return bool(row.group) and len(self._groups[row.parent, row.group].rows) > FOLD_ABOVE

    def blocks(self) -> list[Block]:
        """Return what is drawn, from top to bottom: rows in the order of their start, called agents below callers."""
        below: dict[int, list[Row]] = {}
        for row in self.rows:
            below.setdefault(row.parent, []).append(row)
        blocks: dict[int, Block] = {}
        of_row: dict[int, Block] = {}
        folded: dict[tuple[int, str], Block] = {}
        pending = below.get(-1, [])[::-1]
        while pending:
            row = pending.pop()
            pending.extend(reversed(below.get(row.index, ())))
            if self.is_folded(row):
                block = folded.get((row.parent, row.group))
                if block is None:
                    block = folded[row.parent, row.group] = blocks[row.index] = Block(
                        row.group, row.depth, [], is_folded=True
                    )
            elif row.index == 0 and row.is_empty and len(self.rows) > 1:
                continue
            else:
                block = blocks[row.index] = Block(row.name, row.depth, [])
            block.rows.append(row)
            of_row[row.index] = block
        for index, span in enumerate(self.spans):
            block_ = of_row.get(self.row[index])
            if block_ is None or self.sub[index] < 0 or span.kind == "blocked":
                continue
            line = self.rows[self.row[index]].lane if block_.is_folded else self.sub[index]
            if line < 0:
                continue
            while len(block_.lines) <= line:
                block_.lines.append([])
            block_.lines[line].append(index)
        return list(blocks.values())

    def _place(self, span: Span) -> None:
        parent_index = -1
        if self.spans:
            above = span.shown_parent()
            if above is not None and above.span_id not in self.index and above is not span:
                # A parent that is made later than its children is placed when the first of them needs it.
                self._place(above)
            parent_index = self.index.get(above.span_id if above is not None else -1, 0)
        index = self.index[span.span_id] = len(self.spans)
        self.spans.append(span)
        self.parents.append(parent_index)
        self._in_agent.append(span.kind == "invoke_agent" or (parent_index >= 0 and self._in_agent[parent_index]))
        self.row.append(self._find_row(span, index, parent_index))
        self.sub.append(self._find_sub(span, index, parent_index))
        if span.kind == "blocked":
            self.bands.append(index)
        elif span.kind in CALL_KINDS and not (parent_index >= 0 and self.spans[parent_index].kind in CALL_KINDS):
            # A framework's call around its client's call is one call.
            self.calls.append(index)

    def _find_row(self, span: Span, index: int, parent: int) -> int:
        if parent < 0:
            return self._add_row(span, index)
        row = self.row[parent]
        # Below the run itself, or below one of several runs in one picture.
        is_of_run = self.spans[self.rows[row].owner].kind == "cell"
        if is_of_run and span.kind in OWNER_KINDS and self.spans[parent].kind not in (*CALL_KINDS, "http"):
            return self._add_row(span, index, row or -1)
        if span.kind == "invoke_agent" and self._in_agent[parent]:
            known = self._agent_rows.get((row, span.name))
            if known is None:
                known = self._agent_rows[row, span.name] = self._add_row(span, index, row)
            return known
        return row

    def _add_row(self, span: Span, index: int, parent: int = -1) -> int:
        depth = self.rows[parent].depth + 1 if parent >= 0 else 0
        row = Row(len(self.rows), short_name(span), index, parent, depth)
        self.rows.append(row)
        self.changed_rows.add(row.index)
        if index and span.kind == "task":
            row.group = _INDEX_IN_NAME.sub("", span.name) or span.name
            self._groups.setdefault((parent, row.group), _Group()).rows.append(row.index)
        return row.index

    def _find_sub(self, span: Span, index: int, parent: int) -> int:
        if span.kind == "blocked":
            return -1
        row = self.rows[self.row[index]]
        is_below = parent >= 0 and self.row[parent] == row.index
        if is_below and span.kind == "http" and self.spans[parent].kind in CALL_KINDS:
            return self.sub[parent]
        sub = self._first_free(row, self.sub[parent] + 1 if is_below else 0, span.start)
        if sub >= MAX_SUBS:
            self.hidden_spans += 1
            return -1
        if sub == len(row.lasts):
            row.lasts.append(index)
        row.lasts[sub] = index
        return sub

    def _first_free(self, row: Row, least: int, start: int) -> int:
        """Return the first sub-row from `least` on that is free at `start`, a new one where there is none."""
        full_from, full_until = self._full.get(row.index, (MAX_SUBS, 0))
        if least >= full_from and start < full_until:
            return len(row.lasts)
        ends = [self.spans[last].end for last in row.lasts[least:]]
        for sub, end in enumerate(ends, least):
            if end is not None and end <= start:
                return sub
        if len(row.lasts) >= MAX_SUBS:
            self._full[row.index] = least, min((end for end in ends if end is not None), default=_NEVER)
        return len(row.lasts)

    def _is_free(self, last: int, start: int) -> bool:
        end = self.spans[last].end
        return end is not None and end <= start

    def _update_lane(self, span: Span) -> None:
        index = self.index[span.span_id]
        row = self.rows[self.row[index]]
        if row.owner != index:
            return
        if row.name != (name := short_name(span)):
            row.name = name
            self.changed_rows.add(row.index)
        if not row.group:
            return
        group = self._groups[row.parent, row.group]
        if row.lane < 0 and (begun := begin(span)) is not None:
            row.lane = self._take_lane(group, begun)
            group.lanes[row.lane] = row.index
            self.changed_rows.add(row.index)
        if row.lane >= 0 and span.end is not None and group.lanes[row.lane] == row.index:
            heapq.heappush(group.ended, (span.end, row.lane, row.index))

    def _take_lane(self, group: _Group, begun: int) -> int:
        """Return the first lane that is free by then, without looking through all: there may be ten thousand."""
        while group.ended and group.ended[0][0] <= begun:
            heapq.heappush(group.free, heapq.heappop(group.ended)[1:])
        while group.free:
            lane, row = group.free[0]
            is_taken = group.lanes[lane] != row
            if not is_taken and not self._is_free(self.rows[row].owner, begun):
                break
            heapq.heappop(group.free)
            if not is_taken:
                return lane
        group.lanes.append(-1)
        return len(group.lanes) - 1


def short_name(span: Span) -> str:
    """Return a span's name without the operation that its look tells already: `gpt-5`, not `chat gpt-5`."""
    return span.name.removeprefix(f"{span.kind} ")


def begin(span: Span) -> int | None:
    """Return when an agent left the queue, or `None` while it waits for its turn."""
    if not span.states:
        return span.start
    for time, state, _ in span.states:
        if state != "queued":
            return time
    return span.end


class Thinner:
    """Reads the states of one task, with those shorter than `least` (ns) melted into what most of their time was.

    A task that changes its state a thousand times in a millisecond is drawn in one colour; what is longer is exact.
    """

    __slots__ = ("_begun", "_least", "_seen", "_short", "changes")

    def __init__(self, least: int) -> None:
        self.changes: list[tuple[int, State, str | None]] = []  # settled ones: (start, state, what it waits for)
        self._least = least
        self._seen = 0
        self._begun = 0
        self._short: dict[tuple[State, str | None], int] = {}

    def read(self, log: StateLog, end: int) -> list[tuple[int, State, str | None]]:
        """Take up what is new in the log and return the changes that are not settled yet."""
        news = log.since(self._seen)
        for (start, state, detail), (stop, _, _) in pairwise(news):
            self._add(start, stop, state, detail)
        if not news:
            return []
        self._seen += len(news) - 1
        start, state, detail = news[-1]
        open_changes: list[tuple[int, State, str | None]] = []
        if self._short and end - start < self._least:
            start, (state, detail) = self._begun, max(self._short, key=self._short.__getitem__)
        elif self._short:
            start = self._begun
        if not self.changes or self.changes[-1][1:] != (state, detail):
            open_changes.append((start, state, detail))
        return open_changes

    def _add(self, start: int, end: int, state: State, detail: str | None) -> None:
        if not self._short:
            self._begun = start
        if end - start < self._least:
            self._short[state, detail] = self._short.get((state, detail), 0) + end - start
            if end - self._begun < self._least:
                return
            state, detail = max(self._short, key=self._short.__getitem__)
        self._short.clear()
        if not self.changes or self.changes[-1][1:] != (state, detail):
            self.changes.append((self._begun, state, detail))


def states_of(span: Span, end: int, least: int) -> list[tuple[int, int, State, str | None]]:
    """Return a span's states as (start, end, state, detail), what is shorter than `least` (ns) melted together."""
    if not span.states:
        return []
    stop = span.end if span.end is not None else max(end, span.start)
    thinner = Thinner(least)
    open_changes = thinner.read(span.states, stop)
    changes = thinner.changes + open_changes
    stops = [change[0] for change in changes[1:]] + [stop]
    return [(start, to, state, detail) for (start, state, detail), to in zip(changes, stops, strict=True)]
