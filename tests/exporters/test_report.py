"""The report: a bare `%asynctrace` says in words and tables what ran."""

from __future__ import annotations

import re

from asyncmagic.exporters.report import to_report
from asyncmagic.tracing import semconv
from tests.exporters.test_text import run
from tests.timelines import Script, queue


def test_the_report_says_it_all() -> None:
    assert to_report(run(), width=80, color=False).splitlines() == [
        "cell · 2 agents · 1.0 s instead of 1.3 s (1.3×) · 42 tokens · 1 retry · 1 failed",
        "  wall time     1.0 s",
        "  one by one    1.3 s (1.3× as long)",
        "  in flight     1.3 at work on average, 2 at most",
        "  calls         1 call in 2 attempts",
        "  tokens        30 in + 12 out",
        "  first token   0.50 s median, 0.50 s p95",
        "  latency       0.78 s median, 0.78 s p95",
        "",
        "One slow agent: `asks` ran on for 0.50 s after the other had finished.",
        "",
        "agent     time    queued  ready   calls  tokens  first token  outcome",
        "asks      0.80 s  0.20 s          1      42      0.50 s       ✓ done",
        "computes  0.50 s          0.10 s                              ✕ ValueError: no …",
        "",
        "critical path       time    share",
        "cell                0.20 s  20 %",
        "asks                20 ms   2 %",
        "chat gpt-5 in asks  0.78 s  78 %",
        "",
        "slowest calls       time    first token  tokens/s  attempts",
        "chat gpt-5 in asks  0.78 s  0.50 s       43        2",
        "",
        "tried again         after  because of",
        "chat gpt-5 in asks  80 ms  HTTP 429",
    ]


def test_a_blocked_line_stands_in_the_report_with_its_place() -> None:
    script = Script()
    agent = script.span("a", 0, 1000)
    script.span("time.sleep", 250, 750, "blocked", agent, attributes={semconv.CODE_LINE: 7})
    assert to_report(script.end(1000), width=80).splitlines()[-2:] == [
        "blocked the loop  where   time",
        "time.sleep in a   line 7  0.50 s",
    ]


def test_of_very_many_agents_it_shows_those_that_failed_or_were_slowest() -> None:
    lines = to_report(queue(500), width=100).splitlines()
    first = next(index for index, line in enumerate(lines) if line.startswith("agent "))
    assert [line.split()[-2] for line in lines[first + 1 : first + 21]] == ["✕"] * 10 + ["✓"] * 10
    assert lines[first + 21] == "… and 480 more"


def test_what_a_full_trace_did_not_keep_is_said() -> None:
    script = Script()
    script.tracer.max_spans = 2
    script.span("a", 0, 10)
    script.span("b", 0, 10)
    assert "  not kept      1 span" in to_report(script.end(10)).splitlines()


def test_a_model_is_as_fast_as_it_was_though_its_answer_was_read_late() -> None:
    script = Script()
    late = {
        semconv.OUTPUT_TOKENS: 20,
        semconv.FIRST_CHUNK: 1.0,
        semconv.BLOCKED_TIME: 0.7,
        semconv.BLOCKED_TIME_TO_END: 0.2,
    }
    script.chat(script.trace.root, 0, 1000, 1000, attributes=late)
    assert re.search(r"0.80 s +0.30 s model \+ 0.70 s your loop +40\b", to_report(script.end(1000), width=120))
