"""The viewer in a page of its own: everything that a pointer and a keyboard can ask of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from asyncmagic.assets import read, widget_script
from asyncmagic.delta import DeltaWriter
from asyncmagic.layout import Layout
from asyncmagic.tracing import Trace
from tests.browser.view import TIMELINE, View
from tests.timelines import HOSTILE, Script, hostile, ms, queue, workshop

pytestmark = pytest.mark.slow

#: What anywidget gives to a widget's script, without a kernel behind it.
FAKE_MODEL = """
const listeners = new Map();
window.sent = [];
window.model = {
  get: (name) => ({ key: "k", snapshot: new DataView(new ArrayBuffer(0)) })[name],
  on: (name, listener) => listeners.set(name, listener), off: (name) => listeners.delete(name),
  send: (message) => window.sent.push(message),
  tell(text) {
    const { buffer } = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    listeners.get("msg:custom")({ type: "delta" }, [new DataView(buffer)]);
  },
};
const url = URL.createObjectURL(new Blob([window.widgetScript], { type: "text/javascript" }));
import(url).then(({ default: widget }) => {
  window.close_ = [widget.initialize({ model }), widget.render({ model, el: document.querySelector("#here") })];
});
"""


@pytest.fixture
def live(browser) -> Iterator[Callable[[], View]]:
    """The widget's own script with a model that a test tells what the kernel sends."""
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    view = View(context.new_page())

    def start() -> View:
        view.page.set_content(f"<!doctype html><style>{read('timeline.css')}</style><div id=here></div>")
        view.page.evaluate("script => { window.widgetScript = script }", widget_script())
        view.page.add_script_tag(content=FAKE_MODEL, type="module")
        view.page.wait_for_selector(".asyncmagic")
        return view

    yield start
    context.close()
    assert view.errors == []


def test_the_headline_and_every_agent_are_there(view):
    view.show(workshop())
    assert view.page.locator(".am-headline").inner_text().startswith("6 agents · 2.0 s instead of 6.8 s (3.4×)")
    assert view.ask("t.geometry.blocks.map((block) => block.name)") == [
        *("facts", "history", "critic", "writer", "editor", "checker")
    ]
    assert view.range() == pytest.approx([0, 2.02 * 1.015])


def test_pointing_at_a_call_tells_what_it_did(view):
    view.show(workshop()).page.mouse.move(*view.place("chat gpt-5", 1))
    card = view.page.locator(".am-card")
    assert "1: 200" not in card.inner_text()
    assert card.inner_text().splitlines()[:2] == ["chat gpt-5", "model call · history"]
    assert "2: 429 after 90 ms, 200 after 0.85 s" in card.inner_text()
    view.page.mouse.move(5, 690)
    assert not card.is_visible()


def test_pointing_takes_little_time(view):
    view.show(queue(3_000))
    times = view.ask(
        """[...Array(200).keys()].map((i) => {
        const at = performance.now();
        t.hit(180 + i * 4, 30 + i % 150);
        return performance.now() - at;
    })"""
    )
    assert sorted(times)[190] < 2


def test_a_click_opens_the_details_and_escape_closes_them(view):
    view.show(workshop()).page.mouse.click(*view.place("editor"))
    details = view.page.locator(".am-details")
    assert "openai.InternalServerError: Error code: 500" in details.inner_text()
    view.press("Escape")
    assert not details.is_visible()
    assert view.selected() == ""


def test_an_unmodified_wheel_scrolls_the_page_and_with_control_it_zooms_at_the_pointer(view):
    view.show(workshop())
    view.page.evaluate("document.body.style.height = '3000px'")
    x, y = view.place("critic")
    before = view.range()
    view.page.mouse.move(x, y)
    view.page.mouse.wheel(0, 100)
    view.page.wait_for_function("() => scrollY > 50")
    assert view.range() == before
    view.page.evaluate("scrollTo(0, 0)")
    view.page.keyboard.down("Control")
    view.page.mouse.wheel(0, -100)
    view.page.keyboard.up("Control")
    view.page.wait_for_function(f"() => !{TIMELINE}.view.follow")
    after = view.range()
    assert after[1] - after[0] < (before[1] - before[0]) * 0.8
    middle = 0.421
    assert (middle - after[0]) / (after[1] - after[0]) == pytest.approx(middle / before[1], abs=0.01)


