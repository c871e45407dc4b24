"""The demo: every notebook of it runs through, and what it prints is what the notebook shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "demo").glob("*.ipynb"))


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    return subprocess.run(
        [sys.executable, "-m", "demo", *arguments], cwd=ROOT, env=environ, capture_output=True, text=True
    )


def test_real_calls_without_a_key_are_refused_before_anything_is_set_up():
    refused = run_demo("--real")
    assert (refused.returncode, refused.stderr) == (2, "")
    assert "OPENAI_API_KEY is not set" in refused.stdout


@pytest.mark.slow
def test_a_notebook_is_run_printed_and_written_up_to_the_cell_that_fails(tmp_path):
    from demo.execute import execute, transcript, write

    cells = [
        nbformat.v4.new_markdown_cell("# A picture\nand some words"),
        nbformat.v4.new_code_cell(
            "class Picture:\n    def _repr_html_(self): return '<b>bars</b>'\n"
            "    def __repr__(self): return 'bars as text'"
        ),
        nbformat.v4.new_code_cell("print('shown:')\nPicture()"),
        nbformat.v4.new_code_cell("1 / 0"),
        nbformat.v4.new_code_cell("'never'"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "small.ipynb")
    notebook, error = execute(tmp_path / "small.ipynb")
    assert (error.ename, error.evalue) == ("ZeroDivisionError", "division by zero")
    heading, picture, failure = transcript(notebook)
    assert heading == "── A picture"
    assert picture == "In [2]:\n    print('shown:')\n    Picture()\n\nshown:\nbars as text"
    assert failure.endswith("\nZeroDivisionError: division by zero")
    written, page = write(notebook, tmp_path / "output" / "small.ipynb")
    assert nbformat.read(written, as_version=4).cells[2].outputs[1].data["text/html"] == "<b>bars</b>"
    assert "<b>bars</b>" in page.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_of_the_demo_runs_through(path):
    from demo.execute import execute

    _, error = execute(path)
    assert error is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_of_the_demo_is_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    assert [cell.outputs for cell in notebook.cells if cell.get("outputs")] == []
