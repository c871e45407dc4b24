"""The widget's side of the conversation, with a comm that only writes down what it is given."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm
from IPython.core.interactiveshell import InteractiveShell

from asyncmagic import widget as module
from asyncmagic.delta import MAGIC
from asyncmagic.exporters import html, svg
from asyncmagic.tracing import Trace, Tracer
from asyncmagic.widget import TimelineWidget
from tests.test_delta import read

VIEW = "application/vnd.jupyter.widget-view+json"


class Page:
    """What a page would have got: comm messages and outputs."""

    def __init__(self) -> None:
        self.comms: list[tuple[str, dict[str, Any], list[bytes]]] = []
        self.outputs: list[tuple[dict[str, str], bool]] = []

    @property
    def deltas(self) -> list[bytes]:
        return [
            bytes(buffers[0])
            for kind, data, buffers in self.comms
            if kind == "comm_msg" and data.get("method") == "custom"
        ]


@pytest.fixture
def page(monkeypatch) -> Iterator[Page]:
    page = Page()

    class Comm(BaseComm):
        def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **_):
            page.comms.append((msg_type, data or {}, list(buffers or [])))

    monkeypatch.setattr(comm, "create_comm", Comm)
    monkeypatch.setattr(InteractiveShell, "_instance", None)
    monkeypatch.setattr(module, "display", lambda data, **_: page.outputs.append((data, False)))
    monkeypatch.setattr(module, "update_display", lambda data, **_: page.outputs.append((data, True)))
    yield page


def start(page: Page, **options) -> tuple[TimelineWidget, Tracer, Trace]:
    tracer = Tracer()
    timeline = TimelineWidget("cell", **options)
    return timeline, tracer, tracer.start_trace("cell", processors=(timeline,))


def test_the_output_is_the_live_view_and_then_a_picture_that_needs_no_kernel(page):
    timeline, tracer, trace = start(page)
    timeline.show()
    tracer.end_span(tracer.start_span("agent", kind="task", parent=trace.root))
    tracer.end_trace(trace)
    timeline.finish()
    timeline.finish()
    (live, was_update), (final, is_update) = page.outputs
    assert (set(live), was_update) == ({VIEW, "text/plain"}, False)
    assert (set(final), is_update) == ({"text/html", "image/svg+xml", "text/plain"}, True)
    close, (kind, last, _) = page.comms[-2:]
    assert (close[0], kind) == ("comm_close", "comm_msg")
    assert last["state"] == {"_esm": "", "_css": "", "snapshot": ""}
    assert [thread.name for thread in threading.enumerate() if "asyncmagic" in thread.name] == []


def test_what_is_sent_while_it_runs_adds_up_to_the_trace(page):
    timeline, tracer, trace = start(page)
    timeline.show()
    timeline._on_message(None, {"type": "hello"}, [])
    for number in range(5):
        span = tracer.start_span(f"agent {number}", kind="task", parent=trace.root, state="running")
        time.sleep(0.03)
        tracer.end_span(span)
    tracer.end_trace(trace)
    timeline.finish()
    known = read(*page.deltas)
    assert not any(known["gaps"])
    assert [span["name"] for span in known["trace"]["spans"]] == ["cell", *(f"agent {number}" for number in range(5))]
    assert all(span["end"] for span in known["trace"]["spans"])
    assert known["header"]["running"] is False


def test_somebody_who_comes_late_gets_everything(page):
    timeline, tracer, trace = start(page)
    for number in range(5):
        tracer.end_span(tracer.start_span(f"agent {number}", kind="task", parent=trace.root))
    known = read(timeline.get_state()["snapshot"])
    assert [span["name"] for span in known["trace"]["spans"][1:]] == [f"agent {number}" for number in range(5)]
    timeline.flush()
    again = read(timeline.get_state()["snapshot"], *page.deltas)
    assert again["trace"]["spans"] == known["trace"]["spans"]


def test_a_page_opened_during_the_run_is_sent_its_end_for_its_output_is_not_replaced(page):
    timeline, tracer, trace = start(page)
    timeline.show()
    for _ in ("the page that ran the cell", "the one opened later"):
        timeline._on_message(None, {"type": "hello", "isJupyter": True}, [])
    timeline.flush()
    tracer.end_trace(trace)
    timeline.finish()
    assert read(*page.deltas)["header"]["running"] is False


def test_who_missed_a_delta_asks_and_gets_everything(page):
    timeline, tracer, trace = start(page)
    timeline._on_message(None, {"type": "hello"}, [])
    timeline.show()
    timeline.flush()
    tracer.start_span("agent", kind="task", parent=trace.root)
    timeline.flush()
    sent = len(page.deltas)
    timeline._on_message(None, {"type": "resend"}, [])
    timeline.flush()
    known = read(*page.deltas[sent:])
    assert [row["name"] for row in known["rows"]] == ["cell", "agent"]
    timeline.finish()


def test_cancel_names_the_span_or_the_run(page):
    asked: list[int | None] = []
    timeline, tracer, trace = start(page, on_cancel=asked.append)
    agent = tracer.start_span("agent", kind="task", parent=trace.root)
    timeline.show()
    timeline.flush()
    for message in ({"index": 1}, {"index": None}, {"index": 99}, {"index": "1"}, {}):
        timeline._on_message(None, {"type": "cancel", **message}, [])
    timeline.finish()
    assert asked == [agent.span_id, None]


def test_without_news_only_a_sign_of_life_is_sent_now_and_then(page):
    timeline, _, _ = start(page)
    timeline._on_message(None, {"type": "hello"}, [])
    timeline.show()
    time.sleep(1.0)
    timeline.finish()
    assert len(page.deltas) < 10
    assert sum(map(len, page.deltas)) < 1_500


def test_after_a_delta_that_took_long_the_page_is_not_left_alone_for_long(page, monkeypatch):
    timeline, _, _ = start(page)
    send = timeline.send
    waits = iter([1.0])
    monkeypatch.setattr(timeline, "send", lambda *delta: (time.sleep(next(waits, 0.0)), send(*delta)))
    timeline.show()
    wait_until(lambda: len(page.deltas) > 1)
    timeline.finish()


def test_fifty_calls_take_less_than_sixty_kilobytes(page):
    timeline, tracer, trace = start(page)
    timeline.show()
    timeline._on_message(None, {"type": "hello"}, [])
    attributes = {"gen_ai.request.model": "gpt-5", "gen_ai.provider.name": "openai", "server.address": "api.openai.com"}
    for number in range(50):
        agent = tracer.start_span(f"agent_{number}", kind="task", parent=trace.root, state="running")
        chat = tracer.start_span("chat gpt-5", kind="chat", parent=agent, attributes=attributes)
        attempt = tracer.start_span("POST", kind="http", parent=chat, attributes={"server.address": "api.openai.com"})
        tracer.set_state(agent, "waiting", "chat gpt-5")
        time.sleep(0.02)
        tracer.add_event(chat, "gen_ai.first_chunk")
        time.sleep(0.03)
        tracer.end_span(attempt)
        tracer.set_attributes(
            chat, {"gen_ai.usage.output_tokens": number, "asyncmagic.request_id": f"req_{number:032x}"}
        )
        tracer.end_span(chat)
        tracer.end_span(agent)
    tracer.end_trace(trace)
    timeline.finish()
    assert sum(map(len, page.deltas)) < 60_000
    assert len(read(*page.deltas)["trace"]["spans"]) == 151


def test_a_flush_that_fails_leaves_the_run_alone(page, monkeypatch, caplog):
    timeline, tracer, trace = start(page)
    monkeypatch.setattr(timeline, "send", lambda *_: 1 / 0)
    timeline.show()
    time.sleep(0.1)
    tracer.end_trace(trace)
    monkeypatch.undo()
    assert re.search("your code is not affected", caplog.text)


def test_closing_leaves_no_state_behind(page):
    timeline, tracer, trace = start(page)
    timeline.show()
    tracer.end_trace(trace)
    timeline.finish()
    assert timeline.comm is None
    assert VIEW not in json.dumps(page.outputs[-1][0])
    assert all(int.from_bytes(delta[:4], "little") == MAGIC or delta[0] == 0x78 for delta in page.deltas)


def test_a_notebook_s_page_has_a_picture_early_and_the_widget_waits_until_the_page_has_the_last_one(page):
    timeline, tracer, trace = start(page)
    timeline.show()
    timeline._on_message(None, {"type": "hello", "isJupyter": True}, [])
    tracer.start_span("agent", kind="task", parent=trace.root)
    wait_until(lambda: len(page.outputs) > 1)
    (still, is_update) = page.outputs[1]
    assert (set(still), is_update) == ({"text/html", "text/plain"}, True)
    assert len(still["text/html"]) < 20_000
    tracer.end_trace(trace)
    timeline.finish()
    timeline._keep_picture()  # as a thread would that was drawing when the run ended
    assert set(page.outputs[-1][0]) == {"text/html", "image/svg+xml", "text/plain"}
    assert read(timeline.get_state()["snapshot"])["header"]["running"] is False
    timeline._on_message(None, {"type": "replaced"}, [])
    assert timeline.comm is None


def test_a_short_run_of_many_spans_is_not_held_up_by_an_early_picture(page, monkeypatch):
    monkeypatch.setattr("asyncmagic.widget._MOST_BUSY", 1.0)  # it may always go on at once
    timeline, tracer, trace = start(page)
    for _ in range(1_000):
        tracer.start_span("agent", kind="task", parent=trace.root)
    timeline._on_message(None, {"type": "hello", "isJupyter": True}, [])
    timeline.show()
    wait_until(lambda: time.monotonic() > timeline._started_at + 1.2)
    assert len(page.outputs) == 1
    tracer.end_trace(trace)
    timeline.finish()
    assert len(page.outputs) == 2


def test_a_picture_that_cannot_be_drawn_leaves_the_live_timeline_alone(page, monkeypatch):
    monkeypatch.setattr(html, "still", lambda view: 1 / 0)
    timeline, tracer, trace = start(page)
    timeline._on_message(None, {"type": "hello", "isJupyter": True}, [])
    timeline.show()
    wait_until(lambda: timeline._picture_at > timeline._started_at + 1)
    tracer.start_span("agent", kind="task", parent=trace.root)
    wait_until(lambda: len(read(*page.deltas)["trace"]["spans"]) == 2)
    assert len(page.outputs) == 1
    tracer.end_trace(trace)
    timeline.finish()
    assert set(page.outputs[-1][0]) == {"text/html", "image/svg+xml", "text/plain"}


def test_what_cannot_be_drawn_is_missing_alone(page, monkeypatch, caplog):
    monkeypatch.setattr(svg, "legend", lambda *_: 1 / 0)
    timeline, tracer, trace = start(page)
    timeline.show()
    tracer.end_trace(trace)
    timeline.finish()
    assert set(page.outputs[-1][0]) == {"text/plain"}
    assert "could not be drawn as image/svg+xml" in caplog.text


def test_of_those_that_no_page_took_up_only_the_latest_few_wait(page):
    views = [start(page) for _ in range(6)]
    for timeline, tracer, trace in views:
        timeline._on_message(None, {"type": "hello", "isJupyter": True}, [])
        tracer.end_trace(trace)
        timeline.finish()
    assert [timeline.comm is None for timeline, _, _ in views] == [True, True, False, False, False, False]


def wait_until(holds) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
