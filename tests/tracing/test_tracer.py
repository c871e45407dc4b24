"""The tracer: where spans belong, how they end, who is told, and that a failing watcher hurts nobody."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextvars import copy_context

import pytest

from asyncmagic.tracing import Span, Trace, Tracer
from tests.conftest import VirtualLoop
from tests.timelines import Clock


class Listener:
    """A processor that writes down what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def on_start(self, span: Span) -> None:
        self.heard.append(("start", span.name))

    def on_update(self, span: Span) -> None:
        self.heard.append(("update", span.name))

    def on_end(self, span: Span) -> None:
        self.heard.append(("end", span.name))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tracer(clock: Clock) -> Tracer:
    return Tracer(clock=clock)


def tree(trace: Trace) -> list[tuple[str, str | None]]:
    return [(span.name, above.name if (above := trace.get(span.parent_id)) else None) for span in trace.spans]


def test_spans_belong_to_the_span_that_is_current_where_they_start(tracer: Tracer) -> None:
    trace = tracer.start_trace("cell")
    with tracer.use(trace.root), tracer.span("outer"):
        tracer.end_span(tracer.start_span("inner"))
        with tracer.span("innermost"):
            pass
    tracer.end_trace(trace)
    assert tree(trace) == [("cell", None), ("outer", "cell"), ("inner", "outer"), ("innermost", "outer")]


def test_a_task_inherits_the_span_that_was_current_when_it_was_made(tracer: Tracer, loop: VirtualLoop) -> None:
    async def work(name: str) -> None:
        await asyncio.sleep(1)
        with tracer.span(name):
            await asyncio.sleep(1)

    async def main() -> Trace:
        trace = tracer.start_trace("cell")
        with tracer.use(trace.root), tracer.span("a"):
            first = asyncio.create_task(work("in a"))
        with tracer.use(trace.root), tracer.span("b"):
            second = asyncio.create_task(work("in b"))
        await asyncio.gather(first, second)
        tracer.end_trace(trace)
        return trace

    assert tree(loop.run_until_complete(main()))[1:] == [("a", "cell"), ("b", "cell"), ("in a", "a"), ("in b", "b")]


def test_times_are_those_of_the_clock_unless_they_are_given(tracer: Tracer, clock: Clock) -> None:
    clock.now = 5
    trace = tracer.start_trace("cell")
    clock.now = 10
    span = tracer.start_span("a", parent=trace.root)
    clock.now = 30
    tracer.end_span(span)
    given = tracer.start_span("b", parent=trace.root, start=7)
    tracer.end_span(given, end=9)
    tracer.end_trace(trace)
    assert [(span.name, span.start, span.end) for span in trace.spans] == [("cell", 5, 30), ("a", 10, 30), ("b", 7, 9)]


def test_a_span_ends_once(tracer: Tracer, clock: Clock) -> None:
    span = tracer.start_span("a", parent=tracer.start_trace("cell").root)
    tracer.end_span(span, end=5)
    tracer.end_span(span, end=9, error="ValueError")
    assert (span.end, span.outcome) == (5, "done")


class _Custom(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "outcome", "kind", "message"),
    [
        (ValueError("no such city"), "failed", "ValueError", "no such city"),
        (asyncio.CancelledError(), "cancelled", "CancelledError", ""),
        (TimeoutError(), "failed", "TimeoutError", ""),
        (_Custom("x"), "failed", f"{_Custom.__module__}._Custom", "x"),
        ("429", "failed", "429", ""),
    ],
)
def test_an_error_gives_the_span_its_outcome_its_type_and_its_message(
    tracer: Tracer, error: BaseException | str, outcome: str, kind: str, message: str
) -> None:
    span = tracer.start_span("a", parent=tracer.start_trace("cell").root)
    tracer.end_span(span, error=error)
    assert (span.status, span.outcome, span.attributes, span.message) == (
        "ERROR",
        outcome,
        {"error.type": kind},
        message,
    )


def test_an_exception_passes_through_the_block_and_marks_its_span(tracer: Tracer) -> None:
    trace = tracer.start_trace("cell")
    with pytest.raises(ZeroDivisionError), tracer.span("a", parent=trace.root) as span:
        1 / 0  # noqa: B018
    assert (span.outcome, span.message) == ("failed", "division by zero")


def test_an_error_whose_text_cannot_be_made_does_not_reach_the_user(tracer: Tracer) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    span = tracer.start_span("a", parent=tracer.start_trace("cell").root)
    tracer.end_span(span, error=Mute())
    assert (span.outcome, span.message) == ("failed", "")


def test_a_reopened_span_goes_on_as_if_it_had_not_ended(tracer: Tracer) -> None:
    span = tracer.start_span("chat", parent=tracer.start_trace("cell").root)
    tracer.end_span(span, error=ValueError("429"))
    tracer.reopen_span(span)
    assert (span.end, span.status, span.message, span.attributes) == (None, "UNSET", "", {})


def test_attributes_that_are_not_known_are_left_out(tracer: Tracer) -> None:
    span = tracer.start_span("chat", parent=tracer.start_trace("cell").root, attributes={"a": 1})
    tracer.set_attributes(span, {"b": 2, "c": None})
    assert span.attributes == {"a": 1, "b": 2}


