"""The timeline in real notebooks: live, cancelled from the page, replaced, saved, reopened, exported."""

from __future__ import annotations

import json

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

pytestmark = pytest.mark.slow

LOAD = "%load_ext asyncmagic\nimport asyncio, time"
RUN = """%%agents --limit 3
async def think(seconds):
    await asyncio.sleep(seconds)
    return seconds
facts = think(0.9)
history = think(0.7)
answers = [think(0.3) for _ in range(4)]
"""
LONG = "%%agents\nasync def wait():\n    await asyncio.sleep(60)\nfirst = wait()\nsecond = wait()"
BLOCKED = "%%agents\nasync def block():\n    await asyncio.sleep(0.3)\n    time.sleep(2.5)\nslow = block()"
TIMELINE = "document.querySelector('.jp-Notebook .asyncmagic')?.timeline"
VIEW = "application/vnd.jupyter.widget-view+json"
APPS = ("lab", "notebook")


def started(page, index=1):
    """Run a cell and return its output once its timeline is drawn."""
    output = page.run_cell(index, wait=False)
    output.locator(".am-box canvas").first.wait_for()
    return output


def replaced(page):
    """Wait until the viewer of the final output has taken over."""
    page.wait_idle()
    page.page.wait_for_function(f"() => {TIMELINE}?.picture && {TIMELINE}?.geometry")


@pytest.mark.parametrize("app", APPS)
def test_rows_appear_while_the_cell_runs_and_stay_afterwards(notebook, app):
    page = notebook([LOAD, RUN], app=app)
    page.run_cell(0)
    started(page)
    page.page.wait_for_function(f"() => {TIMELINE}?.store.header.running && {TIMELINE}?.store.rows.length === 7")
    replaced(page)
    assert page.page.evaluate(f"{TIMELINE}.geometry.blocks.map((block) => block.name)") == [
        *("facts", "history", "answers[0]", "answers[1]", "answers[2]", "answers[3]")
    ]
    saved = page.save()
    (output,) = saved.cells[1].outputs
    assert set(output.data) == {"text/html", "image/svg+xml", "text/plain"}
    assert "facts" in output.data["text/plain"]
    assert "widgets" not in saved.metadata
    assert page.errors == []


@pytest.mark.parametrize("app", APPS)
def test_cancel_is_obeyed_while_the_cell_runs(notebook, app):
    page = notebook([LOAD, LONG], app=app)
    page.run_cell(0)
    output = started(page)
    page.page.wait_for_function(f"() => {TIMELINE}?.geometry?.blocks.length === 2")
    box = output.locator(".am-box canvas").last.bounding_box()
    page.page.mouse.move(box["x"] + 60, box["y"] + 40)
    output.get_by_role("button", name="Cancel first").click()
    page.page.wait_for_function(f"() => {TIMELINE}?.store.outcome[1] === 3")
    assert page.page.evaluate(f"{TIMELINE}.store.isOpen(2)")
    output.get_by_role("button", name="Cancel run").click()
    page.wait_idle(timeout=5)
    replaced(page)
    assert page.page.evaluate(f"[...{TIMELINE}.store.outcome.slice(1, 3)]") == [3, 3]


@pytest.mark.parametrize("app", APPS)
def test_it_goes_on_while_the_loop_is_blocked(notebook, app):
    page = notebook([LOAD, BLOCKED], app=app)
    page.run_cell(0)
    started(page)
    page.page.wait_for_function(f"() => {TIMELINE}?.store.now > 9e5 && {TIMELINE}?.store.header.running")
    before = page.page.evaluate(f"{TIMELINE}.store.received.now")
    page.page.wait_for_function(f"() => {TIMELINE}?.store.received.now > {before} + 8e5")
    assert page.page.evaluate(f"{TIMELINE}.store.header.running")
    replaced(page)
    assert page.page.evaluate(f"{TIMELINE}.store.bands.length") == 1


def test_stop_leaves_a_picture(notebook):
    page = notebook([LOAD, LONG])
    page.run_cell(0)
    started(page)
    page.page.wait_for_function(f"() => {TIMELINE}?.store.rows.length === 3")
    page.interrupt()
    replaced(page)
    assert page.page.evaluate(f"[...{TIMELINE}.store.outcome.slice(1, 3)]") == [3, 3]
    assert VIEW not in json.dumps(page.save())


@pytest.mark.parametrize("app", APPS)
def test_the_zoom_survives_the_swap(notebook, app):
    page = notebook([LOAD, RUN], app=app)
    page.run_cell(0)
    started(page)
    page.page.wait_for_function(f"() => {TIMELINE}?.store.now > 5e5")
    page.page.evaluate(f"{TIMELINE}.show(1e5, 4e5)")
    replaced(page)
    assert page.page.evaluate(f"[{TIMELINE}.view.from, {TIMELINE}.view.to]") == [1e5, 4e5]


@pytest.mark.parametrize("app", APPS)
def test_reopened_it_is_interactive_if_trusted_and_a_picture_with_a_table_if_not(notebook, app):
    page = notebook([LOAD, RUN], app=app)
    page.run_cell(0)
    started(page)
    replaced(page)
    page.save()
    page.reopen()
    page.page.wait_for_function(f"() => {TIMELINE}?.geometry.blocks.length === 6")
    page.reopen(trusted=False)
    output = page.output(1)
    assert output.locator("img").bounding_box()["height"] > 200
    assert output.locator(".asyncmagic").count() == 0
    output.locator("summary").click()
    assert output.locator("tbody tr").count() == 6


def test_two_timelines_and_a_second_view_know_their_own_runs(notebook):
    page = notebook([LOAD, RUN, RUN.replace("answers", "others")])
    for index in (0, 1, 2):
        page.run_cell(index)
    replaced(page)
    page.page.wait_for_function("() => document.querySelectorAll('.jp-Notebook .asyncmagic').length === 2")
    names = """[...document.querySelectorAll('.jp-Notebook .asyncmagic')].map(({ timeline }) => {
        timeline.draw();
        return timeline.geometry.blocks.at(-1).name;
    })"""
    assert page.page.evaluate(names) == ["answers[3]", "others[3]"]


def test_executed_without_a_page_and_converted_it_shows_the_run_offline(browser, tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in (LOAD, RUN)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    (output,) = notebook.cells[1].outputs
    assert set(output.data) == {"text/html", "image/svg+xml", "text/plain"}
    assert len(json.dumps(notebook.metadata["widgets"])) < 4_000
    path = tmp_path / "page.html"
    path.write_text(HTMLExporter().from_notebook_node(notebook)[0], "utf-8")
    for has_script, shown in ((True, ".asyncmagic canvas"), (False, "img[alt^='6 agents']")):
        context = browser.new_context(offline=True, java_script_enabled=has_script)
        page = context.new_page()
        page.goto(path.as_uri(), wait_until="commit")
        page.locator(shown).first.wait_for()
        context.close()


def test_typing_on_the_timeline_adds_no_cells(notebook):
    page = notebook([LOAD, RUN])
    page.run_cell(0)
    output = started(page)
    replaced(page)
    output.locator(".am-box").focus()
    for key in "abxdd":
        page.page.keyboard.press(key)
    assert page.page.locator(".jp-Notebook .jp-Cell").count() == 2
