"""Diagnostics as users read them: in a terminal and in a notebook."""

from __future__ import annotations

from html.parser import HTMLParser

from asyncmagic.diagnostics import Diagnostic, render_html, render_text

SOURCE = "x = 1\n\npage = fetch(url)"
ERROR = Diagnostic(
    3,
    7,
    "missing-await",
    "`fetch(url)` makes a coroutine, and nothing awaits it",
    "Await it: `await fetch(url)`",
    "page = await fetch(url)",
    3,
    17,
)
ADVICE = Diagnostic(1, 0, "sequential-awaits", "these 2 awaits wait", "Write `gather`", None, 1, 1, "advice")


def test_an_error_is_shown_with_a_caret_and_the_corrected_line() -> None:
    assert render_text([ERROR], SOURCE) == (
        "missing-await: `fetch(url)` makes a coroutine, and nothing awaits it\n"
        "  3 | page = fetch(url)\n"
        "    |        ^^^^^^^^^^\n"
        "  Write:  page = await fetch(url)"
    )


def test_the_cell_is_named_and_advice_is_one_line_after_the_errors() -> None:
    assert render_text([ADVICE, ERROR], SOURCE, cell_label="In [3]").split("\n") == [
        "missing-await: `fetch(url)` makes a coroutine, and nothing awaits it (In [3], line 3)",
        "  3 | page = fetch(url)",
        "    |        ^^^^^^^^^^",
        "  Write:  page = await fetch(url)",
        "sequential-awaits (In [3], line 1): these 2 awaits wait. Write `gather`.",
    ]


def test_a_correction_of_several_lines_loses_its_common_indent() -> None:
    several = Diagnostic(1, 0, "r", "m", fix="    a = await f(\n        1)", end_line=2, end_column=6)
    assert render_text([several], "    a = f(\n        1)").split("\n") == [
        "r: m",
        "  1 |     a = f(",
        "    | ^^^^^^^^^^",
        "  Write:  a = await f(",
        "              1)",
    ]


def test_tabs_stand_under_tabs() -> None:
    tabbed = Diagnostic(1, 2, "r", "m", end_line=1, end_column=5)
    assert render_text([tabbed], "\t\tf()").split("\n")[2] == "    | \t\t^^^"


def test_colours_are_only_added_where_they_are_wanted() -> None:
    assert "\x1b[1;31mmissing-await\x1b[0m" in render_text([ERROR], SOURCE, color=True)
    assert "\x1b" not in render_text([ERROR], SOURCE)


def test_a_place_outside_of_the_source_is_shown_without_the_line() -> None:
    assert render_text([Diagnostic(9, 0, "r", "m", "h")], "x") == "r: m\n  h"


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.fixes: list[str | None] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.fixes += [value for name, value in attrs if name == "data-fix"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def test_the_page_shows_the_same_and_can_copy_the_correction() -> None:
    reader = read(render_html([ERROR], SOURCE, cell_label="In [3]"))
    assert "page = fetch(url)" in reader.text and "^^^^^^^^^^" in reader.text and "In [3], line 3" in reader.text
    assert reader.fixes == ["page = await fetch(url)"]
    assert "Await it" not in reader.text  # The corrected line says it.
    assert "%asynctrace lint explain missing-await" in reader.text
    assert "script" not in reader.tags


def test_advice_is_one_line_that_can_be_opened() -> None:
    reader = read(render_html([ADVICE, ADVICE], SOURCE))
    assert reader.tags.count("details") == reader.tags.count("summary") == 1
    assert "(and 1 more)" in reader.text


def test_what_the_user_wrote_cannot_become_markup() -> None:
    evil = '<script>alert("1")</script>\'"&'
    hostile = Diagnostic(1, 0, evil, f"{evil} `{evil}`", evil, evil, 1, 5)
    for diagnostic in (hostile, Diagnostic(1, 0, evil, evil, evil, evil, 1, 5, "advice")):
        reader = read(render_html([diagnostic], evil, cell_label=evil))
        assert "script" not in reader.tags
        assert reader.fixes == [evil]
    unmended = read(render_html([Diagnostic(1, 0, evil, evil, evil)], evil))
    assert ("script" in unmended.tags, unmended.fixes, unmended.text.count(evil) >= 3) == (False, [], True)


def test_nothing_to_say_is_nothing_to_show() -> None:
    assert (render_text([], SOURCE), render_html([], SOURCE)) == ("", "")
