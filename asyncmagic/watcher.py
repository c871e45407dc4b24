"""CellWatcher: what happens around every cell of a shell: the checks before and after it, and tracing."""

from __future__ import annotations

import logging
import os.path
import re
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from traitlets import Bool, Float, Int, List, TraitError, Unicode, default, observe, validate
from traitlets.config import Configurable

from asyncmagic import wrappers
from asyncmagic.costs import blocking_lines, sequence_cost
from asyncmagic.diagnostics import Diagnostic, is_silenced, render_html, render_text
from asyncmagic.instrumentation.never_awaited import Aftermath
from asyncmagic.lint import check, registry
from asyncmagic.session import session, tracer
from asyncmagic.tracing import Trace
from asyncmagic.tracing.analysis import summarize

logger = logging.getLogger("asyncmagic")

#: Cells of which the source is remembered, for coroutines that are collected long after.
_REMEMBERED = 500
_OURS = ("%%agents", "%%asynctrace", "%asynctrace")


class AsyncMagic(Configurable):
    """The settings: `%config AsyncMagic` shows them, `%config AsyncMagic.blocking_threshold = 0.05` sets one."""

    rules = List(Unicode(), help="The rules that every cell is checked by.").tag(config=True)
    trace_cells = Bool(False, help="Whether every cell is traced, as after `%asynctrace on`.").tag(config=True)
    blocking_threshold = Float(
        tracer.blocking_threshold, min=0.001, help="A step that holds the loop for longer is shown as blocked; seconds."
    ).tag(config=True)
    max_spans = Int(tracer.max_spans, min=1, help="The most spans that one trace keeps; the others are counted.").tag(
        config=True
    )

    @default("rules")
    def _all_rules(self) -> list[str]:
        return list(registry)

    @validate("rules")
    def _known_rules(self, proposal: Any) -> list[str]:
        rules: list[str] = proposal["value"]
        if unknown := [rule for rule in rules if rule not in registry]:
            raise TraitError(f"{', '.join(unknown)}: no such rule; known are {', '.join(registry)}")
        return rules

    @observe("blocking_threshold", "max_spans")
    def _pass_on(self, change: Any) -> None:
        setattr(tracer, change["name"], change["new"])


