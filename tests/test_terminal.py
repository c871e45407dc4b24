"""asyncmagic in a terminal: a real `ipython` process, whose loop runs only while a cell does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

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
