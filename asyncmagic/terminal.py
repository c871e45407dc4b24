"""TerminalTimeline: one line of progress while a cell runs in a terminal, and the timeline as text when it ends."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
import time
from typing import TextIO

from asyncmagic.layout import plain
from asyncmagic.tracing.analysis import progress
from asyncmagic.tracing.model import Span, Trace
from asyncmagic.tracing.reading import Reading

logger = logging.getLogger("asyncmagic")

#: Runs shorter than this show no progress: seconds.
_PATIENCE = 1.0
_PERIOD = 0.25


class TerminalTimeline:
    """Where there is no page: the counterpart of `TimelineWidget`, with the same methods, that writes text.

    The line of progress is drawn on terminals alone, and erased before anything else is written.
    """

    def __init__(self, trace_name: str, *, stream: TextIO | None = None) -> None:
        self._trace_name = trace_name
        self._stream = stream if stream is not None else sys.stdout
        self._trace: Trace | None = None
        self._stopped = threading.Event()
        self._ticker: threading.Thread | None = None

    def on_start(self, span: Span) -> None:
        if self._trace is None:
            self._trace = span.trace

    def on_update(self, span: Span) -> None: ...

    def on_end(self, span: Span) -> None: ...

    def show(self) -> None:
        """Begin to show progress, on a terminal and once the run has taken a second."""
        if self._ticker is None and self._stream.isatty():
            self._ticker = threading.Thread(target=self._tick, name="asyncmagic-progress", daemon=True)
            self._ticker.start()

    def finish(self) -> None:
        """Erase the progress and write the timeline; more calls do nothing."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        if self._ticker is not None:
            self._ticker.join(1)
        if self._trace is not None:
            self._write(f"{self._trace.to_text()}\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # A terminal that is gone is no reason to lose results.
            self._stopped.set()
            logger.warning("the timeline could not be written to the terminal", exc_info=True)

    def _tick(self) -> None:
        pause, width = _PATIENCE, 0
        while not self._stopped.wait(pause):
            trace = self._trace
            if trace is None:
                continue
            began = time.perf_counter()
            room = shutil.get_terminal_size().columns - 1
            line = f"{plain(self._trace_name, 30)}: {progress(Reading(trace))}"[:room]
            self._write(f"\r{line.ljust(width)}")
            width = len(line)
            pause = max(_PERIOD, 20 * (time.perf_counter() - began))
        if width:
            self._write(f"\r{' ' * width}\r")
