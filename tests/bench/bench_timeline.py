"""What the timeline costs: `python -m tests.bench timeline`; absolute times stand beside those of an empty frame.

Frames are drawn by Chromium in software, on the machine as it is. Where other work shares it, the slowest frames are
those that were interrupted: beside each frame's time stands the processor time that its page needed for it.
"""

from __future__ import annotations

import argparse
import base64
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncmagic.assets import read, viewer_script
from asyncmagic.delta import DeltaWriter, write_trace
from asyncmagic.layout import Layout
from asyncmagic.tracing import Trace, semconv
from tests.bench.table import table
from tests.timelines import Script, ms

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

STATIC = Path(__file__).parents[1] / "static"
SIZES = ((10_000, 50), (100_000, 200), (100_000, 8), (1_000_000, 300))


def calls(spans: int, rows: int) -> Trace:
    """`rows` agents that call one after another, so that all calls and attempts together are `spans`."""
    dice, script = random.Random(1), Script()
    agents = [script.start(f"agent {number:03d}x", 1) for number in range(rows)]
    clocks = [2.0] * rows
    for number in range((spans - rows) // 2):
        row = number % rows
        start, length = clocks[row], dice.expovariate(1 / 300) + 1
        facts = {semconv.REQUEST_MODEL: "gpt-5", semconv.OUTPUT_TOKENS: number % 900, semconv.REQUEST_ID: f"{number:x}"}
        call = script.chat(agents[row], start, start + length, start + length / 3, attributes=facts)
        script.span("POST", start, start + length, "http", call, attributes={semconv.HTTP_STATUS: 200})
        clocks[row] = start + length + dice.random()
    for agent, end in zip(agents, clocks, strict=True):
        script.tracer.end_span(agent, end=ms(end))
    return script.end(max(clocks))


def seconds(action: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = action()
    return time.perf_counter() - began, result


def kernel_side() -> None:
    rows = []
    for spans, agents in ((50, 5), *SIZES[:2]):
        trace = calls(spans * 2, agents) if spans == 50 else calls(spans, agents)
        layout_time, layout = seconds(lambda trace=trace: Layout.of(trace))
        delta_time, data = seconds(lambda trace=trace, layout=layout: write_trace(trace, layout, {"seq": 0}))
        html_time, html = seconds(trace.to_html)
        times = [f"{each:.3f} s" for each in (layout_time, delta_time, html_time)]
        sizes = [f"{len(each):,}" for each in (data, trace.to_svg().encode(), html)]
        rows.append([f"{len(trace.spans):,}", str(agents), *times, *sizes])
    columns = ["spans", "rows", "layout", "delta", "to HTML", "bytes on the wire", "SVG bytes", "HTML bytes"]
    print(table("In the kernel", columns, rows))


FRAMES = """async (large) => {
  const { TraceStore, Timeline, unpack } = await import(window.viewer);
  const store = new TraceStore();
  const loaded = performance.now();
  if (large) {
    const { delta, task } = await import(window.writer);
    const [rows, n] = [300, 1e6];
    const spans = [task(0, 0, n)];
    for (let i = 1; i <= rows; i++) spans.push({ ...task(i, 0, n), row: i });
    for (let i = rows + 1; i < n; i++) {
      const at = Math.floor((i - rows - 1) / rows) * 300;
      const owner = 1 + (i % rows);
      spans.push({ ...task(i, at + i % 7, at + 295), row: owner, parent: owner, sub: 1, kind: i % 3 ? 7 : 5 });
    }
    const texts = ["x", "", ...Array.from({ length: rows }, (_, i) => `agent ${i}`)];
    const heads = Array.from({ length: rows + 1 }, (_, i) => [i, i ? i + 1 : 0, i, -1, 0, 1, -1]);
    store.apply(delta({ seq: 0, now: n, running: false, texts, rows: heads }, spans));
  } else store.apply(await unpack(await (await fetch(window.bytes)).arrayBuffer()));
  const host = document.querySelector("#here");
  const built = performance.now();
  const it = new Timeline(host, store);
  it.draw();
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const out = { spans: store.n, first: performance.now() - built, load: built - loaded };
  const rank = (list, share) => list.sort((a, b) => a - b)[Math.floor(list.length * share)];
  const time = (draw) => {
    const began = performance.now();
    draw();
    it.main.getImageData(0, 0, 1, 1); // waits until all is in the canvas
    return performance.now() - began;
  };
  const frames = async (name, step, draw = () => it.draw()) => {
    const [times, intervals] = [[], []];
    for (let i = 0; i < 130; i++) {
      await new Promise(requestAnimationFrame);
      step(i);
      const took = time(draw);
      if (i >= 10) times.push(took); // the first ones are compiled
    }
    let last = 0;
    for (let i = 0; i < 120; i++) {
      const now = await new Promise(requestAnimationFrame);
      if (i > 1) intervals.push(now - last);
      last = now;
      step(i);
      if (name === "empty") draw();
    }
    out[name] = [times, intervals].flatMap((list) => [rank(list, 0.5), rank(list, 0.95)]);
  };
  const clear = () => it.main.fillRect(0, 0, it.width, it.height);
  await frames("empty", () => {}, clear);
  const end = store.last;
  await frames("fit", () => it.fit());
  it.show(end * 0.4, end * 0.5);
  await frames("pan", () => it.pan(0.01));
  await frames("zoom", (i) => it.zoom(i % 20 < 10 ? 1.3 : 1 / 1.3));
  const hovers = [];
  for (let i = 0; i < 300; i++) {
    const began = performance.now();
    it.hoverAt(200 + i * 2, 30 + ((i * 7) % 400));
    hovers.push(performance.now() - began);
    if (i % 10 === 9) await new Promise(requestAnimationFrame);
  }
  out.hover = [rank(hovers, 0.5), rank(hovers, 0.95)];
  window.step = async (name, i) => {
    if (name === "fit") it.fit();
    if (name === "pan") it.pan(0.01);
    if (name === "zoom") it.zoom(i % 20 < 10 ? 1.3 : 1 / 1.3);
    if (name === "empty") clear();
    else it.draw();
    it.main.getImageData(0, 0, 1, 1);
  };
  it.show(end * 0.4, end * 0.5);
  return out;
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def processor_times(page: Page, name: str) -> list[float]:
    """Return the milliseconds that the page's thread used for each of 120 frames, with what asking it costs."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(1e3 * each["value"] for each in metrics if each["name"] == "TaskDuration")

    times = []
    for number in range(120):
        before = used()
        page.evaluate("([name, i]) => window.step(name, i)", [name, number])
        times.append(used() - before)
    session.detach()
    return sorted(times)


def frames(sizes: tuple[tuple[int, int], ...]) -> None:
    rows = []
    with chromium() as browser:
        for spans, agents in sizes:
            page = browser.new_page(viewport={"width": 1100, "height": 700})
            page.set_content(f"<!doctype html><style>{read('timeline.css')}</style><div id=here></div>")
            to_url = "(text) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))"
            for name, text in (("viewer", viewer_script()), ("writer", (STATIC / "delta.mjs").read_text("utf-8"))):
                page.evaluate(f"text => {{ window.{name} = ({to_url})(text) }}", text)
            is_large = spans == 1_000_000
            if not is_large:
                trace = calls(spans, agents)
                writer = DeltaWriter(Layout.of(trace))
                data = writer.write_all({"seq": 0, "running": False}, now=trace.end)
                page.evaluate(
                    "text => { window.bytes = `data:application/octet-stream;base64,${text}` }",
                    base64.b64encode(data).decode(),
                )
            out = page.evaluate(FRAMES, is_large)
            load = f"{out['load']:.0f} + {out['first']:.0f}"
            for name in ("empty", "fit", "pan", "zoom"):
                wall50, wall95, frame50, frame95 = out[name]
                ratio = frame95 / out["empty"][3]
                used = processor_times(page, name)
                rows.append(
                    [
                        *((f"{out['spans']:,} / {agents}", load) if name == "empty" else ("", "")),
                        name,
                        f"{used[len(used) // 2]:.1f} / {used[int(len(used) * 0.95)]:.1f}",
                        f"{wall50:.1f} / {wall95:.1f}",
                        f"{frame50:.1f} / {frame95:.1f}",
                        f"{ratio:.2f}",
                    ]
                )
            rows.append(["", "", "hover", "", f"{out['hover'][0]:.2f} / {out['hover'][1]:.2f}", "", ""])
            page.close()
    columns = ["spans / rows", "load + first", "", "processor", "draw", "frame to frame", "p95 to empty"]
    print(table("On the page, milliseconds, p50 / p95", columns, rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="no million spans, no notebook, no peers")
    options = parser.parse_args()
    kernel_side()
    frames(SIZES[:3] if options.quick else SIZES)
    if not options.quick:
        from tests.bench import timeline_live, timeline_peers

        timeline_live.main()
        timeline_peers.main()


if __name__ == "__main__":
    main()
