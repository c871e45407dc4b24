"""Figures of a trace: speed-up, parallelism, calls, latencies, the headline and the progress."""

from __future__ import annotations

import time
from dataclasses import asdict

import pytest

from asyncmagic.tracing import Span, Trace, Tracer, semconv
from asyncmagic.tracing.analysis import Percentiles, first_token_words, headline, progress, summarize
from asyncmagic.tracing.joined import joined
from asyncmagic.tracing.reading import Reading
from tests.timelines import Script, ms, queue, workshop


def tokens(given: int, made: int, cached: int | None = None) -> dict[str, int | None]:
    return {semconv.INPUT_TOKENS: given, semconv.OUTPUT_TOKENS: made, semconv.CACHED_TOKENS: cached}


def test_three_agents_at_once_are_three_times_as_fast_as_one_after_another() -> None:
    script = Script()
    for name in ("facts", "draft", "critic"):
        script.span(name, 0, 2000)
    summary = summarize(script.end(2000))
    assert (summary.wall, summary.agents_time, summary.one_by_one, summary.speedup) == (2.0, 6.0, 6.0, 3.0)
    assert (summary.parallelism, summary.most_in_flight, summary.agent_count) == (3.0, 3, 3)
    assert summary.headline() == "3 agents · 2.0 s instead of 6.0 s (3.0×)"


def test_what_the_cell_does_alone_takes_as_long_either_way() -> None:
    script = Script()
    script.span("a", 1000, 2000)
    script.span("b", 1000, 2000)
    summary = summarize(script.end(3000))
    assert (summary.one_by_one, summary.speedup) == (4.0, pytest.approx(4 / 3))


def test_queueing_and_waiting_for_the_loop_are_no_work() -> None:
    script = Script()
    first, second = script.start("first", 0), script.start("second", 0)
    script.states(first, (0, "queued"), (0, "running"), (10, "waiting"), (900, "ready"), (1000, "running"))
    script.states(second, (0, "queued"), (1000, "running"))
    script.tracer.end_span(first, end=ms(1000))
    script.tracer.end_span(second, end=ms(2000))
    summary = summarize(script.end(2000))
    assert (summary.one_by_one, summary.parallelism, summary.most_in_flight) == (2.0, 1.0, 1)
    assert summary.headline() == "2 agents · 2.0 s"
    assert [(agent.queued, agent.running, agent.waiting, agent.ready) for agent in summary.agents] == [
        (0.0, 0.01, 0.89, 0.1),
        (1.0, 1.0, 0.0, 0.0),
    ]


def test_waiting_for_a_free_thread_process_or_connection_is_no_work() -> None:
    script = Script()
    for kind in ("thread", "process"):
        agent = script.start(kind, 0)
        script.states(agent, (0, "running"), (100, "waiting", kind))
        job = script.start("job", 100, kind, agent)
        script.states(job, (100, "queued"), (700, "running"))
        script.tracer.end_span(job, end=ms(1000))
        script.tracer.end_span(agent, end=ms(1000))
    framework = script.start("http", 0, "invoke_agent")
    call = script.chat(framework, 0, 1000)
    script.span("POST", 0, 1000, "http", call, attributes={semconv.CONNECTION_WAIT: 0.6})
    script.tracer.end_span(framework, end=ms(1000))
    summary = summarize(script.end(1000))
    # From 100 to 600 ms none of them works.
    assert (summary.one_by_one, summary.parallelism) == (pytest.approx(1.0 + 2 * 0.4 + 0.4 - 0.5), pytest.approx(2.4))


def test_an_agent_that_works_beside_a_queueing_job_is_at_work() -> None:
    script = Script()
    for _ in range(2):
        agent = script.start("agent", 0)
        part = script.start("part", 0, parent=agent)
        job = script.start("job", 0, "thread", part)
        script.states(job, (0, "queued"), (800, "running"))
        script.span("GET", 0, 500, "http", agent)
        for span in (job, part, agent):
            script.tracer.end_span(span, end=ms(1000))
    assert summarize(script.end(1000)).one_by_one == pytest.approx(1.0 + 0.5 + 0.2)


