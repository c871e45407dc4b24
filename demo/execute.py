"""Run the demo's notebooks in a real kernel, print what they show, and write them down with their outputs."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Run every notebook of the demo; the number of those in which a cell failed is the exit code."""
    failures = 0
    for path in sorted(HERE.glob("*.ipynb")):
        print(f"Running {path.relative_to(HERE.parent)} in a kernel …\n", flush=True)
        begun = time.perf_counter()
        notebook, error = execute(path)
        print("\n\n".join(transcript(notebook)))
        written = write(notebook, HERE / "output" / path.name)
        print(f"\n{path.name} took {time.perf_counter() - begun:.1f} s. Written, with its outputs:")
        print(*(f"  {file.relative_to(HERE.parent)}" for file in written), sep="\n", flush=True)
        if error:
            failures += 1
            print(f"\n{path.name} stopped at the cell that failed above: {error.ename}: {error.evalue}", flush=True)
    return failures


def execute(path: Path) -> tuple[nbformat.NotebookNode, CellExecutionError | None]:
    """Run a notebook and return it with its outputs, and with the error of the cell at which it stopped."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--log-level=ERROR"],
        store_widget_state=False,  # every timeline ends as a picture: nothing needs a live widget any more
    )
    try:
        client.execute()
    except CellExecutionError as error:
        return notebook, error
    return notebook, None


def write(notebook: nbformat.NotebookNode, path: Path) -> list[Path]:
    """Write the notebook and an HTML page of it, and return both paths."""
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)
    page, _ = HTMLExporter().from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    path.with_suffix(".html").write_text(page, "utf-8")
    return [path, path.with_suffix(".html")]


def transcript(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """What the notebook shows, as text: its headings, and each cell that shows something above what it shows."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield from (f"── {line.lstrip('# ')}" for line in cell.source.splitlines() if line.startswith("#"))
        elif shown := "\n".join(filter(None, map(_text, cell.get("outputs", [])))):
            source = "\n".join(f"    {line}" for line in cell.source.splitlines())
            yield f"In [{cell.execution_count}]:\n{source}\n\n{shown}"


def _text(output: nbformat.NotebookNode) -> str:
    if output.output_type == "stream":
        text = output.text
    elif output.output_type == "error":
        text = "\n".join(output.traceback)
    else:
        text = output.data.get("text/plain", "")
    return re.sub(r"\x1b\[[\d;]*m", "", text).rstrip()


if __name__ == "__main__":
    sys.exit(main())