def test_where_nothing_is_traced_a_span_is_made_and_kept_nowhere(tracer: Tracer) -> None:
    assert not tracer.is_recording
    with tracer.span("a") as span:
        tracer.add_event(span, "x")
    assert (span.trace, span.has_ended, [event.name for event in span.events]) == (None, True, ["x"])


def test_what_starts_after_the_trace_has_ended_belongs_to_no_trace(tracer: Tracer) -> None:
    trace = tracer.start_trace("cell")
    with tracer.use(trace.root):
        tracer.end_trace(trace)
        span = tracer.start_span("late")
    assert (span.trace, len(trace.spans)) == (None, 1)


def test_a_thread_without_a_context_works_for_the_only_run_there_is(tracer: Tracer) -> None:
    def work(name: str) -> None:
        thread = threading.Thread(target=lambda: tracer.end_span(tracer.start_span(name)))
        thread.start()
        thread.join()

    first = tracer.start_trace("first")
    work("a")
    second = tracer.start_trace("second")
    work("ambiguous")
    assert (tree(first), tree(second)) == ([("first", None), ("a", "first")], [("second", None)])


def test_two_traces_at_once_do_not_mix(tracer: Tracer) -> None:
    first, second = tracer.start_trace("first"), tracer.start_trace("second")
    copy_context().run(lambda: _in(tracer, first, "a"))
    copy_context().run(lambda: _in(tracer, second, "b"))
    assert (tree(first)[1:], tree(second)[1:]) == ([("a", "first")], [("b", "second")])


def _in(tracer: Tracer, trace: Trace, name: str) -> None:
    with tracer.use(trace.root), tracer.span(name):
        pass


def test_processors_are_told_of_starts_changes_and_ends(tracer: Tracer) -> None:
    listener = Listener()
    trace = tracer.start_trace("cell", processors=(listener,))
    with tracer.use(trace.root), tracer.span("a") as span:
        tracer.set_attributes(span, {"n": 1})
        tracer.add_event(span, "x")
        tracer.set_state(span, "waiting", "lock")
    tracer.end_trace(trace)
    assert listener.heard == [
        ("start", "cell"),
        ("start", "a"),
        ("update", "a"),
        ("update", "a"),
        ("update", "a"),
        ("end", "a"),
        ("end", "cell"),
    ]


def test_a_processor_that_fails_is_logged_once_and_not_called_again(
    tracer: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Listener):
        def on_start(self, span: Span) -> None:
            super().on_start(span)
            raise RuntimeError("broken")

    broken, listener = Broken(), Listener()
    with caplog.at_level(logging.ERROR, "asyncmagic"):
        trace = tracer.start_trace("cell", processors=(broken, listener))
        tracer.end_span(tracer.start_span("a", parent=trace.root))
        tracer.end_trace(trace)
    assert broken.heard == [("start", "cell")]
    assert listener.heard == [("start", "cell"), ("start", "a"), ("end", "a"), ("end", "cell")]
    assert len(caplog.records) == 1
    assert "switched off; your code is not affected" in caplog.text


def test_a_full_trace_counts_what_it_drops_and_keeps_the_tree_whole(clock: Clock) -> None:
    tracer, listener = Tracer(clock=clock, max_spans=3), Listener()
    trace = tracer.start_trace("cell", processors=(listener,))
    with tracer.use(trace.root), tracer.span("a"), tracer.span("b"), tracer.span("dropped") as dropped:
        tracer.set_attributes(dropped, {"n": 1})
        with tracer.span("dropped too"):
            pass
    tracer.end_trace(trace)
    assert tree(trace) == [("cell", None), ("a", "cell"), ("b", "a")]
    assert trace.dropped_spans == 2
    assert all(span.attributes == {} for span in trace.spans)
    assert {name for _, name in listener.heard} == {"cell", "a", "b"}


def test_a_source_is_asked_whenever_a_trace_is_read_and_a_last_time_when_it_goes(tracer: Tracer) -> None:
    class Source:
        asked: list[str] = []  # noqa: RUF012

        def collect(self, trace: Trace) -> None:
            self.asked.append(trace.name)

    source = Source()
    before = tracer.start_trace("before")
    tracer.add_source(source)
    after = tracer.start_trace("after")
    assert len(before.spans) == len(after.spans) == 1
    assert source.asked == ["before", "after"]
    tracer.end_trace(after)
    tracer.remove_source(source)
    assert source.asked == ["before", "after", "after", "before"]
    assert len(before.spans) == len(after.spans) == 1
    assert len(source.asked) == 4


def test_reading_a_trace_on_another_thread_while_it_grows_raises_nothing(tracer: Tracer) -> None:
    trace = tracer.start_trace("cell")
    stop = threading.Event()
    errors: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                assert trace.end >= trace.root.start
                trace.to_dict()
        except BaseException as error:
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for index in range(20_000):
        span = tracer.start_span(str(index), parent=trace.root, state="running")
        tracer.set_state(span, "waiting")
    stop.set()
    reader.join()
    assert errors == []