def test_waiting_for_another_agent_is_no_work() -> None:
    script = Script()
    facts, writer = script.start("facts", 0), script.start("writer", 0)
    script.states(facts, (0, "waiting", "socket (ask:3)"))
    script.states(writer, (0, "waiting", "task facts (write:7)"), (1000, "waiting", "socket (ask:3)"))
    script.tracer.end_span(facts, end=ms(1000))
    script.tracer.end_span(writer, end=ms(1500))
    summary = summarize(script.end(1500))
    assert (summary.one_by_one, summary.speedup, summary.most_in_flight) == (1.5, 1.0, 2)


def test_a_cell_without_tasks_claims_no_speed_up() -> None:
    script = Script()
    for at in (0, 1000):
        script.chat(script.trace.root, at, at + 1000, at + 400, attributes=tokens(10, 20))
    summary = summarize(script.end(2000))
    assert (summary.agents, summary.one_by_one, summary.speedup, summary.parallelism) == ((), None, None, None)
    assert summary.headline() == "2.0 s · 2 calls · 60 tokens"


def test_calls_attempts_retries_and_tokens_are_counted_once() -> None:
    script = Script()
    agent = script.start("a", 0)
    call = script.chat(agent, 0, 900, 500, attributes=tokens(100, 50, cached=64) | {semconv.COST: 0.25})
    script.span("POST", 0, 100, "http", call, error="429")
    script.span("POST", 300, 900, "http", call)
    script.span("GET", 900, 950, "http", agent)
    outer = script.span("chat gpt-5", 900, 1000, "chat", agent, attributes=tokens(7, 7))
    script.chat(outer, 900, 1000, attributes=tokens(7, 7))
    script.span("embeddings small", 1000, 1010, "embeddings", agent, attributes={semconv.INPUT_TOKENS: 3})
    script.tracer.end_span(agent, end=ms(1010))
    summary = summarize(script.end(1010))
    assert (summary.calls, summary.attempts, summary.retries, summary.errors) == (3, 4, 1, 0)
    assert (summary.input_tokens, summary.output_tokens, summary.cached_tokens, summary.tokens) == (110, 57, 64, 167)
    assert summary.cost == 0.25
    (figures,) = summary.agents
    assert (figures.calls, figures.retries, figures.tokens) == (3, 1, 167)
    assert summary.headline() == "1 agent · 1.0 s · 167 tokens · 1 retry"


def test_an_error_counts_where_it_began_and_agents_by_their_outcome() -> None:
    script = Script()
    failed = script.start("failed", 0)
    script.chat(failed, 0, 10, error="openai.BadRequestError")
    script.tracer.end_span(failed, end=ms(10), error="openai.BadRequestError")
    script.span("also failed", 0, 20, error="ValueError")
    script.span("cancelled", 0, 20, error="CancelledError")
    handled = script.start("handled", 0)
    script.span("execute_tool search", 0, 5, "execute_tool", handled, error="KeyError")
    script.tracer.end_span(handled, end=ms(20))
    script.clock.now = ms(20)
    script.tracer.end_trace(script.trace, error=ValueError("2 of 4 failed"))
    summary = summarize(script.trace)
    assert (summary.errors, summary.failed, summary.cancelled) == (3, 2, 1)
    assert summary.headline() == "4 agents · 20 ms instead of 70 ms (3.5×) · 2 failed · 1 cancelled"


def test_latencies_are_without_what_the_blocked_loop_added() -> None:
    script = Script()
    agent = script.start("a", 0)
    slow = {semconv.FIRST_CHUNK: 1.15, semconv.BLOCKED_TIME: 0.75, semconv.BLOCKED_TIME_TO_END: 0.5}
    blocked = script.chat(agent, 0, 2000, 1150, attributes=slow)
    free = script.chat(agent, 0, 1000, 400, attributes={semconv.FIRST_CHUNK: 0.4})
    script.chat(agent, 0, 5000, error="TimeoutError")
    script.span("time.sleep", 300, 1050, "blocked", agent)
    summary = summarize(script.end(5000))
    assert summary.latency == Percentiles(pytest.approx(1.25), pytest.approx(1.475))
    assert summary.first_token == Percentiles(pytest.approx(0.4), pytest.approx(0.4))
    assert summary.blocked == 0.75
    assert first_token_words(blocked) == "0.40 s model + 0.75 s your loop"
    assert first_token_words(free) == "0.40 s"


