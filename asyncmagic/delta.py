"""Delta: what changed in a timeline, in columns; a whole trace is the delta from nothing."""

from __future__ import annotations

import json
import math
import struct
import zlib
from array import array
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from asyncmagic.layout import Layout, Thinner, plain
from asyncmagic.tracing import semconv
from asyncmagic.tracing.model import STATES, Attribute, Attributes, Kind, Span, SpanEvent, Trace
from asyncmagic.tracing.wording import count

MAGIC = 0x31544D41  # "AMT1" in little endian
KINDS: tuple[Kind, ...] = get_args(Kind)
OUTCOMES = ("open", "done", "failed", "cancelled")
_KIND_CODES = {kind: code for code, kind in enumerate(KINDS)}
_OUTCOME_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}

_CONTENT = frozenset((semconv.INPUT_MESSAGES, semconv.OUTPUT_MESSAGES, semconv.TOOL_ARGUMENTS, semconv.TOOL_RESULT))
#: States shorter than this are not worth a pixel: nanoseconds.
_LEAST_STATE = 1_000_000
_COMPRESS_ABOVE = 600
_LONGEST_VALUE = 4_000

_Record = tuple[int, int, int | None, int | None, int, int, int]
#: What a span says beside its times, when it was last sent: attributes, message, events, links, tasks not shown.
_Told = tuple[Attributes, str, tuple[SpanEvent, ...], list[tuple[int, str]], int | None]


