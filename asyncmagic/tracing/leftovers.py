"""What a stopped run leaves behind: work in threads and processes, which nobody can cancel."""

from __future__ import annotations

from asyncmagic.tracing.model import Span, Trace

_WORKERS = ("thread", "process")


def leftovers(trace: Trace) -> list[str]:
    """Return what still runs in threads and processes, in words: `parse of facts`, `chat gpt-5 of draft`.

    A library's own thread goes by what it does for the user, or is left out if that is nothing.
    """
    work: dict[int, Span] = {}
    for span in trace.spans:
        if span.has_ended:
            continue
        worker = _worker(span) if not span.is_internal else None
        if worker is not None and _has_begun(worker):
            work.setdefault(worker.span_id, span)
    return [f"{span.name.rpartition('<locals>.')[2]}{_owner(span)}" for span in work.values()]


def _worker(span: Span) -> Span | None:
    """Return the thread or process in which the span is at work."""
    above: Span | None = span
    while above is not None and above.trace is not None and above.kind not in _WORKERS:
        above = above.trace.get(above.parent_id)
    return above


def _has_begun(worker: Span) -> bool:
    return not worker.has_ended and (not worker.states or worker.states.last()[1] != "queued")


def _owner(span: Span) -> str:
    above = span.shown_parent()
    while above is not None and above.kind not in ("task", "invoke_agent"):
        above = above.shown_parent()
    return f" of {above.name.removeprefix('invoke_agent ')}" if above is not None else ""
