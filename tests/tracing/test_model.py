"""Spans, their states and traces: what is kept, and that saving and reading loses nothing."""

from __future__ import annotations

import json

import pytest

from asyncmagic.tracing import Link, Span, SpanEvent, StateLog, Trace
from tests.timelines import Script, ms, workshop


def log(*changes: tuple[int, str] | tuple[int, str, str | None]) -> StateLog:
    states = StateLog()
    for change in changes:
        states.append(*change)
    return states


def test_states_are_read_back_in_order_with_what_was_waited_for() -> None:
    states = log((0, "queued"), (10, "running"), (15, "waiting", "chat gpt-5"))
    assert list(states) == [(0, "queued", None), (10, "running", None), (15, "waiting", "chat gpt-5")]
    assert states.last() == (15, "waiting", "chat gpt-5")
    assert len(states) == 3


def test_segments_reach_from_change_to_change_and_the_last_one_to_the_end() -> None:
    states = log((0, "queued"), (10, "running"), (15, "waiting", "lock"))
    assert list(states.segments(40)) == [
        (0, 10, "queued", None),
        (10, 15, "running", None),
        (15, 40, "waiting", "lock"),
    ]
    assert states.times(40) == {"queued": 10, "running": 5, "waiting": 25, "ready": 0}


def test_a_state_that_took_no_time_is_no_segment() -> None:
    assert list(log((0, "ready"), (0, "running"), (5, "waiting")).segments(5)) == [(0, 5, "running", None)]
    assert list(StateLog().segments(5)) == []


def test_the_latest_change_can_be_corrected() -> None:
    states = log((0, "running"), (5, "waiting"))
    states.amend("ready", None)
    assert list(states) == [(0, "running", None), (5, "ready", None)]


def test_steps_are_noted_many_at_a_time_and_one_that_did_not_wait_was_ready_since_the_one_before() -> None:
    steps = [
        ("lock", 10, 12, 20),
        (None, 15, 21, 25),
        ("sleep", 40, 40, 41),
        (None, 41, 41, 44),
        (None, 50, 51, 52),
    ]
    together, singly = log((0, "running"), (5, "waiting")), log((0, "running"), (5, "waiting"))
    together.append_steps(*map(list, zip(*steps, strict=True)))
    for step in steps:
        singly.append_steps(*([value] for value in step))
    assert list(together.segments(52)) == [
        (0, 5, "running", None),
        (5, 10, "waiting", "lock"),
        (10, 12, "ready", None),
        (12, 20, "running", None),
        (20, 21, "ready", None),
        (21, 25, "running", None),
        (25, 40, "waiting", "sleep"),
        (40, 41, "running", None),
        (41, 44, "running", None),
        (44, 50, "waiting", None),
        (50, 51, "ready", None),
        (51, 52, "running", None),
    ]
    assert list(singly) == list(together)


def test_the_outcome_of_a_span_follows_its_end_and_its_error() -> None:
    script = Script()
    done = script.span("done", 0, 1)
    failed = script.span("failed", 0, 1, error="ValueError")
    cancelled = script.span("cancelled", 0, 1, error="CancelledError")
    running = script.start("running", 0)
    assert [span.outcome for span in (done, failed, cancelled, running)] == ["done", "failed", "cancelled", "open"]
    assert [span.has_ended for span in (done, running)] == [True, False]


def test_a_span_says_everything_that_it_knows_as_json_data() -> None:
    span = Span(7, 1, "chat gpt-5", "chat", 100, None, 300)
    span.attributes["gen_ai.usage.output_tokens"] = 5
    span.events = (SpanEvent("gen_ai.first_chunk", 150, {"n": 1}),)
    span.links = (Link(3, "awaits"),)
    span.states = log((100, "running"), (120, "waiting", "socket"))
    span.status, span.message = "ERROR", "it broke"
    assert span.to_dict() == {
        "id": 7,
        "parent": 1,
        "name": "chat gpt-5",
        "kind": "chat",
        "start": 100,
        "end": 300,
        "status": "ERROR",
        "message": "it broke",
        "attributes": {"gen_ai.usage.output_tokens": 5},
        "events": [[150, "gen_ai.first_chunk", {"n": 1}]],
        "links": [[3, "awaits"]],
        "states": [[100, "running", None], [120, "waiting", "socket"]],
    }


def test_a_plain_span_is_written_without_empty_fields() -> None:
    assert Span(2, None, "cell", "cell", 0, None).to_dict() == {
        "id": 2,
        "parent": None,
        "name": "cell",
        "kind": "cell",
        "start": 0,
        "end": None,
        "status": "UNSET",
    }


def test_a_trace_is_the_same_after_saving_and_reading_it() -> None:
    trace = workshop()
    saved = json.loads(json.dumps(trace.to_dict()))
    read = Trace.from_dict(saved)
    assert read.to_dict() == trace.to_dict()
    assert read.root.name == "workshop"
    assert [span.outcome for span in read.spans] == [span.outcome for span in trace.spans]
    assert all(span.trace is read for span in read.spans)


def test_children_stand_below_their_parent_in_order_of_start() -> None:
    script = Script()
    late, early = script.start("late", 9), script.start("early", 3)
    inner = script.start("inner", 10, parent=late)
    children = script.trace.children()
    assert children[script.trace.root.span_id] == [early, late]
    assert children[late.span_id] == [inner]


def test_a_span_is_found_by_its_id_and_an_unknown_one_is_none() -> None:
    script = Script()
    span = script.start("a", 0)
    assert script.trace[span.span_id] is script.trace.get(span.span_id) is span
    assert script.trace.get(999) is script.trace.get(None) is None


def test_the_end_of_a_running_trace_is_the_latest_time_known() -> None:
    script = Script()
    script.span("a", 0, 30)
    script.start("b", 20)
    assert (script.trace.is_running, script.trace.end) == (True, ms(30))
    assert script.end(50).end == ms(50)
    assert not script.trace.is_running


def test_reading_the_spans_first_asks_the_sources_that_record_lazily() -> None:
    script = Script()

    class Lazy:
        asked = 0

        def collect(self, trace: Trace) -> None:
            self.asked += 1
            if self.asked == 1:
                script.start("found late", 5)

    lazy = Lazy()
    script.trace.sources.append(lazy)
    assert [span.name for span in script.trace.spans] == ["cell", "found late"]


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"no format is called 'pdf'; known are .*html.*svg.*text"):
        workshop().export("pdf")
