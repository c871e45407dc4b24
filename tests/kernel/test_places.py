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
