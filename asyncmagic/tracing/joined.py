"""Several runs as one trace, so that whatever draws or writes one trace shows them side by side."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace

from asyncmagic.tracing.model import Link, Span, StateLog, Trace


def joined(name: str, runs: Mapping[str, Trace]) -> Trace:
    """Return one trace that holds each run under its name, all of them beginning at zero.

    The spans are copies with ids of their own; a run's root stands below the common root.
    """
    whole = Trace(name, secrets.token_hex(16), keeps_content=all(run.keeps_content for run in runs.values()))
    root = Span(1, None, name, "cell", 0, whole)
    whole.add(root)
    taken = 1
    for run_name, run in runs.items():
        origin, spans = run.root.start, run.spans
        for span in spans:
            copy = _moved(span, whole, by=-origin, ids=taken)
            if span is run.root:
                copy.parent_id, copy.name = root.span_id, run_name
            whole.add(copy)
        taken += max(span.span_id for span in spans)
        whole.dropped_spans += run.dropped_spans
    root.end = max((run.end - run.root.start for run in runs.values()), default=0)
    return whole


def _moved(span: Span, trace: Trace, *, by: int, ids: int) -> Span:
    states = None
    if span.states is not None:
        states = StateLog()
        for time, state, detail in span.states:
            states.append(time + by, state, detail)
    return replace(
        span,
        span_id=span.span_id + ids,
        parent_id=span.parent_id + ids if span.parent_id is not None else None,
        start=span.start + by,
        end=span.end + by if span.end is not None else None,
        trace=trace,
        attributes=dict(span.attributes),
        events=tuple(event._replace(time=event.time + by) for event in span.events),
        links=tuple(Link(link.span_id + ids, link.name) for link in span.links),
        states=states,
    )
