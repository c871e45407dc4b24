"""`python -m asyncmagic check`: files in, text and a status out, nothing run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asyncmagic.__main__ import main


def notebook(path: Path, *cells: str) -> Path:
    parts = [{"cell_type": "code", "source": cell.splitlines(True)} for cell in cells]
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "# x"}, *parts]}))
    return path


def test_a_cell_knows_what_earlier_cells_define(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = notebook(tmp_path / "n.ipynb", "import asyncio", "async def f():\n    return 1", "%time x = 1\nf()\ny = 1")
    assert main(["check", str(path)]) == 1
    assert capsys.readouterr().out == (
        f"missing-await: `f()` makes a coroutine, and nothing awaits it: it never runs ({path}, cell 3, line 2)\n"
        "  2 | f()\n"
        "    | ^^^\n"
        "  Write:  await f()\n"
    )


def test_a_script_may_call_asyncio_run_and_a_notebook_may_not(tmp_path: Path) -> None:
    source = "import asyncio\nasync def main():\n    await asyncio.sleep(0)\nasyncio.run(main())"
    script = tmp_path / "s.py"
    script.write_text(source)
    assert main(["check", str(script)]) == 0
    assert main(["check", str(notebook(tmp_path / "n.ipynb", source))]) == 1


def test_nothing_in_the_file_is_run(tmp_path: Path) -> None:
    script = tmp_path / "s.py"
    script.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nimport asyncio\nasyncio.sleep(1)\n")
    assert main(["check", str(script)]) == 1
    assert not (tmp_path / "ran").exists()


def test_advice_is_shown_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = notebook(tmp_path / "n.ipynb", "async def f(x):\n    return x", "ys = [await f(x) for x in 'ab']")
    assert (main(["check", str(path)]), capsys.readouterr().out) == (0, "")
    assert main(["check", "--advice", str(path)]) == 0
    assert capsys.readouterr().out.startswith("sequential-awaits (")


def test_an_unreadable_file_is_named_and_the_others_are_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "b.ipynb"
    broken.write_text("no json")
    good = tmp_path / "g.py"
    good.write_text("import asyncio\nasyncio.sleep(1)\nx = 1\n")
    assert main(["check", str(broken), str(tmp_path / "none.py"), str(good)]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("missing-await") and "b.ipynb" in err and "none.py" in err


def test_what_is_neither_python_nor_a_notebook_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, notebook = tmp_path / "a.py", tmp_path / "b.ipynb"
    script.write_text("x = 1\ndef f(:\n")
    notebook.write_text("{}")
    assert main(["check", str(script), str(notebook)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"{script}: cannot be read: line 2: invalid syntax",
        f"{notebook}: cannot be read: this is no notebook",
    ]


def test_an_unknown_rule_is_named_with_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", "--rule", "mising-await", str(tmp_path)])
    assert "known are missing-await" in capsys.readouterr().err