class CellWatcher:
    """Registered for a shell's `pre_run_cell` and `post_run_cell`. Whatever fails in here is logged, never raised."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        try:
            self.settings = AsyncMagic(parent=shell)
        except TraitError as error:
            # `%config` complains about a wrong value and keeps it all the same.
            logger.warning("the settings are back to what they were at first: %s", error)
            shell.config.pop("AsyncMagic", None)
            self.settings = AsyncMagic(parent=shell)
        #: Of the cells that run now, the innermost last: a cell may run another one (`%run notebook.ipynb`).
        self._running: list[Trace | None] = []
        self._static: list[Diagnostic] = []
        self._source = ""
        self._files: list[str] = []
        self._newest: Trace | None = None
        self._cells: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._broken: set[str] = set()
        self._said: dict[Diagnostic, str] = {}
        tracer.name_file = self._name_file
        self._aftermath = Aftermath(shell.user_ns, self._cells.get, on_late=self._show_late)

    # -- what the magics set

    def trace(self, on: bool) -> str:
        """Trace every following cell, or only those that ask for it."""
        self.settings.trace_cells = on
        return f"asyncmagic traces {'every following cell' if on else 'only %%agents and %%asynctrace cells'}."

    def lint(self, words: list[str]) -> str:
        """Switch the checks on or off, or apply only the rules named; `explain RULE` says what a rule is about."""
        known = list(registry)
        match words:
            case ["explain", rule] if rule in known:
                return (sys.modules[registry[rule].__module__].__doc__ or "").strip()
            case ["on"]:
                self.settings.rules = known
            case ["off"]:
                self.settings.rules = []
            case [_, *_] if set(words) <= set(known):
                self.settings.rules = words
            case []:
                pass
            case _:
                wrong = ", ".join(word for word in words if word not in known and word != "explain") or "explain"
                raise UsageError(
                    f"%asynctrace lint: {wrong} is no rule; write on, off, explain RULE, or: {' '.join(known)}"
                )
        return f"cells are checked for: {', '.join(self.settings.rules) or 'nothing'}"

    def close(self) -> None:
        tracer.name_file = os.path.basename
        self._aftermath.close()

    # -- around a cell

    def pre_run_cell(self, info: Any) -> None:
        self._guarded(self._begin, info)
        self._guarded(self._start_trace, info)

    def post_run_cell(self, result: Any) -> None:
        self._guarded(self._end_trace, result)
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
        self._newest = session.newest
        if self.settings.rules and not info.silent:
            label = f"In [{len(self.shell.user_ns.get('In', ''))}]" if info.store_history else "this cell"
            self._remember(label, source, getattr(info, "transformed_cell", None))
            self._static = check(source, self.shell.user_ns, rules=self.settings.rules)
            self._show(self._static, source)
            self._aftermath.start(label)

    def _start_trace(self, info: Any) -> None:
        self._running.append(None)
        if self.settings.trace_cells and not info.raw_cell.lstrip().startswith(_OURS):
            first = next((line.strip() for line in info.raw_cell.splitlines() if line.strip()), "cell")
            trace = self._running[-1] = session.start_trace(first[:60])
            tracer.make_current(trace.root)

    def _end_trace(self, result: Any) -> None:
        trace = self._running.pop() if self._running else None
        if trace is not None:
            # Of an async cell this is another context, in which nothing was made current.
            outer = next((one for one in reversed(self._running) if one is not None), None)
            tracer.make_current(outer.root if outer is not None else None)
            session.end_trace(trace, error=getattr(result, "error_in_exec", None))
            print(f"asyncmagic: {summarize(trace).headline()}")

    def _end(self, result: Any) -> None:
        if session.newest is not None and session.newest is not self._newest:
            self._show_costs(session.newest)
            self._show_blocks(session.newest)
        error = getattr(result, "error_in_exec", None)
        found = self._aftermath.finish(getattr(result, "result", None), error, self._static)
        self._show(found, self._source)

    def _remember(self, label: str, source: str, transformed: str | None) -> None:
        """Note the file name under which the cell will run; older IPython does not tell what it transformed."""
        code = transformed if transformed is not None else self.shell.transform_cell(source)
        # Some versions have counted the cell already, others count it at its end.
        counts = (self.shell.execution_count, self.shell.execution_count - 1)
        self._files = sorted({self.shell.compile.get_code_name(source, code, count) for count in counts})
        for name in self._files:
            self._cells[name] = (label, source)
            self._cells.move_to_end(name)
        while len(self._cells) > _REMEMBERED:
            self._cells.popitem(last=False)

    def _name_file(self, file: str) -> str:
        """Call the file of a cell by the cell's number: its path is made up, or a temporary one."""
        number = getattr(self.shell.compile, "_filename_map", {}).get(file)
        if number is None and (found := re.search(r"\d+", self._cells.get(file, ("",))[0])):
            number = found[0]
        return f"cell [{number}]" if number else os.path.basename(file)  # noqa: PTH119

    # -- saying it

    def _show_costs(self, trace: Trace) -> None:
        """Say what awaiting one after another has cost, for the advice that was given before the cell ran."""
        for diagnostic in self._static:
            if diagnostic.rule == "sequential-awaits":
                for file in self._files:
                    if cost := sequence_cost(diagnostic.line, self._source, file, trace):
                        print(f"asyncmagic: line {diagnostic.line}: {cost}")

    def _show_blocks(self, trace: Trace) -> None:
        """Say which lines of the user's cells held the loop, where the checks did not see it coming."""
        if {state for _, state, _ in trace.root.states or ()} == {"running"}:
            return  # The cell awaited nothing: plain code holds the loop, and is not to be told so.
        foreseen = {(source, diagnostic.line) for diagnostic, source in self._said.items()}
        for (file, line), seconds in blocking_lines(trace).items():
            label, source = self._cells.get(file, ("", ""))
            lines = source.split("\n")
            if (source, line) in foreseen or not 0 < line <= len(lines) or lines[line - 1].startswith(_OURS):
                continue
            text = lines[line - 1]
            message = f"this line held the event loop for {seconds:.2f} s: until it was done, no other task ran"
            hint = "Await an async twin, or move the work to a thread: `await asyncio.to_thread(…)`"
            if twin := wrappers.twin(text, self.shell.user_ns):
                hint = f"Write `{twin}`"
            column = len(text) - len(text.lstrip())
            found = Diagnostic(
                line, column, "blocking-call", message, hint, end_line=line, end_column=len(text.rstrip())
            )
            self._show([found], source, label)

    def _show_late(self, diagnostic: Diagnostic, label: str, source: str) -> None:
        self._show([diagnostic], source, label)

    def _show(self, diagnostics: Iterable[Diagnostic], source: str, label: str | None = None) -> None:
        rules = self.settings.rules
        diagnostics = [found for found in diagnostics if found.rule in rules and not is_silenced(found, source)]
        fresh = [diagnostic for diagnostic in diagnostics if self._said.get(diagnostic) != source]
        known = [diagnostic for diagnostic in diagnostics if self._said.get(diagnostic) == source]
        if len(self._said) > _REMEMBERED:
            self._said.clear()
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
