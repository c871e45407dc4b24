"""The timeline as a piece of HTML: a picture and a table for every reader, the interactive view where scripts run."""

from __future__ import annotations

import base64
import json
import zlib
from functools import cache
from html import escape

from asyncmagic.assets import read, viewer_script
from asyncmagic.delta import write_trace
from asyncmagic.exporters.svg import draw
from asyncmagic.exporters.view import View
from asyncmagic.layout import Layout, plain
from asyncmagic.tracing.analysis import AgentFigures
from asyncmagic.tracing.critical_path import critical_path
from asyncmagic.tracing.model import Trace
from asyncmagic.tracing.wording import duration

_MOST_TABLE_ROWS = 100
_MOST_STEPS = 2_000

#: On paper everything is shown, and no row is cut.
_PAPER = (
    ".am-paper :is(img,tr){break-inside:avoid}.am-paper table{table-layout:auto;margin:0;text-align:start}"
    ".am-paper td{white-space:nowrap}.am-paper td:last-child{white-space:normal;overflow-wrap:anywhere}"
    "@media print{.am-paper details::details-content{content-visibility:visible;block-size:auto}}"
)

#: Runs on the page, where it runs on: the live timeline of this run, if there is one, comes to its place.
_MOUNT = """
  const places = [...document.querySelectorAll('[data-asyncmagic="__TRACE__"]:not([data-taken])')];
  const pictures = places.map((place) => place.querySelector("img").src);
  const live = () => globalThis.__asyncmagic?.get("__TRACE__");
  for (const place of places) live()?.mount(place);
"""

#: Runs on the page when the run is over: what is saved here is shown, with the zoom and selection of the live view.
_LOADER = """
  if (!places.length) return;
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const inflate = (text) =>
    new Response(new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate")));
  const viewers = (globalThis.__asyncmagicViewers ??= new Map());
  if (!viewers.has("__VERSION__")) {
    const url = URL.createObjectURL(new Blob([await inflate("__SCRIPT__").text()], { type: "text/javascript" }));
    viewers.set("__VERSION__", import(url));
  }
  const { TraceStore, Timeline, unpack } = await viewers.get("__VERSION__");
  const data = await unpack(bytes("__DATA__"));
  const picture = await (await fetch(pictures[0])).text();
  await live()?.queue;
  // The live timeline of a short run may have come, and taken its place, only meanwhile.
  const run = live();
  const store = run?.store ?? new TraceStore();
  store.apply(data);
  for (const place of places.filter(({ dataset }) => !dataset.taken)) {
    const style = document.createElement("style");
    style.textContent = __CSS__;
    const host = document.createElement("div");
    place.dataset.taken = "1";
    place.append(style, host);
    new Timeline(host, store);
  }
  for (const place of places) place.querySelector(".asyncmagic").timeline.picture = picture;
  if (!store.header.running) run?.end();
"""


def to_html(trace: Trace) -> str:
    """Return the timeline as HTML for a notebook or a page of its own; it loads nothing from anywhere.

    Without script it is a picture and a table. All letters are ASCII, so that no reader needs to know an encoding.
    """
    return page(View(trace))


def page(view: View) -> str:
    """Return the timeline as HTML, see `to_html`."""
    trace = view.trace
    header = {
        "seq": 0,
        "running": trace.is_running,
        "headline": plain(view.headline),
        "progress": "",
        "trace": trace.trace_id,
        "name": plain(trace.name),
        "path": _critical_path(view.layout),
    }
    script = (
        (_MOUNT + _LOADER)
        .replace("__VERSION__", _version())
        .replace("__SCRIPT__", _packed_viewer())
        .replace("__CSS__", json.dumps(read("timeline.css")))
        .replace("__DATA__", base64.b64encode(write_trace(trace, view.layout, header)).decode())
    )
    return _around(view, script)


def still(view: View) -> str:
    """Return picture and table alone, as HTML that the live timeline of the run replaces on a page that has it."""
    return _around(view, _MOUNT)


def _around(view: View, script: str) -> str:
    key = view.trace.trace_id
    image = base64.b64encode(draw(view).encode()).decode()
    script = script.replace("__TRACE__", key)
    written = (
        f'<div data-asyncmagic="{key}"><div class="am-paper"><style>{_PAPER}</style>'
        f'<img alt="{escape(plain(view.headline))}" src="data:image/svg+xml;base64,{image}" '
        f'style="max-width:100%;height:auto">{_table(view.figures.agents)}</div></div>'
        f'<script>(async () => {{{script}}})().catch((error) => console.warn("asyncmagic: the picture stays", error));'
        "</script>"
    )
    return written.encode("ascii", "xmlcharrefreplace").decode()


def _critical_path(layout: Layout) -> list[list[int]]:
    """Return the steps of the critical path as (span, start, end), times in microseconds of the run."""
    steps = critical_path(layout.spans[0], layout.spans, layout.end)
    return [
        [layout.index[step.span.span_id], (step.start - layout.origin) // 1000, (step.end - layout.origin) // 1000]
        for step in steps[:_MOST_STEPS]
    ]


def _table(agents: tuple[AgentFigures, ...]) -> str:
    head = "".join(
        f"<th>{word}</th>" for word in ("agent", "state", "time", "calls", "tokens", "first token", "retries", "error")
    )
    rows = []
    for agent in agents[:_MOST_TABLE_ROWS]:
        span = agent.span
        error = f"{span.attributes.get('error.type', '')}: {span.message}" if span.status == "ERROR" else ""
        cells = (
            span.outcome,
            duration(agent.seconds),
            f"{agent.calls:,}" if agent.calls else "",
            f"{agent.tokens:,}" if agent.tokens else "",
            duration(agent.first_token) if agent.first_token is not None else "",
            f"{agent.retries:,}" if agent.retries else "",
            plain(error.removesuffix(": ")),
        )
        row = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{escape(plain(span.name))}</th>{row}</tr>')
    rest = len(agents) - _MOST_TABLE_ROWS
    more = f"<p>… {rest:,} more</p>" if rest > 0 else ""
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f"<details><summary>Table</summary>{table}{more}</details>"


@cache
def _packed_viewer() -> str:
    return base64.b64encode(zlib.compress(viewer_script().encode(), 9)).decode()


@cache
def _version() -> str:
    return f"{zlib.crc32(viewer_script().encode()):08x}"
