"""What the timeline costs: `python -m tests.bench.bench_timeline` prints a table; ratios stand beside absolute times.

Frames are drawn by Chromium in software, on the machine as it is: each is given beside the time that an empty canvas of
the same size takes in the same page.
"""

from __future__ import annotations

import base64
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from asyncmagic.assets import read, viewer_script
from asyncmagic.delta import DeltaWriter, write_trace
from asyncmagic.layout import Layout
from asyncmagic.tracing import Trace, semconv
from tests.timelines import Script, ms

STATIC = Path(__file__).parents[1] / "static"


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
    print("in the kernel        layout    delta     bytes   SVG bytes      to HTML  HTML bytes")
    for spans, rows in ((1_000, 20), (10_000, 50), (100_000, 200)):
        trace = calls(spans, rows)
        layout_time, layout = seconds(lambda trace=trace: Layout.of(trace))
        delta_time, data = seconds(lambda trace=trace, layout=layout: write_trace(trace, layout, {"seq": 0}))
        html_time, html = seconds(trace.to_html)
        print(
            f"{spans:>8,} / {rows:<3} {layout_time:>11.3f} s {delta_time:>6.3f} s {len(data):>9,} "
            f"{len(trace.to_svg().encode()):>9,} {html_time:>11.3f} s {len(html):>10,}"
        )


def live() -> None:
    """The flusher with 1,000 open spans, of which 50 change between two flushes."""
    script = Script()
    agents = [script.start(f"agent {number}", 1) for number in range(1_000)]
    layout = Layout()
    writer = DeltaWriter(layout)
    writer.write(layout.update([script.trace.root, *agents]), {"seq": 0}, now=ms(2))
    spent, sent, flushes = 0.0, 0, 200
    for flush in range(1, flushes + 1):
        changed = random.Random(flush).sample(agents, 50)
        for agent in changed:
            script.states(agent, (flush * 50, "running"), (flush * 50 + 2, "waiting", "chat gpt-5"))
        began = time.thread_time()
        sent += len(writer.write(layout.update(changed), {"seq": flush}, now=ms(flush * 50 + 50)))
        spent += time.thread_time() - began
    share = spent / (flushes * 0.05)
    print(
        f"\nlive, 1,000 spans, 50 change between two of 20 flushes/s: {share:.1%} of a core, {sent // flushes} B each"
    )


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
  const out = { spans: store.n, first: performance.now() - built, load: built - loaded };
  const rank = (list, share) => list.sort((a, b) => a - b)[Math.floor(list.length * share)];
  const frames = async (name, step) => {
    const times = [];
    for (let i = 0; i < 120; i++) {
      await new Promise(requestAnimationFrame);
      const began = performance.now();
      step(i);
      it.draw();
      it.main.getImageData(0, 0, 1, 1);
      times.push(performance.now() - began);
    }
    out[name] = [rank(times, 0.5), rank(times, 0.95)];
  };
  const empty = [];
  for (let i = 0; i < 120; i++) {
    const began = performance.now();
    it.main.fillRect(0, 0, it.width, it.height);
    it.main.getImageData(0, 0, 1, 1);
    empty.push(performance.now() - began);
  }
  out.empty = [rank(empty, 0.5), rank(empty, 0.95)];
  const end = store.last;
  await frames("fit", () => it.fit());
  it.show(end * 0.4, end * 0.5);
  await frames("pan", () => it.pan(0.01));
  await frames("zoom", (i) => it.zoom(i % 20 < 10 ? 1.3 : 1 / 1.3));
  const hovers = [];
  for (let i = 0; i < 300; i++) {
    const began = performance.now();
    it.hit(200 + i * 2, 30 + ((i * 7) % 400));
    hovers.push(performance.now() - began);
  }
  out.hit = [rank(hovers, 0.5), rank(hovers, 0.95)];
  it.destroy();
  return out;
}"""


def browser_side() -> None:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("google-chrome")
    print("\nms, p50/p95            load   first    empty      fit          pan          zoom         hit")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for spans, rows in ((10_000, 50), (100_000, 200), (100_000, 8), (1_000_000, 300)):
            page = browser.new_page(viewport={"width": 1100, "height": 700})
            page.set_content(f"<!doctype html><style>{read('timeline.css')}</style><div id=here></div>")
            to_url = "(text) => URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))"
            for name, text in (("viewer", viewer_script()), ("writer", (STATIC / "delta.mjs").read_text("utf-8"))):
                page.evaluate(f"text => {{ window.{name} = ({to_url})(text) }}", text)
            is_large = spans == 1_000_000
            if not is_large:
                trace = calls(spans, rows)
                writer = DeltaWriter(Layout.of(trace))
                data = writer.write_all({"seq": 0, "running": False}, now=trace.end)
                page.evaluate(
                    "text => { window.bytes = `data:application/octet-stream;base64,${text}` }",
                    base64.b64encode(data).decode(),
                )
            out = page.evaluate(FRAMES, is_large)
            pairs = "  ".join(
                f"{out[name][0]:>5.1f}/{out[name][1]:<5.1f}" for name in ("empty", "fit", "pan", "zoom", "hit")
            )
            print(f"{out['spans']:>9,} / {rows:<3} {out['load']:>10.0f} {out['first']:>7.0f}  {pairs}")
            page.close()
        browser.close()


if __name__ == "__main__":
    kernel_side()
    live()
    browser_side()
