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


#: Notes every frame without a timeline, once there was one.
WATCH = """() => {
    window.blank = [];
    const look = () => {
        const height = document.querySelector(".jp-Notebook .asyncmagic")?.getBoundingClientRect().height ?? 0;
        if (window.seen && height < 100) window.blank.push(Math.round(performance.now()));
        window.seen ||= height >= 100;
        requestAnimationFrame(look);
    };
    look();
}"""


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


def test_a_second_view_of_the_output_shows_the_same_run_live_and_afterwards(notebook):
    page = notebook([LOAD, AGENTS])
    page.run_cell(0)
    started(page)
    page.page.evaluate(f"{TIMELINES}[0].show(1e5, 2e5)")
    page.execute("notebook:create-output-view")
    page.page.wait_for_function(f"() => {TIMELINES}.length === 2")
    page.page.wait_for_function(f"() => {TIMELINES}.every(({{ store }}) => store.rows.length === 3)")
    go_on(page)
    page.page.wait_for_function(f"() => {TIMELINES}.length === 2 && {TIMELINES}.every((each) => each.picture)")
    assert page.page.evaluate(f"{TIMELINES}.map(({{ store }}) => [...store.outcome.slice(1, 3)])") == [[1, 1], [1, 1]]
    assert page.page.evaluate(f"{TIMELINES}.map(({{ view }}) => view.to)") == [2e5, 2e5]
    assert page.errors == []


@pytest.mark.parametrize("app", APPS)
def test_a_page_opened_anew_during_the_run_shows_it_and_what_it_came_to(notebook, app):
    page = notebook([LOAD, AGENTS, "solar, wind"], app=app)
    page.run_cell(0)
    started(page)
    page.save()
    page.page.goto("about:blank")
    page.open(is_busy=True)
    page.output(1).locator("img[alt^='2 agents']").wait_for()
    page.page.wait_for_function(f"() => {TIMELINES}[0]?.store.header.running")
    before = page.page.evaluate(f"{TIMELINES}[0].store.received.now")
    page.page.wait_for_function(f"() => {TIMELINES}[0].store.received.now > {before}")
    go_on(page)
    page.page.wait_for_function(f"() => {TIMELINES}[0]?.store.header.running === false")
    assert page.page.evaluate(f"[...{TIMELINES}[0].store.outcome.slice(1, 3)]") == [1, 1]
    assert page.run_cell(2).inner_text().split("\n")[-1] == "('solar', 'wind')"


@pytest.mark.parametrize("app", APPS)
def test_a_page_closed_during_the_run_loses_nothing(notebook, app):
    page = notebook([LOAD, AGENTS, "solar, wind"], app=app)
    page.run_cell(0)
    started(page)
    page.save()
    page.page.goto("about:blank")
    go_on(page)
    page.open()
    page.page.wait_for_function(f"() => {TIMELINES}[0]?.store.header.running === false")
    assert page.page.evaluate(f"[...{TIMELINES}[0].store.outcome.slice(1, 3)]") == [1, 1]
    assert page.run_cell(2).inner_text().split("\n")[-1] == "('solar', 'wind')"


@pytest.mark.parametrize("app", APPS)
def test_timelines_on_one_page_know_each_its_own_run(notebook, app):
    others = AGENTS.replace("solar", "moon").replace("wind", "tide")
    page = notebook([LOAD, AGENTS, others, "os.remove('go')"], app=app)
    page.run_cell(0)
    names = f"{TIMELINES}.map((each) => {{ each.draw(); return each.geometry.blocks.map(({{ name }}) => name); }})"
    go_on(page)
    page.run_cell(1)  # is over before the page has made its view
    page.run_cell(3)
    started(page, 2)
    page.page.wait_for_function(f"() => {TIMELINES}.length === 2")
    assert page.page.evaluate(names) == [["solar", "wind"], ["moon", "tide"]]
    assert page.page.evaluate(f"{TIMELINES}.map(({{ store }}) => store.header.running)") == [False, True]
    go_on(page)
    page.page.wait_for_function(f"() => {TIMELINES}.length === 2 && {TIMELINES}.every((each) => each.picture)")
    assert page.page.evaluate(names) == [["solar", "wind"], ["moon", "tide"]]
    assert page.errors == []


@pytest.mark.parametrize("app", APPS)
def test_new_pictures_in_the_output_disturb_nobody_who_types_or_reads(notebook, app):
    page = notebook([f"{LOAD}\nimport asyncmagic.widget\nasyncmagic.widget._PICTURES = (0.5, 0.5)", AGENTS], app=app)
    page.run_cell(0)
    page.page.evaluate(WATCH)
    output = started(page)
    page.page.evaluate(f"{TIMELINES}[0].select(1, true)")
    place = "document.querySelector('.jp-Notebook [data-asyncmagic]')"
    for letter in "wind":
        page.page.evaluate(f"window.before = {place}")
        if letter == "w":
            output.get_by_role("searchbox").focus()
        page.page.keyboard.press(letter)
        page.page.wait_for_function(f"() => {place} && {place} !== window.before")
    assert output.get_by_role("searchbox").input_value() == "wind"
    assert output.locator(".am-details h3").inner_text() == "solar"
    page.page.locator(".jp-Notebook .jp-Cell").first.locator(".cm-content").click()
    page.page.evaluate(f"window.before = {place}")
    page.page.wait_for_function(f"() => {place} && {place} !== window.before")
    assert page.page.evaluate("document.activeElement.className").startswith("cm-content")
    go_on(page)
    page.page.wait_for_function(f"() => {TIMELINES}[0]?.picture")
    assert page.page.evaluate("window.blank") == []
