"""Set up everything that the tests need, and run all of them: `python -m tests` in a fresh clone.

Nothing but Python 3.11 or newer is needed to start. The environments are made under the checkout on the first run
(.venv-tests-*) and kept: a second run starts at once.

    python -m tests                     everything: the checks, then the tests in every environment below
    python -m tests --quick             the checks, and the tests that need no kernel, browser or framework
    python -m tests --env oldest        only this environment (may be given more than once)
    python -m tests --env main -- -k limit -x
                                        whatever follows -- goes to pytest
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (whoever runs it may have an older one)
    sys.exit(f"python -m tests needs Python 3.11 or newer, and this is {sys.version.split()[0]}.")

import argparse
import os
import shutil
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from demo.environment import ROOT, Environment, SetupError

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
PARALLEL = ("-n", "2", "--dist", "loadfile")
QUICK = ("-m", "not slow")
UNCLOSED = ("-W", "ignore::ResourceWarning", "-W", "ignore::pytest.PytestUnraisableExceptionWarning")  # of SDKs
LENIENT = ("-W", "ignore::DeprecationWarning")  # of old packages, about one another


@dataclass(frozen=True)
class Suite:
    """A line of the table: an environment, and the tests that run in it."""

    name: str
    why: str
    version: str
    requirements: tuple[str, ...]
    tests: str
    pytest: tuple[str, ...]
    #: Where it cannot be set up, its tests are skipped, and that is no failure.
    is_optional: bool = False


# fmt: off
SUITES = (
    Suite("main", "the newest of everything, CrewAI aside (it needs openai 2)", THIS,
          ("-e", ".[test,frameworks]"), "tests", PARALLEL),
    Suite("oldest", "the oldest IPython, ipykernel and widgets that we support", "3.11",
          ("-e", ".[openai]", "-r", "tests/kernel/oldest.txt"), "tests/kernel", (*PARALLEL, *LENIENT)),
    Suite("frameworks", "openai 2, with which all the frameworks can be installed at once", "3.11",
          ("-e", ".[test]", "-r", "tests/frameworks/openai2.txt"), "tests/frameworks", PARALLEL),
    Suite("clients", "every provider's own client, LiteLLM, and libraries that emit OpenTelemetry", "3.11",
          ("-e", ".[test]", "-r", "tests/clients/requirements.txt"), "tests/clients",
          ("-n", "2", "--dist", "loadgroup", *UNCLOSED)),
    Suite("model", "a real language model on this machine (250 MB to download)", "3.11",
          ("-e", ".[openai]", "-r", "tests/model/requirements.txt"), "tests/model", (), is_optional=True),
    *(Suite(version, "another Python", version, ("-e", ".[test]"), "tests", (*PARALLEL, *QUICK))
      for version in ("3.11", "3.12", "3.13") if version != THIS),
)
# fmt: on


def main() -> int:
    arguments, pytest_arguments = _parse(sys.argv[1:])
    steps = Steps()
    names = arguments.env or (["main"] if arguments.quick else [suite.name for suite in SUITES])
    if arguments.quick:
        pytest_arguments = [*QUICK, *pytest_arguments]
    elif "main" in names:
        steps.run("Chromium for the browser tests", install_chromium)
    for suite in SUITES:
        if suite.name in names:
            run_suite(suite, steps, pytest_arguments, with_checks=suite.name == "main" and not arguments.env)
    return steps.close()


def run_suite(suite: Suite, steps: Steps, pytest_arguments: list[str], *, with_checks: bool) -> None:
    """Set up the suite's environment, check the code where asked, and run its tests."""
    if not any((ROOT / suite.tests).rglob("test_*.py")):
        return steps.skip(f"{suite.name}: tests", f"there are none in {suite.tests} yet")
    base = find_python(suite.version)
    if base is None:
        return steps.skip(f"{suite.name}: tests", f"no Python {suite.version} was found on PATH or under ~/.pyenv")
    environment = Environment(ROOT / f".venv-tests-{suite.name}", suite.requirements, base)
    if not environment.is_ready:
        name = f"{suite.name}: set up ({suite.why})"
        if suite.is_optional:
            if failure := steps.attempt(name, environment.make):
                return steps.skip(f"{suite.name}: tests", f"its environment cannot be set up: {failure}")
        elif not steps.run(name, environment.make):
            return None
    python = environment.python
    if with_checks:
        steps.command("ruff format", [python, "-m", "ruff", "format", "--check", "."], "Run: ruff format")
        steps.command("ruff check", [python, "-m", "ruff", "check", "."], "Run: ruff check --fix")
        steps.command("mypy", [python, "-m", "mypy", "--strict", "asyncmagic"], "Correct the types named above.")
        check_javascript(steps)
    results = environment.directory / "results.xml"
    results.unlink(missing_ok=True)
    own_files = (f"--junit-xml={results}", "-o", f"cache_dir={environment.directory / 'pytest-cache'}")
    steps.command(
        f"{suite.name}: tests",
        [python, "-m", "pytest", suite.tests, *suite.pytest, *own_files, *pytest_arguments],
        f"Again, these alone: python -m tests --env {suite.name} -- --last-failed",
    )
    steps.count(results)
    return None


