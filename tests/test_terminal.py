"""asyncmagic in a terminal: the line of progress, the timeline as text, and a real `ipython` process."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from asyncmagic import terminal
from asyncmagic.exporters.text import to_text
from asyncmagic.terminal import TerminalTimeline
from asyncmagic.tracing import Tracer
from tests.timelines import HOSTILE

SESSION = """%load_ext asyncmagic
import asyncio
async def f(x):
    await asyncio.sleep(0.2)
    return x * 2

%%agents
a = f(1)
b = [f(2), f(3)]
(a, b)


(a, b)
f(4)
%asynctrace await f(5)
%asynctrace
"""


class Screen(io.StringIO):
    """A terminal that keeps what was written to it."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def run(view: TerminalTimeline, name: str = "cell") -> tuple[Tracer, object]:
    tracer = Tracer()
    trace = tracer.start_trace(name, processors=(view,))
    tracer.start_span("agent", kind="task", parent=trace.root, state="running")
    return tracer, trace


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "_PATIENCE", 0.01)
    monkeypatch.setattr(terminal, "_PERIOD", 0.01)


def wait_until(holds) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.usefixtures("_impatient")
def test_a_terminal_shows_progress_erases_it_and_then_the_timeline() -> None:
    screen = Screen()
    view = TerminalTimeline("cell", stream=screen)
    tracer, trace = run(view)
    view.show()
    view.show()
    wait_until(lambda: screen.getvalue().count("\r") > 2)
    assert [thread.name for thread in threading.enumerate()].count("asyncmagic-progress") == 1
    tracer.end_trace(trace)
    view.finish()
    view.finish()
    *progress, shown = re.split(r"\r *\r", screen.getvalue())
    assert progress[0].startswith("\rcell: 0 of 1 done")
    assert shown == to_text(trace) + "\n"
    assert "asyncmagic-progress" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.usefixtures("_impatient")
def test_a_file_gets_the_timeline_alone_and_no_colours() -> None:
    file = io.StringIO()
    view = TerminalTimeline("cell", stream=file)
    tracer, trace = run(view)
    view.show()
    time.sleep(0.05)
    tracer.end_trace(trace)
    view.finish()
    assert file.getvalue() == to_text(trace, color=False) + "\n"


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_acts_on_the_terminal_or_breaks_the_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((70, 24)))
    screen = Screen()
    view = TerminalTimeline(name, stream=screen)
    run(view, name)
    view.show()
    wait_until(lambda: "done" in screen.getvalue())
    view._stopped.set()
    view._ticker.join()
    lines = screen.getvalue().split("\r")
    assert max(map(len, lines)) < 70
    assert all(line.isprintable() or "\N{ZERO WIDTH JOINER}" in line for line in lines)


def test_a_terminal_that_is_gone_harms_nobody() -> None:
    screen = Screen()
    view = TerminalTimeline("cell", stream=screen)
    tracer, trace = run(view)
    screen.close()
    tracer.end_trace(trace)
    view.finish()


@pytest.mark.slow
def test_a_terminal_session_shows_results_a_text_timeline_and_warnings(tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor", "--no-confirm-exit"],
        input=SESSION,
        env={**os.environ, "IPYTHONDIR": str(tmp_path), "TERM": "dumb", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "(2, [4, 6])" in shown.stdout
    assert "3 agents" in shown.stdout
    assert "10" in shown.stdout
    assert "missing-await: `f(4)` makes a coroutine" in shown.stderr
    assert "Traceback" not in shown.stdout + shown.stderr
