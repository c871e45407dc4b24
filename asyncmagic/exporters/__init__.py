"""Exporters: each writes a trace in one format.

To add a format, write `to_xyz(trace: Trace) -> str | bytes` in a file named after it, and put its line in `EXPORTERS`.
"""

from __future__ import annotations

from asyncmagic.registry import Registry

EXPORTERS = Registry(
    "format",
    {
        "html": "asyncmagic.exporters.html:to_html",
        "report": "asyncmagic.exporters.report:to_report",
        "svg": "asyncmagic.exporters.svg:to_svg",
        "text": "asyncmagic.exporters.text:to_text",
    },
    "asyncmagic.exporters",
)
