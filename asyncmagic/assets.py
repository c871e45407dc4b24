"""Assets: the scripts and colours of the timeline, read from `static/` once."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_STATIC = Path(__file__).with_name("static")
_VIEWER = (
    *("trace.js", "words.js", "rows.js", "query.js", "describe.js"),  # from deltas to words and numbers
    *("theme.js", "arrange.js", "bars.js", "paint.js"),  # to pixels
    *("page.js", "controls.js", "panels.js", "build.js", "files.js"),  # around the picture
    *("viewport.js", "selection.js", "timeline.js"),  # on a page
)


@cache
def read(name: str) -> str:
    """Return the text of a file in `static/`."""
    return (_STATIC / name).read_text("utf-8")


@cache
def viewer_script() -> str:
    """Return the viewer as one ES module that exports `TraceStore`, `Timeline` and `unpack`."""
    return _joined(_VIEWER) + "export { TraceStore, Timeline, unpack };\n"


@cache
def widget_script() -> str:
    """Return the viewer and its glue to the kernel as the one module that anywidget asks for."""
    return _joined((*_VIEWER, "widget.js"))


@cache
def palette(theme: str) -> dict[str, str]:
    """Return the colours of the `light` or `dark` theme by name, as timeline.css says them."""
    selector = '.asyncmagic[data-theme="dark"] {' if theme == "dark" else ".asyncmagic {"
    css = read("timeline.css")
    begin = css.index(selector)
    return dict(re.findall(r"--am-([\w-]+): (#\w+);", css[begin : css.index("}", begin)]))


def _joined(names: tuple[str, ...]) -> str:
    # The files import only each other, one line each: side by side in one module they need no imports.
    text = "\n".join(read(name) for name in names)
    text = re.sub(r'^import .* from "\./.*";\n', "", text, flags=re.MULTILINE)
    return re.sub(r"^export (?!default)", "", text, flags=re.MULTILINE)
