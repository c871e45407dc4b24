"""CellWatcher: what happens around every cell of a shell: the checks before and after it, and tracing."""

from __future__ import annotations

import logging
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display

from asyncmagic.diagnostics import Diagnostic, render_html, render_text
from asyncmagic.instrumentation.never_awaited import Aftermath
from asyncmagic.lint import check, registry
from asyncmagic.session import session, tracer
from asyncmagic.tracing import Trace
from asyncmagic.tracing.analysis import summarize

logger = logging.getLogger("asyncmagic")

#: Cells of which the source is remembered, for coroutines that are collected long after.
_REMEMBERED = 500
_OURS = ("%%agents", "%%asynctrace", "%asynctrace")


class CellWatcher:
    """Registered for a shell's `pre_run_cell` and `post_run_cell`. Whatever fails in here is logged, never raised."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.is_tracing = False
        self.rules: frozenset[str] = frozenset(registry)
        self._trace: Trace | None = None
        self._static: list[Diagnostic] = []
        self._source = ""
        self._cells: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._broken: set[str] = set()
        self._said: dict[Diagnostic, str] = {}
        self._aftermath = Aftermath(shell.user_ns, self._cells.get, on_late=self._show_late)

    # -- what the magics set

    def trace(self, on: bool) -> str:
        """Trace every following cell, or only those that ask for it."""
        self.is_tracing = on
        return f"asyncmagic traces {'every following cell' if on else 'only %%agents and %%asynctrace cells'}."

    def lint(self, words: list[str]) -> str:
        """Switch the checks on or off, or apply only the rules named; `explain RULE` says what a rule is about."""
        known = list(registry)
        match words:
            case ["explain", rule] if rule in known:
                return (sys.modules[registry[rule].__module__].__doc__ or "").strip()
            case ["on"]:
                self.rules = frozenset(known)
            case ["off"]:
                self.rules = frozenset()
            case [_, *_] if set(words) <= set(known):
                self.rules = frozenset(words)
            case []:
                pass
            case _:
                wrong = ", ".join(word for word in words if word not in known and word != "explain") or "explain"
                raise UsageError(
                    f"%asynctrace lint: {wrong} is no rule; write on, off, explain RULE, or: {' '.join(known)}"
                )
        return f"cells are checked for: {', '.join(sorted(self.rules)) or 'nothing'}"

    def close(self) -> None:
        self._aftermath.close()

    # -- around a cell

    def pre_run_cell(self, info: Any) -> None:
        self._guarded(self._begin, info)

    def post_run_cell(self, result: Any) -> None:
        self._guarded(self._end, result)

    def _guarded(self, step: Callable[[Any], None], what: Any) -> None:
        try:
            step(what)
        except Exception:
            if step.__name__ not in self._broken:
                logger.exception("cells are not checked any more; they run as they would")
            self._broken.add(step.__name__)

    def _begin(self, info: Any) -> None:
        source = self._source = info.raw_cell
        self._static = []
        if self.rules and not info.silent:
            label = f"In [{len(self.shell.user_ns.get('In', ''))}]" if info.store_history else "this cell"
            self._remember(label, source, getattr(info, "transformed_cell", None))
            self._static = check(source, self.shell.user_ns, rules=self.rules)
            self._show(self._static, source)
            self._aftermath.start(label)
        if self.is_tracing and not source.lstrip().startswith(_OURS):
            first = next((line.strip() for line in source.splitlines() if line.strip()), "cell")
            self._trace = session.start_trace(first[:60])
            tracer.make_current(self._trace.root)

    def _end(self, result: Any) -> None:
        trace, self._trace = self._trace, None
        error = getattr(result, "error_in_exec", None)
        if trace is not None:
            # Of an async cell this is another context, in which nothing was made current.
            tracer.make_current(None)
            session.end_trace(trace, error=error)
            print(f"asyncmagic: {summarize(trace).headline()}")
        found = self._aftermath.finish(getattr(result, "result", None), error, self._static)
        self._show([diagnostic for diagnostic in found if diagnostic.rule in self.rules], self._source)

    def _remember(self, label: str, source: str, transformed: str | None) -> None:
        """Note the file name under which the cell will run; older IPython does not tell what it transformed."""
        code = transformed if transformed is not None else self.shell.transform_cell(source)
        # Some versions have counted the cell already, others count it at its end.
        for count in (self.shell.execution_count, self.shell.execution_count - 1):
            name = self.shell.compile.get_code_name(source, code, count)
            self._cells[name] = (label, source)
            self._cells.move_to_end(name)
        while len(self._cells) > _REMEMBERED:
            self._cells.popitem(last=False)

    # -- saying it

    def _show_late(self, diagnostic: Diagnostic, label: str, source: str) -> None:
        if diagnostic.rule in self.rules:
            self._show([diagnostic], source, label)

    def _show(self, diagnostics: Iterable[Diagnostic], source: str, label: str | None = None) -> None:
        fresh = [diagnostic for diagnostic in diagnostics if self._said.get(diagnostic) != source]
        known = [diagnostic for diagnostic in diagnostics if self._said.get(diagnostic) == source]
        self._said.update(dict.fromkeys(fresh, source))
        if known:
            again = ", ".join(f"{diagnostic.rule} in line {diagnostic.line}" for diagnostic in known)
            print(f"asyncmagic: as before, {again}", file=sys.stderr)
        if not fresh:
            return
        if getattr(self.shell, "kernel", None) is None:
            print(render_text(fresh, source, cell_label=label, color=sys.stderr.isatty()), file=sys.stderr)
            return
        text = render_text(fresh, source, cell_label=label)
        display({"text/html": render_html(fresh, source, cell_label=label), "text/plain": text}, raw=True)
