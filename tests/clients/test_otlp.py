"""A trace sent through the real OTLP exporter arrives at a collector, whole."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import asyncmagic
from asyncmagic.simulator import Server
from tests.clients.sdks import KEY, say

pytestmark = pytest.mark.slow
exporters = pytest.importorskip(
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    reason="the OTLP exporter is not installed: python -m tests --env clients",
)


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A collector on loopback: its address, and what was posted there."""
    received: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
        server.shutdown()


def test_a_trace_arrives_at_a_collector(server: Server, collector: tuple[str, list[bytes]]) -> None:
    groq = pytest.importorskip("groq", reason="groq is not installed: python -m tests --env clients")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    async def ask(number: int) -> None:
        async with groq.AsyncGroq(base_url=server.address, api_key=KEY) as client:
            await client.chat.completions.create(model="llama-429", messages=say(f"number {number}"))

    async def main() -> None:
        await asyncmagic.run(*(ask(number) for number in range(3)))

    asyncio.run(main())
    trace = asyncmagic.last_trace()
    assert trace is not None
    address, received = collector
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporters.OTLPSpanExporter(endpoint=address)))
    assert trace.send(provider) == len(trace.spans)
    provider.shutdown()

    requests = [ExportTraceServiceRequest.FromString(body) for body in received]
    arrived = [
        span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    names = {span.span_id: span.name for span in arrived}
    parents = {each.span_id: each.name for each in trace.spans}
    assert sorted((span.name, names.get(span.parent_span_id, "")) for span in arrived) == sorted(
        (span.name, parents.get(span.parent_id or 0, "")) for span in trace.spans
    )
    assert len({span.trace_id for span in arrived}) == 1
    assert KEY.encode() not in b"".join(received)
