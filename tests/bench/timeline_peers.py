"""The same spans beside other timelines for notebooks, each on a page of its own in one browser; what is not installed
is left out: `pip install wigglystuff anytimeline plotly`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from asyncmagic.tracing import Trace
from tests.bench.table import table


def asyncmagic(trace: Trace, path: Path) -> None:
    path.write_text(f"<!doctype html>{trace.to_html()}", "utf-8")


def anytimeline(trace: Trace, path: Path) -> None:
    from anytimeline import Timeline

    columns = {
        "span_id": [span.span_id for span in trace.spans],
        "parent_id": [span.parent_id for span in trace.spans],
        "name": [span.name for span in trace.spans],
        "kind": [span.kind for span in trace.spans],
        "start": [span.start / 1e6 for span in trace.spans],
        "end": [(span.end or 0) / 1e6 for span in trace.spans],
    }
    Timeline(time_unit="ms").spans(columns, color="kind", expand=None).save_html(path)


def plotly(trace: Trace, path: Path) -> None:
    from plotly import graph_objects

    owners = {span.span_id: span.name for span in trace.spans}
    figure = graph_objects.Figure(layout={"barmode": "overlay", "height": 600})
    for kind in dict.fromkeys(span.kind for span in trace.spans):
        spans = [span for span in trace.spans if span.kind == kind]
        figure.add_bar(
            orientation="h",
            name=kind,
            base=[span.start / 1e6 for span in spans],
            x=[((span.end or 0) - span.start) / 1e6 for span in spans],
            y=[span.name if kind == "task" else owners.get(span.parent_id or 0, "") for span in spans],
            text=[span.name for span in spans],
        )
    figure.write_html(path, include_plotlyjs=True)


def wigglystuff(trace: Trace, path: Path) -> None:
    from wigglystuff import TraceView

    spans = [
        {
            "span_id": str(span.span_id),
            "parent_id": str(span.parent_id) if span.parent_id else None,
            "trace_id": "1",
            "name": span.name,
            "service": None,
            "kind": "internal",
            "start_ms": span.start / 1e6,
            "end_ms": (span.end or 0) / 1e6,
            "status": "ok",
            "status_message": "",
            "attributes": {},
            "events": [],
            "links": [],
        }
        for span in trace.spans
    ]
    state = TraceView(spans=spans, height=460).get_state()
    esm, css = str(state.pop("_esm")), str(state.pop("_css"))
    page = """<!doctype html><style>CSS</style><div id="here"></div><script type="module">
      const state = STATE;
      const model = { get: (name) => state[name], set: (name, value) => (state[name] = value), save_changes() {} };
      for (const name of ["on", "off", "send"]) model[name] = () => {};
      const url = URL.createObjectURL(new Blob([ESM], { type: "text/javascript" }));
      const { default: widget } = await import(url);
      await widget.render({ model, el: document.querySelector("#here") });
      window.isReady = true;
    </script>"""
    for name, text in (("CSS", css), ("STATE", json.dumps(state, default=str)), ("ESM", json.dumps(esm))):
        page = page.replace(name, text.replace("</", "<\\/"), 1)
    path.write_text(page, "utf-8")


#: How a page is made, and what tells that its picture stands.
PEERS: dict[str, tuple[Callable[[Trace, Path], None], str]] = {
    "asyncmagic": (asyncmagic, "document.querySelector('.asyncmagic')?.timeline?.drawTime"),
    "anytimeline": (anytimeline, "document.querySelector('canvas')?.width"),
    "plotly": (plotly, "document.querySelector('.barlayer .bars')"),
    "wigglystuff": (wigglystuff, "window.isReady"),
}
MOVES = 40
#: When nothing is left to do, and the frame after it.
STANDS = """() => new Promise((done) =>
  requestIdleCallback(() => requestAnimationFrame(() => done(performance.now()))))"""
#: The time from one frame to the next, until `stop`.
INTERVALS = """() => {
  window.intervals = [];
  const next = (last) => (now) => (window.intervals.push(now - last), requestAnimationFrame(next(now)));
  requestAnimationFrame((now) => requestAnimationFrame(next(now)));
}"""


def main() -> None:
    from tests.bench.bench_timeline import calls, chromium

    rows: list[list[str]] = []
    with chromium() as browser, tempfile.TemporaryDirectory() as directory:
        for spans, agents in ((1_000, 20), (10_000, 50)):
            trace = calls(spans, agents)
            for name, (write, ready) in PEERS.items():
                path = Path(directory) / f"{name}.html"
                try:
                    write(trace, path)
                except ImportError:
                    rows.append([f"{spans:,}", name, f"not installed: pip install {name}"])
                    continue
                page = browser.new_page(viewport={"width": 1100, "height": 700})
                session = page.context.new_cdp_session(page)
                session.send("Performance.enable", {"timeDomain": "threadTicks"})

                def busy(session=session) -> float:
                    metrics = session.send("Performance.getMetrics")["metrics"]
                    return next(each["value"] for each in metrics if each["name"] == "TaskDuration")

                page.goto(path.as_uri(), wait_until="commit")
                page.wait_for_function(f"() => {ready}", timeout=120_000)
                first = page.evaluate(STANDS)
                work, nodes = busy(), page.evaluate("document.querySelectorAll('*').length")
                page.evaluate(INTERVALS)
                page.mouse.move(700, 250)
                page.mouse.down()
                for step in range(MOVES):
                    page.mouse.move(700 - step * 8, 250)
                page.mouse.up()
                moved = (busy() - work) / MOVES
                intervals = sorted(page.evaluate("window.intervals"))
                frame = f"{intervals[len(intervals) // 2]:.0f} / {intervals[int(len(intervals) * 0.95)]:.0f}"
                size = path.stat().st_size / 1000
                label = name if name == "asyncmagic" else f"{name} {version(name)}"
                cells = [
                    f"{size:,.0f} kB",
                    f"{first / 1000:.2f} s",
                    f"{work:.2f} s",
                    f"{nodes:,}",
                    f"{moved * 1e3:.1f} ms",
                ]
                rows.append([f"{spans:,}", label, *cells, frame])
                page.close()
    columns = [
        "spans",
        "",
        "page",
        "picture stands",
        "its main thread",
        "elements",
        "thread per move of a drag",
        "frames, ms",
    ]
    print(table("The same spans beside others", columns, rows))


if __name__ == "__main__":
    main()
