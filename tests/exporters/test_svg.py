"""The picture: well-formed, small, truthful, and without anything that could run."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from asyncmagic.assets import palette
from asyncmagic.exporters.svg import nice_step
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
        "6 agents · 2.0 s instead of 6.9 s (3.4×) · 1,200 tokens · 1 retry · 1 failed · 1 cancelled"
        " · loop blocked 0.13 s",
        "calls in flight · most 5",
        *("0", "0.5 s", "1.0 s", "1.5 s", ""),
        "blocked 0.13 s · line 7",
        *("gpt-5", "search", "gpt-5", "✓", "facts", "1.8 s"),
        *("429", "gpt-5", "✓", "history", "1.4 s"),
        *("gpt-5", "✓", "critic", "0.84 s"),
        *("gpt-5", "to_thr…", "gpt-5", "✓", "writer", "2.0 s"),
        *("500 gpt-5", "✕", "editor", "0.28 s"),
        *("gpt-5", "⊘", "checker", "0.65 s"),
        *("running", "waiting", "ready, loop busy", "queued", "to first token", "model answers", "tool", "thread"),
        *("waits for a connection", "back-off", "failed", "cancelled", "loop blocked"),
    ]


def test_bars_stand_where_their_times_are():
    script = Script()
    script.span("half", 0, 50, "span", script.trace.root)
    picture = script.end(100).to_svg()
    (bar,) = re.findall(r'<path class="span" d="M168 [\d.]+h(\d+)v18', picture)[-1:]
    assert int(bar) == (960 - 168 - 12) // 2


@pytest.mark.parametrize("trace", [workshop, queue, hostile], ids=lambda trace: trace.__name__)
def test_it_is_well_formed_and_holds_nothing_that_could_run(trace):
    elements = list(ElementTree.fromstring(trace().to_svg()).iter())
    assert {element.tag.removeprefix(SVG) for element in elements} <= SAFE
    assert not any(name.startswith("on") or "href" in name for element in elements for name in element.attrib)


@pytest.mark.parametrize("trace", [lambda: queue(500), lambda: queue(3_000), lambda: large(10_000)])
def test_large_runs_stay_below_thirty_kilobytes(trace):
    assert len(trace().to_svg().encode()) < 30_000


def test_a_run_that_has_not_ended_is_drawn_up_to_now():
    script = Script()
    agent = script.start("agent", 0, state="running")
    script.span("done", 1, 40, parent=agent)
    assert "agent" in texts(script.trace.to_svg())
    assert "so far" in texts(script.trace.to_svg())[0]


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
