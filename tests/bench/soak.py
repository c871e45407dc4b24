"""A real kernel under faults for as long as you like, or a million tasks through it: what grows, and what gets lost.

`python -m tests.bench soak --minutes 30` runs cells of agents against the simulator, which refuses, breaks and drops
their requests; cells time out, are stopped, block the loop, use threads. Every minute it says what the kernel holds,
and compares the trace with the server's own log. `--tasks 1000000` sends so many tasks through one kernel instead.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from asyncmagic.simulator import Server, start
from tests.bench.table import table
from tests.kernel.conftest import Cell, Kernel, running_kernel

#: The C library gives each of the kernel's threads a heap of its own, and the holes in two dozen of them pass for
#: growth: 1 MB a minute, while what is in use stays.
os.environ["MALLOC_ARENA_MAX"] = "1"

PREPARE = """
%load_ext asyncmagic
import asyncio, gc, json, linecache, os, sys, time, tracemalloc
from concurrent.futures import ThreadPoolExecutor
from openai import AsyncOpenAI
import asyncmagic
from asyncmagic.session import session as _session

client = AsyncOpenAI(max_retries=2, timeout=2)
pool = ThreadPoolExecutor(2)

async def ask(question, model="gpt-5", stream=False, **options):
    answer = await client.chat.completions.create(
        model=model, stream=stream, messages=[{"role": "user", "content": question}], **options)
    if not stream:
        return answer.choices[0].message.content
    return "".join([chunk.choices[0].delta.content or "" async for chunk in answer if chunk.choices])

async def busy(seconds):
    await asyncio.sleep(0.01)
    time.sleep(seconds)

async def threads():
    await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.01) for _ in range(3)))
    await asyncio.get_running_loop().run_in_executor(pool, sum, range(1000))

async def spinning(count):
    for _ in range(count):
        await asyncio.sleep(0)

_known = set()
n = 0

def _new_traces():
    global n
    n += 1
    ended = [trace for trace in _session.traces if not trace.is_running]
    found = [trace for trace in ended if trace.trace_id not in _known]
    _known.clear()
    _known.update(trace.trace_id for trace in ended)
    http = [span for trace in found for span in trace.spans if span.kind == "http"]
    print(json.dumps({
        "spans": sum(len(trace.spans) for trace in found),
        "dropped": sum(trace.dropped_spans for trace in found),
        "open": [span.name for trace in found for span in trace.spans if span.end is None],
        "http": len(http),
        "ids": [span.attributes.get("asyncmagic.request_id") for span in http],
    }))

