"""Tables as the benches print them."""

from __future__ import annotations


def table(title: str, columns: list[str], rows: list[list[str]]) -> str:
    """Return a table as text, its columns as wide as they need."""
    widths = [
        max(len(row[place]) if place < len(row) else 0 for row in [columns, *rows]) for place in range(len(columns))
    ]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in [columns, *rows]]
    rule = "  ".join("-" * width for width in widths)
    return "\n".join([title, "", lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:]), ""])
