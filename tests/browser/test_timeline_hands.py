"""The timeline under fingers, and what it offers to who does not know its keys and words."""

from __future__ import annotations

from itertools import pairwise

import pytest

from asyncmagic.tracing import semconv
from tests.browser.view import TIMELINE, View
from tests.timelines import Script, ms, queue, workshop

pytestmark = pytest.mark.slow


@pytest.fixture
def touched(browser):
    """A page on a telephone."""
    context = browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True)
    view = View(context.new_page())
    yield view
    context.close()
    assert view.errors == []


def test_two_fingers_zoom_at_the_time_between_them_and_one_moves_it(touched):
    touched.show(workshop())
    session = touched.page.context.new_cdp_session(touched.page)
    box = touched.page.locator(".am-box canvas").last.bounding_box()
    x, y = box["x"] + 220, box["y"] + 120

    def touch(kind: str, *places: float) -> None:
        points = [{"x": place, "y": y, "id": number} for number, place in enumerate(places)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    between = f"Math.round(t.timeAt({x - box['x']}) / 1e3)"
    before, held = touched.range(), touched.ask(between)
    touch("touchStart", x - 30)
    touch("touchStart", x - 30, x + 30)
    for step in range(1, 9):
        touch("touchMove", x - 30 - 8 * step, x + 30 + 8 * step)
    touch("touchEnd")
    near = touched.range()
    assert near[1] - near[0] == pytest.approx((before[1] - before[0]) * 60 / 188, rel=0.1)
    assert touched.ask(between) == pytest.approx(held, abs=5)
    touch("touchStart", x)
    for step in range(1, 9):
        touch("touchMove", x - 10 * step)
    touch("touchEnd")
    touched.page.wait_for_function(f"() => {TIMELINE}.view.from > {near[0] * 1e6 + 1e5}")
    assert touched.selected() == ""


@pytest.mark.parametrize("name, number", [("chat gpt-5", 0), ("chat gpt-5", 4), ("chat gpt-5", 5), ("agent", 0)])
def test_the_card_is_whole_wherever_the_pointer_is(view, name, number):
    script = Script()
    for row in range(12):
        agent = script.start("agent", 1)
        script.chat(agent, row * 100, row * 100 + 150, attributes={semconv.REQUEST_ID: "x" * 60})
        script.tracer.end_span(agent, end=ms(1300))
    view.page.set_viewport_size({"width": 640, "height": 480})
    view.show(script.end(1310)).page.mouse.move(*view.place(name, number))
    box = view.page.locator(".am-card").bounding_box()
    assert box["x"] >= 0 and box["y"] >= 0
    assert box["x"] + box["width"] <= 640 and box["y"] + box["height"] <= 480


def test_moving_over_one_span_writes_its_card_once(view):
    view.show(workshop())
    x, y = view.place("chat gpt-5", 1)
    view.page.mouse.move(x, y)
    view.ask("(window.written = t.card.firstChild)")
    view.page.mouse.move(x + 5, y)
    assert view.ask("window.written === t.card.firstChild && t.card.style.left") == f"{x + 5 + 16:g}px"


def test_what_can_be_searched_for_is_offered_and_added_to_the_search(view):
    view.show(workshop())
    hints = view.page.get_by_role("combobox", name="Add to the search")
    hints.focus()
    hints.select_option("model:gpt-5")
    hints.focus()
    hints.select_option("agent:history")
    assert view.page.get_by_role("searchbox").input_value() == "model:gpt-5 agent:history"
    view.page.get_by_role("status").get_by_text("1 found").wait_for()


def test_a_group_is_unfolded_and_folded_by_a_key_and_the_keys_are_told(view):
    view.show(queue(40, 4))
    view.press("ArrowRight", "o")
    assert view.ask("t.geometry.blocks.length") == 40
    view.press("o")
    assert view.ask("t.geometry.blocks.length") == 1
    view.press("?")
    assert "unfold or fold a group" in view.page.locator(".am-keys").inner_text()


def test_the_clock_of_a_run_goes_on_between_two_words_of_the_kernel(view):
    view.show(workshop())
    view.ask("Object.assign(t.store.header, { running: true, headline: '6 agents · 5 ms so far · 1 retry' })")
    view.ask("t.store.received = { now: 0, at: performance.now() - 1500 }")
    view.page.wait_for_function(f"() => /^6 agents · 2.0 s so far · 1 retry/.test({TIMELINE}.headline.textContent)")


def test_the_names_of_blocked_bands_do_not_overlap(view):
    script = Script()
    for number in range(30):
        facts = {semconv.CODE_FILE: "/x/tools.py", semconv.CODE_LINE: number}
        script.span("time.sleep", number * 50, number * 50 + 20 + number % 7, "blocked", attributes=facts)
    view.show(script.end(1600))
    boxes = view.ask("""(() => {
      const boxes = [];
      const { fillText } = t.main;
      const box = (text, x) => boxes.push([x, x + t.main.measureText(text).width]);
      t.main.fillText = (text, x) => text.startsWith("blocked") && box(text, x);
      t.draw();
      t.main.fillText = fillText;
      return boxes.sort((a, b) => a[0] - b[0]);
    })()""")
    assert len(boxes) > 3
    assert all(left[1] < right[0] for left, right in pairwise(boxes))


def test_a_refused_attempt_says_its_status(view):
    view.show(workshop())
    texts = view.ask("""(() => {
      const texts = [];
      const { fillText } = t.main;
      t.main.fillText = (text) => texts.push(text);
      t.draw();
      t.main.fillText = fillText;
      return texts;
    })()""")
    assert "429" in texts


def test_what_was_copied_is_what_was_meant(view):
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.page.goto("about:blank")
    view.show(workshop())
    view.page.evaluate("navigator.clipboard ??= { writeText: (text) => ((window.copied = text), Promise.resolve()) }")
    view.page.get_by_role("button", name="Copy or save").click()
    view.page.get_by_role("button", name="Copy as text").click()
    view.page.get_by_text("Copied", exact=True).wait_for()
    copied = view.page.evaluate("window.copied ?? navigator.clipboard.readText()")
    assert copied.splitlines()[2].split("\t")[:3] == ["facts", "done", "2.0 ms"]