def test_dragging_pans_and_fit_shows_all_again(view):
    view.show(workshop())
    view.ask("t.show(5e5, 1e6)")
    x, y = view.place("history")
    view.page.mouse.move(x, y)
    view.page.mouse.down()
    view.page.mouse.move(x - 200, y, steps=4)
    view.page.mouse.up()
    shown = view.range()
    assert shown[0] > 0.55 and shown[1] - shown[0] == pytest.approx(0.5)
    assert view.selected() == ""
    view.page.get_by_role("button", name="Fit", exact=True).click()
    assert view.range() == pytest.approx([0, 2.02 * 1.015])


def test_the_strip_moves_what_is_shown(view):
    view.show(workshop())
    view.ask("t.show(0, 4e5)")
    box = view.page.locator(".am-box canvas").first.bounding_box()
    view.page.mouse.click(box["x"] + box["width"] - 200, box["y"] + 15)
    assert view.range()[0] > 1


def test_the_keyboard_reaches_everything(view):
    view.show(workshop())
    view.press("ArrowRight", "ArrowDown")
    assert view.selected() == "chat gpt-5"
    view.press("ArrowRight")
    assert view.selected() == "execute_tool search"
    assert "execute_tool search, tool call of facts: done" in view.page.locator("[aria-live=polite]").last.inner_text()
    view.press("Enter")
    assert view.page.locator(".am-details h3").inner_text() == "execute_tool search"
    view.press("z")
    assert view.range()[1] - view.range()[0] == pytest.approx(0.178 * 1.2, rel=0.01)
    view.press("0", "+", "+", "Shift+ArrowRight")
    assert view.range()[0] > 0.5
    view.press("Home")
    assert view.range()[0] == pytest.approx(0, abs=0.3)
    view.press("t")
    view.page.locator(".am-table").wait_for()
    view.press("/")
    assert view.page.evaluate("document.activeElement.type") == "search"


def test_a_search_dims_the_others_steps_through_and_filters_rows(view):
    view.show(workshop())
    view.page.get_by_role("searchbox").fill("failed")
    view.page.get_by_text("2 found").wait_for()
    view.page.get_by_role("button", name="Next match").click()
    view.page.get_by_text("1 of 2").wait_for()
    assert view.selected() == "editor"
    view.page.get_by_role("button", name="Filter").click()
    assert view.ask("t.geometry.blocks.map((block) => block.name)") == ["history", "editor"]
    view.page.get_by_role("searchbox").fill("")
    assert view.ask("t.geometry.blocks.length") == 6


def test_the_legend_turns_looks_off_and_on(view):
    view.show(workshop())
    tool = view.page.get_by_role("button", name="tool", exact=True)
    tool.click()
    assert view.ask("[...t.matches].filter((match) => !match).length") == 1
    view.page.get_by_role("button", name="tool", exact=True).click()
    assert view.ask("t.matches") is None


def test_rows_are_sorted_folded_and_unfolded(view):
    view.show(queue(40, 4))
    assert view.ask("t.geometry.blocks.map(({ name, isFolded }) => [name, isFolded])") == [["answers", True]]
    box = view.page.locator(".am-box canvas").last.bounding_box()
    view.page.mouse.click(box["x"] + 40, box["y"] + 40)
    assert view.ask("t.geometry.blocks.length") == 40
    view.page.get_by_role("combobox", name="Order of rows").select_option("failed first")
    assert view.ask("t.geometry.blocks[0].name") == "answers[0]"
    view.page.get_by_role("combobox", name="Order of rows").select_option("longest")
    longest = "t.geometry.blocks.map(({ rows: [row] }) => t.store.end[row.owner] - t.store.begun(row.owner))"
    assert view.ask(longest) == sorted(view.ask(longest), reverse=True)


def test_shift_and_drag_measures(view):
    view.show(workshop())
    x, y = view.place("critic")
    view.page.keyboard.down("Shift")
    view.page.mouse.move(x, y)
    view.page.mouse.down()
    view.page.mouse.move(x + 100, y)
    view.page.mouse.up()
    view.page.keyboard.up("Shift")
    start, end = view.ask("t.measure")
    assert (end - start) / 1e6 == pytest.approx(100 / view.ask("t.plot") * 2.02 * 1.015, rel=0.02)


def test_the_critical_path_is_drawn_on_demand(view):
    view.show(workshop())
    view.page.get_by_role("button", name="Critical path").click()
    assert view.ask("t.view.path && t.store.header.path.map(([id]) => t.store.nameOf(id)).includes('writer')")


