"""Instrumentors: each watches one thing (the loop, a library) and writes what it sees as spans.

To add a library, write `instrument(tracer: Tracer) -> ContextManager[None]` in a file named after it, and put its line
in `INSTRUMENTORS`. It is entered when tracing starts and left when tracing ends.
"""

from __future__ import annotations

from asyncmagic.registry import Registry

INSTRUMENTORS = Registry(
    "instrumentor",
    {
        "loop": "asyncmagic.instrumentation.loop:instrument",
        "threads": "asyncmagic.instrumentation.threads:instrument",
        "http": "asyncmagic.instrumentation.http:instrument",
        "aiohttp": "asyncmagic.instrumentation.aiohttp:instrument",
        "openai_agents": "asyncmagic.instrumentation.openai_agents:instrument",
        "langgraph": "asyncmagic.instrumentation.langgraph:instrument",
        "autogen": "asyncmagic.instrumentation.autogen:instrument",
        "crewai": "asyncmagic.instrumentation.crewai:instrument",
        "otel": "asyncmagic.instrumentation.otel:instrument",
    },
    "asyncmagic.instrumentation",
)
