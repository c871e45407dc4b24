"""What `%%agents` costs a framework's agents in a real kernel: `python -m tests.bench.bench_frameworks`.

Two agents at once, each with a tool and a handoff, one of them streamed, every model call 0.3 s long: the same cell as
a plain `asyncio.gather` and under `%%agents`, next to each other and in changing order, by the kernel's own clock.

On a busy machine the wall times say little: the last column is what the ratio would be if all the processor time that
the magic has cost had kept the agents waiting, which is the most that it can be on an idle one.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from tests.bench.table import table
from tests.frameworks.conftest import Notebook, notebook
from tests.frameworks.program import Program
from tests.frameworks.test_frameworks import FRAMEWORKS

PAIRS = 7


def main() -> None:
    rows = [row for name in sys.argv[1:] or FRAMEWORKS if (row := measure(name))]
    columns = ["framework", "plain s", "%%agents s", "ratio", "quartiles", "plain CPU s", "%%agents CPU s", "at most"]
    print(table("Wall time of a cell under %%agents", columns, rows))


def measure(name: str) -> list[str]:
    """Return a framework's row, or nothing where it is not installed."""
    program: Program = import_module(f"tests.frameworks.programs.{name}").PROGRAM
    if program.missing:
        return []
    lines = [line for line in program.cell.splitlines() if line.startswith(("alpha", "gamma"))]
    magic = "\n".join(["%%agents", *lines])
    plain = f"done = await asyncio.gather({', '.join(line.partition(' = ')[2] for line in lines)})"
    with notebook(Path(tempfile.mkdtemp()), "%load_ext asyncmagic", program.source, latency=0.3) as book:
        book.run("import time")
        costs(book, plain), costs(book, magic)
        pairs = []
        for number in range(PAIRS):
            if number % 2:
                pairs.append((costs(book, plain), costs(book, magic)))
            else:
                pairs.append((costs(book, magic), costs(book, plain))[::-1])
    low, middle, high = statistics.quantiles([magic[0] / plain[0] for plain, magic in pairs], n=4)
    (wall, watched_wall), (cpu, watched_cpu) = (
        [statistics.median(pair[side][what] for pair in pairs) for side in (0, 1)] for what in (0, 1)
    )
    ratios = [f"{middle:.3f}", f"{low:.3f}-{high:.3f}"]
    most = f"{1 + (watched_cpu - cpu) / wall:.3f}"
    return [name, f"{wall:.3f}", f"{watched_wall:.3f}", *ratios, f"{cpu:.3f}", f"{watched_cpu:.3f}", most]


def costs(book: Notebook, cell: str) -> tuple[float, float]:
    """Return the wall time and the processor time of a cell, in seconds."""
    before = float(book.value("time.process_time()"))
    wall = book.run(cell).seconds
    return wall, float(book.value("time.process_time()")) - before


if __name__ == "__main__":
    main()