def test_percentiles_lie_between_ranks_as_numpys_do() -> None:
    assert Percentiles.of(range(101)) == Percentiles(50, 95)
    assert Percentiles.of([4, 1, 2, 3]) == Percentiles(2.5, pytest.approx(3.85))
    assert Percentiles.of([7]) == Percentiles(7, 7)
    assert Percentiles.of([]) is None


def test_the_workshop_in_one_line() -> None:
    assert summarize(workshop()).headline() == (
        "6 agents · 2.0 s instead of 6.8 s (3.4×) · 1,200 tokens · 1 retry · 1 failed · 1 cancelled"
        " · loop blocked 0.13 s"
    )


def test_a_running_trace_is_cut_off_at_now_and_claims_nothing_yet() -> None:
    script = Script()
    script.span("a", 0, 400)
    script.start("b", 100)
    assert headline(Reading(script.trace, ms(900))) == "2 agents · 0.90 s so far"
    summary = summarize(script.trace, now=ms(900))
    assert (summary.is_running, summary.wall, summary.agents_time) == (True, 0.9, pytest.approx(1.2))
    assert headline(Reading(script.trace, ms(900))) == summary.headline()


def test_a_span_that_was_left_open_ends_with_the_run() -> None:
    script = Script()
    script.start("a", 0)
    summary = summarize(script.end(500))
    assert (summary.agents_time, summary.agents[0].span.outcome) == (0.5, "open")


def test_a_trace_of_nothing_has_empty_figures() -> None:
    script = Script()
    summary = summarize(script.end(0))
    assert asdict(summary) | {"critical_path": ()} == {
        "is_running": False,
        "wall": 0.0,
        "agent_count": 0,
        "failed": 0,
        "cancelled": 0,
        "calls": 0,
        "attempts": 0,
        "retries": 0,
        "errors": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "cached_tokens": 0,
        "cost": None,
        "blocked": 0,
        "one_by_one": None,
        "speedup": None,
        "runs": (),
        "agents": (),
        "agents_time": 0,
        "parallelism": None,
        "most_in_flight": 0,
        "critical_path": (),
        "limited_by": "",
        "latency": None,
        "first_token": None,
        "dropped_spans": 0,
    }
    assert (summary.headline(), progress(Reading(script.trace))) == ("0 ms", "0 of 0 done")


def test_progress_counts_by_outcome_and_estimates_what_is_left() -> None:
    script = Script()
    for index in range(20):
        agent = script.start(f"a[{index}]", 0)
        script.states(agent, (0, "queued"))
        if index < 8:
            script.states(agent, (0 if index < 4 else 1000, "running"))
        if index < 4:
            script.tracer.end_span(agent, end=ms(1000), error="ValueError" if index == 3 else None)
    assert progress(Reading(script.trace, ms(1500))) == "3 of 20 done, 4 in flight, 1 failed, about 4 s left"


def test_progress_says_nothing_of_the_time_left_before_an_agent_is_done() -> None:
    script = Script()
    script.start("a", 0)
    script.start("b", 0)
    assert progress(Reading(script.trace, ms(500))) == "0 of 2 done, 2 in flight"


def test_progress_guesses_nothing_where_all_take_longer_than_those_done() -> None:
    script = Script()
    script.start("slow", 0)
    script.span("quick", 0, 100)
    assert progress(Reading(script.trace, ms(500))) == "1 of 2 done, 1 in flight"


def test_agents_one_after_another_are_not_said_to_be_as_long_as_the_longest() -> None:
    script = Script()
    for number in range(2):
        script.span(f"agent {number}", number * 1000, number * 1000 + 1000)
    assert summarize(script.end(2000)).limited_by == "50 % of the time went into `agent 0`."


def test_a_finished_run_has_no_time_left() -> None:
    assert progress(Reading(queue())) == "490 of 500 done, 10 failed"


