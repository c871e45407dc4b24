"""Phases: what a request went through until its answer began, out of what httpcore tells."""

from __future__ import annotations

from collections.abc import Iterable

from asyncmagic.tracing import semconv
from asyncmagic.tracing.model import SpanEvent

#: In the order in which they come.
_NAMES = (
    semconv.EVENT_CONNECT,
    semconv.EVENT_TLS,
    semconv.EVENT_SEND,
    semconv.EVENT_SENT,
    semconv.EVENT_FIRST_BYTE,
)
_STEPS = {
    f"{layer}.{step}": phase
    for layer in ("connection", "http11", "http2", "proxy", "socks")
    for step, phase in (
        ("connect_tcp.started", 0),
        ("connect_unix_socket.started", 0),
        ("start_tls.started", 1),
        ("send_request_headers.started", 2),
        ("send_request_body.complete", 3),
        ("receive_response_headers.complete", 4),
    )
}


def phases(marks: Iterable[tuple[str, int]]) -> tuple[SpanEvent, ...]:
    """Return the phases of the exchange that brought the answer: a transport may have tried before."""
    found: list[tuple[int, int]] = []
    for name, time in marks:
        phase = _STEPS.get(name)
        if phase is None:
            continue
        if found and phase <= found[-1][0]:
            # What a proxy was asked before TLS is part of connecting.
            found = [each for each in found if each[0] < phase] if phase == 1 else []
        found.append((phase, time))
    return tuple([SpanEvent(_NAMES[phase], time) for phase, time in found])
