"""The report: the figures of a trace in words and tables, which a bare `%asynctrace` prints."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from asyncmagic.exporters.terminal import Piece, Terminal, cells, fit, safe
from asyncmagic.exporters.text import MOST_ROWS, OUTCOMES, error_words
from asyncmagic.tracing import semconv
from asyncmagic.tracing.analysis import (
    AgentFigures,
    Percentiles,
    Summary,
    first_token,
    first_token_words,
    latency,
    progress,
    summarize,
)
from asyncmagic.tracing.limits import place
from asyncmagic.tracing.model import Span, Trace
from asyncmagic.tracing.reading import Reading
from asyncmagic.tracing.wording import count, duration, percent

_MOST = 5
_INDENT = "  "

_Section = list[list[Piece]]


def to_report(trace: Trace, *, width: int | None = None, color: bool | None = None) -> str:
    """Return the figures of a trace as text: the run, its agents, its slowest calls, what limited it.

    `width` and `color` as for `to_text`.
    """
    terminal = Terminal.of(width, color)
    summary = summarize(trace)
    reading = Reading(trace)
    sections = [
        _run(trace, summary, terminal.width),
        _agents(summary, terminal.width),
        _critical_path(summary, terminal.width),
        _slowest_calls(reading, terminal.width),
        _failed_attempts(reading, terminal.width),
        _blocked(reading, terminal.width),
    ]
    lines = [line for section in sections if section for line in ([], *section)][1:]
    return "\n".join(map(terminal.line, lines))


def _run(trace: Trace, summary: Summary, width: int) -> _Section:
    facts = [("wall time", duration(summary.wall) + (", still running" if summary.is_running else ""))]
    if summary.one_by_one is not None and summary.speedup is not None:
        facts.append(("one by one", f"{duration(summary.one_by_one)} ({summary.speedup:.1f}× as long)"))
    if summary.parallelism is not None and summary.agent_count > 1:
        facts.append(("in flight", f"{summary.parallelism:.1f} at work on average, {summary.most_in_flight:,} at most"))
    if summary.calls:
        attempts = f" in {count(summary.attempts, 'attempt')}" if summary.retries else ""
        facts.append(("calls", f"{count(summary.calls, 'call')}{attempts}"))
    if summary.tokens:
        cached = f", {summary.cached_tokens:,} of them cached" if summary.cached_tokens else ""
        facts.append(("tokens", f"{summary.input_tokens:,} in{cached} + {summary.output_tokens:,} out"))
    if summary.cost is not None:
        facts.append(("cost", f"${summary.cost:.4f}"))
    facts += [("first token", _spread(summary.first_token))] if summary.first_token else []
    facts += [("latency", _spread(summary.latency))] if summary.latency else []
    if summary.blocked:
        share = percent(min(summary.blocked / summary.wall, 1.0)) if summary.wall else ""
        facts.append(("loop blocked", f"{duration(summary.blocked)} ({share})"))
    if internal := sum(span.is_internal for span in trace.spans):
        facts.append(("not shown", count(internal, "library task")))
    if summary.dropped_spans:
        facts.append(("not kept", count(summary.dropped_spans, "span")))
    section: _Section = [[(safe(f"{trace.name} · {summary.headline()}"), "bold")]]
    section += [[(progress(Reading(trace)), "")]] if summary.is_running else []
    section += [[(f"{_INDENT}{name:<14}", "dim"), (value, "")] for name, value in facts]
    if summary.limited_by:
        section += [[]]
        section += [[(safe(line), "")] for line in textwrap.wrap(summary.limited_by, width)]
    return section


def _agents(summary: Summary, width: int) -> _Section:
    agents = list(summary.agents)
    if len(agents) > MOST_ROWS:
        ranks = {"failed": 3, "cancelled": 2, "open": 1, "done": 0}
        agents.sort(key=lambda agent: (ranks[agent.span.outcome], agent.seconds - agent.queued), reverse=True)
    shown = agents[:MOST_ROWS]
    columns = {
        "agent": [agent.span.name for agent in shown],
        "time": [duration(round(agent.seconds - agent.queued, 9)) for agent in shown],
        "running": [_if_notable(agent.running, summary.wall) for agent in shown],
        "waiting": [_if_notable(agent.waiting, summary.wall) for agent in shown],
        "queued": [_if_notable(agent.queued, summary.wall) for agent in shown],
        "ready": [_if_notable(agent.ready, summary.wall) for agent in shown],
        "calls": [f"{agent.calls:,}" if agent.calls else "" for agent in shown],
        "tokens": [f"{agent.tokens:,}" if agent.tokens else "" for agent in shown],
        "first token": [duration(agent.first_token) if agent.first_token is not None else "" for agent in shown],
        "outcome": [_outcome(agent) for agent in shown],
    }
    styles = [agent.span.outcome if agent.span.outcome in ("failed", "cancelled") else "" for agent in shown]
    return _table(columns, width, styles, hidden=len(agents) - len(shown))


def _critical_path(summary: Summary, width: int) -> _Section:
    path = [step for step in summary.critical_path if step.share >= 0.01]
    heaviest = sorted(path, key=lambda step: step.seconds, reverse=True)[:_MOST]
    columns = {
        "critical path": [_with_owner(step.span) for step in path if step in heaviest],
        "time": [duration(step.seconds) for step in path if step in heaviest],
        "share": [percent(step.share) for step in path if step in heaviest],
    }
    return _table(columns, width)


def _slowest_calls(reading: Reading, width: int) -> _Section:
    calls = sorted((call for call in reading.calls if call.has_ended), key=latency, reverse=True)[:_MOST]
    attempts = [len(reading.attempts.get(call.span_id, ())) for call in calls]
    columns = {
        "slowest calls": [_with_owner(call) for call in calls],
        "time": [duration(latency(call)) for call in calls],
        "first token": [first_token_words(call) for call in calls],
        "tokens/s": [_pace(call) for call in calls],
        "attempts": [str(number) if number > 1 else "" for number in attempts],
        "outcome": [error_words(call) if call.outcome == "failed" else "" for call in calls],
    }
    return _table(columns, width)


def _failed_attempts(reading: Reading, width: int) -> _Section:
    failed = [
        (call, attempt)
        for call in reading.calls
        for attempt in reading.attempts.get(call.span_id, ())[:-1]
        if attempt.has_ended
    ]
    shown = failed[:_MOST]
    columns = {
        "tried again": [_with_owner(call) for call, _ in shown],
        "after": [duration(reading.seconds(attempt)) for _, attempt in shown],
        "because of": [_reason(attempt) for _, attempt in shown],
        "Retry-After": [_seconds(attempt, semconv.RETRY_AFTER) for _, attempt in shown],
    }
    return _table(columns, width, hidden=len(failed) - len(shown))


def _blocked(reading: Reading, width: int) -> _Section:
    worst = sorted(reading.blocked, key=reading.seconds, reverse=True)
    shown = worst[:_MOST]
    columns = {
        "blocked the loop": [_with_owner(span) for span in shown],
        "where": [place(span) for span in shown],
        "time": [duration(reading.seconds(span)) for span in shown],
    }
    return _table(columns, width, ["blocked"] * len(shown), hidden=len(worst) - len(shown))


def _table(
    columns: dict[str, list[str]], width: int, styles: Sequence[str] | None = None, *, hidden: int = 0
) -> _Section:
    """Return a table without its empty columns; where it is too wide, columns go from the third on, then it is cut."""
    columns = {title: [safe(cell) for cell in column] for title, column in columns.items() if any(column)}
    if not columns:
        return []
    while len(columns) > 3 and sum(_least_widths(columns)) + 2 * len(columns) > width:
        del columns[list(columns)[2]]
    widths = _least_widths(columns)
    spare = max(width - sum(widths) - 2 * (len(widths) - 1), 0)
    for index, (title, column) in enumerate(columns.items()):
        wanted = min(max(cells(title), *map(cells, column)) - widths[index], spare)
        widths[index] += wanted
        spare -= wanted
    lines: _Section = [[(_row(list(columns), widths), "dim")]]
    for index, row in enumerate(zip(*columns.values(), strict=True)):
        lines.append([(_row(row, widths), styles[index] if styles is not None else "")])
    return lines + ([[(f"… and {hidden:,} more", "dim")]] if hidden else [])


def _least_widths(columns: dict[str, list[str]]) -> list[int]:
    """Return the width of each column where names and messages are cut to 16."""
    return [min(max(cells(title), *map(cells, column)), max(cells(title), 16)) for title, column in columns.items()]


def _row(values: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(fit(value, width) for value, width in zip(values, widths, strict=True))


def _with_owner(span: Span) -> str:
    """Return the span's name and that of the agent or task above it: `chat gpt-5 in facts`."""
    above = span.shown_parent()
    while above is not None and above.kind not in ("task", "invoke_agent"):
        above = above.shown_parent()
    return span.name if above is None or span.kind in ("task", "cell") else f"{span.name} in {above.name}"


def _outcome(agent: AgentFigures) -> str:
    outcome = agent.span.outcome
    return f"{OUTCOMES[outcome]} {error_words(agent.span) if outcome == 'failed' else outcome}"


def _reason(attempt: Span) -> str:
    status = attempt.attributes.get(semconv.HTTP_STATUS)
    return f"HTTP {status}" if status is not None else error_words(attempt)


def _pace(call: Span) -> str:
    """Return the tokens a second while the answer was streamed, or over the whole call where it came at once."""
    tokens = call.attributes.get(semconv.OUTPUT_TOKENS)
    if not isinstance(tokens, int) or call.end is None:
        return ""
    seconds = latency(call) - (first_token(call) or 0.0)
    return f"{tokens / seconds:,.0f}" if seconds > 0 else ""


def _seconds(span: Span, name: str) -> str:
    value = span.attributes.get(name)
    return duration(value) if isinstance(value, int | float) else ""


def _if_notable(seconds: float, wall: float) -> str:
    return duration(seconds) if seconds >= wall / 100 > 0 else ""


def _spread(percentiles: Percentiles) -> str:
    return f"{duration(percentiles.p50)} median, {duration(percentiles.p95)} p95"
