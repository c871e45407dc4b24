"""View: what several pictures of one trace share, worked out once."""

from __future__ import annotations

from functools import cached_property

from asyncmagic.layout import Block, Layout
from asyncmagic.tracing.analysis import Summary, summarize
from asyncmagic.tracing.model import Trace


class View:
    """A trace that is about to be drawn: each part is made when the first picture asks for it."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.svg: str | None = None  # once it is drawn

    @cached_property
    def layout(self) -> Layout:
        return Layout.of(self.trace)

    @cached_property
    def blocks(self) -> list[Block]:
        return self.layout.blocks()

    @cached_property
    def figures(self) -> Summary:
        return summarize(self.trace)

    @cached_property
    def headline(self) -> str:
        return self.figures.headline()
