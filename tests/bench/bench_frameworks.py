"""What `%%agents` costs a framework's agents in a real kernel: `python -m tests.bench.bench_frameworks`.

Two agents at once, each with a tool and a handoff, one of them streamed, every model call 0.3 s long: the same cell as
a plain `asyncio.gather` and under `%%agents`, next to each other and in changing order, by the kernel's own clock.
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
    print(
        table("Wall time of a cell under %%agents", ["framework", "plain s", "%%agents s", "ratio", "quartiles"], rows)
    )


def measure(name: str) -> list[str]:
    """Return a framework's row, or nothing where it is not installed."""
    program: Program = import_module(f"tests.frameworks.programs.{name}").PROGRAM
    if program.missing:
        return []
    lines = [line for line in program.cell.splitlines() if line.startswith(("alpha", "gamma"))]
    magic = "\n".join(["%%agents", *lines])
    plain = f"done = await asyncio.gather({', '.join(line.partition(' = ')[2] for line in lines)})"
    with notebook(Path(tempfile.mkdtemp()), "%load_ext asyncmagic", program.source, latency=0.3) as book:
        seconds(book, plain), seconds(book, magic)
        pairs = []
        for number in range(PAIRS):
            if number % 2:
                pairs.append((seconds(book, plain), seconds(book, magic)))
            else:
                pairs.append((seconds(book, magic), seconds(book, plain))[::-1])
    ratios = [watched / unwatched for unwatched, watched in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4)
    medians = [f"{statistics.median(column):.3f}" for column in zip(*pairs, strict=True)]
    return [name, *medians, f"{middle:.3f}", f"{low:.3f}-{high:.3f}"]


def seconds(book: Notebook, cell: str) -> float:
    return book.run(cell).seconds


if __name__ == "__main__":
    main()
