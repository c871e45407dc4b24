"""How long importing, loading the extension and writing a trace out take: `python -m tests.bench.bench_start`."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from asyncmagic.exporters import EXPORTERS
from asyncmagic.tracing import Trace, Tracer
from tests.bench.table import table

PROGRAMS = {
    "python": "pass",
    "import asyncmagic": "import asyncmagic",
    "IPython's shell": "from IPython.core.interactiveshell import InteractiveShell as S; S.instance()",
    "shell and %load_ext": (
        "from IPython.core.interactiveshell import InteractiveShell as S; "
        "S.instance().run_line_magic('load_ext', 'asyncmagic')"
    ),
}


def seconds(program: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    return time.perf_counter() - start


def starts(repeats: int) -> str:
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(repeats):
        for name, program in PROGRAMS.items():
            taken[name].append(seconds(program))
    rows = [
        [name, f"{statistics.median(found):.3f} s  ({min(found):.3f}-{max(found):.3f})"]
        for name, found in taken.items()
    ]
    return table("Starting", ["what", "wall"], rows)


def some_trace(count: int) -> Trace:
    """A trace of `count` spans: agents with a chat call each."""
    tracer = Tracer()
    trace = tracer.start_trace("bench")
    for number in range(count // 2):
        agent = tracer.start_span(f"agent {number}", kind="task", parent=trace.root, state="running")
        chat = tracer.start_span("chat gpt-5", kind="chat", parent=agent, attributes={"gen_ai.request.model": "gpt-5"})
        tracer.end_span(chat)
        tracer.end_span(agent)
    tracer.end_trace(trace)
    return trace


def exports(count: int) -> str:
    trace = some_trace(count)
    rows = []
    for name in EXPORTERS:
        start = time.process_time()
        try:
            written = trace.export(name)
        except ImportError as missing:
            rows.append([name, f"not installed: {missing.name}"])
            continue
        rows.append([name, f"{time.process_time() - start:.2f} s", f"{len(written) / 1e6:.2f} MB"])
    return table(f"Writing out {count:,} spans", ["format", "CPU", "size"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--spans", type=int, default=100_000)
    options = parser.parse_args()
    print(starts(options.repeats), flush=True)
    for count in sorted({min(options.spans, 10_000), options.spans}):
        print(exports(count), flush=True)


if __name__ == "__main__":
    main()
