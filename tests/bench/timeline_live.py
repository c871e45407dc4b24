"""From the kernel to pixels: a thousand agents in a real JupyterLab; kernel and page read one machine's clock."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat

from tests.bench.table import table

if TYPE_CHECKING:
    from tests.browser.conftest import NotebookPage

LOAD = "%load_ext asyncmagic\nimport asyncio, json, random, threading, time"
#: Each agent changes its state once a second; the last one says what the thread that sends has used.
RUN = """%%agents -o trace
async def agent(number):
    await asyncio.sleep(number / AGENTS)
    for _ in range(SECONDS):
        await asyncio.sleep(1)

async def watch():
    await asyncio.sleep(2)
    (sender,) = [each for each in threading.enumerate() if each.name == "asyncmagic-timeline"]
    def used():
        ticks = open(f"/proc/self/task/{sender.native_id}/stat").read().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / 100, time.process_time(), time.monotonic()
    before = used()
    await asyncio.sleep(SECONDS - 3)
    return [after - begun for begun, after in zip(before, used())]

agents = [agent(number) for number in range(AGENTS)]
watched = watch()
"""
TELL = "print(json.dumps([trace.time_origin + trace.root.start, *watched]))"
#: Notes of each delta when it was written, when it came, and when the frame that shows it was on the screen.
WATCH = """() => {
  const it = document.querySelector(".jp-Notebook .asyncmagic")?.timeline;
  if (!it?.drawTime) return false;
  let came = [];
  window.deltas = [];
  it.store.listeners.add(() => came.push([it.store.now, Date.now()]));
  const { draw } = it;
  it.draw = function () {
    draw.call(it);
    const shown = came;
    came = [];
    if (shown.length) requestAnimationFrame(() => shown.forEach((each) => window.deltas.push([...each, Date.now()])));
  };
  return true;
}"""


def run(page: NotebookPage) -> list[str]:
    """Run the cell and return the rows' cells: what came, how late, at what price."""
    page.run_cell(0)
    page.run_cell(1, wait=False)
    page.page.wait_for_function(WATCH)
    page.wait_idle(120)
    deltas = page.page.evaluate("window.deltas")
    origin, thread, process, wall = json.loads(page.run_cell(2).inner_text())
    painted = sorted(shown - (origin + written * 1e3) / 1e6 for written, _, shown in deltas)
    received = sorted(came - (origin + written * 1e3) / 1e6 for written, came, _ in deltas)
    rate = len(deltas) / ((deltas[-1][2] - deltas[0][2]) / 1e3)

    def ranks(times: list[float]) -> str:
        return f"{times[len(times) // 2]:.0f} / {times[int(len(times) * 0.95)]:.0f} ms"

    return [f"{rate:.1f} /s", ranks(received), ranks(painted), f"{thread / wall:.1%}", f"{process / wall:.1%}"]


def main() -> None:
    from tests.bench.bench_timeline import chromium
    from tests.browser.conftest import KERNEL, NotebookPage, running_server

    rows = []
    with tempfile.TemporaryDirectory() as directory, running_server(Path(directory)) as server, chromium() as browser:
        for agents in (20, 1_000):
            cells = [LOAD, RUN.replace("AGENTS", str(agents)).replace("SECONDS", "12"), TELL]
            path = server.directory / f"live-{agents}.ipynb"
            notebook = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=KERNEL
            )
            nbformat.write(notebook, path)
            page = NotebookPage(browser.new_page(viewport={"width": 1280, "height": 900}), server, path, "lab", "light")
            page.open()
            rows.append([f"{agents:,}", *run(page)])
            page.page.close()
            server.end_sessions()
    columns = [
        "live agents",
        "deltas",
        "to the page, p50 / p95",
        "to pixels, p50 / p95",
        "the thread, of a core",
        "kernel",
    ]
    print(table("From the kernel to pixels", columns, rows))


if __name__ == "__main__":
    main()
