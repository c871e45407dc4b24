"""Rows and sub-rows: who stands where, and that it stays so."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from asyncmagic.layout import FOLD_ABOVE, Layout, begin, plain, states_of
from asyncmagic.tracing.joined import joined
from tests.timelines import HOSTILE, Script, ms, queue, workshop


def picture(layout: Layout) -> list[tuple[str, list[list[str]]]]:
    """The blocks with the names of what stands in each line."""
    return [
        (block.name, [[layout.spans[index].name for index in line] for line in block.lines])
        for block in layout.blocks()
    ]


def test_each_agent_has_a_row_and_attempts_stand_inside_their_call():
    assert picture(Layout.of(workshop())) == [
        ("facts", [["facts"], ["chat gpt-5", "execute_tool search", "chat gpt-5"]]),
        ("history", [["history"], ["chat gpt-5", "POST", "POST"]]),
        ("critic", [["critic"], ["chat gpt-5"]]),
        ("writer", [["writer"], ["chat gpt-5", "POST", "to_thread parse_pdf", "chat gpt-5"]]),
        ("editor", [["editor"], ["chat gpt-5", "POST"]]),
        ("checker", [["checker"], ["chat gpt-5"]]),
    ]


def test_a_blocked_loop_stands_in_no_row():
    layout = Layout.of(workshop())
    assert [layout.spans[index].name for index in layout.bands] == ["time.sleep"]


def test_what_the_cell_does_itself_stands_in_a_row_of_its_own():
    script = Script()
    script.chat(script.trace.root, 1, 5)
    script.span("helper", 6, 9)
    assert picture(Layout.of(script.end(10))) == [("cell", [["cell"], ["chat gpt-5"]]), ("helper", [["helper"]])]


def test_agents_that_an_agent_calls_have_rows_below_it_one_for_each_name():
    script = Script()
    lead = script.start("invoke_agent lead", 1, "invoke_agent")
    script.span("invoke_agent writer", 2, 4, "invoke_agent", lead)
    script.span("invoke_agent critic", 4, 6, "invoke_agent", lead)
    script.span("invoke_agent writer", 6, 8, "invoke_agent", lead)
    script.tracer.end_span(lead, end=ms(9))
    layout = Layout.of(script.end(10))
    assert [(block.name, block.depth) for block in layout.blocks()] == [
        ("lead", 0),
        ("writer", 1),
        ("critic", 1),
    ]
    assert layout.row == [0, 1, 2, 3, 2]


def test_two_runs_in_one_picture_have_their_agents_below_them_and_fold_apart():
    blocks = Layout.of(joined("compare", {"before": queue(3, 1), "after": queue(30, 5)})).blocks()
    assert [(block.name, block.depth, len(block.lines)) for block in blocks] == [
        *(("before", 0, 1), ("answers[0]", 1, 2), ("answers[1]", 1, 2), ("answers[2]", 1, 2)),
        *(("after", 0, 1), ("answers", 1, 5)),
    ]


def test_what_overlaps_stands_in_sub_rows():
    script = Script()
    agent = script.start("agent", 0)
    for at, to in ((1, 5), (2, 4), (5, 7), (4, 8)):
        script.chat(agent, at, to)
    layout = Layout.of(script.end(9))
    # In the order of their start: 1-5, 2-4, 4-8, 5-7.
    assert layout.sub[2:] == [1, 2, 2, 1]


def test_a_parent_that_is_made_after_its_child_is_placed_before_it():
    script = Script()
    agent = script.start("agent", 5)
    child = script.span("child", 1, 2, "span", agent)
    layout = Layout()
    layout.update([script.trace.root])
    layout.update([child])
    assert [layout.spans[index].name for index in range(3)] == ["cell", "agent", "child"]
    assert (layout.row, layout.sub) == ([0, 1, 1], [0, 0, 1])


def test_spans_of_one_sub_row_never_overlap_however_they_arrive():
    dice = random.Random(4)
    script = Script()
    layout = Layout()
    layout.update([script.trace.root])
    open_spans = [script.trace.root]
    for time in range(1, 2_000):
        parent = dice.choice(open_spans)
        span = script.start(f"s{time}", time, dice.choice(["span", "task", "invoke_agent", "thread"]), parent)
        open_spans.append(span)
        changed = [span]
        if dice.random() < 0.8 and len(open_spans) > 2:
            ended = open_spans.pop(dice.randrange(1, len(open_spans)))
            script.tracer.end_span(ended, end=ms(time + dice.random()))
            changed.append(ended)
        dice.shuffle(changed)
        layout.update(changed)
    script.end(3_000)
    last: dict[tuple[int, int], int] = {}
    for index, span in enumerate(layout.spans):
        if layout.sub[index] >= 0:
            place = (layout.row[index], layout.sub[index])
            assert span.start >= last.get(place, 0)
            last[place] = span.end if span.end is not None else ms(3_000)


def test_many_agents_of_one_list_fold_to_the_lanes_in_use():
    layout = Layout.of(queue(count=500, limit=8))
    (block,) = layout.blocks()
    assert (block.name, block.is_folded, len(block.rows), len(block.lines)) == ("answers", True, 500, 8)
    for line in block.lines:
        agents = sorted(
            (begin(layout.spans[index]), layout.spans[index].end) for index in line if layout.sub[index] == 0
        )
        assert all(end <= start for (_, end), (start, _) in pairwise(agents))


@pytest.mark.timeout(20)
def test_ten_thousand_agents_at_once_have_a_lane_each_and_are_soon_placed():
    script = Script()
    for number in range(20_000):
        script.span(f"answers[{number}]", 1, 5 if number % 2 else 4)
    script.span("answers[20000]", 4, 6)
    (block,) = Layout.of(script.end(10)).blocks()
    assert [len(block.lines), len(block.lines[0])] == [20_000, 2]


def test_a_few_agents_of_one_list_keep_their_rows():
    assert len(Layout.of(queue(count=FOLD_ABOVE, limit=4)).blocks()) == FOLD_ABOVE


def test_what_is_drawn_live_stands_where_it_stands_afterwards():
    trace = queue(count=60, limit=4)
    live = Layout()
    events = [(span.start, span) for span in trace.spans] + [(span.end, span) for span in trace.spans]
    ends = {span.span_id: span.end for span in trace.spans}
    for span in trace.spans:
        span.end = None
    for time, span in sorted(events, key=lambda event: event[0]):
        if time == ends[span.span_id]:
            span.end = time
        live.update([span])
    whole = Layout.of(trace)
    assert (live.row, live.sub) == (whole.row, whole.sub)


def test_states_shorter_than_a_pixel_melt_into_what_most_of_their_time_was():
    script = Script()
    agent = script.start("agent", 0)
    script.states(agent, (0, "waiting"), (100, "ready"))
    for step in range(100):
        script.states(agent, (101 + step, "running"), (101.9 + step, "ready"))
    script.states(agent, (300, "waiting"))
    script.tracer.end_span(agent, end=ms(400))
    assert states_of(agent, 0, ms(10)) == [
        (0, ms(100), "waiting", None),
        (ms(100), ms(200), "running", None),
        (ms(200), ms(300), "ready", None),
        (ms(300), ms(400), "waiting", None),
    ]
    assert len(states_of(agent, 0, 0)) == 203


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_one_short_line_that_every_encoding_takes(text):
    shown = plain(text)
    assert len(shown) <= 300
    assert not set(shown) & set("\n\r\x00\x07\x1b\u202e\u2066\ufffe")
    assert shown.encode()


def test_plain_text_is_left_alone():
    assert [plain("answers[3]"), plain("héllo – 👍"), plain("a\nb", keeps_lines=True)] == [
        "answers[3]",
        "héllo – 👍",
        "a\nb",
    ]
