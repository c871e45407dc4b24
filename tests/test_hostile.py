"""Whatever stands in the names, errors and attributes of a trace is shown as text, and nothing of it acts."""

from __future__ import annotations

import base64
import re
import unicodedata
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from asyncmagic.delta import DeltaWriter
from asyncmagic.exporters.report import to_report
from asyncmagic.exporters.terminal import cells
from asyncmagic.exporters.text import to_text
from asyncmagic.layout import Layout
from asyncmagic.tracing import Trace, semconv
from tests.exporters.test_html import Reader
from tests.exporters.test_svg import SAFE, SVG
from tests.test_delta import read
from tests.timelines import HOSTILE, Script, ms

PARTS = st.sampled_from(
    [
        *HOSTILE,
        *(
            "<script>",
            "</script>",
            "<!--",
            "-->",
            "]]>",
            "<![CDATA[",
            "&lt;",
            "&#0;",
            "&",
            "'",
            '"',
            "`",
            "\\",
            "\\u003c",
        ),
        *(
            "javascript:",
            "onload=",
            "</style>",
            "</title>",
            "<svg>",
            "<img src=x>",
            "__DATA__",
            "__TRACE__",
            "{",
            "}",
            "%%",
        ),
        *(
            "\u202e",
            "\u2066",
            "\u200f",
            "\u200b",
            "\ufeff",
            "\u2028",
            "\x1b]0;x\x07",
            "\x1b[2J",
            "\r",
            "\x00",
            "\x9b31m",
        ),
        *(
            "👩‍🔬",
            "🇩🇪",
            "e\u0301\u0301\u0301\u0301",
            "漢字",
            "שלום",
            "مرحبا",
            "\ud83d",
            "\U000e0041",
            "\ufffe",
            "9" * 10_000,
        ),
    ]
)
TEXT = st.lists(st.one_of(PARTS, st.text(max_size=20)), max_size=6).map("".join)
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
TAGS = {"div", "style", "img", "details", "summary", "table", "thead", "tbody", "tr", "th", "td", "script", "p"}


def trace_of(name: str, agent: str, call: str, key: str, value: str, error: str) -> Trace:
    script = Script(name)
    task = script.start(agent, 0)
    script.states(task, (0, "queued"), (10, "running"), (20, "waiting", value))
    attributes = {semconv.REQUEST_MODEL: value, key: value, semconv.HTTP_STATUS: value, semconv.RETRY_AFTER: value}
    chat = script.span(call, 20, 900, "chat", task, attributes=attributes, error=error or "E", message=error)
    script.span(
        call, 20, 300, "http", chat, attributes={semconv.HTTP_STATUS: 429, semconv.URL: value}, error=error or "E"
    )
    script.span(call, 500, 900, "http", chat, attributes={semconv.HTTP_STATUS: 500})
    script.span(key, 900, 950, "execute_tool", task)
    script.tracer.end_span(task, end=ms(960), error=error or "E", message=error)
    script.span(call, 300, 600, "blocked", attributes={semconv.CODE_FILE: value, semconv.CODE_LINE: 3})
    return script.end(1_000)


TRACES = st.builds(trace_of, TEXT, TEXT, TEXT, TEXT.filter(bool), TEXT, TEXT)


@settings(max_examples=40, deadline=None)
@given(TRACES)
def test_the_picture_is_well_formed_small_and_without_anything_that_could_run(trace):
    picture = trace.to_svg()
    elements = list(ElementTree.fromstring(picture).iter())
    assert {element.tag.removeprefix(SVG) for element in elements} <= SAFE
    assert not any(name.startswith("on") or "href" in name for element in elements for name in element.attrib)
    assert not UNSEEN.search(picture)
    assert len(picture.encode()) < 30_000


@settings(max_examples=40, deadline=None)
@given(TRACES)
def test_the_page_holds_our_own_elements_alone(trace):
    page = trace.to_html()
    reader = Reader(page)
    assert page.isascii()
    assert set(reader.tags) <= TAGS
    assert (reader.tags.count("script"), reader.tags.count("img"), page.count("</script")) == (1, 1, 1)
    assert not any(name.startswith("on") for attributes in reader.attributes.values() for name in attributes)
    longest = max(re.findall(r'unpack\(bytes\("([A-Za-z0-9+/=]+)"', page), key=len)
    assert base64.b64decode(longest)


@settings(max_examples=40, deadline=None)
@given(TRACES)
def test_a_terminal_gets_letters_and_line_ends_and_nothing_that_moves_it(trace):
    for text in (to_text(trace, width=90, color=False), to_report(trace, width=90, color=False)):
        harmful = {character for character in text if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
        assert harmful <= {"\n"}
        assert max(cells(line) for line in text.splitlines()[1:]) <= 90


@settings(max_examples=15, deadline=None)
@given(TRACES)
def test_the_live_page_is_told_the_same_and_no_character_that_turns_or_hides(trace):
    layout = Layout.of(trace)
    known = read(DeltaWriter(layout).write_all({"seq": 0}, now=layout.end))
    assert [span["kind"] for span in known["trace"]["spans"]] == [span.kind for span in layout.spans]
    assert not UNSEEN.search("".join(span["name"] for span in known["trace"]["spans"]))
