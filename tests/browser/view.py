"""A page of its own with one timeline on it, and what a test asks of it."""

from __future__ import annotations

import json
from typing import Any

from asyncmagic.tracing import Trace

TIMELINE = "document.querySelector('.asyncmagic').timeline"


class View:
    """A page with one timeline on it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def show(self, trace: Trace) -> View:
        self.page.set_content(
            f"<!doctype html><html lang=en><title>A run</title><body style='margin:8px'>{trace.to_html()}"
        )
        self.page.wait_for_function(f"() => document.querySelector('.asyncmagic') && {TIMELINE}.drawTime !== undefined")
        return self

    def ask(self, expression: str) -> Any:
        return self.page.evaluate(f"(() => {{ const t = {TIMELINE}; t.draw(); return {expression}; }})()")

    def range(self) -> list[float]:
        """The times shown, in seconds."""
        return [time / 1e6 for time in self.ask("[t.view.from, t.view.to]")]

    def place(self, name: str, number: int = 0) -> tuple[float, float]:
        """Where the middle of a bar is on the page."""
        find = """(([name, number]) => { const t = %s; t.draw(); const { store, view } = t;
          const id = [...Array(store.n).keys()].filter((each) => store.nameOf(each) === name)[number];
          const line = t.geometry.lines.find(({ layers }) => layers.some((ids) => ids.includes(id)));
          const box = t.canvas.getBoundingClientRect();
          const middle = (store.start[id] + store.endOf(id)) / 2;
          const x = t.gutter + (middle - view.from) / (view.to - view.from) * t.plot;
          return [box.left + x, box.top + 24 + line.y - view.top + line.h / 2];
        })"""
        x, y = self.page.evaluate(f"{find % TIMELINE}({json.dumps([name, number])})")
        return x, y

    def selected(self) -> str:
        return str(self.ask("t.view.selected < 0 ? '' : t.store.nameOf(t.view.selected)"))

    def press(self, *keys: str) -> None:
        self.page.locator(".am-box").focus()
        for key in keys:
            self.page.keyboard.press(key)
