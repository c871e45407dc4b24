"""Deltas: small, complete, and read by the page's own reader."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from asyncmagic.delta import DeltaWriter, write_trace
from asyncmagic.layout import MAX_SUBS, Layout
from asyncmagic.tracing import Trace, semconv
from tests.timelines import HOSTILE, Script, hostile, ms, queue, workshop

READER = """
import { TraceStore, unpack } from %s;
const store = new TraceStore();
const gaps = [];
for (const message of JSON.parse(await new Response(process.stdin).text())) {
  const bytes = Uint8Array.from(atob(message), (letter) => letter.charCodeAt(0));
  gaps.push(store.apply(await unpack(bytes)));
}
const own = ["row", "sub", "first"].map((name) => Array.from(store[name].slice(0, store.n)));
console.log(JSON.stringify({ trace: store.toJSON(), rows: store.rows, own, gaps, header: store.header }));
"""


def read(*messages: bytes) -> dict:
    """What the page knows after these messages."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = READER % json.dumps((Path(__file__).parents[1] / "asyncmagic/static/trace.js").as_uri())
    sent = json.dumps([base64.b64encode(message).decode() for message in messages])
    done = subprocess.run([node, "--input-type=module", "-e", script], input=sent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def expected(trace: Trace) -> list[dict]:
    """What `to_dict` says, in the page's numbering and microseconds."""
    layout = Layout.of(trace)
    spans = []
    for index, span in enumerate(layout.spans):
        data = span.to_dict()
        data |= {"id": index + 1, "parent": layout.parents[index] + 1 if index else None}
        spans.append(data)
    return spans


def test_the_page_knows_what_the_trace_knows():
    trace = workshop()
    page = read(write_trace(trace, Layout.of(trace), {"seq": 0, "headline": "six"}))
    assert page["trace"]["spans"] == expected(trace)
    assert page["header"]["headline"] == "six"
    assert page["gaps"] == [False]


def test_deltas_add_up_to_the_whole():
    script = Script()
    layout = Layout()
    writer = DeltaWriter(layout)
    messages = []

    def flush(*spans, at):
        messages.append(writer.write(layout.update(spans), {"seq": len(messages)}, now=ms(at)))

    agent = script.start("agent", 1)
    script.states(agent, (1, "queued"))
    flush(script.trace.root, agent, at=2)
    script.states(agent, (3, "running"), (9, "waiting", "chat gpt-5"))
    call = script.start("chat gpt-5", 9, "chat", agent)
    flush(agent, call, at=12)
    script.tracer.add_event(call, semconv.EVENT_FIRST_CHUNK, at=ms(20))
    script.tracer.set_attributes(call, {semconv.OUTPUT_TOKENS: 7})
    flush(call, at=21)
    script.tracer.end_span(call, end=ms(30))
    script.tracer.end_span(agent, end=ms(31), error="ValueError", message="no")
    trace = script.end(40)
    flush(agent, call, trace.root, at=40)
    page = read(*messages)
    assert page["gaps"] == [False] * 4
    assert page["trace"]["spans"] == expected(trace)
    assert page["own"][:2] == [layout.row, layout.sub]


def test_a_reader_who_missed_something_says_so_and_is_whole_after_all_of_it():
    trace = workshop()
    layout = Layout.of(trace)
    writer = DeltaWriter(layout)
    first = writer.write(range(5), {"seq": 0}, now=trace.end)
    writer.write(range(5, 9), {"seq": 1}, now=trace.end)
    third = writer.write(range(9, len(layout.spans)), {"seq": 2}, now=trace.end)
    everything = writer.write_all({"seq": 3}, now=trace.end)
    page = read(first, third, everything)
    assert page["gaps"] == [False, True, False]
    assert page["trace"]["spans"] == expected(trace)


def test_what_did_not_change_is_not_sent():
    trace = workshop()
    writer = DeltaWriter(Layout.of(trace))
    everything = range(len(trace.spans))
    writer.write(everything, {"seq": 0}, now=trace.end)
    assert len(writer.write(everything, {"seq": 1}, now=trace.end)) < 60


def test_what_no_row_has_room_for_is_sent_live_with_its_times_alone():
    script = Script()
    agent = script.start("agent", 0)
    for number in range(MAX_SUBS + 5):
        script.span(f"step {number}", 1, 9, "span", agent, attributes={"n": number})
    trace = script.end(10)
    layout = Layout.of(trace)
    everything = range(len(layout.spans))
    live, whole = (
        read(DeltaWriter(layout, is_live=is_live).write(everything, {"seq": 0}, now=trace.end))["trace"]["spans"]
        for is_live in (True, False)
    )
    plain = [{key: value for key, value in span.items() if key != "attributes"} for span in whole]
    assert [{key: value for key, value in span.items() if key != "attributes"} for span in live] == plain
    assert sum("attributes" in span for span in whole) - sum("attributes" in span for span in live) == 6


def test_hostile_text_arrives_as_text():
    trace = hostile()
    page = read(write_trace(trace, Layout.of(trace), {"seq": 0}))
    names = [row["name"] for row in page["rows"]]
    assert names[1] == HOSTILE[0]
    assert "\n" not in names[7] and "\u202e" not in names[4] and len(names[9]) == 300


def test_prompts_and_answers_stay_in_the_kernel_unless_they_were_asked_for():
    def written(**options) -> bytes:
        script = Script(**options)
        script.chat(script.trace.root, 1, 2, attributes={semconv.INPUT_MESSAGES: "canary", semconv.REQUEST_MODEL: "m"})
        trace = script.end(3)
        return json.dumps(read(write_trace(trace, Layout.of(trace), {"seq": 0}))).encode()

    assert b"canary" not in written()
    assert b"canary" in written(keeps_content=True)


def test_numbers_that_json_cannot_say_become_text():
    script = Script()
    script.span("odd", 1, 2, attributes={"a": float("nan"), "b": float("inf"), "c": [1.5, None, "x"]})
    trace = script.end(3)
    page = read(write_trace(trace, Layout.of(trace), {"seq": 0}))
    assert page["trace"]["spans"][1]["attributes"] == {"a": "nan", "b": "inf", "c": [1.5, None, "x"]}


def test_five_hundred_calls_take_little_room():
    trace = queue(500)
    assert len(write_trace(trace, Layout.of(trace), {"seq": 0})) < 25_000
