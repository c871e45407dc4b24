"""The timeline as text: what it draws, at every width, in every encoding, whatever the names are."""

from __future__ import annotations

import io
import os
import re
import sys
import unicodedata

import pytest

from asyncmagic.exporters.report import to_report
from asyncmagic.exporters.terminal import cells, fit, safe
from asyncmagic.exporters.text import to_text
from asyncmagic.layout import Layout
from asyncmagic.tracing import Trace, semconv
from tests.timelines import HOSTILE, Script, hostile, ms, queue, workshop


def run() -> Trace:
    """Two agents of one second: one queues and asks a model, which refuses once; the other computes and fails."""
    script = Script()
    asks, computes = script.start("asks", 0), script.start("computes", 0)
    script.states(asks, (0, "queued"), (200, "running"), (220, "waiting"))
    counts = {semconv.INPUT_TOKENS: 30, semconv.OUTPUT_TOKENS: 12, semconv.FIRST_CHUNK: 0.5}
    call = script.chat(asks, 220, 1000, 700, attributes=counts)
    script.span("POST", 220, 300, "http", call, attributes={semconv.HTTP_STATUS: 429}, error="429")
    script.span("POST", 500, 1000, "http", call, attributes={semconv.HTTP_STATUS: 200})
    script.tracer.end_span(asks, end=ms(1000))
    script.states(computes, (0, "ready"), (100, "running"))
    script.tracer.end_span(computes, end=ms(500), error="ValueError", message="no such city")
    return script.end(1000)


def test_the_timeline_has_a_bar_for_each_agent_and_each_call_and_a_legend() -> None:
    assert to_text(run(), width=64, color=False).splitlines() == [
        "2 agents · 1.0 s instead of 1.3 s (1.3×) · 42 tokens · 1 retry · 1 failed",
        "              0             0.5 s",
        "asks         │······█░░░░░░░░░░░░░░░░░░░░░░░│ ✓ 0.80 s",
        "  chat gpt-5 │      ╌╌✕······╌╌╌╌╌◆━━━━━━━━━│ ◆ 0.50 s ↻1 42 tok",
        "computes     │▓▓▓████████████               │ ✕ 0.50 s",
        "             │ ValueError: no such city",
        "· queued   █ running   ░ waiting   ▓ ready, loop busy",
        "╌ to first token   ◆ first token   ━ model answers",
        "✕ failed attempt   · back-off",
    ]


@pytest.mark.parametrize("make", [workshop, lambda: queue(20)])
def test_its_rows_are_those_of_the_picture(make: object) -> None:
    trace = make()
    names = [block.name for block in Layout.of(trace).blocks()]
    labels = [line.partition("│")[0].rstrip() for line in to_text(trace, width=100).splitlines() if "│" in line]
    assert [label for label in labels if label in names] == names


@pytest.mark.parametrize("width", [60, 80, 137, 400])
@pytest.mark.parametrize("make", [workshop, queue, hostile])
def test_no_line_is_wider_than_the_terminal(make: object, width: int) -> None:
    for text in (to_text(make(), width=width), to_report(make(), width=width)):
        title, *lines = text.splitlines()
        assert max(map(cells, lines)) <= width, max(lines, key=cells)
        assert "agents" in title


def test_a_terminal_that_is_too_narrow_gets_sixty_columns() -> None:
    assert to_text(workshop(), width=20) == to_text(workshop(), width=60)


def test_the_width_is_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((97, 24)))
    assert to_text(workshop()) == to_text(workshop(), width=97)


@pytest.mark.parametrize("write", [to_text, to_report])
def test_colours_add_nothing_but_colours(write: object) -> None:
    plain, colored = (write(workshop(), width=90, color=color) for color in (False, True))
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[\d;]+m", "", colored) == plain
    assert colored.count("\x1b[0m") == len(re.findall(r"\x1b\[[\d;]+m", colored)) / 2


