"""The picture: well-formed, small, truthful, and without anything that could run."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from asyncmagic.assets import palette
from asyncmagic.exporters.drawing import nice_step
from asyncmagic.tracing import Trace
from tests.timelines import Script, hostile, ms, queue, workshop

SVG = "{http://www.w3.org/2000/svg}"
SAFE = {"svg", "title", "style", "defs", "pattern", "path", "rect", "text"}


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def large(count: int) -> Trace:
    script = Script("large")
    for number in range(10):
        agent = script.start(f"agent {chr(97 + number)}", 0)
        for step in range(count // 20):
            call = script.chat(agent, step * 10 + number, step * 10 + number + 9, step * 10 + number + 3)
            script.span("POST", step * 10 + number, step * 10 + number + 9, "http", call)
        script.tracer.end_span(agent, end=ms(count / 2 + 30))
    return script.end(count / 2 + 40)


def test_it_says_what_ran_and_how_it_went():
    assert texts(workshop().to_svg()) == [
        "6 agents · 2.0 s instead of 6.8 s (3.4×) · 1,200 tokens · 1 retry · 1 failed · 1 cancelled"
        " · loop blocked 0.13 s",
        "calls in flight · most 5",
        *("0", "0.5 s", "1.0 s", "1.5 s"),
        *("gpt-5", "0.74 s", "search", "gpt-5", "0.81 s", "✓", "facts", "1.8 s"),
        *("429", "gpt-5", "1.3 s", "✓", "history", "1.4 s"),
        *("gpt-5", "0.81 s", "✓", "critic", "0.84 s"),
        *("gpt-5", "0.84 s", "to_thr…", "gpt-5", "1.0 s", "✓", "writer", "2.0 s"),
        *("500 gpt-5", "✕", "editor", "0.28 s"),
        *("gpt-5", "0.63 s", "⊘", "checker", "0.65 s"),
        "blocked 0.13 s · line 7",
        *("running", "waiting", "ready, loop busy", "queued", "to first token", "model answers", "tool", "thread"),
        *("waits for a connection", "back-off", "failed", "cancelled", "loop blocked"),
    ]


def test_bars_stand_where_their_times_are():
    script = Script()
    script.span("half", 0, 50, "span", script.trace.root)
    picture = script.end(100).to_svg()
    bars = re.findall(r'<path class="span" stroke-width="16" d="M(\d+) [\d.]+h(\d+)"', picture)
    assert bars[0] == ("169", str((960 - 168 - 12) // 2 - 2))  # inside its edge


@pytest.mark.parametrize("trace", [workshop, queue, hostile], ids=lambda trace: trace.__name__)
def test_it_is_well_formed_and_holds_nothing_that_could_run(trace):
    elements = list(ElementTree.fromstring(trace().to_svg()).iter())
    assert {element.tag.removeprefix(SVG) for element in elements} <= SAFE
    assert not any(name.startswith("on") or "href" in name for element in elements for name in element.attrib)


def wide(count: int) -> Trace:
    """One agent that does so much at once: a sub-row for each."""
    script = Script("wide")
    agent = script.start("agent", 0, state="running")
    for number in range(count):
        script.span(f"ask {number}", 1 + number % 7, 900 + number % 90, "http", agent)
    script.tracer.end_span(agent, end=ms(1_000))
    return script.end(1_000)


@pytest.mark.parametrize("trace", [lambda: queue(500), lambda: queue(3_000), lambda: large(10_000), lambda: wide(900)])
def test_large_runs_stay_below_thirty_kilobytes(trace):
    assert len(trace().to_svg().encode()) < 30_000


def test_what_stands_below_the_picture_s_end_is_counted():
    assert [text for text in texts(wide(190).to_svg()) if "more" in text] == ["… 140 more rows"]


def test_five_hundred_calls_are_drawn_one_by_one():
    picture = queue(500).to_svg()
    bars = re.findall(r'class="chat" stroke-width="\d+" d="([^"]+)"', picture)[:-1]  # the last is the legend's
    assert 450 < sum(path.count("h") for path in bars) <= 500


def test_hundreds_of_rows_keep_their_states_at_that_size():
    script = Script()
    for number in range(300):
        task = script.start(f"ask[{number}]", 0)
        script.states(task, (0, "ready"), (number + 9, "running"), (number + 12, "waiting"), (number + 500, "ready"))
        script.tracer.end_span(task, end=ms(number + 510))
    picture = script.end(1_000).to_svg()
    drawn = {style: re.findall(rf'class="{style}" [^>]* d="([^"]+)"', picture)[0] for style in ("ready", "waiting")}
    assert len(picture) < 33_000
    assert {style: path.count("h") for style, path in drawn.items()} == {"ready": 600, "waiting": 300}


def drawn(picture: str) -> list[str]:
    """The styles of what stands in lanes, in the order in which they are drawn."""
    return re.findall(r'<path class="([a-z -]+)" stroke-width="[\d.]+" d="M\d', picture)


def test_what_stands_over_what_is_the_same_in_every_lane():
    script = Script()
    for number in range(60):
        agent = script.start(f"ask[{number}]", 0)
        inside = script.start("search", 5, "execute_tool", agent) if number % 2 else agent
        call = script.chat(inside, 10, 900, 500)
        attempts = ((10, 200, 500), (400, 900, 200)) if number % 2 else ((10, 900, 200),)
        for at, to, status in attempts:
            attributes = {"http.response.status_code": status, "asyncmagic.connection_wait": 0.1}
            script.span("POST", at, to, "http", call, attributes=attributes)
        if inside is not agent:
            script.tracer.end_span(inside, end=ms(910))
        script.tracer.end_span(agent, end=ms(950))
    order = [style for style in drawn(script.end(1_000).to_svg()) if "edge" not in style]
    assert order[: order.index("token") + 1] == [
        *("span", "chat-wait", "chat", "tool", "chat-wait", "chat"),
        *("failed", "connect", "backoff", "token"),
    ]


def test_a_picture_that_would_only_lose_detail_stays_as_it_is():
    script = Script()
    for number in range(300):
        task, late = script.start(f"ask[{number}]", 0), number % 90
        turns = ((late + at, state) for at in (9, 300, 600) for state, at in (("running", at), ("waiting", at + 30)))
        script.states(task, (0, "ready"), *turns)
        script.tracer.end_span(task, end=ms(910 + late))
    picture = script.end(1_010).to_svg()
    assert 29_000 < len(picture) < 36_250
    assert re.findall(r'class="running" [^>]* d="([^"]+)"', picture)[0].count("h") == 900


def test_labels_of_blocked_times_do_not_cover_each_other():
    script = Script()
    for at, to in ((10, 11), (12, 40), (41, 42), (800, 990)):
        script.span("time.sleep", at, to, "blocked")
    shown = [text for text in texts(script.end(1_000).to_svg()) if text.startswith("blocked")]
    assert shown == ["blocked 0.19 s", "blocked 28 ms"]


def test_a_handoff_is_an_arrow_to_who_takes_over():
    script = Script()
    triage = script.start("invoke_agent triage", 0, "invoke_agent")
    handoff = script.start("handoff to expert", 40, "handoff", triage)
    expert = script.start("invoke_agent expert", 50, "invoke_agent")
    script.tracer.add_link(handoff, expert, "expert")
    for span in (handoff, triage, expert):
        script.tracer.end_span(span, end=ms(90))
    picture = script.end(100).to_svg()
    assert picture.count('class="arrow"') == 1


def test_a_run_that_has_not_ended_is_drawn_up_to_now():
    script = Script()
    agent = script.start("agent", 0, state="running")
    script.span("done", 1, 40, parent=agent)
    assert "agent" in texts(script.trace.to_svg())
    assert "so far" in texts(script.trace.to_svg())[0]
    script.tracer.end_span(agent, end=ms(50))
    assert texts(script.end(50).to_svg())[0] == "1 agent · 50 ms"


def test_an_empty_run_is_drawn_too():
    assert "cell" in texts(Script().end(0).to_svg())


def test_light_and_dark_name_the_same_colours():
    assert palette("light").keys() == palette("dark").keys()
    assert len(palette("light")) > 30


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_on_every_colour(theme):
    colours = palette(theme)
    grounds = [name for name in colours if f"{name}-edge" in colours and name not in ("running", "ready")]
    too_weak = {name: contrast(colours["ink"], colours[name]) for name in grounds}
    assert {name: ratio for name, ratio in too_weak.items() if ratio < 4.5} == {}
    for name in ("fg", "muted", "failed-edge", "blocked-edge", "accent"):
        assert contrast(colours[name], colours["bg"]) >= 4.5, name
    for name in (name for name in colours if name.endswith("-edge")):
        assert contrast(colours[name], colours["bg"]) >= 2.8, name


def contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_axis_steps_read_well():
    assert [nice_step(least) for least in (1, 1.5, 3, 7, 99, 101)] == [1, 2, 5, 10, 100, 200]
