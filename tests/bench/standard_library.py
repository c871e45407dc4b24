"""CPython's own tests of asyncio, plain and traced, must end alike: `python -m tests.bench.standard_library`."""

from __future__ import annotations

import json
import subprocess
import sys
import unittest
from contextlib import ExitStack

MODULES = (
    "test_base_events",
    "test_context",
    "test_eager_task_factory",
    "test_events",
    "test_futures",
    "test_futures2",
    "test_locks",
    "test_pep492",
    "test_queues",
    "test_runners",
    "test_staggered",
    "test_streams",
    "test_subprocess",
    "test_taskgroups",
    "test_tasks",
    "test_threads",
    "test_timeouts",
    "test_unix_events",
    "test_waitfor",
)
#: Tests that see the watcher and nothing of its effect, with what they look at.
EXPECTED: dict[str, str] = {}


def run(module: str, traced: bool) -> dict[str, str]:
    """Return how each test of a module ends, in a process of its own."""
    arguments = [sys.executable, "-m", __spec__.name, module, "traced" if traced else "plain"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=600)
    try:
        outcomes: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {f"{module} as a whole": f"exit {done.returncode}: {done.stderr[-300:]}"}
    return outcomes


def differences(modules: tuple[str, ...] = MODULES) -> tuple[int, dict[str, tuple[str, str]]]:
    """Return how many tests ran, and those that end otherwise when traced: (plain, traced) by name."""
    count, different = 0, {}
    for module in modules:
        plain, traced = run(module, False), run(module, True)
        count += len(plain)
        for name in plain.keys() | traced.keys():
            pair = plain.get(name, "missing"), traced.get(name, "missing")
            if pair[0] != pair[1]:
                different[name] = pair
    return count, different


class _Outcomes(unittest.TestResult):
    def __init__(self) -> None:
        super().__init__()
        self.outcomes: dict[str, str] = {}

    def addSuccess(self, test: unittest.TestCase) -> None:
        self.outcomes.setdefault(test.id(), "ok")

    def addFailure(self, test: unittest.TestCase, err: object) -> None:
        self.outcomes[test.id()] = f"failed: {err[1]}"[:300]  # type: ignore[index]

    addError = addFailure

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.outcomes[test.id()] = "skipped"

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: object) -> None:
        if err is not None:
            self.addFailure(test, err)


def _run_here(module: str, traced: bool) -> None:
    result = _Outcomes()
    with ExitStack() as stack:
        if traced:
            from asyncmagic.instrumentation import loop, threads
            from asyncmagic.tracing import Tracer

            tracer = Tracer()
            stack.enter_context(loop.instrument(tracer))
            stack.enter_context(threads.instrument(tracer))
            trace = tracer.start_trace(module)
            stack.enter_context(tracer.use(trace.root))
        try:
            suite = unittest.defaultTestLoader.loadTestsFromName(f"test.test_asyncio.{module}")
        except (ImportError, AttributeError):
            suite = unittest.TestSuite()
        suite.run(result)
        if traced:
            tracer.end_trace(trace)
            print(f"{module}: {len(trace.spans)} spans", file=sys.stderr)
    outcomes = {name: outcome for name, outcome in result.outcomes.items() if "_FailedTest" not in name}
    print()
    print(json.dumps(outcomes))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _run_here(sys.argv[1], sys.argv[2] == "traced")
    else:
        ran, found = differences(tuple(sys.argv[1:]) or MODULES)
        print(f"{ran} tests, {len(found)} end otherwise when traced")
        for test, (before, after) in sorted(found.items()):
            print(f"  {test}\n    plain:  {before}\n    traced: {after}")
        sys.exit(bool(found.keys() - EXPECTED.keys()))