def big(agents: int, calls: int) -> Trace:
    now = 0
    tracer = Tracer(clock=lambda: now)
    trace = tracer.start_trace("big")
    for index in range(agents):
        agent = tracer.start_span(f"a[{index}]", kind="task", parent=trace.root, start=0, state="running")
        for at in range(0, calls * 1_000_000, 1_000_000):
            call = _ended(tracer, "chat", agent, at, at + 900_000)
            _ended(tracer, "http", call, at + 1_000, at + 800_000)
        tracer.end_span(agent, end=calls * 1_000_000)
    now = calls * 1_000_000
    tracer.end_trace(trace)
    return trace


def _ended(tracer: Tracer, kind: str, parent: Span, start: int, end: int) -> Span:
    span = tracer.start_span(kind, kind=kind, parent=parent, start=start, attributes={semconv.OUTPUT_TOKENS: 5})  # type: ignore[arg-type]
    tracer.end_span(span, end=end)
    return span


def test_a_hundred_thousand_spans_are_summed_up_in_a_moment() -> None:
    trace = big(50, 1000)
    assert len(trace.spans) == 100_051
    begun = time.process_time()
    summary = summarize(trace)
    seconds = time.process_time() - begun
    assert (summary.calls, summary.output_tokens, summary.speedup) == (50_000, 250_000, 50.0)
    assert seconds < 1.5  # about 0.3 s on an idle machine


def test_several_runs_in_one_picture_are_told_each_with_its_time() -> None:
    two = joined("compare", {"one after another": queue(3, 1), "together": queue(3, 3)})
    assert headline(Reading(two)) == "one after another 0.42 s · together 0.18 s · 6 agents · 6 tokens"
    many = joined("repeat", {f"run {number}": queue(3, number) for number in (1, 2, 3, 4)})
    assert headline(Reading(many)) == "4 runs of 0.18 s to 0.42 s · 12 agents · 12 tokens"


def test_waiting_for_a_turn_is_no_work_and_what_the_run_was_held_by() -> None:
    script = Script()
    for number in range(4):
        agent = script.start(f"agent {number}", 0)
        begun = number * 1000
        if number:
            script.states(agent, (0, "waiting", "semaphore (limited:2)"), (begun, "waiting", "socket (ask:3)"))
        else:
            script.states(agent, (0, "waiting", "socket (ask:3)"))
        script.tracer.end_span(agent, end=ms(begun + 1000))
    summary = summarize(script.end(4000))
    assert (summary.one_by_one, summary.parallelism) == (4.0, 1.0)
    assert summary.limited_by == (
        "A semaphore of your own (limited:2): agents waited 1.5 s for their turn on average, "
        "and the longest took 1.0 s without that."
    )


@pytest.mark.parametrize(
    "detail", ["lock (f:1)", "queue.get (f:1)", "event (f:1)", "condition (f:1)", "queue.join (f:1)"]
)
def test_what_other_agents_give_is_waited_for_and_not_worked_for(detail: str) -> None:
    script = Script()
    giver, taker = script.start("giver", 0), script.start("taker", 0)
    script.states(giver, (0, "waiting", "socket (ask:3)"))
    script.states(taker, (0, "waiting", detail), (1000, "waiting", "queue.get in library (g:1)"))
    script.tracer.end_span(giver, end=ms(1000))
    script.tracer.end_span(taker, end=ms(2000))
    assert summarize(script.end(2000)).one_by_one == 2.0


def test_what_was_not_kept_is_said() -> None:
    script = Script()
    script.tracer.max_spans = 2
    script.span("kept", 0, 1000)
    script.span("not kept", 0, 1000)
    assert summarize(script.end(1000)).headline() == "1 agent · 1.0 s · 1 span not kept"


def test_a_run_that_was_cut_short_claims_no_speed_up() -> None:
    script = Script()
    script.span("first", 0, 1000)
    for name in ("second", "third"):
        script.span(name, 0, 1000, error="CancelledError")
    summary = summarize(script.end(1000))
    assert (summary.one_by_one, summary.speedup) == (None, None)
    assert summary.headline() == "3 agents · 1.0 s · 2 cancelled"