@pytest.mark.parametrize(
    ("term", "no_color", "is_colored"), [("xterm", "", True), ("xterm", "1", False), ("dumb", "", False)]
)
def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch, term: str, no_color: str, is_colored: bool) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    assert "\x1b" not in to_text(run())
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", no_color)
    text = to_text(run())
    monkeypatch.undo()
    assert ("\x1b[" in text) is is_colored


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437"])
def test_an_encoding_without_our_characters_gets_others(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    texts = [to_text(run(), width=64), to_text(hostile()), to_report(hostile())]
    monkeypatch.undo()
    for text in texts:
        assert text.encode(encoding).decode(encoding) == text
    if encoding == "ascii":
        assert texts[0].splitlines()[2:5] == [
            "asks         |......#:::::::::::::::::::::::| + 0.80 s",
            "  chat gpt-5 |      --x......-----*=========| * 0.50 s r1 42 tok",
            "computes     |%%%############               | x 0.50 s",
        ]


def test_of_very_many_agents_those_that_failed_and_then_the_slowest_are_shown() -> None:
    text = to_text(queue(500), width=100)
    names = re.findall(r"^(answers\[\d+\]) .*│ (.) (.*)$", text, re.MULTILINE)
    assert len(names) == 20
    assert [outcome for _, outcome, _ in names] == ["✕"] * 10 + ["✓"] * 10
    assert "… and 480 more" in text
    assert len(text.splitlines()) < 40
    assert "… and 480 more" in to_report(queue(500))


def test_many_agents_of_different_names_are_bounded_too() -> None:
    script = Script()
    for index in range(100):
        script.span(f"{chr(97 + index % 26)}-{'x' * (index // 26)}", 0, index + 1)
    text = to_text(script.end(200), width=80)
    assert "… and 80 more" in text
    assert len(text.splitlines()) < 60


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("number", [100, 260, 1000])
def test_more_counts_also_what_has_no_row_in_the_layout(nested: bool, number: int) -> None:
    script = Script()
    agent = parent = script.span("agent", 0, 1000)
    for _ in range(number):
        task = script.span("part", 0, 1000, parent=parent)
        parent = task if nested else agent
    assert re.findall("and (.*) more", to_text(script.end(1000), width=80)) == [f"{number - 4:,}"]


def test_a_running_trace_says_how_far_it_is() -> None:
    script = Script()
    script.span("a", 0, 100)
    script.start("b", 50)
    first, second, *_ = to_text(script.trace, width=80).splitlines()
    assert (first, second) == ("2 agents · 0.10 s so far", "1 of 2 done, 1 in flight, about 1 s left")
    assert "still running" in to_report(script.trace)


def test_a_blocked_loop_has_a_row_that_names_the_line() -> None:
    script = Script()
    agent = script.span("a", 0, 1000)
    script.span("time.sleep", 250, 750, "blocked", agent, attributes={semconv.CODE_LINE: 7})
    assert (
        to_text(script.end(1000), width=60).splitlines()[3]
        == "blocked: line 7 │        ▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚▚        │ ▚ 0.50 s"
    )


def test_the_part_of_the_loop_is_told_apart_from_the_models() -> None:
    script = Script()
    agent = script.start("a", 0)
    slow = {semconv.FIRST_CHUNK: 1.15, semconv.BLOCKED_TIME: 0.75}
    script.chat(agent, 0, 2000, 1150, attributes=slow)
    script.tracer.end_span(agent, end=ms(2000))
    script.end(2000)
    assert "◆ 0.40 s model + 0.75 s your loop" in to_text(script.trace, width=160)
    assert "0.40 s model + 0.75 s your loop" in to_report(script.trace, width=160)


def test_an_empty_trace_is_one_line() -> None:
    assert to_text(Script().end(0), width=60).splitlines()[0] == "0 ms"
    assert to_report(Script().end(0), width=60).splitlines() == ["cell · 0 ms", "  wall time     0 ms"]


def is_harmless(text: str) -> bool:
    return all(unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in text)


@pytest.mark.parametrize("write", [to_text, to_report])
def test_hostile_text_is_only_read(write: object) -> None:
    text = write(hostile(), width=100, color=False)
    assert is_harmless(text.replace("\n", ""))
    assert text.encode("utf-8").decode("utf-8") == text


@pytest.mark.parametrize(
    "text", [*HOSTILE, "\u061carabic mark", "soft\u00adhyphen", "tag\U000e0041", "e" + "\u0301" * 500]
)
def test_no_text_can_break_out_of_its_column(text: str) -> None:
    fitted = fit(text, 20)
    assert cells(fitted) == 20
    assert is_harmless(fitted)


def test_wide_characters_take_two_columns() -> None:
    assert [fit(text, 6) for text in ("日本語", "日本語x", "ab", "👍👍👍👍")] == [
        "日本語",
        "日本… ",
        "ab    ",
        "👍👍… ",
    ]


def test_marks_do_not_pile_up_on_a_letter() -> None:
    assert safe("e" + "\u0301" * 100 + "a\u0301") == "e\u0301\u0301a\u0301"
