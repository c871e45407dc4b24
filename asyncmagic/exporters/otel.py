"""A trace through the user's own OpenTelemetry tracer provider: to wherever their other spans go."""

from __future__ import annotations

from typing import Any

from asyncmagic.tracing import Span, Trace, semconv


def send(trace: Trace, provider: Any = None) -> int:
    """Send the spans of a trace through a tracer provider (the global one, if left out); return how many were sent.

    Those that came from OpenTelemetry are there already. Raises `RuntimeError` where no provider has been set.
    """
    try:
        from opentelemetry import trace as api
    except ImportError as error:
        raise RuntimeError(
            "OpenTelemetry is not installed, so there is nowhere to send to: pip install opentelemetry-sdk"
        ) from error
    provider = provider or api.get_tracer_provider()
    if isinstance(provider, api.ProxyTracerProvider | api.NoOpTracerProvider):
        raise RuntimeError(
            "No OpenTelemetry tracer provider has been set, so there is nowhere to send to. Set one first: "
            "opentelemetry.trace.set_tracer_provider(TracerProvider()), with a span processor and its exporter"
        )
    to = provider.get_tracer("asyncmagic")
    spans = sorted(trace.spans, key=lambda span: span.start)
    made: dict[int, Any] = {}
    for span in spans:
        made[span.span_id] = _theirs(api, span) or _started(api, to, span, made.get(span.parent_id or 0))
    sent = [span for span in spans if made[span.span_id].is_recording()]
    for span in sent:
        _finish(api, made[span.span_id], span, made)
    return len(sent)


def _theirs(api: Any, span: Span) -> Any:
    """Return what stands for a span that came from there."""
    ids = span.attributes.get(semconv.OTEL_SPAN)
    if ids is None:
        return None
    trace_id, span_id = (int(part, 16) for part in str(ids).split("-"))
    return api.NonRecordingSpan(
        api.SpanContext(trace_id, span_id, is_remote=False, trace_flags=api.TraceFlags(api.TraceFlags.SAMPLED))
    )


def _started(api: Any, to: Any, span: Span, parent: Any) -> Any:
    assert span.trace is not None
    return to.start_span(
        span.name,
        context=api.set_span_in_context(parent if parent is not None else api.INVALID_SPAN),
        kind=api.SpanKind.CLIENT if span.kind in ("chat", "embeddings", "http") else api.SpanKind.INTERNAL,
        attributes={key: value for key, value in span.attributes.items() if value is not None},
        start_time=span.start + span.trace.time_origin,
    )


def _finish(api: Any, made: Any, span: Span, others: dict[int, Any]) -> None:
    assert span.trace is not None
    origin = span.trace.time_origin
    for event in span.events:
        known = {key: value for key, value in event.attributes.items() if value is not None}
        made.add_event(event.name, known, timestamp=event.time + origin)
    for link in span.links:
        if link.span_id in others:
            made.add_link(
                others[link.span_id].get_span_context(), {"asyncmagic.link": link.name} if link.name else None
            )
    if span.status == "ERROR":
        made.set_status(api.Status(api.StatusCode.ERROR, span.message))
    made.end((span.end if span.end is not None else span.trace.end) + origin)
