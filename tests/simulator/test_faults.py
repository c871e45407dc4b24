"""What a model name asks for."""

from __future__ import annotations

import pytest

from asyncmagic.simulator.faults import Fault, named_fault


@pytest.mark.parametrize(
    ("words", "faults"),
    [
        ("gpt-5", [None, None]),
        ("gpt-4-0613", [None, None]),
        ("claude-sonnet-4-5-20250929", [None, None]),
        ("gpt-5-429", [Fault(status=429, retry_after=1.5), None]),
        ("gpt-5-429x2", [Fault(status=429, retry_after=1.5)] * 2 + [None]),
        ("gpt-5-500", [Fault(status=500), Fault(status=500)]),
        ("gpt-5-503x1", [Fault(status=503), None]),
        ("gpt-5-slow", [Fault(delay=2.0), Fault(delay=2.0)]),
        ("gpt-5-slow0.5-drop", [Fault(delay=0.5, drop_after=4)]),
        ("gpt-5-drop8x1", [Fault(drop_after=8), None]),
        ("gpt-5-hang", [Fault(hang=True)]),
        ("gpt-5-malformed", [Fault(malformed=True)]),
        ("openai/slow-gpt", [None]),
        ("gpt-5-429-slow0.5", [Fault(status=429, retry_after=1.5, delay=0.5), Fault(delay=0.5)]),
    ],
)
def test_a_name_asks_for_faults_at_each_attempt(words: str, faults: list[Fault | None]) -> None:
    got = [named_fault(words, attempt=number, retry_after=1.5) for number in range(1, len(faults) + 1)]
    assert got == faults
