"""The piece of HTML: loads nothing, says all without script, and nothing of a trace becomes markup."""

from __future__ import annotations

import base64
import random
import re
from html.parser import HTMLParser

import pytest

from asyncmagic.tracing import Trace, semconv
from tests.test_delta import read
from tests.timelines import HOSTILE, Script, hostile, ms, queue, workshop


class Reader(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, dict[str, str | None]] = {}
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes[tag] = dict(attrs)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if self.tags and self.tags[-1] in ("td", "th"):
            self.cells[-1] += data


def saved(page: str) -> dict:
    """What the script of a page will unpack."""
    longest = max(re.findall(r'unpack\(bytes\("([A-Za-z0-9+/=]+)"', page), key=len)
    return read(base64.b64decode(longest))


def test_a_reader_without_script_gets_picture_and_table():
    page = Reader(workshop().to_html())
    assert page.attributes["img"]["src"].startswith("data:image/svg+xml;base64,")
    assert page.attributes["img"]["alt"].startswith("6 agents · 2.0 s instead of 6.8 s")
    assert page.cells[:16] == [
        *("agent", "state", "time", "calls", "tokens", "first token", "retries", "error"),
        *("facts", "done", "1.8 s", "2", "400", page.cells[13], "", ""),
    ]
    assert page.cells[-16:] == [
        *("editor", "failed", "1.0 s", "1", "", "", "", "openai.InternalServerError: Error code: 500"),
        *("checker", "cancelled", "1.5 s", "1", "", page.cells[-3], "", "CancelledError"),
    ]


def test_the_whole_trace_is_in_it():
    trace = workshop()
    known = saved(trace.to_html())
    spans = sorted(trace.spans, key=lambda span: (span.start, span.span_id))
    assert [span["name"] for span in known["trace"]["spans"]] == [span.name for span in spans]
    assert known["header"]["trace"] == trace.trace_id
    assert known["header"]["path"]


def test_it_loads_nothing_from_anywhere():
    page = workshop().to_html()
    assert set(re.findall(r"https?://[\w./-]+", page)) == set()
    assert "src" not in Reader(page).attributes["script"]


@pytest.mark.parametrize("trace", [workshop, hostile], ids=lambda trace: trace.__name__)
def test_only_our_own_tags_are_in_it_and_every_letter_is_ascii(trace):
    page = trace().to_html()
    assert page.isascii()
    tags = {"div", "img", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "script", "p", "style"}
    assert set(Reader(page).tags) <= tags


def test_hostile_names_are_cells_of_the_table():
    cells = Reader(hostile().to_html()).cells
    assert HOSTILE[0] in cells and HOSTILE[1] in cells


def test_five_hundred_calls_make_a_small_output():
    assert len(queue(500).to_html()) < 140_000


def calls_of_two_hundred_agents() -> Trace:
    script, chance = Script(), random.Random(7)
    for number in range(200):
        agent, at = script.start(f"agent {number}", 0), 0.0
        for _ in range(250):
            first, end = at + chance.expovariate(1 / 300), at + 300 + chance.expovariate(1 / 900)
            tokens = {semconv.REQUEST_MODEL: "gpt-5", semconv.OUTPUT_TOKENS: chance.randrange(900)}
            call = script.chat(agent, at, end, min(first, end), attributes=tokens)
            script.span(
                "POST", at + 0.1, end, "http", call, attributes={semconv.REQUEST_ID: chance.randbytes(12).hex()}
            )
            at = end + chance.expovariate(1 / 20)
        script.tracer.end_span(agent, end=ms(at))
    return script.end(500_000)


@pytest.mark.slow
@pytest.mark.parametrize("make", [calls_of_two_hundred_agents, lambda: queue(50_000)])
def test_a_hundred_thousand_spans_make_an_output_below_a_megabyte(make):
    trace = make()
    page = trace.to_html()
    assert len(page) + len(trace.to_svg()) + len(trace.to_text()) < 1_000_000
    assert saved(page)["header"]["note"].startswith("The ")


@pytest.mark.slow
def test_of_spans_that_are_all_as_long_as_many_as_possible_are_kept():
    script = Script()
    for number in range(100_100):
        script.span("step", number, number + 1, "span")
    known = saved(script.end(100_200).to_html())
    assert known["header"]["note"].startswith("The 100,000 longest of 100,101 spans are kept here")
    assert len(known["trace"]["spans"]) == 100_000


def test_a_large_run_keeps_what_matters_most_and_says_so():
    script = Script()
    for number in range(26_000):
        error = "ValueError" if number == 5 else None
        script.span(f"step {number % 7}", number, number + 0.5, "span", attributes={"note": "x"}, error=error)
    known = saved(script.end(26_001).to_html())
    kept = [span["attributes"] for span in known["trace"]["spans"] if "attributes" in span]
    assert kept == [{"note": "x", "error.type": "ValueError"}]
    assert known["header"]["note"].startswith("This run has 26,001 spans")
