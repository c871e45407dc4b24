"""TimelineWidget: the live timeline below a cell, which ends as a picture that needs no kernel."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

import anywidget
import traitlets
from IPython.display import display, update_display

from asyncmagic.assets import read, widget_script
from asyncmagic.delta import DeltaWriter
from asyncmagic.layout import Layout, plain
from asyncmagic.registry import load
from asyncmagic.tracing.analysis import headline, progress
from asyncmagic.tracing.model import Span, Trace
from asyncmagic.tracing.reading import Reading

logger = logging.getLogger("asyncmagic")

#: Finished timelines that no page has replaced yet, the latest few.
_waiting: deque[TimelineWidget] = deque(maxlen=4)

#: Seconds between two deltas, and how much of its own time the flusher may at most be busy.
_PERIOD = 0.05
_MOST_BUSY = 0.016
_BURST = 0.05
#: How many times as long as a delta took the next one waits, and at most how many seconds: where it had to wait for the
#: interpreter, a busy loop had to wait for it too.
_REST, _LONGEST_REST = 10, 1.0
_HEARTBEAT = 0.25
#: Seconds into the run until a picture stands in the output, at least and at most between two of them, and how busy
#: the flusher may be with them meanwhile.
_FIRST_PICTURE = 0.5
_PICTURES = (1.0, 30.0)
_MOST_BUSY_DRAWING = 0.003
#: Drawing takes time: before a run is so many seconds old for each of its spans, or as old as `_PICTURES` says, it is
#: not worth a picture.
_AGE_OF_A_SPAN = 0.01
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class TimelineWidget(anywidget.AnyWidget):
    """Shows one trace while it runs: a span processor that sends the page what changed, at most 20 times a second.

    `show()` displays it in the running cell. A thread of its own sends, so that the page goes on while the loop is
    blocked. From time to time it puts a picture of the run so far into the output, where only the saved notebook shows
    it: a kernel that dies leaves it behind. `finish()` replaces the output with a picture, a table and a viewer that
    need no kernel. `on_cancel` is called with the id of the span whose Cancel was pressed, or `None` for the whole
    run, on any thread.
    """

    _esm = widget_script()
    _css = read("timeline.css")
    key = traitlets.Unicode().tag(sync=True)
    snapshot = traitlets.Bytes().tag(sync=True)

    def __init__(self, trace_name: str, on_cancel: Callable[[int | None], None] | None = None) -> None:
        self._trace_name = trace_name
        self._on_cancel = on_cancel
        self._trace: Trace | None = None
        self._changed: deque[Span] = deque()
        self._layout = Layout()
        self._writer = DeltaWriter(self._layout)
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._flusher: threading.Thread | None = None
        self._display_id = ""
        self._has_listener = False
        self._can_replace = False  # the page moves a live timeline from one output to the next
        self._has_late_page = False  # which was opened during the run: its output is not replaced
        self._must_send_all = False
        self._sequence = 0
        self._words = {"headline": "", "progress": ""}
        self._words_at = self._sent_at = self._all_at = 0.0
        self._started_at = time.monotonic()
        self._picture_at = self._started_at + _FIRST_PICTURE
        super().__init__(key=uuid.uuid4().hex)
        self.on_msg(self._on_message)

    # -- span processor: called on any thread, at any time, and quick

    def on_start(self, span: Span) -> None:
        if self._trace is None and span.trace is not None:
            self._trace = span.trace
            self._writer = DeltaWriter(self._layout, keeps_content=span.trace.keeps_content, is_live=True)
        self._changed.append(span)

    def on_update(self, span: Span) -> None:
        self._changed.append(span)

    def on_end(self, span: Span) -> None:
        self._changed.append(span)

    # -- on the page

    def show(self) -> None:
        """Display the timeline in the running cell and keep it up to date."""
        if self._flusher is not None:
            return
        self._display_id = uuid.uuid4().hex
        self._started_at = time.monotonic()
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        text = f"{plain(self._trace_name)}: running …"
        display({_WIDGET_VIEW: view, "text/plain": text}, raw=True, display_id=self._display_id)
        # In the cell's context: ipykernel 7 finds in it the cell to which messages belong.
        run = contextvars.copy_context().run
        self._flusher = threading.Thread(
            target=run, args=(self._keep_flushing,), name="asyncmagic-timeline", daemon=True
        )
        self._flusher.start()

    def finish(self) -> None:
        """Send what is left and replace the live view by a picture with its own viewer; more calls do nothing."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        try:
            if self._flusher is not None:
                self._flusher.join(2)
                # Else the live timeline takes all from what replaces it.
                if not self._can_replace or self._has_late_page:
                    self.flush()
        finally:
            if self._flusher is not None:
                self._replace()
            if self._can_replace:
                self._wait_for_page()
            else:
                self.close()

    def close(self) -> None:
        """Forget the page. Who executes a notebook without one saves closed widgets too: next to nothing is left."""
        comm = self.comm
        if self in _waiting:
            _waiting.remove(self)
        super().close()
        # Made for it by ipywidgets, which would keep it for the life of the kernel.
        self.layout.close()
        if comm is not None:
            nothing = {"_esm": "", "_css": "", "snapshot": ""}
            comm.send({"method": "update", "state": nothing, "buffer_paths": []})

    def _wait_for_page(self) -> None:
        """Stay for a page that was closed during the run: opened again, it gets here what its saved output lacks."""
        if len(_waiting) == _waiting.maxlen:
            _waiting[0].close()
        _waiting.append(self)

    def flush(self) -> None:
        """Send what changed since the last time, or that the run goes on."""
        with self._lock:
            trace = self._trace
            if trace is None:
                return
            trace.collect()
            spans = self._take_changes()
            now = self._now(trace)
            indexes = self._layout.update(spans)
            header = self._header(trace, now)
            at = time.monotonic()
            if self._must_send_all or (not self._has_listener and at >= self._all_at):
                # Until somebody answers, what was sent may have come before anybody listened: all again, ever rarer.
                self._must_send_all = False
                self._all_at = at + max(0.3, 2 * (at - self._started_at))
                message = self._writer.write_all(header, now=now)
            elif not indexes and len(header) == 1 and at < self._sent_at + _HEARTBEAT:
                return
            else:
                message = self._writer.write(indexes, header, now=now)
            self._sequence += 1
            self._sent_at = at
            self.send({"type": "delta"}, [message])

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """Return the state for a page that joins now: the whole timeline so far is in it."""
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        if "snapshot" in state and self._trace is not None:
            with self._lock:
                self._layout.update(self._take_changes())
                now = self._now(self._trace)
                writer = DeltaWriter(self._layout, keeps_content=self._trace.keeps_content)
                rows = self._layout.changed_rows
                state["snapshot"] = writer.write_all(self._header(self._trace, now, everything=True), now=now)
                self._layout.changed_rows = rows
                # That page numbers texts as this writer did, not as the one of the deltas: they begin anew.
                self._must_send_all = True
        return state

    def _keep_flushing(self) -> None:
        pause = debt = 0.0
        last = time.monotonic()
        while not self._stopped.wait(pause):
            began, used = time.monotonic(), time.thread_time()
            # What the thread itself used counts, not how long others had the processor; a first burst is free.
            debt = max(0.0, debt - (began - last) * _MOST_BUSY)
            last = began
            try:
                self.flush()
                took = time.monotonic() - began
                debt += time.thread_time() - used
                if self._can_replace and time.monotonic() >= max(self._picture_at, self._old_enough_at()):
                    self._keep_picture()
            except Exception:
                logger.exception("the live timeline stopped; your code is not affected")
                return
            rest = min(took * _REST, _LONGEST_REST)
            pause = max(_PERIOD - (time.monotonic() - began), rest, (debt - _BURST) / _MOST_BUSY, 0.01)

    def _take_changes(self) -> list[Span]:
        changed: dict[int, Span] = {}
        for _ in range(len(self._changed)):
            span = self._changed.popleft()
            changed[span.span_id] = span
        return list(changed.values())

    def _now(self, trace: Trace) -> int:
        return trace.root.end if trace.root.end is not None else time.time_ns() - trace.time_origin

    def _header(self, trace: Trace, now: int, *, everything: bool = False) -> dict[str, Any]:
        header: dict[str, Any] = {"seq": self._sequence}
        at = time.monotonic()
        if at >= self._words_at or not trace.is_running or everything:
            used = time.thread_time()
            read = Reading(trace, now)
            words = {"headline": plain(headline(read)), "progress": progress(read) if trace.is_running else ""}
            # Counting a large run takes a moment; it is done as seldom as keeps it cheap.
            self._words_at = at + max(0.5, (time.thread_time() - used) * 200)
            if words != self._words or everything:
                self._words = words
                header.update(words)
        if everything or not self._sequence or not trace.is_running or self._must_send_all or not self._has_listener:
            header |= {**self._words, "running": trace.is_running, "trace": trace.trace_id, "name": plain(trace.name)}
        return header

    def _on_message(self, _: object, content: dict[str, Any], buffers: object) -> None:
        match content:
            case {"type": "hello" | "resend" as said}:
                self._has_late_page |= said == "hello" and self._has_listener
                self._has_listener = self._must_send_all = True
                self._can_replace |= content.get("isJupyter") is True
            case {"type": "replaced"}:
                self.close()
            case {"type": "cancel", "index": None} if self._on_cancel is not None:
                self._on_cancel(None)
            case {"type": "cancel", "index": int(index)} if self._on_cancel is not None:
                if 0 <= index < len(self._layout.spans):
                    self._on_cancel(self._layout.spans[index].span_id)

    def _old_enough_at(self) -> float:
        return self._started_at + min(len(self._layout.spans) * _AGE_OF_A_SPAN, _PICTURES[1])

    def _keep_picture(self) -> None:
        trace, used = self._trace, time.thread_time()
        if trace is None:
            return
        try:
            bundle: dict[str, str] = load("asyncmagic.exporters.output:to_still")(trace)
        except Exception:  # The run went on while it was drawn: the next one comes soon.
            logger.debug("a picture of the run so far could not be drawn", exc_info=True)
            bundle = {}
        with self._lock:
            # The last picture may be there already.
            if bundle and not self._stopped.is_set():
                update_display(bundle, raw=True, display_id=self._display_id)
        (least, most), now = _PICTURES, time.monotonic()
        worth = max((now - self._started_at) / 4, (time.thread_time() - used) / _MOST_BUSY_DRAWING)
        self._picture_at = now + max(least, min(worth, most))

    def _replace(self) -> None:
        if self._trace is None:
            return
        drawn: dict[str, str] = load("asyncmagic.exporters.output:to_output")(self._trace)
        with self._lock:
            bundle = {"text/plain": self._words["headline"], **drawn}
            update_display(bundle, raw=True, display_id=self._display_id)
