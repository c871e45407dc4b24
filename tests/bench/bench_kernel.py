"""What all of it costs together, in one real kernel: `python -m tests.bench kernel`.

The same cell plain and under `%%agents`, in turns: states, HTTP, blocked-loop watching and the live timeline's messages
are all on. A cell's time is the kernel's own, from busy to idle.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from asyncmagic.simulator import start
from tests.bench.table import table
from tests.kernel.conftest import Cell, Kernel, running_kernel

PREPARE = """
%load_ext asyncmagic
import asyncio, time
import httpx2
from openai import AsyncOpenAI

question = [{"role": "user", "content": "How long does it take to count to ten?"}]

async def post(client):
    response = await client.post("chat/completions", json={"model": "gpt-5", "messages": question})
    assert response.status_code == 200

async def ask(client):
    answer = await client.chat.completions.create(model="gpt-5", messages=question)
    assert answer.choices

async def stream(client):
    answer = await client.chat.completions.create(model="gpt-5", messages=question, stream=True)
    assert [chunk async for chunk in answer]

async def requests(url, count):
    async with httpx2.AsyncClient(base_url=url, timeout=120) as client:
        await asyncio.gather(*(post(client) for _ in range(count)))

async def calls(url, count, one=ask):
    async with AsyncOpenAI(base_url=url, api_key="sk-bench-0123456789", timeout=120, max_retries=0) as client:
        await asyncio.gather(*(one(client) for _ in range(count)))
"""


def measure(kernel: Kernel, cell: str) -> tuple[float, float]:
    """Return the cell's wall seconds, and the processor seconds that the kernel's threads took together."""
    before = float(kernel.run("print(time.process_time())").stdout)
    done = kernel.submit(cell)
    if cell.startswith("%%agents"):
        kernel.read_until(lambda: timelines(done) != [], what="a timeline")
        # As the page answers, which then gets what is new and no more.
        (timeline,) = timelines(done)
        hello = {"method": "custom", "content": {"type": "hello", "isJupyter": True}}
        kernel.send_comm(timeline, hello)
    done.wait(120)
    assert done.error is None, done.error
    return done.seconds, float(kernel.run("print(time.process_time())").stdout) - before


def timelines(cell: Cell) -> list[str]:
    """Return the ids by which the page knows the cell's timelines, and not their layouts."""
    opened = [message["content"] for message in cell.of_type("comm_open")]
    return [content["comm_id"] for content in opened if "_esm" in content["data"]["state"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--pairs", type=int, default=9)
    options = parser.parse_args()
    rows = []
    columns = ["cell", "wall", "wall ratio", "processor", "processor ratio"]
    with (
        tempfile.TemporaryDirectory() as directory,
        start(latency=0.05, jitter=0, tokens_per_second=None) as prompt,
        start(latency=0.5, jitter=0, tokens_per_second=None) as model,
        start(latency=0.3, jitter=0, tokens_per_second=50) as talking,
        running_kernel(Path(directory)) as kernel,
    ):
        assert kernel.run(PREPARE).error is None
        for name, work in {
            "1,000 requests of 0.05 s": f"requests({prompt.base_url!r}, 1000)",
            "1,000 requests of 0.5 s": f"requests({model.base_url!r}, 1000)",
            "200 calls of the OpenAI SDK, 0.5 s": f"calls({model.base_url!r}, 200)",
            "100 streams of the OpenAI SDK": f"calls({talking.base_url!r}, 100, stream)",
        }.items():
            cells = {"plain": f"await {work}", "watched": f"%%agents\n{work}"}
            taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in cells}
            for number in range(options.pairs + 1):
                for kind in sorted(cells, reverse=bool(number % 2)):
                    taken[kind].append(measure(kernel, cells[kind]))
            row = [name]
            for which in (0, 1):
                plain, watched = ([each[which] for each in taken[kind][1:]] for kind in ("plain", "watched"))
                ratios = [mine / theirs for mine, theirs in zip(watched, plain, strict=True)]
                low, middle, high = statistics.quantiles(ratios, n=4)
                row += [f"{statistics.median(plain):.2f} s", f"{middle:.3f}  ({low:.3f}-{high:.3f})"]
            rows.append(row)
    print(table("Everything on, in a kernel, against the same cell plain", columns, rows))


if __name__ == "__main__":
    main()
