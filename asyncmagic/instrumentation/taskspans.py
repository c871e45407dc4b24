"""A task log made into spans: states, ends, and the steps that blocked the loop."""

from __future__ import annotations

import asyncio
import threading
from array import array
from typing import Any

from asyncmagic.instrumentation.blocking import Samples
from asyncmagic.instrumentation.tasklog import ENTERED, INDEX, LOOK, Held, TaskLog
from asyncmagic.tracing.model import LONG, Span, StateLog, Trace
from asyncmagic.tracing.semconv import CANCELLED_BY, STEPS_NOT_SHOWN

_LOOK, _ENTERED = round(LOOK * 1e9), round(ENTERED * 1e9)
#: Seconds after which a step that still runs is shown as running.
_LONG = 0.05
#: Later than any time.
_NEVER = 1 << 63


class TaskSpans:
    """Writes the spans of one log. `collect` may be called on any thread."""

    def __init__(self, log: TaskLog, samples: Samples) -> None:
        self.log = log
        self.samples = samples
        self._tracer = log.tracer
        self._collecting = threading.RLock()
        self._is_writing = False
        #: Until when the step that runs has been told of.
        self._told = 0.0

    def collect(self, trace: Trace) -> None:
        """Bring the spans up to date with what has been appended."""
        self.log.ask_for_a_look()
        with self._collecting:
            # A processor may read the trace when it is told of a span.
            if not self._is_writing:
                self._is_writing = True
                try:
                    self._collect(trace)
                finally:
                    self._is_writing = False

    def _collect(self, trace: Trace) -> None:
        over = self.log.mark[0] or self.log.now()
        added, steps, ended, held = self.log.drain()
        changed, blocks = self._write_states(steps)
        for index in added:
            self.log.span(index)
        self._show_running(changed)
        for index in ended:
            changed.pop(index, None)
            self._end(index)
        for index, span in changed.items():
            self._update(index, span)
        for start, end, blocker, callback in (*blocks, *held, *self._held_so_far()):
            self.samples.add_block(start, end, blocker or trace.root, callback)
        self.samples.forget(over)
        self.samples.settle(trace)
        trace.dropped_spans += self.log.take_dropped()

    def _write_states(self, steps: array[float]) -> tuple[dict[int, Span], list[Held]]:
        batches: dict[int, _Batch | None] = {}
        try:
            return self._sort(steps, batches)
        finally:
            for batch in filter(None, batches.values()):
                batch.write()

    def _sort(self, steps: array[float], batches: dict[int, _Batch | None]) -> tuple[dict[int, Span], list[Held]]:
        """Give each step to the batch of its task; return the spans that change, and what held the loop."""
        changed: dict[int, Span] = {}
        seen: dict[int, tuple[_Batch, str | None]] = {}
        blocks: list[Held] = []
        threshold, words_of = _ns(self._tracer.blocking_threshold), self.log.waits.words
        told, before = _ns(self._told), 0
        # A column at a time: call by call, taking a step apart costs more than all that is done with it. And by the
        # method, since `round` would look for it each time.
        to_int = float.__round__
        columns = [map(int, steps[0::4]), *([to_int(time * 1e9) for time in steps[column::4]] for column in (1, 2, 3))]
        for number, ready, start, end in zip(*columns, strict=True):
            if number in seen and end - start < threshold:
                # Most steps are short, and of a task that waited for the same before.
                batch, words = seen[number]
                if start >= batch[-1] and ready >= 0:
                    batch += words, ready, start, end
                    before = start
                    continue
            wait, index = divmod(number, INDEX)
            words = words_of(wait) if wait else None
            if index in batches:
                found = batches[index]
            else:
                # A look has only the time since when the task waits: it may come before the first step does.
                span = changed[index] = self._first_seen(index, ready, end if ready == _LOOK else start)
                found = _Batch(span) if _goes_on(span) else None
                if ready >= 0:
                    batches[index] = found
            if found is None:
                continue
            batch = found
            if ready == _LOOK:
                # Not a step: somebody looked at what it waits for since then.
                batch.look(end, words)
                continue
            # A step around other steps ran the loop itself: that blocks nobody. One in which a trace began is that
            # trace's from there on.
            if end - start >= threshold and before <= start and ready != _ENTERED and end > told:
                span = changed[index]
                begun = max(start, span.start) if index in self.log.adopted else start
                if end - begun >= threshold:
                    blocks.append((max(begun, told) / 1e9, end / 1e9, span, None))
            before = start
            if ready >= 0:
                seen[number] = batch, words
            batch.add(ready, start, end, words)
        return changed, blocks

    def _first_seen(self, index: int, ready: int, since: int) -> Span:
        """Return the span of a task, with states, of which the first step since the last time is seen."""
        since = ready if ready >= 0 else since
        span = self.log.span(index, since / 1e9)
        if 0 <= ready < span.start and index not in self.log.adopted:
            # Its span was asked for in a later step than this one, which is its first.
            span.start, span.states = ready, None
        if span.states is None and _goes_on(span):
            span.states = StateLog()
            span.states.append(since, "ready")
        return span

    def _held_so_far(self) -> list[Held]:
        """Return the step from within which somebody asks, perhaps to end the trace: what comes after is not its."""
        start, loop = self.log.mark[0], self.log.loop()
        if not start or loop is None or asyncio._get_running_loop() is not loop:
            return []
        record, now = self.log.live.get(id(asyncio.current_task(loop))), self.log.now()
        if record is None or now - max(start, self._told) < self._tracer.blocking_threshold:
            return []
        span = self.log.span(record.index)
        begun = max(start, self._told, span.start / 1e9 if record.index in self.log.adopted else 0.0)
        if now - begun < self._tracer.blocking_threshold:
            return []
        self._told = now
        return [(begun, now, span, None)]

    def _show_running(self, changed: dict[int, Span]) -> None:
        """Show the step that runs now, if it has been running for long or is the cell's: its end may be far away."""
        start, loop = self.log.mark[0], self.log.loop()
        if not start or loop is None:
            return
        record = self.log.live.get(id(asyncio.current_task(loop)))
        if record is None or self.log.mark[0] != start:
            return
        span = self.log.span(record.index)
        if span.kind != "cell" and self.log.now() - start < _LONG:
            return
        states = span.states
        if states is None or (states.last()[1] in ("waiting", "ready") and states.last()[0] <= _ns(start)):
            if states is None:
                states = span.states = StateLog()
            began, number = self.log.latest
            wait, index = divmod(number, INDEX)
            if began == start and index == record.index and states and states.last()[1] == "waiting":
                states.amend("waiting", self.log.waits.words(wait))
            states.append(_ns(start), "running")
            changed[record.index] = span

    def _update(self, index: int, span: Span) -> None:
        if index not in self.log.adopted:
            span.name = self.log.name(index)
        self._tracer.update(span)

    def _end(self, index: int) -> None:
        span, name, outcome, end = self.log.take_end(index)
        if (who := self.log.cancelled_by.pop(index, None)) is not None:
            span.attributes[CANCELLED_BY] = who
        if index in self.log.adopted:
            self.log.adopted.discard(index)
            self._tracer.update(span)
            return
        span.name = name
        message = None
        if outcome == "TaskDestroyed":
            message = "garbage collected while it waited: keep a reference to the task"
        self._tracer.end_span(span, error=outcome or None, end=_ns(end), message=message)


