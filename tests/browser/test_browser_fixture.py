"""The browser fixture itself: both applications run cells, save them, and open them again."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_a_cell_runs_is_saved_and_is_there_again_when_reopened(notebook, app, tmp_path):
    page = notebook(["1 + 1", "import time\nprint('here')\ntime.sleep(60)"], app=app)
    assert page.run_cell(0).inner_text().split() == ["[1]:", "2"]
    page.run_cell(1, wait=False).get_by_text("here").wait_for()
    page.interrupt()
    page.wait_idle()
    assert "KeyboardInterrupt" in page.output(1).inner_text()
    saved = page.save()
    assert saved.cells[0].outputs[0].data == {"text/plain": "2"}
    page.reopen()
    assert page.output(0).inner_text().split() == ["[1]:", "2"]
    page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 5_000
    assert page.errors == []


def test_scripts_in_a_stranger_s_notebook_do_not_run(notebook):
    page = notebook(["from IPython.display import HTML\nHTML('<b>bold</b><script>document.ran = 1</script>')"])
    page.run_cell(0)
    assert page.page.evaluate("document.ran") == 1
    page.save()
    page.reopen(trusted=False)
    assert page.output(0).locator("b").inner_text() == "bold"
    assert page.page.evaluate("document.ran ?? null") is None


def test_the_dark_theme_is_dark(notebook):
    page = notebook(["1"], theme="dark")
    background = page.page.evaluate("getComputedStyle(document.body).getPropertyValue('--jp-layout-color0')")
    assert background.strip() in ("#111", "#111111")
