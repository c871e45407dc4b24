"""What watching the loop costs, against the same work unwatched: `python -m tests.bench.bench_loop`.

Every figure is the median of pairs of fresh processes, one plain and one watched, run in turn; the spread is that of
the pairs. CPU time decides: this machine may be busy with other things. Where valgrind is installed, instructions are
counted too, which no other process disturbs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import json
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.bench.table import table

Load = Callable[[int], Awaitable[list[Any]]]


async def _spin(steps: int, depth: int) -> None:
    if depth > 1:
        return await _spin(steps, depth - 1)
    for _ in range(steps):
        await asyncio.sleep(0)
    return None


async def _timer(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _all(coroutines: Iterator[Any]) -> list[Any]:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        await task
    return tasks


def spin(steps: int = 10, depth: int = 1) -> Load:
    """Tasks that do nothing but take their turns: the worst case for whoever watches turns."""
    return lambda count: _all(_spin(steps, depth) for _ in range(count))


async def timers(count: int) -> list[Any]:
    """Tasks that wait for one timer each, within half a second."""
    chance = random.Random(1)
    return await _all(_timer(chance.random() / 2) for _ in range(count))


async def waves(count: int) -> list[Any]:
    """`count` tasks in waves of a thousand: none is kept."""
    for _ in range(count // 1_000):
        await _all(_spin(3, 1) for _ in range(1_000))
    return []


LOADS: dict[str, tuple[Load, int]] = {
    "spin": (spin(), 10_000),
    "spin, await depth 10": (spin(depth=10), 2_000),
    "spin, await depth 50": (spin(depth=50), 1_000),
    "timers": (timers, 10_000),
    "four steps": (spin(3), 10_000),
    "waves": (waves, 100_000),
}


@contextmanager
def _plain() -> Iterator[None]:
    yield


@contextmanager
def _watched(*, live: bool = False, fallback: bool = False) -> Iterator[None]:
    from asyncmagic.instrumentation import loop
    from asyncmagic.tracing import Tracer

    if fallback:
        loop.can_watch = lambda _: False  # type: ignore[assignment]
    tracer = Tracer()
    with loop.instrument(tracer):
        trace = tracer.start_trace("bench")
        finished = threading.Event()

        def page() -> None:
            while not finished.wait(0.05):
                trace.collect()

        reader = threading.Thread(target=page)
        if live:
            reader.start()
        with tracer.use(trace.root):
            yield
        finished.set()
        if live:
            reader.join()
        # What is measured is the watching: `bench_export` reads.
        trace.sources.clear()
        tracer.end_trace(trace)


@contextmanager
def _debug() -> Iterator[None]:
    asyncio.get_running_loop().set_debug(True)
    yield


@contextmanager
def _cprofile() -> Iterator[None]:
    import cProfile

    with cProfile.Profile():
        yield


@contextmanager
def _yappi() -> Iterator[None]:
    import yappi

    yappi.start()
    yield
    yappi.stop()


@contextmanager
def _viztracer() -> Iterator[None]:
    from viztracer import VizTracer

    tracer = VizTracer(verbose=0)
    tracer.start()
    yield
    tracer.stop()


@contextmanager
def _pyinstrument() -> Iterator[None]:
    from pyinstrument import Profiler

    with Profiler(async_mode="enabled"):
        yield


@contextmanager
def _pyleak() -> Iterator[None]:
    from pyleak import no_event_loop_blocking

    detector = no_event_loop_blocking(action="log", threshold=0.1)
    # Asynchronous in form alone.
    with suppress(StopIteration):
        detector.__aenter__().send(None)
    yield
    with suppress(StopIteration):
        detector.__aexit__(None, None, None).send(None)


@contextmanager
def _blockbuster() -> Iterator[None]:
    from blockbuster import blockbuster_ctx

    with blockbuster_ctx():
        yield


@contextmanager
def _aiocop() -> Iterator[None]:
    import aiocop

    aiocop.patch_audit_functions()
    aiocop.start_blocking_io_detection()
    aiocop.detect_slow_tasks(threshold_ms=100)
    aiocop.activate()
    yield
    aiocop.deactivate()


@contextmanager
def _live() -> Iterator[None]:
    with _watched(live=True):
        yield


@contextmanager
def _fallback() -> Iterator[None]:
    with _watched(fallback=True):
        yield


MODES: dict[str, Callable[[], Any]] = {
    "plain": _plain,
    "watched": _watched,
    "watched, page open": _live,
    "watched, any loop": _fallback,
    "asyncio debug": _debug,
    "cProfile": _cprofile,
    "yappi": _yappi,
    "viztracer": _viztracer,
    "pyinstrument": _pyinstrument,
    "pyleak": _pyleak,
    "blockbuster": _blockbuster,
    "aiocop": _aiocop,
}


def measure(load: str, mode: str, count: int, *, memory: bool = False) -> dict[str, float]:
    """Run a load in this process; return CPU and wall time, bytes a task, and the greatest size of the process."""
    work, _ = LOADS[load]

    async def body() -> tuple[float, float, float]:
        await work(1_000 if load == "waves" else 10)
        gc.collect()
        with MODES[mode]():
            if memory:
                tracemalloc.start()
            cpu, wall = time.process_time(), time.perf_counter()
            tasks = await work(count)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            gc.collect()
            held = tracemalloc.get_traced_memory()[0] if memory else 0
            tracemalloc.stop()
        del tasks
        return cpu, wall, held / count

    import resource

    cpu, wall, held = asyncio.run(body())
    return {"cpu": cpu, "wall": wall, "bytes": held, "size": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measured(load: str, mode: str, count: int, *, memory: bool = False) -> dict[str, float]:
    """`measure` in a fresh process."""
    arguments = [sys.executable, "-m", "tests.bench.bench_loop", "--one", load, mode, str(count)]
    done = subprocess.run([*arguments, "--memory"] if memory else arguments, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def pairs(load: str, mode: str, count: int, repeats: int) -> tuple[list[float], list[float]]:
    """Return the ratios of CPU and wall time to plain, pair by pair."""
    cpu, wall = [], []
    for turn in range(repeats):
        order = ("plain", mode) if turn % 2 else (mode, "plain")
        found = {name: measured(load, name, count) for name in order}
        cpu.append(found[mode]["cpu"] / found["plain"]["cpu"])
        wall.append(found[mode]["wall"] / found["plain"]["wall"])
    return cpu, wall


def instructions(load: str, mode: str, count: int) -> int:
    """Count the instructions of a load, less those of a small one: what starting Python takes is in both."""

    def counted(count: int) -> int:
        arguments = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
        arguments += [sys.executable, "-m", "tests.bench.bench_loop", "--one", load, mode, str(count)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        line = next(line for line in done.stderr.splitlines() if "refs:" in line)
        return int(line.split()[-1].replace(",", ""))

    return counted(count) - counted(1)


def _spread(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f}  ({min(ratios):.2f}-{max(ratios):.2f})"


def costs(repeats: int) -> str:
    rows = []
    for load, (_, count) in LOADS.items():
        if load == "waves":
            continue
        modes = [mode for mode in MODES if mode.startswith("watched")]
        if load in ("spin", "timers"):
            others = [mode for mode in MODES if mode not in modes and mode != "plain"]
            modes += [mode for mode in others if mode == "asyncio debug" or importlib.util.find_spec(mode)]
        for mode in modes:
            # A tenth of the work: some of them take ten times as long.
            peer = not mode.startswith("watched")
            cpu, wall = pairs(load, mode, count // 10 if peer else count, min(repeats, 3) if peer else repeats)
            rows.append([load, mode, _spread(cpu), _spread(wall)])
    return table("Cost of watching the loop, ratio to plain asyncio", ["load", "how", "CPU", "wall"], rows)


def scale(most: int) -> str:
    rows = []
    for count in (1_000, 10_000, 100_000, 1_000_000):
        if count > most:
            break
        plain, watched = (measured("four steps", mode, count) for mode in ("plain", "watched"))
        row = [f"{count:,}", f"{watched['cpu'] / plain['cpu']:.2f}", f"{watched['cpu'] / count * 1e6:.1f} µs"]
        if count <= 100_000:
            held = [measured("four steps", mode, count, memory=True)["bytes"] for mode in ("plain", "watched")]
            row.append(f"{held[0]:.0f} + {held[1] - held[0]:.0f}")
        rows.append([*row, f"{plain['size']:.0f} -> {watched['size']:.0f} MB"])
    return table("Growth", ["tasks", "CPU ratio", "CPU a task", "bytes a task", "process"], rows)


def counted() -> str:
    if shutil.which("valgrind") is None:
        return "Instructions: valgrind is not installed, so none were counted."
    rows = []
    for load, count in (("spin", 1_000), ("timers", 1_000)):
        plain = instructions(load, "plain", count)
        for mode in ("watched", "watched, any loop"):
            rows.append([load, mode, f"{instructions(load, mode, count) / plain:.3f}"])
    return table("Instructions, ratio to plain asyncio", ["load", "how", "Ir"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--most", type=int, default=100_000, help="tasks at once in the largest run (1000000: minutes)")
    parser.add_argument("--one", nargs=3, metavar=("LOAD", "HOW", "TASKS"), help=argparse.SUPPRESS)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        load, mode, count = options.one
        print(json.dumps(measure(load, mode, int(count), memory=options.memory)))
        return
    for part in (lambda: costs(options.repeats), lambda: scale(options.most), counted):
        print(part(), flush=True)


if __name__ == "__main__":
    main()
