"""The critical path: the chain of spans that made the run as long as it was."""

from __future__ import annotations

from asyncmagic.tracing import Trace
from asyncmagic.tracing.critical_path import critical_path
from tests.timelines import Script, ms


def path(trace: Trace) -> list[tuple[str, float, float]]:
    """The path as (name, start, end) in milliseconds."""
    return [
        (step.span.name, step.start / 1e6, step.end / 1e6) for step in critical_path(trace.root, trace.spans, trace.end)
    ]


def test_the_path_goes_through_the_agent_that_ended_last() -> None:
    script = Script()
    script.span("fast", 0, 400)
    script.span("slow", 100, 900)
    assert path(script.end(1000)) == [("cell", 0, 100), ("slow", 100, 900), ("cell", 900, 1000)]


def test_it_goes_down_into_calls_and_attempts_and_what_lies_between_is_their_parents() -> None:
    script = Script()
    agent = script.start("agent", 0)
    call = script.chat(agent, 100, 800)
    script.span("refused", 100, 200, "http", call)
    script.span("accepted", 500, 800, "http", call)
    script.tracer.end_span(agent, end=ms(1000))
    assert path(script.end(1000)) == [
        ("agent", 0, 100),
        ("refused", 100, 200),
        ("chat gpt-5", 200, 500),
        ("accepted", 500, 800),
        ("agent", 800, 1000),
    ]


def test_a_queued_agent_leads_to_the_one_whose_place_it_got() -> None:
    script = Script()
    first, other, second = script.start("first", 0), script.start("other", 0), script.start("second", 0)
    script.states(first, (0, "queued"), (0, "running"))
    script.states(other, (0, "queued"), (0, "running"))
    script.states(second, (0, "queued"), (600, "running"))
    for agent, end in ((first, 600), (other, 1100), (second, 1500)):
        script.tracer.end_span(agent, end=ms(end))
    assert path(script.end(1500)) == [("first", 0, 600), ("second", 600, 1500)]


def test_a_task_that_was_awaited_lies_on_the_path_of_the_one_that_awaited_it() -> None:
    script = Script()
    writer, facts = script.start("writer", 0), script.start("facts", 100)
    script.tracer.add_link(writer, facts, "awaits")
    script.tracer.end_span(facts, end=ms(700))
    script.tracer.end_span(writer, end=ms(1000))
    assert path(script.end(1000)) == [("cell", 0, 100), ("facts", 100, 700), ("writer", 700, 1000)]


def test_two_tasks_that_await_each_other_do_not_lead_in_circles() -> None:
    script = Script()
    first, second = script.start("first", 0), script.start("second", 0)
    script.tracer.add_link(first, second, "awaits")
    script.tracer.add_link(second, first, "awaits")
    script.tracer.end_span(first, end=ms(100))
    script.tracer.end_span(second, end=ms(100))
    assert sum(end - start for _, start, end in path(script.end(100))) == 100


def test_a_child_that_ends_a_moment_after_its_parent_still_counts() -> None:
    script = Script()
    call = script.start("call", 0, "chat")
    script.span("attempt", 0, 1000.5, "http", call)
    script.tracer.end_span(call, end=ms(1000))
    assert path(script.end(1001)) == [("attempt", 0, 1000), ("cell", 1000, 1001)]


def test_what_is_still_open_reaches_to_the_end() -> None:
    script = Script()
    script.start("open", 200)
    script.span("ended", 0, 500)
    assert path(script.end(1000)) == [("cell", 0, 200), ("open", 200, 1000)]


def test_what_goes_on_after_the_run_does_not_count_beyond_its_end() -> None:
    script = Script()
    script.span("inside", 0, 600)
    script.span("background", 100, 5000)
    assert path(script.end(1000)) == [("inside", 0, 600), ("cell", 600, 1000)]


def test_a_run_of_no_length_has_no_path() -> None:
    assert path(Script().end(0)) == []