def test_pictures_and_data_can_be_saved(view, tmp_path):
    view.show(workshop())
    starts = {"SVG": b"<svg", "PNG": b"\x89PNG", "JSON": b'{"format":"asyncmagic/1"'}
    for kind, start in starts.items():
        view.page.get_by_role("button", name="Copy or save").click()
        with view.page.expect_download() as download:
            view.page.get_by_role("button", name=f"Save as {kind}").click()
        download.value.save_as(tmp_path / kind)
        assert (tmp_path / kind).read_bytes().startswith(start)
    assert Trace.from_dict(json.loads((tmp_path / "JSON").read_bytes())).root.name == "workshop"


def test_hostile_text_is_shown_as_text(view):
    view.show(hostile())
    view.page.get_by_role("button", name="Table").click()
    view.press("ArrowRight", "Enter")
    for number in range(len(HOSTILE)):
        view.page.mouse.move(*view.place("chat gpt-5", number))
    assert HOSTILE[0] in view.page.locator(".am-table").inner_text()
    assert view.page.evaluate("document.hacked ?? null") is None
    assert view.page.locator(".asyncmagic img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_theme_of_the_page(view, scheme):
    view.page.emulate_media(color_scheme=scheme)
    view.show(workshop())
    assert view.page.locator(".asyncmagic").get_attribute("data-theme") == scheme
    view.page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    view.page.wait_for_selector(".asyncmagic[data-theme=dark]")


def test_a_narrow_page_is_no_wider_than_it_is(view):
    view.page.set_viewport_size({"width": 360, "height": 700})
    view.show(workshop())
    assert view.page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("width", [390, 1000])
def test_no_word_of_the_table_is_broken(view, width):
    view.page.set_viewport_size({"width": width, "height": 700})
    view.show(workshop())
    view.page.get_by_role("button", name="Table").click()
    view.page.locator(".am-table thead th").first.wait_for()
    heights = "[...document.querySelectorAll('.am-table thead th')].map((cell) => cell.getBoundingClientRect().height)"
    assert max(view.page.evaluate(heights)) < 30


def test_a_timeline_that_has_left_the_page_is_let_go(view):
    view.show(workshop())
    view.page.evaluate("window.left = new WeakRef(document.querySelector('.asyncmagic').timeline)")
    view.page.evaluate("document.body.replaceChildren()")
    session = view.page.context.new_cdp_session(view.page)
    for _ in range(20):
        session.send("HeapProfiler.collectGarbage")
        if view.page.evaluate("!window.left.deref()"):
            return
        view.page.wait_for_timeout(100)
    pytest.fail("the page still keeps it")


def test_without_script_the_picture_and_the_table_are_there(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(workshop().to_html())
    assert page.locator("img").bounding_box()["height"] > 200
    page.locator("summary").click()
    assert page.locator("tbody tr").count() == 6
    context.close()


@pytest.mark.parametrize("has_script", [True, False])
def test_on_paper_picture_and_table_are_whole(browser, has_script):
    context = browser.new_context(java_script_enabled=has_script, color_scheme="dark")
    page = context.new_page()
    page.set_content(queue(60).to_html())
    page.locator(".asyncmagic canvas" if has_script else "img").first.wait_for()
    page.emulate_media(media="print")
    assert page.locator("img").bounding_box()["height"] > 100
    assert page.locator(".asyncmagic").count() == has_script and not page.locator(".asyncmagic").is_visible()
    rows = page.locator("tbody tr")
    assert (rows.count(), rows.last.is_visible()) == (60, True)
    assert len(page.pdf(format="A4")) > 10_000
    context.close()


# -- while it runs


def test_deltas_are_drawn_and_cancel_goes_out(live):
    view, script, layout = live(), Script(), Layout()
    writer = DeltaWriter(layout)
    assert view.page.evaluate("window.sent") == [{"type": "hello", "isJupyter": False}]

    def tell(sequence: int, at: float, *spans: Any, **header: Any) -> None:
        data = writer.write(layout.update(spans), {"seq": sequence, **header}, now=ms(at))
        view.page.evaluate("text => model.tell(text)", base64.b64encode(data).decode())
        view.page.wait_for_function(f"() => {TIMELINE}.store.sequence === {sequence}")
        assert view.ask("t.store.sequence") == sequence  # and is drawn

    agent = script.start("agent", 1)
    script.states(agent, (1, "running"))
    tell(0, 50, script.trace.root, agent, headline="1 agent · so far", progress="0 of 1 done", running=True, trace="t1")
    assert view.page.locator(".am-headline").inner_text() == "1 agent · so far\n0 of 1 done"
    first = view.ask("t.store.endOf(1)")
    view.page.wait_for_function(f"() => {TIMELINE}.store.endOf(1) > {first}")
    view.page.mouse.move(*view.place("agent"))
    view.page.get_by_role("button", name="Cancel agent").click()
    view.page.get_by_role("button", name="Cancel run").click()
    asked = [message for message in view.page.evaluate("window.sent") if message["type"] == "cancel"]
    assert asked == [{"type": "cancel", "index": 1}, {"type": "cancel", "index": None}]
    script.tracer.end_span(agent, end=ms(90))
    tell(1, 95, agent, script.trace.root, running=False, progress="")
    assert not view.page.get_by_role("button", name="Cancel run").is_visible()
    view.page.evaluate("window.close_.forEach((close) => close())")
    assert view.page.locator(".asyncmagic").count() == 0


def test_a_row_that_appears_under_a_resting_pointer_offers_its_cancel_and_its_card_goes_on(live):
    view, script, layout = live(), Script(), Layout()
    writer = DeltaWriter(layout)
    box = view.page.locator(".am-box canvas").last.bounding_box()
    view.page.mouse.move(box["x"] + 400, box["y"] + 38)
    agent = script.start("agent", 1)
    for sequence, at in enumerate((50, 500)):
        spans = layout.update([script.trace.root, agent] if not sequence else [])
        data = writer.write(spans, {"seq": sequence, "running": True}, now=ms(at))
        view.page.evaluate("text => model.tell(text)", base64.b64encode(data).decode())
        view.page.get_by_role("button", name="Cancel agent").wait_for()
        view.page.locator(".am-card").get_by_text("– now").wait_for()
        words = view.page.locator(".am-card").inner_text()
    view.page.wait_for_function("words => document.querySelector('.am-card').innerText !== words", arg=words)


def test_the_headline_goes_on_where_only_it_is_in_view(live):
    view, trace = live(), workshop()
    view.page.set_viewport_size({"width": 1000, "height": 40})
    view.page.wait_for_timeout(100)
    writer = DeltaWriter(Layout.of(trace))
    for sequence, headline in enumerate(("6 agents", "7 agents")):
        data = writer.write([], {"seq": sequence, "headline": headline}, now=trace.end)
        view.page.evaluate("text => model.tell(text)", base64.b64encode(data).decode())
        view.page.locator(".am-headline").get_by_text(headline).wait_for()


def test_a_lost_delta_is_asked_for(live):
    view, trace = live(), workshop()
    writer = DeltaWriter(Layout.of(trace))
    writer.write(range(5), {"seq": 0}, now=trace.end)
    late = writer.write(range(5, 20), {"seq": 1}, now=trace.end)
    view.page.evaluate("text => model.tell(text)", base64.b64encode(late).decode())
    view.page.wait_for_function("() => window.sent.some(({ type }) => type === 'resend')")


#: What a notebook does when a cell's output is replaced: the old one goes, scripts of the new one run.
REPLACE = """html => {
  const here = document.querySelector("#here");
  here.innerHTML = html;
  for (const old of here.querySelectorAll("script")) {
    const script = document.createElement("script");
    script.textContent = old.textContent;
    old.replaceWith(script);
  }
}"""


@pytest.mark.parametrize("delay", [0, 1, 3, 10, 30, 100])
def test_a_run_whose_first_news_comes_with_its_end_is_shown_once(live, delay):
    view, trace = live(), workshop()
    header = {"seq": 0, "running": False, "trace": trace.trace_id, "headline": "over"}
    delta = DeltaWriter(Layout.of(trace)).write_all(header, now=trace.end)
    view.page.evaluate(
        f"([delta, html, delay]) => {{ setTimeout(() => model.tell(delta), delay); ({REPLACE})(html); }}",
        [base64.b64encode(delta).decode(), trace.to_html(), delay],
    )
    view.page.wait_for_function("() => document.querySelector('.asyncmagic')?.timeline.picture")
    view.page.wait_for_timeout(delay + 100)
    assert view.page.locator(".asyncmagic").count() == 1
    assert view.ask("t.geometry.blocks.length") == 6
