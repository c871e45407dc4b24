"""What a trace says of calls, and what the simulator's own log says of them: the same, or a test fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from asyncmagic.instrumentation import aiohttp, http
from asyncmagic.simulator import Exchange
from asyncmagic.tracing import Trace, Tracer

#: Every provider's word for why an answer ended, in OpenAI's.
OPENAIS_WORD = {
    "end_turn": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "tool_use": "tool_calls",
    "complete": "stop",
    "tool_call": "tool_calls",
}


def watched(main: Callable[[], Any], **options: Any) -> Trace:
    """Run `main`, a function or coroutine function, and return its trace; the SDKs' own errors are expected."""
    tracer = Tracer()

    async def run() -> Trace:
        trace = tracer.start_trace("cell", **options)
        with tracer.use(trace.root):
            result = main()
            if asyncio.iscoroutine(result):
                await result
        tracer.end_trace(trace)
        return trace

    with http.instrument(tracer), aiohttp.instrument(tracer):
        return asyncio.run(run())


def told(trace: Trace) -> list[dict[str, Any]]:
    """What the trace says of each attempt, in order of start."""
    by_id = {span.span_id: span for span in trace.spans}
    found = []
    for span in trace.spans:
        if span.kind != "http":
            continue
        call = by_id[span.parent_id or 0]
        status = span.attributes.get("http.response.status_code", 0)
        is_answer = status == 200
        [reason, *_] = call.attributes.get("gen_ai.response.finish_reasons") or [None]  # type: ignore[misc]
        found.append(
            {
                "request_id": span.attributes.get("asyncmagic.request_id"),
                "model": call.attributes.get("gen_ai.request.model"),
                "status": status,
                "retry_count": span.attributes.get("http.request.resend_count", 0),
                "retry_after": span.attributes.get("asyncmagic.retry_after"),
                "input_tokens": call.attributes.get("gen_ai.usage.input_tokens") if is_answer else 0,
                "output_tokens": call.attributes.get("gen_ai.usage.output_tokens", 0) if is_answer else 0,
                "finish_reason": OPENAIS_WORD.get(reason, reason) if is_answer else None,
            }
        )
    return found


def logged(log: list[Exchange]) -> list[dict[str, Any]]:
    """What the server says of each exchange, in order of start."""
    names = [
        "request_id",
        "model",
        "status",
        "retry_count",
        "retry_after",
        "input_tokens",
        "output_tokens",
        "finish_reason",
    ]
    return [{name: getattr(each, name) for name in names} for each in sorted(log, key=lambda each: each.started_ns)]