def check_javascript(steps: Steps) -> None:
    node, files = shutil.which("node"), sorted(map(str, ROOT.glob("tests/static/*.mjs")))
    if not node:
        return steps.skip(
            "node --test", "no node was found: install Node.js 20 or newer (Debian: apt-get install nodejs)"
        )
    if not files:
        return steps.skip("node --test", "there are no tests in tests/static yet")
    return steps.command("node --test", [node, "--test", *files], "Correct the JavaScript tests named above.")


def find_python(version: str) -> str | None:
    """An interpreter of this version that works: this one, one on PATH, or one of pyenv's."""
    if version == THIS:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *sorted(map(str, pyenv.glob(f"{version}*/bin/python")))]
    program = f"import sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
    for candidate in filter(None, candidates):
        # pyenv puts a python3.12 on PATH that may only say that there is none.
        if subprocess.run([candidate, "-c", program], capture_output=True).returncode == 0:
            return candidate
    return None


def install_chromium() -> None:
    """Install Chromium where there is none and that is allowed; without it the browser tests are skipped."""
    if any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))):
        return
    sudo = [] if hasattr(os, "geteuid") and os.geteuid() == 0 else ["sudo", "-n"]
    if not shutil.which("apt-get") or (sudo and not shutil.which("sudo")):
        print("There is none: the browser tests will be skipped. Install Chromium or Google Chrome to run them.")
        return
    for command in (["apt-get", "update", "-q"], ["apt-get", "install", "-y", "-q", "chromium"]):
        if subprocess.run([*sudo, *command], stdout=subprocess.DEVNULL).returncode:
            print("That did not work: the browser tests will be skipped. By hand: apt-get install chromium")
            return


class Steps:
    """Runs one step after another, whatever fails, and tells in the end what did."""

    def __init__(self) -> None:
        self.failed: list[tuple[str, str]] = []
        self.skipped: list[tuple[str, str]] = []
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}

    def run(self, name: str, step: Callable[[], None]) -> bool:
        """Run one step under its name and tell whether it succeeded; `SetupError` is its way to fail."""
        failure = self.attempt(name, step)
        if failure is not None:
            self.failed.append((name, failure))
        return failure is None

    def attempt(self, name: str, step: Callable[[], None]) -> str | None:
        """Run a step that may fail and return why it did."""
        print(f"\n── {name}", flush=True)
        begun, failure = time.perf_counter(), None
        try:
            step()
        except SetupError as error:
            failure = str(error)
        print(f"── {name}: {'FAILED' if failure else 'ok'}, {time.perf_counter() - begun:.1f} s", flush=True)
        return failure

    def command(self, name: str, command: list[str], hint: str) -> None:
        """Run a command as a step; `hint` says what to do when it fails."""

        def step() -> None:
            if subprocess.run(command, cwd=ROOT, env=_environ()).returncode:
                raise SetupError(hint)

        self.run(name, step)

    def skip(self, name: str, reason: str) -> None:
        self.skipped.append((name, reason))

    def count(self, results: Path) -> None:
        """Add the figures of a pytest run; one that left no results has failed as a whole."""
        if not results.is_file():
            self.counts["failed"] += 1
            return
        for suite in ElementTree.parse(results).iter("testsuite"):
            tests, failed, skipped = (
                sum(int(suite.get(name, 0)) for name in names)
                for names in (("tests",), ("failures", "errors"), ("skipped",))
            )
            self.counts["passed"] += tests - failed - skipped
            self.counts["failed"] += failed
            self.counts["skipped"] += skipped

    def close(self) -> int:
        """Say what was skipped, what failed and what to do, then the total alone on the last line."""
        print("\n── Summary")
        for name, reason in self.skipped:
            print(f"skipped  {name}: {reason}")
        for name, hint in self.failed:
            print(f"FAILED   {name}\n         {hint}")
        print(", ".join(f"{number} {what}" for what, number in self.counts.items()), flush=True)
        return 1 if self.failed else 0


def _environ() -> dict[str, str]:
    """The environment of the tests: nobody's keys, so that no test can spend anybody's money."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m tests",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="python -m tests [--quick] [--env NAME] [-- PYTEST ARGUMENTS]",
        description=__doc__,
        epilog="environments:\n" + "\n".join(f"  {suite.name:11} {suite.why}" for suite in SUITES),
    )
    parser.add_argument("--quick", action="store_true", help="only the checks and the quick tests")
    names = [suite.name for suite in SUITES]
    parser.add_argument("--env", action="append", metavar="NAME", choices=names, help="only this environment")
    return parser.parse_args(arguments[:split]), arguments[split + 1 :]


if __name__ == "__main__":
    sys.exit(main())
