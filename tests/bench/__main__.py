"""All benches, a table each: `python -m tests.bench`; `--quick` for a first look, names for some of them.

What follows a name and is not known here goes to that bench: `python -m tests.bench soak --minutes 30`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

#: Name -> module, and its arguments for a quick look.
BENCHES: dict[str, tuple[str, list[str]]] = {
    "loop": ("tests.bench.bench_loop", ["--repeats", "1", "--most", "10000"]),
    "http": ("tests.bench.bench_http", ["--pairs", "3"]),
    "kernel": ("tests.bench.bench_kernel", ["--pairs", "3"]),
    "start": ("tests.bench.bench_start", ["--repeats", "1", "--spans", "1000"]),
    "timeline": ("tests.bench.bench_timeline", ["--quick"]),
    "frameworks": ("tests.bench.bench_frameworks", []),
    "soak": ("tests.bench.soak", ["--minutes", "1"]),
    "lint": ("tests.bench.lint_score", ["cases"]),
    "standard-library": ("tests.bench.standard_library", ["test_tasks", "test_locks"]),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(BENCHES)}")
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs")
    options, more = parser.parse_known_args()
    if unknown := set(options.names) - BENCHES.keys():
        parser.error(f"no bench called {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    failed = 0
    for name in options.names or BENCHES:
        module, quick = BENCHES[name]
        failed |= subprocess.run([sys.executable, "-m", module, *(quick if options.quick else []), *more]).returncode
    return failed


if __name__ == "__main__":
    sys.exit(main())
