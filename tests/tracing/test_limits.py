"""What limited a run: one true sentence for each cause."""

from __future__ import annotations

import pytest

from asyncmagic.tracing import Trace, semconv
from asyncmagic.tracing.analysis import summarize
from tests.timelines import Script, ms


def limit(trace: Trace) -> str:
    return summarize(trace).limited_by


def queued(refused: bool = False) -> Script:
    """Six agents of 300 ms, two at a time; with `refused`, the first attempt of each is, for half of that."""
    script = Script(attributes={semconv.LIMIT: 2})
    agents = [script.start(f"a[{index}]", 0) for index in range(6)]
    for index, agent in enumerate(agents):
        at = index // 2 * 300
        script.states(agent, (0, "queued"), (at, "running"))
        call = script.chat(agent, at, at + 300)
        if refused:
            script.span("POST", at, at + 50, "http", call, attributes={semconv.HTTP_STATUS: 429}, error="429")
        script.span("POST", at + 150 if refused else at, at + 300, "http", call)
        script.tracer.end_span(agent, end=ms(at + 300))
    return script


def test_the_limit() -> None:
    assert limit(queued().end(900)) == (
        "`--limit 2`: agents queued 0.30 s on average, and the longest took 0.30 s once it ran."
    )


def test_a_rate_limit_is_named_before_the_limit_since_more_in_flight_would_only_be_refused_sooner() -> None:
    assert limit(queued(refused=True).end(900)) == (
        "A rate limit: 6 attempts were refused (429), and trying again took 0.45 s of 0.90 s."
    )


def test_the_connection_pool() -> None:
    script = Script()
    for index in range(3):
        agent = script.start(f"a[{index}]", 0)
        call = script.chat(agent, 0, 1000 + index)
        script.span("POST", 0, 1000 + index, "http", call, attributes={semconv.CONNECTION_WAIT: 0.6})
        script.tracer.end_span(agent, end=ms(1000 + index))
    assert limit(script.end(1002)) == "The connection pool: 0.60 s (60 %) went into waiting for a free connection."


def pooled(kind: str, *, has_agents: bool = True) -> Script:
    """Six jobs of 200 ms for two threads or processes, each of an agent of its own or of the cell."""
    script = Script()
    for index in range(6):
        begun = index // 2 * 200
        agent = script.start(f"a[{index}]", 0) if has_agents else script.trace.root
        if has_agents:
            script.states(agent, (0, "waiting", "thread (a:2)"))
        pool = {semconv.POOL: f"2 of 2 {kind}s busy, {index - 1} waiting"} if index > 1 else {}
        job = script.start("work", 0, kind, agent, **pool)
        script.states(job, (0, "queued"), (begun, "running"))
        script.tracer.end_span(job, end=ms(begun + 200))
        if has_agents:
            script.tracer.end_span(agent, end=ms(begun + 200))
    return script


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_pool_of_threads_or_processes(kind: str) -> None:
    assert limit(pooled(kind).end(600)) == (
        f"The {kind} pool: with 2 of 2 {kind}s busy, jobs queued 0.20 s on average, "
        "and the longest agent took 0.20 s without that."
    )
    assert limit(pooled(kind, has_agents=False).end(600)) == (
        f"The {kind} pool: with 2 of 2 {kind}s busy, jobs queued 0.20 s on average, "
        "and the longest job took 0.20 s without that."
    )


def test_a_pool_held_nothing_back_where_one_agent_took_as_long_without_it() -> None:
    script = pooled("thread")
    script.span("slow", 0, 620)
    assert limit(script.end(620)).startswith("Nothing held it back: it took as long as its longest agent, `slow`")


def test_a_blocked_loop_names_its_line() -> None:
    script = Script()
    agent = script.span("a", 0, 1000)
    script.span("b", 0, 1000)
    place = {semconv.CODE_LINE: 7, semconv.CODE_FILE: "/tmp/ipykernel_12/345.py"}
    script.span("time.sleep", 200, 700, "blocked", agent, attributes=place)
    assert limit(script.end(1000)) == (
        "A blocked loop: `time.sleep` (line 7) held it for 0.50 s (50 %); nothing else could run."
    )


def test_several_blocked_lines_name_the_worst() -> None:
    script = Script()
    agent = script.span("a", 0, 1000)
    script.span("time.sleep", 0, 300, "blocked", agent)
    at = {semconv.CODE_LINE: 12, semconv.CODE_FILE: "/home/me/tools.py"}
    script.span("json.loads", 400, 900, "blocked", agent, attributes=at)
    assert limit(script.end(1000)) == (
        "A blocked loop: 2 lines held it for 0.80 s (80 %), `json.loads` (tools.py:12) most of all; "
        "nothing else could run."
    )


def test_one_slow_agent() -> None:
    script = Script()
    for index, end in enumerate((400, 500, 450, 2000)):
        script.span(f"a[{index}]", 0, end)
    assert limit(script.end(2000)) == "One slow agent: `a[3]` ran on for 1.5 s after the other 3 had finished."


def test_one_call_after_another() -> None:
    script = Script()
    for at in (0, 1000, 2000):
        script.chat(script.trace.root, at, at + 1000)
    assert limit(script.end(3000)) == (
        "One call after another: the 3 calls took 3.0 s; where none needs another's answer, "
        "started together they take 1.0 s."
    )


def test_nothing_held_back_what_took_as_long_as_its_longest_agent() -> None:
    script = Script()
    for name, end in (("facts", 950), ("draft", 1000)):
        agent = script.start(name, 0)
        script.chat(agent, 0, end)
        script.tracer.end_span(agent, end=ms(end))
    assert limit(script.end(1000)) == (
        "Nothing held it back: it took as long as its longest agent, `draft`; 100 % of the time went into `chat gpt-5`."
    )


def test_a_cell_alone_says_where_the_time_went() -> None:
    script = Script()
    script.chat(script.trace.root, 100, 1000)
    assert limit(script.end(1000)) == "90 % of the time went into `chat gpt-5`."
