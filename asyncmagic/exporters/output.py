"""The output below a cell: the same run as text, as HTML and as a picture, for whichever the reader can show."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from asyncmagic.exporters import html, svg, text
from asyncmagic.exporters.view import View
from asyncmagic.tracing.model import Trace

logger = logging.getLogger("asyncmagic")

_FORMATS: dict[str, Callable[[View], str]] = {
    "text/plain": text.draw,
    "image/svg+xml": svg.draw,
    "text/html": html.page,
}


def to_output(trace: Trace) -> dict[str, str]:
    """Return a finished run by MIME type. What cannot be drawn is logged and left out."""
    view, bundle = View(trace), {}
    with _uncollected():
        for kind, draw in _FORMATS.items():
            try:
                bundle[kind] = draw(view)
            except Exception:
                logger.exception("the timeline could not be drawn as %s; your results are not affected", kind)
    return bundle


def to_still(trace: Trace) -> dict[str, str]:
    """Return a run that goes on by MIME type; on a page that has its live timeline, that one comes to its place."""
    view = View(trace)
    return {"text/plain": text.draw(view), "text/html": html.still(view)}


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the garbage collector away: of a picture's parts none is in a circle, and in a kernel full of libraries
    each of its looks at them takes as long as drawing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