class _Batch(list[Any]):
    """Steps of one task on their way to its states, where most are written many at a time.

    When the latest one in the log ended; and of each that follows what it waited for, when it was ready, when it
    started and ended. A list of all that, since a run may have a hundred thousand tasks.
    """

    __slots__ = ("_span", "_states")

    def __init__(self, span: Span) -> None:
        assert span.states is not None
        self._span, self._states = span, span.states
        self._begin()

    def add(self, ready: int, start: int, end: int, words: str | None) -> None:
        """Add a step of any kind."""
        if start >= self[-1] and ready >= 0:
            self += words, ready, start, end
        else:
            self.write()
            self._write_step(words, ready, start, end)
            self._begin()

    def look(self, since: int, words: str | None) -> None:
        """Add what the task waits for since then, if it does."""
        self.write()
        self._begin()
        last, state, _ = self._states.last() if self._states else (0, "ready", None)
        # In a long log it may wait since before a step that was left out.
        if state == "waiting" and last <= since:
            self._states.amend("waiting", words)

    def write(self) -> None:
        """Write the steps; nothing can be added before `_begin`."""
        if len(self) == 1:
            return
        steps = self[1::4], self[2::4], self[3::4], self[4::4]
        if len(self._states) + 3 * len(steps[0]) <= LONG:
            self._states.append_steps(*steps)
        else:
            for step in zip(*steps, strict=True):
                self._write_step(*step)

    def _begin(self) -> None:
        last, state, _ = self._states.last() if self._states else (0, "queued", None)
        self[:] = [last if state in ("waiting", "ready") and not self._states.is_long else _NEVER]

    def _write_step(self, words: str | None, ready: int, start: int, end: int) -> None:
        if not _write_step(self._states, ready, start, end, words):
            unseen = self._span.attributes.get(STEPS_NOT_SHOWN, 0)
            assert isinstance(unseen, int)
            self._span.attributes[STEPS_NOT_SHOWN] = unseen + 1


def _goes_on(span: Span) -> bool:
    # The kernel's task lives on after its cell, and runs other cells.
    return span.kind != "cell" or not span.has_ended


def _write_step(log: StateLog, ready: int, start: int, end: int, words: str | None) -> bool:
    """Write a step to the log of its task; `False` if it is too short to be told from the rest."""
    last, state, _ = log.last() if log else (0, "ready", None)
    if state == "queued":
        return True
    if state == "running" and last == start:
        # It was shown while it ran, when nobody knew since when it had been ready.
        log.drop_last()
        last, state, _ = log.last() if log else (0, "ready", None)
    if log.is_long:
        first = next(iter(log))[0]
        if max(end - start, start - max(ready, last), ready - last) < (end - first) // 1_000:
            return False
    if state == "waiting":
        if 0 <= ready <= last:
            # It did not wait: it had asked to go on before its step was over.
            log.amend("ready")
        else:
            if words is not None:
                log.amend("waiting", words)
            if ready >= 0:
                log.append(ready, "ready")
    if start >= last and state != "running":
        log.append(start, "running")
    if end >= last:
        log.append(end, "waiting")
    return True


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