class DeltaWriter:
    """Writes what changed since the last time: spans as records of numbers, texts once, attributes where they differ.

    Times are microseconds since the start of the run. The reader is `static/trace.js`.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        keeps_content: bool = False,
        kept: frozenset[str] | None = None,
        step: int = 1,
        is_live: bool = False,
    ) -> None:
        self.layout = layout
        self._dropped = frozenset[str]() if keeps_content else _CONTENT
        self._step = step  # of time, in microseconds
        self._is_live = is_live  # of spans that no row has room for, a live reader gets the times alone
        self._kept = kept  # of spans that went well only these attributes, or all
        self._texts: list[str] = []
        self._texts_sent = 0
        self._numbers: dict[str | tuple[str, ...], int] = {}  # of the texts; the names of a span's attributes are one
        self._records: list[_Record] = []
        self._told: list[_Told | None] = []
        self._thinners: dict[int, Thinner] = {}
        self._states_sent: dict[int, tuple[int, Any]] = {}  # how many settled changes, and the open one

    def write(self, indexes: Iterable[int], header: Mapping[str, Any], *, now: int) -> bytes:
        """Return the changes of these spans; `now` in nanoseconds of the trace's clock."""
        facts: list[list[Any]] = []
        records: list[tuple[int, _Record]] = []
        for index in indexes:
            span = self.layout.spans[index]
            record = self._record(index, span)
            known = index < len(self._records)
            if not known:
                self._grow(index)
            if not known or self._records[index] != record:
                self._records[index] = record
                records.append((index, record))
            if self._is_hidden(index):
                continue
            told = self._tell(index, span)
            if self._told[index] != told and told is not None:
                self._told[index] = told
                if fact := self._fact(span, *told):
                    facts.append([index, *fact])
        changed_rows, self.layout.changed_rows = self.layout.changed_rows, set()
        states = [change for index in indexes if not self._is_hidden(index) for change in self._states(index, now)]
        return self._pack(header, records, facts, states, sorted(changed_rows), now)

    def write_all(self, header: Mapping[str, Any], *, now: int) -> bytes:
        """Return everything, for a reader who knows nothing, and note it as sent."""
        self._texts_sent = 0
        self._records.clear()
        self._told.clear()
        self._states_sent.clear()
        self.layout.changed_rows = set(range(len(self.layout.rows)))
        return self.write(range(len(self.layout.spans)), {**header, "all": 1}, now=now)

    def _is_hidden(self, index: int) -> bool:
        return self._is_live and self.layout.sub[index] < 0 and self.layout.spans[index].kind != "blocked"

    def _grow(self, index: int) -> None:
        while len(self._records) <= index:
            self._records.append((-1, 0, None, None, 0, 0, 0))
            self._told.append(None)

    def _record(self, index: int, span: Span) -> _Record:
        first = next((event.time for event in span.events if event.name == semconv.EVENT_FIRST_CHUNK), None)
        return (
            self._text(span.name),
            self.layout.row[index],
            span.end,
            first,
            self.layout.sub[index],
            _KIND_CODES.get(span.kind, len(KINDS) - 1),
            _OUTCOME_CODES[span.outcome],
        )

    def _tell(self, index: int, span: Span) -> _Told | None:
        internal = self.layout.internal_counts.get(index)
        if not (span.attributes or span.message or span.events or span.links or internal):
            return None
        links = [
            (self.layout.index[link.span_id], link.name)
            for link in span.links
            # A handoff is drawn in the row of the agent that it comes from: the arrow begins there anyway.
            if link.span_id in self.layout.index and link.name != "from"
        ]
        # A copy, made in one step: the watched threads go on writing.
        return span.attributes.copy(), span.message, span.events, links, internal

    def _fact(
        self,
        span: Span,
        attributes: Attributes,
        message: str,
        events: tuple[SpanEvent, ...],
        links: list[tuple[int, str]],
        internal: int | None,
    ) -> tuple[Any, ...]:
        kept = None if self._kept is None or span.status == "ERROR" else self._kept
        pairs: list[tuple[str, Any]] = [
            (key, _short(value))
            for key, value in attributes.items()
            if value is not None and key not in self._dropped and (kept is None or key in kept)
        ]
        if message:
            pairs.append(("message", _short(message)))
        if internal:
            pairs.append(("not shown", count(internal, "library task")))
        pairs += [
            (
                f"event {plain(event.name)}",
                [(event.time - self.layout.origin) // 1000, *map(_short, event.attributes.values())],
            )
            for event in events[:20]
            if event.name != semconv.EVENT_FIRST_CHUNK
        ]
        if links:
            pairs.append(("links", [[index, plain(name)] for index, name in links]))
        if not pairs:
            return ()
        keys, values = zip(*pairs, strict=True)
        return (self._text(keys), *values)

    def _time(self, time: int) -> int:
        """Return microseconds since the start of the run."""
        return (time - self.layout.origin) // (1000 * self._step) * self._step

    def _text(self, text: str | tuple[str, ...]) -> int:
        """Return the number by which the reader knows a text, or lines of texts."""
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self._texts)
            self._texts.append(plain(text) if isinstance(text, str) else "\n".join(map(plain, text)))
        return number

    def _states(self, index: int, now: int) -> Iterable[tuple[int, int, int, int, int]]:
        """Yield (span, settled states before, time, state, detail) for what is new in a task's states."""
        span = self.layout.spans[index]
        log = span.states
        if not log:
            return
        thinner = self._thinners.setdefault(index, Thinner(_LEAST_STATE))
        sent, open_sent = self._states_sent.get(index, (0, None))
        open_changes = thinner.read(log, span.end if span.end is not None else now)
        if sent == len(thinner.changes) and open_changes == open_sent:
            return
        # The reader forgets what stands after the first change it gets: one is sent even where one only went away.
        known = sent if sent < len(thinner.changes) or open_changes else sent - 1
        for position, (time, state, detail) in enumerate(thinner.changes[known:] + open_changes, known):
            yield index, position, time, STATES.index(state), self._text(detail or "")
        self._states_sent[index] = (len(thinner.changes), open_changes)

    def _pack(
        self,
        header: Mapping[str, Any],
        records: list[tuple[int, _Record]],
        facts: list[list[Any]],
        states: list[tuple[int, int, int, int, int]],
        rows: list[int],
        now: int,
    ) -> bytes:
        layout, origin = self.layout, self.layout.origin
        head: dict[str, Any] = {**header, "now": (now - origin) // 1000}
        if rows:
            head["rows"] = [
                [
                    row.index,
                    self._text(row.name),
                    row.owner,
                    row.parent,
                    row.depth,
                    self._text(row.group),
                    row.lane,
                ]
                for row in (layout.rows[index] for index in rows)
            ]
        if facts:
            head["facts"] = facts
        if layout.hidden_spans:
            head["hidden"] = layout.hidden_spans
        if self._texts_sent < len(self._texts):
            head["texts"] = self._texts[self._texts_sent :]
            self._texts_sent = len(self._texts)
        json_bytes = json.dumps(head, separators=(",", ":")).encode()
        json_bytes += b" " * (-len(json_bytes) % 8)

        starts, lengths, firsts = array("d"), array("d"), array("d")
        ids, parents, names, row_column = array("i"), array("i"), array("i"), array("i")
        subs, kinds, outcomes = array("h"), array("B"), array("B")
        last_start = last_id = 0
        for index, (name, row, end, first, sub, kind, outcome) in records:
            start = self._time(layout.spans[index].start)
            starts.append(start - last_start)
            lengths.append(-1 if end is None else self._time(end) - start)
            firsts.append(-1 if first is None else self._time(first) - start)
            ids.append(index - last_id)
            parents.append(index - layout.parents[index])
            names.append(name)
            row_column.append(row)
            subs.append(sub)
            kinds.append(kind)
            outcomes.append(outcome)
            last_start, last_id = start, index
        columns: list[array[Any]] = [starts, lengths, firsts]
        columns.append(array("d", [self._time(change[2]) for change in states]))
        columns += [ids, parents, names, row_column]
        columns += [array("i", [change[field] for change in states]) for field in (0, 1, 4)]
        columns += [subs, kinds, outcomes, array("B", [change[3] for change in states])]
        data = struct.pack("<IIII", MAGIC, len(json_bytes), len(records), len(states)) + json_bytes
        data += b"".join(column.tobytes() for column in columns)
        return zlib.compress(data, 6 if "all" in header else 1) if len(data) > _COMPRESS_ABOVE else data


def write_trace(trace: Trace, layout: Layout, header: Mapping[str, Any]) -> bytes:
    """Return a whole trace in one piece, at most 0.65 MB: of a large one what matters most, as its note says."""
    most = min(len(layout.spans), _MOST_SPANS)
    data = _write_most(trace, layout, header, most)
    while len(data) > _MOST_BYTES:
        most = int(most * 0.9 * _MOST_BYTES / len(data))
        data = _write_most(trace, layout, header, most)
    return data


def _write_most(trace: Trace, layout: Layout, header: Mapping[str, Any], most: int) -> bytes:
    kept, notes = None, []
    count = len(layout.spans)
    if count > most:
        layout = Layout.of(trace, _longest(layout, most))
        notes.append(f"The {len(layout.spans):,} longest of {count:,} spans are kept here")
    if count > _MOST_WITH_FIGURES:
        kept = frozenset[str]()
        notes.append(f"This run has {count:,} spans: of those that went well only their times are kept here")
    elif count > _MOST_WITH_ALL:
        kept = _FIGURES
        notes.append(
            f"This run has {count:,} spans: of those that went well only model, tokens and status are kept here"
        )
    # Twenty million steps are more than anybody can zoom into.
    step = 1 << max(0, ((layout.end - layout.origin) // 1_000 >> 20).bit_length()) if count > _MOST_WITH_ALL else 1
    writer = DeltaWriter(layout, keeps_content=trace.keeps_content, kept=kept, step=step)
    return writer.write_all({**header, "note": ". ".join(notes)} if notes else header, now=layout.end)


def _longest(layout: Layout, count: int) -> list[Span]:
    """Return the longest spans, those that failed, and all that they stand below."""
    end = layout.end

    def rank(index: int) -> tuple[bool, int]:
        span = layout.spans[index]
        is_kept = span.kind == "blocked" or span.status == "ERROR" or layout.rows[layout.row[index]].owner == index
        return is_kept, (span.end if span.end is not None else end) - span.start

    kept = set(sorted(range(len(layout.spans)), key=rank, reverse=True)[:count])
    for index in list(kept):
        while (index := layout.parents[index]) >= 0 and index not in kept:
            kept.add(index)
    return [layout.spans[index] for index in sorted(kept)]


_MOST_BYTES = 650_000
_MOST_SPANS, _MOST_WITH_FIGURES, _MOST_WITH_ALL = 100_000, 40_000, 25_000
_FIGURES = frozenset(
    (semconv.REQUEST_MODEL, semconv.INPUT_TOKENS, semconv.OUTPUT_TOKENS, semconv.HTTP_STATUS, semconv.RETRY_AFTER)
)


def _short(value: Attribute) -> Any:
    if isinstance(value, str):
        return plain(value, _LONGEST_VALUE, keeps_lines=True)
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [_short(item) for item in value[:100]]
    return _short(str(value))
