"""The README tells the truth: every option, command and public name that there is stands in it, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import asyncmagic
from asyncmagic.lint import RULES

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def options(kind: str) -> set[str]:
    magics = pytest.importorskip("asyncmagic.magics")
    return {option for action in magics._parser(kind)._actions for option in action.option_strings}


def test_every_option_of_agents_and_no_other_stands_in_its_table():
    written = set(re.findall(r"(?<=[`\s])--?[a-z][a-z-]*", section("`%%agents`")))
    assert written == options("agents")


def test_every_option_of_asynctrace_is_named():
    row = next(line for line in section("`%asynctrace`").splitlines() if line.startswith("| `%%asynctrace`"))
    assert {option for option in options("asynctrace") if option != "--output"} == set(re.findall(r"--?[a-z-]+", row))


def test_every_command_of_asynctrace_stands_in_the_readme():
    magics = pytest.importorskip("asyncmagic.magics")
    commands = set(re.findall(r"^    %asynctrace (\w+)", magics._ASYNCTRACE, re.MULTILINE))
    assert commands == set(re.findall(r"^\| `%asynctrace (\w+)", section("`%asynctrace`"), re.MULTILINE))


def test_the_table_of_rules_is_that_of_the_code():
    assert re.findall(r"^\| `([\w-]+)` \|", section("Mistakes that it points out"), re.MULTILINE) == list(RULES)


def test_what_python_code_may_call_exists():
    calls = set(re.findall(r"asyncmagic\.(\w+)\(", section("From Python")))
    assert calls == {"run", "trace", "span", "last_trace", "check"}
    assert all(callable(getattr(asyncmagic, name)) for name in calls)
    assert all(hasattr(asyncmagic.Trace, name) for name in re.findall(r"(to_\w+)\(\)", section("From Python")))


def test_the_picture_is_there_and_small():
    (picture,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert 10_000 < (ROOT / picture).stat().st_size < 300_000
