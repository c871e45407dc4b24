"""Places in cells are called by the cell's number, never by the temporary file that the kernel compiles it as."""

from __future__ import annotations

import pytest

from tests.kernel.conftest import Cell, Kernel

pytestmark = pytest.mark.slow


def number_of(cell: Cell) -> int:
    assert cell.reply is not None
    number: int = cell.reply["content"]["execution_count"]
    return number


def test_a_cell_is_called_by_its_number_wherever_a_place_stands(bare_kernel: Kernel) -> None:
    bare_kernel.run("%load_ext asyncmagic")
    first = number_of(bare_kernel.run("import asyncio, time\nasync def busy():\n    time.sleep(0.15)"))
    cell = bare_kernel.run(
        "%%agents -o trace --no-timeline\n"
        "busy()\n"
        "victim = asyncio.create_task(asyncio.sleep(10), name='victim')\n"
        "await asyncio.sleep(0.3)\n"
        "victim.cancel()\n"
        "await asyncio.wait([victim])"
    )
    assert cell.status == "ok", cell.error
    said = bare_kernel.run(
        "print([span.name for span in trace.spans if span.kind == 'blocked'])\n"
        "print([(span.attributes['asyncmagic.cell'], span.attributes['code.line.number'],"
        " span.attributes['asyncmagic.cancelled_by']) for span in trace.spans if span.name == 'victim'])\n"
        "print(trace.export('text'))"
    )
    blocked, victim, *picture = said.stdout.splitlines()
    here = f"cell [{number_of(cell)}]"
    assert blocked == f"['cell [{first}]:3 busy']"
    assert victim == f"[('{here}', 3, 'the cell ({here}:5)')]"
    assert f"blocked: cell [{first}]:3" in "\n".join(picture)
    assert "ipykernel_" not in said.stdout


def test_a_plain_await_says_what_the_cell_waited_for(bare_kernel: Kernel) -> None:
    bare_kernel.run("%load_ext asyncmagic")
    bare_kernel.run("import asyncio, asyncmagic\n%asynctrace on")
    cell = bare_kernel.run("x = 1\nawait asyncio.sleep(0.2)\nlock = asyncio.Lock()\nawait asyncio.sleep(0.1)")
    bare_kernel.run("%asynctrace off")
    said = bare_kernel.run(
        "import asyncmagic.session as s\n"
        "root = s.session.traces[-1].root\n"
        "print([(state, detail) for _, _, state, detail in root.states.segments(root.end) if state != 'ready'][:5])\n"
        "print(s.session.traces[-1].export('text'))"
    )
    here = f"cell [{number_of(cell)}]"
    states, *_picture = said.stdout.splitlines()
    assert states == str(
        [
            ("running", None),
            ("waiting", f"sleep ({here}:2)"),
            ("running", None),
            ("waiting", f"sleep ({here}:4)"),
            ("running", None),
        ]
    ), said.stdout


def test_a_traced_cell_of_plain_code_is_not_told_that_it_holds_the_loop(bare_kernel: Kernel) -> None:
    bare_kernel.run("import asyncio, asyncmagic, time\n%load_ext asyncmagic\n%asynctrace on")
    plain = bare_kernel.run("time.sleep(0.2)")
    mixed = bare_kernel.run("await asyncio.sleep(0.01)\nhold = time.sleep\nhold(0.2)")
    warned = ["blocking-call" in str(cell.displays) for cell in (plain, mixed)]
    assert (warned, mixed.stdout.endswith("loop blocked 0.20 s\n")) == ([False, True], True)
