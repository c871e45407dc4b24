"""The quickstart shows what it promises: its outputs, in the executed notebook and in the HTML page made of it."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.slow

QUICKSTART = Path(__file__).resolve().parent.parent / "demo" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook after a run against the simulator, and the page that nbconvert makes of it."""
    from demo.execute import execute, write

    notebook, error = execute(QUICKSTART)
    assert error is None
    _, page = write(notebook, tmp_path_factory.mktemp("demo") / QUICKSTART.name)
    return notebook, page.read_text("utf-8")


def outputs(executed, cell_id: str) -> list:
    return next(cell for cell in executed[0].cells if cell.id == cell_id).outputs


def timeline(executed, cell_id: str) -> str:
    """The timeline below a cell, as text."""
    (shown,) = [
        output.data["text/plain"] for output in outputs(executed, cell_id) if "image/svg+xml" in output.get("data", ())
    ]
    return shown


def seconds(timeline: str) -> float:
    return float(re.search(r"([\d.]+) s", timeline)[1])


def test_three_agents_take_less_time_together_than_one_after_another(executed):
    assert "3 calls" in timeline(executed, "one-by-one")
    together = timeline(executed, "together")
    assert re.match(r"3 agents · [\d.]+ s instead of [\d.]+ s \([12]\.\d×\) · \d+ tokens", together)
    assert seconds(together) < 0.7 * seconds(timeline(executed, "one-by-one"))
    assert [line.split()[0] for line in together.splitlines() if "✓" in line] == ["facts", "story", "doubt"]


def test_the_report_says_what_limited_the_run(executed):
    (report,) = [output.text for output in outputs(executed, "report")]
    assert "wall time" in report
    assert "One slow agent: `doubt`" in report


def test_ten_streamed_calls_keep_to_the_limit(executed):
    shown = timeline(executed, "limit")
    assert shown.startswith("10 agents · ")
    assert re.search(r"calls in flight .*most 4$", shown, re.MULTILINE)
    assert len(re.findall(r"◆ \d", shown)) == 10
    assert "· queued" in shown


def test_the_retry_is_seen(executed):
    assert re.search(r"^2 agents .* 1 retry", timeline(executed, "retry"))
    assert "✕ failed attempt" in timeline(executed, "retry")


def seconds_blocked(shown: str) -> float:
    """What the headline says of the blocked loop; a busy machine may hold it a little by itself."""
    found = re.search(r"loop blocked ([\d.]+) (m?s)", shown)
    return float(found[1]) / (1000 if found[2] == "ms" else 1) if found else 0.0


def test_the_blocking_mistake_is_warned_about_and_seen_and_its_repair_is_not(executed):
    assert "blocking-call" in str(outputs(executed, "block"))
    shown = timeline(executed, "blocked")
    assert 1.5 < seconds_blocked(shown) < 3
    assert re.search(r"^blocked: cell \[\d+\]:3 .*▚▚", shown, re.MULTILINE)
    assert seconds_blocked(timeline(executed, "unblocked")) < 0.5


def test_the_forgotten_await_is_warned_about_with_the_corrected_line(executed):
    (warning,) = [output.data for output in outputs(executed, "forgotten") if output.output_type == "display_data"]
    assert warning["text/plain"].startswith("missing-await: ")
    assert 'Write:  answer = await agent("researcher", "The temperature of the sun.")' in warning["text/plain"]
    (answer,) = [output.text for output in outputs(executed, "awaited")]
    assert len(answer.split()) > 10


def test_every_picture_stands_without_script_beside_the_interactive_one(executed):
    for cell in ("one-by-one", "together", "limit", "retry", "blocked", "unblocked"):
        (bundle,) = [output.data for output in outputs(executed, cell) if "image/svg+xml" in output.get("data", ())]
        picture, script, _ = bundle["text/html"].partition("<script")
        assert script
        (source,) = re.findall(r'<img[^>]* src="data:image/svg\+xml;base64,([^"]+)"', picture)
        svg = base64.b64decode(source).decode("utf-8")
        assert svg.startswith("<svg") and "<script" not in svg and "<text" in svg
        assert not re.search(r"""(?:src|href)=["']https?:""", bundle["text/html"])


def test_the_page_needs_nothing_from_the_network_for_its_pictures(executed):
    notebook, page = executed
    assert page.count('src="data:image/svg+xml;base64,') == 6
    assert "application/vnd.jupyter.widget-view+json" not in page
    # What nbconvert's own template asks for: RequireJS and MathJax, without which the pictures stand too.
    hosts = set(re.findall(r"""(?:src|href)=["']https?://([^/"']+)""", page))
    assert hosts <= {"cdnjs.cloudflare.com", "cdn.jsdelivr.net"}
    assert len(json.dumps(notebook)) < 1_500_000


def test_the_notebook_is_kept_without_outputs():
    kept = nbformat.read(QUICKSTART, as_version=4)
    assert [cell.outputs for cell in kept.cells if cell.get("outputs")] == []
    assert [cell.execution_count for cell in kept.cells if cell.get("execution_count")] == []