def _sizes():
    # What IPython keeps of every cell, for as long as the kernel lives: all that was displayed, all that was raised.
    history = get_ipython().history_manager
    for kept in ("outputs", "exceptions"):
        getattr(history, kept, {}).clear()
    gc.collect()
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    held = ours = 0
    if tracemalloc.is_tracing():
        held = tracemalloc.get_traced_memory()[0]
        # What ipykernel and IPython keep of each cell (digests of its messages, its place in the history) is not ours.
        ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/asyncmagic/*", all_frames=True)])
        ours = sum(trace.size for trace in ours.traces)
    print(json.dumps({
        "rss": pages * os.sysconf("SC_PAGE_SIZE") / 1e6, "held": held / 1e6, "ours": ours / 1e6,
        "objects": len(gc.get_objects()), "known": len(sys.modules) + sum(map(os.path.isfile, list(linecache.cache))),
        "files": len(os.listdir("/proc/self/fd")), "cpu": time.process_time(),
    }))
"""

#: Cells that go round, the same text each time: IPython keeps the sources of all cells. The kernel's `n` makes the
#: questions new; `!` in front: press Stop after a while.
CELLS = [
    "%%agents --limit 8 --return-exceptions\nanswers = [ask(f'{n} {i}', stream=bool(i % 2)) for i in range(16)]",
    "%%agents --return-exceptions\n"
    "faulty = [ask(f'{n} {i} {model}', 'gpt-5-' + model, stream=bool(i % 2))\n"
    "          for i, model in enumerate(('429', '429x2', '500', '500x1', 'drop', 'drop8', 'malformed', '404'))]",
    "%%agents --agent-timeout 0.3 --return-exceptions\n"
    "late = [ask(f'{n} {i}', 'gpt-5-hang' if i % 2 else 'gpt-5') for i in range(6)]",
    "%%agents --return-exceptions\nimpatient = [ask(f'{n} {i}', 'gpt-5-slow0.4', timeout=0.15) for i in range(4)]",
    "%%agents --timeout 0.4\nunfinished = [ask(f'{n} {i}', 'gpt-5-hang') for i in range(4)]",
    "!%%agents\nstopped = [ask(f'{n} {i}', 'gpt-5-hang') for i in range(5)]",
    "%%agents --fail-fast\nfirst = [ask(f'{n} {i}', 'gpt-5-404' if i == 3 else 'gpt-5') for i in range(6)]",
    "%%agents\nblocked = [busy(0.12), ask(f'{n}', stream=True), spinning(500)]",
    "%%agents --limit 3\nat_work = [threads() for _ in range(6)]",
    """%%asynctrace
async with asyncio.TaskGroup() as group:
    for i in range(20):
        group.create_task(spinning(20))
try:
    await asyncio.wait_for(ask(f'{n}', 'gpt-5-hang'), 0.2)
except TimeoutError:
    pass""",
    "%%agents --return-exceptions\n"
    "victims = [asyncio.create_task(ask(f'{n} {i}', 'gpt-5-slow0.5')) for i in range(4)]\n"
    "await asyncio.sleep(0.1)\nfor victim in victims[:2]:\n    victim.cancel()\n"
    "ended = await asyncio.wait(victims)",
    "%asynctrace on",
    "done = await ask(f'{n} plainly'); %asynctrace off",
]


def ask(kernel: Kernel, code: str) -> dict[str, Any]:
    """Run a line that prints JSON, and return what it says."""
    cell = kernel.run(code, timeout=120)
    found: dict[str, Any] = json.loads(next(line for line in cell.stdout.splitlines() if line.startswith("{")))
    return found


def prepare(kernel: Kernel, *more: str) -> None:
    for code in (PREPARE, *more):
        cell = kernel.run(code)
        if cell.status != "ok":
            raise RuntimeError(f"the kernel does not get ready: {cell.error}")


class Soak:
    """The cells, one after another, and what has been counted on both sides."""

    def __init__(self, kernel: Kernel, server: Server, share: float) -> None:
        self.kernel, self.server, self.share = kernel, server, share
        self.chance = random.Random(5)
        self.pid = kernel.manager.provisioner.pid  # type: ignore[union-attr]
        self.number = self.cells = self.spans = self.dropped = self.attempts = self.exchanges = 0
        self.lost: list[str] = []

    def round(self) -> None:
        """Run a cell, compare, and rest as long as keeps the load down."""
        began, used = time.monotonic(), self.cpu()
        code = CELLS[self.number % len(CELLS)]
        self.number += 1
        cell = self.kernel.submit(code.removeprefix("!"))
        if code.startswith("!"):
            self.stop_after(cell, self.chance.uniform(0.1, 0.5))
        cell.wait(60)
        self.cells += 1
        self.compare(code)
        self.kernel.messages.clear()
        self.kernel._cells.clear()
        self.kernel._displays.clear()
        rest = (self.cpu() - used) / self.share - (time.monotonic() - began)
        if rest > 0:
            time.sleep(rest)

    def stop_after(self, cell: Cell, seconds: float) -> None:
        due = time.monotonic() + seconds
        self.kernel.read_until(lambda: cell.is_done or time.monotonic() > due, 60)
        self.kernel.interrupt()

    def compare(self, code: str) -> None:
        """Every exchange of the server's log has to have a span of its own."""
        self.server.wait_idle(10)
        seen = ask(self.kernel, "_new_traces()")
        log = list(self.server.log)
        self.server.log.clear()
        self.spans += seen["spans"]
        self.dropped += seen["dropped"]
        self.attempts += seen["http"]
        self.exchanges += len(log)
        ids = set(seen["ids"])
        lost = [one.request_id for one in log if one.outcome == "complete" and one.status and one.request_id not in ids]
        if any(word in code for word in ("!", "timeout", "--fail-fast", "cancel()")):
            # Whoever was cancelled may not have read the answer that was on its way; its attempt is there all the same.
            lost = lost if seen["http"] < len(log) else []
        if seen["http"] < len(log) or lost or seen["open"]:
            self.lost.append(
                f"cell {self.number}: {seen['http']} of {len(log)}, {lost}, open {seen['open'][:5]}: {code[:60]}"
            )

    def cpu(self) -> float:
        """Seconds of CPU that the kernel and this process have used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + time.process_time()


def soak(minutes: float, share: float, say: Callable[[str], None]) -> bool:
    """Run cells for so many minutes; return whether nothing grew and nothing was lost."""
    with (
        tempfile.TemporaryDirectory() as folder,
        start(latency=0.02, tokens_per_second=2000, retry_after=0.05, faults=None, environ=True) as server,
        running_kernel(Path(folder)) as kernel,
    ):
        prepare(kernel)
        work = Soak(kernel, server, share)
        end = time.monotonic() + minutes * 60
        minute, readings = 0, []
        say(
            "minute   cells    spans  dropped  attempts/server  lost  rss MB  held MB  ours MB  objects  files    known"
        )
        while time.monotonic() < end:
            if minute >= minutes / 2 and not any(one["held"] for one in readings):
                kernel.run("tracemalloc.start(8)")
            due = min(time.monotonic() + 60, end)
            while time.monotonic() < due:
                work.round()
            minute += 1
            now = ask(kernel, "_sizes()")
            readings.append(now)
            say(
                f"{minute:6} {work.cells:7,} {work.spans:8,} {work.dropped:8,} {work.attempts:8,}/{work.exchanges:<7,}"
                f" {len(work.lost):5} {now['rss']:7.1f} {now['held']:8.2f} {now['ours']:8.2f}"
                f" {now['objects']:8,} {now['files']:6} {now['known']:8,}"
            )
            for words in work.lost[-3:]:
                say(f"       lost: {words}")
        return judge(readings, work, say)


def judge(readings: list[dict[str, Any]], work: Soak, say: Callable[[str], None]) -> bool:
    """Judge by the slope of the later two thirds: before, caches and the kept traces fill up.

    And of that the longest time in which nothing new was known: what is imported stays, and IPython keeps the syntax
    tree of each file that a traceback goes through, thousands of objects. What is ours is told in the second half of
    the run, by tracemalloc, which itself takes 60 MB and its time: the size of the process is that of the first half.
    """
    traced = [one for one in readings if one["held"]]
    untraced = readings[: len(readings) - len(traced)]
    grows = False
    for name, unit, most, told in (
        ("rss", "MB", 0.5, untraced),
        ("ours", "MB", 0.02, traced),
        ("objects", "", 200.0, readings),
        ("files", "", 0.2, readings),
    ):
        alike = [[one[name] for one in group] for _, group in groupby(told[len(told) // 3 :], itemgetter("known"))]
        later = max(alike, key=len, default=[])
        if len(later) >= 3:
            slope = statistics.linear_regression(range(len(later)), later).slope
            verdict = "grows" if slope > most else "flat"
            grows |= slope > most
            say(f"{name}: {slope:+.3f} {unit} a minute: {verdict}")
    say(f"lost without being counted: {len(work.lost)} of {work.cells} cells; dropped and counted: {work.dropped}")
    return not grows and not work.lost


def through(count: int, at_once: int, say: Callable[[str], None]) -> bool:
    """Send `count` tasks through one kernel, `at_once` in a cell; return whether memory and pace stayed level."""
    readings: list[dict[str, Any]] = []
    rows: list[list[str]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        start(environ=True),
        running_kernel(Path(folder)) as kernel,
    ):
        prepare(kernel)
        done, last = 0, ask(kernel, "_sizes()")
        while done < count:
            for _ in range(max(100_000 // at_once, 1)):
                cell = kernel.run(f"%%agents\nmany = [spinning(3) for _ in range({at_once})]", timeout=600)
                if cell.status != "ok":
                    raise RuntimeError(str(cell.error))
                kernel.messages.clear()
                kernel._cells.clear()
                kernel._displays.clear()
                done += at_once
            now = ask(kernel, "_sizes()")
            now["pace"] = (now["cpu"] - last["cpu"]) / max(100_000, at_once) * 1e6
            readings.append(now)
            last = now
            rows.append([f"{done:,}", f"{now['rss']:.0f} MB", f"{now['objects']:,}", f"{now['pace']:.1f} µs"])
            say("  ".join(rows[-1]))
    say(
        table(
            f"{count:,} tasks through one kernel, {at_once:,} in a cell",
            ["tasks", "rss", "objects", "CPU a task"],
            rows,
        )
    )
    half = readings[len(readings) // 2 :]
    return len(half) < 2 or (half[-1]["rss"] < half[0]["rss"] * 1.1 and half[-1]["pace"] < half[0]["pace"] * 1.5)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3, help="how long; caches take ten to fill up")
    parser.add_argument("--share", type=float, default=0.25, help="how much of a core to use")
    parser.add_argument("--tasks", type=int, help="send so many tasks through one kernel, and no faults")
    parser.add_argument("--at-once", type=int, default=10_000, help="tasks in a cell")
    options = parser.parse_args()

    def say(words: str) -> None:
        print(words, flush=True)

    if options.tasks:
        return not through(options.tasks, options.at_once, say)
    return not soak(options.minutes, options.share, say)


if __name__ == "__main__":
    sys.exit(main())
