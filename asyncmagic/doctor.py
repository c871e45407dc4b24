"""`%asynctrace doctor`: what on this kernel helps or hurts, in plain words, with the command that mends it."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from asyncmagic.instrumentation import INSTRUMENTORS
from asyncmagic.instrumentation._patch import unwatched
from asyncmagic.instrumentation.blocking import can_date
from asyncmagic.instrumentation.calls import sees_callbacks
from asyncmagic.instrumentation.iterations import can_watch
from asyncmagic.session import Session
from asyncmagic.tracing import Tracer

_PACKAGES = ("asyncmagic", "ipython", "ipykernel", "ipywidgets", "anywidget", "httpx", "httpx2", "openai", "anthropic")


def report(session: Session) -> str:
    """Return the findings as lines that begin with `ok`, `--` (worth knowing) or `!!` (hurts)."""
    return "\n".join([*_versions(), *_loop(), *_watched(session)])


def _versions() -> Iterator[str]:
    found = {name: _version(name) for name in _PACKAGES}
    yield "ok  Python " + platform.python_version() + " · " + " · ".join(f"{n} {v}" for n, v in found.items() if v)
    if not found["anywidget"]:
        yield "!!  anywidget is missing, so nothing is drawn live: pip install anywidget"
    if not found["openai"]:
        yield "--  the OpenAI SDK is not installed: pip install 'asyncmagic[openai]'"
    if found["ipykernel"] and tuple(map(int, found["ipykernel"].split(".")[:2])) < (7, 4):
        yield f"--  ipykernel {found['ipykernel']} hands clicks on after the cell; %%agents works around that"


def _distribution(module: str) -> str:
    """Return the installed package that a module comes from, such as ` (openai-agents 0.24.0)`."""
    names = packages_distributions().get(module.partition(".")[0], ())
    return f" ({', '.join(f'{name} {_version(name)}' for name in dict.fromkeys(names))})" if names else ""


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _loop() -> Iterator[str]:
    # Not by `get_event_loop`: where there is none, that makes one, which nobody would close.
    current = getattr(asyncio.get_event_loop_policy(), "_local", None)
    loop: asyncio.AbstractEventLoop | None = asyncio._get_running_loop() or getattr(current, "_loop", None)
    kind = f"{type(loop).__module__}.{type(loop).__qualname__}" if loop is not None else "none yet"
    yield f"ok  event loop: {kind}{', debug mode (slow)' if loop is not None and loop.get_debug() else ''}"
    if loop is not None and not can_watch(loop) and not sees_callbacks(type(loop)):
        yield (
            "--  this loop is watched by its `call_soon` alone: tasks and their states are seen as on any other, "
            "a callback that blocks outside of any task is not"
        )
    if loop is not None and not can_date(loop):
        yield "--  this loop's selector cannot be asked from outside: a task counts as ready from when the loop saw it"
    if "trio" in sys.modules:
        yield "--  trio is imported: its tasks are not asyncio's and not seen; the HTTP and model calls in them are"
    if hasattr(asyncio, "_nest_patched"):
        yield (
            "!!  nest_asyncio is applied: asyncio.timeout around a nested run never fires, and Stop leaves children "
            "behind. %%agents needs it never; restart the kernel without nest_asyncio.apply(), use --nest for one cell"
        )


def _watched(session: Session) -> Iterator[str]:
    for name in INSTRUMENTORS:
        if name in session.broken:
            yield f"!!  {name} cannot be watched: {session.broken[name]}"
            continue
        instrument = INSTRUMENTORS[name]
        module = sys.modules[instrument.__module__]
        library = getattr(module, "LIBRARY", None)
        if library in sys.modules and not session.is_watching:
            with instrument(Tracer()):  # whether its hooks fit this version of the library
                pass
        if library is None or library in sys.modules:
            yield f"ok  {name} is watched while something is traced"
        else:
            yield f"--  {name} is not imported; it is watched as soon as it is"
        for finding in module.calls_home() if hasattr(module, "calls_home") else ():
            yield f"!!  {finding}"
    for name, reason in unwatched.items():
        yield (
            f"!!  {name}{_distribution(name)} lacks what asyncmagic hooks into, and is not watched; "
            f"your code runs as it would: {reason}"
        )
    if "litellm" in sys.modules and os.environ.get("LITELLM_LOCAL_MODEL_COST_MAP", "").lower() != "true":
        yield (
            "!!  litellm fetches its price list from GitHub when it is imported: LITELLM_LOCAL_MODEL_COST_MAP=True, "
            "set before, keeps it here"
        )
    if "httpx" in sys.modules and "httpx2" not in sys.modules:
        yield "--  httpx 0.28 slows down with hundreds of waiting requests (encode/httpcore#1035): use --limit"
