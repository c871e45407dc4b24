"""The real frameworks in a real kernel against the simulator: a program goes in, the tree of its trace comes out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from asyncmagic import simulator
from asyncmagic.tracing import Span, Trace
from tests.kernel.conftest import Cell, Kernel, running_kernel

#: Nothing calls home from here.
QUIET = {
    "AUTOGEN_DISABLE_RUNTIME_TRACING": "true",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "LANGSMITH_TRACING": "false",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OTEL_SDK_DISABLED": "",
}

HELPERS = """
import asyncio, asyncmagic, itertools
numbers = itertools.count()

def ask():
    "A question not asked before: the simulator fails a -429 once for each."
    return f"question {next(numbers)}"

async def cancelled(agent):
    "Cancel the agent as soon as it waits for its model, which never answers."
    task = asyncio.ensure_future(agent)
    while not any(span.name.endswith("-hang") for span in asyncmagic.last_trace().spans):
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()

async def failing(agent):
    "Wait for an agent that fails."
    try:
        return await agent
    except Exception as error:
        return type(error).__name__

async def consume(stream):
    "Read a stream to its end."
    async for last in stream:
        pass
    return last
"""


#: Everything that can be called in the libraries that are hooked: `kept` has it as it was, `changed()` what is not.
KEPT = """
import sys

def callables():
    hooked = ("agents", "langchain_core", "langgraph", "autogen_core", "autogen_agentchat", "autogen_ext", "crewai",
              "openai", "httpx", "httpx2", "aiohttp", "opentelemetry", "asyncio", "concurrent", "threading")
    for name, module in list(sys.modules.items()):
        if module is not None and name.partition(".")[0] in hooked:
            for place in [module, *(one for one in vars(module).values() if isinstance(one, type))]:
                for key, value in list(vars(place).items()):
                    if callable(value) or isinstance(value, (classmethod, staticmethod, property)):
                        yield (name, getattr(place, "__qualname__", ""), key), value

def changed():
    now = dict(callables())
    return [key for key, value in kept.items() if now.get(key) is not value]

kept = dict(callables())
"""


class Notebook:
    """A kernel in which a framework's program is defined, and the traces of the cells that run it."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def run(self, code: str) -> Cell:
        cell = self.kernel.run(dedent(code), timeout=120)
        assert cell.status == "ok", cell.error
        return cell

    def value(self, expression: str) -> str:
        result = self.run(expression).result
        assert result is not None
        text: str = result["text/plain"]
        return text

    def trace(self, code: str, options: str = "") -> Trace:
        """Run the code under `%%agents` and return its trace."""
        self.run(f"%%agents -o trace {options}\n{dedent(code).strip()}")
        return self.last_trace()

    def last_trace(self) -> Trace:
        written = self.run("import json; print(json.dumps(asyncmagic.last_trace().to_dict()))")
        return Trace.from_dict(json.loads(written.stdout))


@contextmanager
def notebook(directory: Path, *cells: str, latency: float = 0.02) -> Iterator[Notebook]:
    """Start a kernel whose clients talk to a simulator, and run the cells in it."""
    server = simulator.serve(latency=latency, tokens_per_second=None, jitter=0.0, retry_after=0.05, environ=True)
    with server, running_kernel(directory) as kernel:
        book = Notebook(kernel)
        book.run(f"import os; os.environ.update({QUIET!r})")
        for cell in (HELPERS, *cells):
            book.run(cell)
        yield book


def outline(trace: Trace) -> str:
    """Write the trace as an indented tree: names, outcomes that are not `done`, and where links go.

    As on the page, the tasks and threads that libraries keep for themselves are not there, only what they hold. How
    long the loop was held is no part of it.
    """
    children: dict[Span | None, list[Span]] = {}
    for span in trace.spans:
        if not span.is_internal and span.kind != "blocked":
            children.setdefault(span.shown_parent(), []).append(span)

    def write(parent: Span, depth: int) -> Iterator[str]:
        for span in sorted(children.get(parent, ()), key=lambda span: span.start):
            yield "    " * depth + line(span, trace)
            yield from write(span, depth + 1)

    return "\n".join(write(trace.root, 0))


def line(span: Span, trace: Trace) -> str:
    parts = [span.name]
    if span.kind not in ("task", "http") and not span.name.startswith(span.kind):
        parts.append(f"({span.kind})")
    if span.outcome != "done":
        parts.append(": ".join(filter(None, (f"· {span.outcome}", str(span.attributes.get("error.type", ""))))))
    parts += [f"{'⇐' if link.name == 'from' else '⇒'} {trace[link.span_id].name}" for link in span.links]
    return " ".join(parts)


def tree(text: str) -> str:
    return dedent(text).strip("\n")
