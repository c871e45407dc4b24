"""Spans and traces: the record that everything else writes to and reads from."""

from asyncmagic.tracing.model import Link, Span, SpanEvent, SpanSource, StateLog, Trace
from asyncmagic.tracing.tracer import SpanProcessor, Tracer

__all__ = ["Link", "Span", "SpanEvent", "SpanProcessor", "SpanSource", "StateLog", "Trace", "Tracer"]
