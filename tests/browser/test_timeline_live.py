"""The timeline while its cell runs in a real notebook, whatever happens to the page or to the kernel meanwhile."""

from __future__ import annotations

import os
import signal

import pytest

pytestmark = pytest.mark.slow

APPS = ("lab", "notebook")
LOAD = "%load_ext asyncmagic\nimport asyncio, os, time\nos.getpid()"
AGENTS = """%%agents
async def wait(name):
    while not os.path.exists("go"):
        await asyncio.sleep(0.05)
    return name
solar = wait("solar")
wind = wait("wind")
"""
TIMELINES = "[...document.querySelectorAll('.asyncmagic')].map(({ timeline }) => timeline)"
VIEW = "application/vnd.jupyter.widget-view+json"
#: What the page would save now of a cell's outputs.
KINDS = """index => window.jupyterapp.shell.currentWidget.content.widgets[index].model.outputs.toJSON()
    .flatMap((output) => Object.keys(output.data ?? {}))"""


def started(page, index=1):
    """Run a cell and wait until its agents are drawn and a picture of them would be saved."""
    output = page.run_cell(index, wait=False)
    page.page.wait_for_function(f"() => {TIMELINES}.some(({{ store }}) => store.rows.length === 3)")
    page.page.wait_for_function(f"() => {{ const kinds = ({KINDS})({index}); return kinds.includes('text/html'); }}")
    return output


def go_on(page):
    (page.path.parent / "go").touch()


@pytest.fixture(autouse=True)
def _stay(server):
    yield
    (server.directory / "go").unlink(missing_ok=True)


def pid(page):
    return int(page.run_cell(0).locator(".jp-OutputArea-executeResult").inner_text().split()[-1])


@pytest.mark.parametrize("app", APPS)
def test_a_kernel_that_dies_leaves_a_picture_in_the_saved_notebook(notebook, app):
    page = notebook([LOAD, AGENTS], app=app)
    kernel = pid(page)
    started(page)
    os.kill(kernel, signal.SIGKILL)
    (output,) = page.save().cells[1].outputs
    assert set(output.data) == {"text/html", "text/plain"}
    assert "2 agents" in output.data["text/plain"]
    for trusted in (True, False):
        page.reopen(trusted=trusted)
        assert "not found" not in page.output(1).inner_text()
        assert page.output(1).locator("img[alt^='2 agents']").bounding_box()["height"] > 100
        page.output(1).locator("summary").click()
        assert page.output(1).locator("tbody th").all_inner_texts() == ["solar", "wind"]
