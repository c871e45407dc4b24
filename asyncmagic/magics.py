"""`%%agents` and `%asynctrace`: read their arguments, ask the session, show what it says."""

from __future__ import annotations

import argparse
import ast
import asyncio
import builtins
import contextlib
import difflib
import linecache
import logging
import shlex
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from typing import Any, Literal, NoReturn, Protocol
from weakref import WeakKeyDictionary

from IPython import get_ipython
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_cell_magic, magics_class
from IPython.utils.capture import capture_output

from asyncmagic import doctor, tasks, wrappers
from asyncmagic.cell import AgentCell, adopt, adopt_expression, keep, place, result, run_here
from asyncmagic.instrumentation.places import is_users
from asyncmagic.kernel import Interrupt, comm_messages
from asyncmagic.lint import check
from asyncmagic.nesting import nested_loop
from asyncmagic.rewrite import MARK, Rewriter, rewrite_source, unmarked
from asyncmagic.runner import Options, Run
from asyncmagic.session import session, tracer
from asyncmagic.terminal import TerminalTimeline
from asyncmagic.tracing import Span, Trace
from asyncmagic.watcher import CellWatcher

logger = logging.getLogger("asyncmagic")

__all__ = ["adopt", "adopt_expression", "cell", "keep", "load", "place", "result", "run_here", "unload"]

_EXAMPLES = """
examples:
  %%agents
  facts = researcher("solar")              starts at once, in a task named `facts`
  draft = await writer(await facts)        ordinary await still works

  %%agents --limit 8 -o run
  answers = [ask(q) for q in questions]    all of them, at most 8 in flight; `answers` then holds the results

Inside %%agents, calling an async function starts it; whatever the cell does not await itself is awaited at the end,
and the name then holds the result.
"""


class _Parser(argparse.ArgumentParser):
    """Reports a wrong option as the notebook does, with the ones that are allowed."""

    def error(self, message: str) -> NoReturn:
        known = [action.option_strings[0] for action in self._actions]
        wrong = [word for word in message.split() if word.startswith("-") and word.strip(":") not in known]
        close = difflib.get_close_matches(wrong[-1], known, n=1) if wrong else []
        meant = f" Did you mean {close[0]}?" if close else ""
        raise UsageError(f"{self.prog}: {message}.{meant} Options are {', '.join(known)}; {self.prog}? explains them.")

    def read(self, line: str) -> argparse.Namespace:
        try:
            words = shlex.split(line)
        except ValueError as error:
            self.error(f"cannot read {line!r}: {error}")
        if not {"-h", "--help"}.isdisjoint(words):
            raise UsageError(self.format_help())
        return self.parse_args(words)


def _at_least_one(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return number


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return number


def _name(text: str) -> str:
    if not text.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not a name that a variable can have")
    return text


def _parser(kind: Literal["agents", "asynctrace"]) -> _Parser:
    agents = kind == "agents"
    parser = _Parser(
        prog=f"%%{kind}",
        description="Run the coroutines of this cell together, on the loop that is running, and draw them."
        if agents
        else "Trace this cell exactly as it stands.",
        epilog=_EXAMPLES if agents else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    add = parser.add_argument
    if agents:
        add("--limit", type=_at_least_one, metavar="N", help="at most N agents in flight; the others queue, in order")
        add("--timeout", type=_seconds, metavar="S", help="cancel what still runs after S seconds")
        add("--agent-timeout", type=_seconds, metavar="S", help="cancel each agent that takes longer than S seconds")
        add("--fail-fast", action="store_true", help="cancel the other agents at the first failure")
        add("--return-exceptions", action="store_true", help="raise nothing; names hold the exceptions")
        add("--nest", action="store_true", help="let run_sync, kickoff() and their like run inside the running loop")
    add("--name", metavar="TEXT", help="what the timeline and the trace are called")
    add("--content", action="store_true", help="keep prompts and answers in the trace")
    add("--no-timeline", action="store_true", help="draw nothing below the cell")
    add("-o", "--output", type=_name, metavar="VAR", help="the variable that gets the Trace")
    return parser


# -- the cell that runs


class _View(Protocol):
    """What shows a run while it goes on and afterwards; also a span processor."""

    def show(self) -> None: ...
    def finish(self) -> None: ...
    def on_start(self, span: Span) -> None: ...
    def on_update(self, span: Span) -> None: ...
    def on_end(self, span: Span) -> None: ...


def _view(shell: InteractiveShell, name: str, cancel: Any) -> _View:
    if getattr(shell, "kernel", None) is not None:
        try:
            from asyncmagic.widget import TimelineWidget  # Loaded by `_warm_up`, if nothing has gone wrong.

            view: _View = TimelineWidget(name, on_cancel=cancel)
            return view
        except Exception as error:
            logger.warning("the timeline is text here, since a widget cannot be made: %s", error)
    return TerminalTimeline(name)


class cell:
    """The block around the body of a `%%agents` or `%%asynctrace` cell: traces it, shows it, waits for its agents."""

    def __init__(self, kind: Literal["agents", "asynctrace", "await"], line: str, outer: str) -> None:
        shell = get_ipython()
        assert shell is not None
        self.shell: InteractiveShell = shell
        self.kind = kind
        _show_own_lines(sys._getframe(1).f_code.co_filename)
        options = "" if kind == "await" else shell.var_expand(line)
        self.arguments = _parser("agents" if kind == "agents" else "asynctrace").read(options)
        self.title = self.arguments.name or (line if kind == "await" else f"%%{kind}")
        self.outer: list[tuple[str, str]] = ast.literal_eval(outer)
        self.run: Run | None = None

    async def __aenter__(self) -> None:
        self._stack = ExitStack()
        try:
            self._enter()
            if self.run is not None:
                await self.run.__aenter__()
            # The step that runs now began before anybody watched: what holds the loop from here on shall be seen.
            await asyncio.sleep(0)
        except BaseException:
            self._stack.close()
            raise

    def _enter(self) -> None:
        arguments, stack = self.arguments, self._stack
        stack.enter_context(_outer_magics(self.shell, self.outer))
        if self.kind == "agents" and arguments.nest:
            stack.enter_context(nested_loop(asyncio.get_running_loop()))
        views: tuple[_View, ...] = ()
        if not arguments.no_timeline:
            views = (_view(self.shell, self.title, self._cancel),)
        trace = session.start_trace(self.title, processors=views, keeps_content=arguments.content)
        self.trace = trace
        if arguments.output:
            self.shell.user_ns[arguments.output] = trace
        for view in views:
            _guarded(view.show)
            stack.callback(_guarded, view.finish)
        stack.callback(lambda: session.end_trace(trace, error=self.error))
        stack.enter_context(tracer.use(trace.root))
        if self.kind == "agents":
            names = ("limit", "timeout", "agent_timeout", "fail_fast", "return_exceptions")
            options = Options(**{name: getattr(arguments, name) for name in names})
            self.run = Run(tracer, trace, options, say=_say)
            stack.enter_context(comm_messages(self.shell))
            stack.enter_context(Interrupt(lambda: self._stop("interrupted")))
        self.agents = AgentCell(self.shell.user_ns, self.run, _say)
        self.agents.make_current()

    error: BaseException | None = None

    async def __aexit__(self, kind: Any, error: BaseException | None, traceback: Any) -> Literal[False]:
        __tracebackhide__ = True
        self.error = error
        try:
            if self.run is not None:
                if error is None:
                    self.agents.start_what_is_left()
                    self.run.on_rest = partial(self.agents.start_what_is_left, also_handed=True)
                await self.run.__aexit__(kind, error, traceback)
        except BaseException as raised:
            self.error = raised
            raise
        finally:
            with self._stack:
                if self.run is not None:
                    self.agents.bind()
                if self.error is not None or any(_hides_value(*magic) for magic in self.outer):
                    self.agents.result()
                if self.error is not None and (advice := wrappers.explain(self.error, is_users)):
                    _say(advice)
            if self.run is not None:
                self.run.forget()
            self.run = None
        return False

    def _cancel(self, span_id: int | None = None) -> None:
        if self.run is not None:
            self.run.cancel(span_id)

    def _stop(self, reason: Literal["interrupted"]) -> None:
        if self.run is not None:
            self.run.stop(reason)


def _guarded(show: Callable[[], None]) -> None:
    """Draw; where that fails, the cell runs on without a picture."""
    try:
        show()
    except Exception:
        logger.exception("the timeline cannot be drawn; your code is not affected")


def _say(message: str) -> None:
    print(f"asyncmagic: {message}", file=sys.stderr)


def _show_own_lines(file: str) -> None:
    """Let tracebacks show the user's `%%agents` line and not the one that stands for it."""
    cached = linecache.cache.get(file)
    if cached is not None and len(cached) == 4:
        for index, line in enumerate(cached[2]):
            if MARK in line:
                cached[2][index] = unmarked(line)


def _hides_value(magic: str, line: str) -> bool:
    return magic == "capture" and "--no-display" not in line.split()


class _outer_magics:
    """`%%time` and `%%capture` above or below the magic: they cannot hold an await, so they are done here."""

    def __init__(self, shell: InteractiveShell, magics: list[tuple[str, str]]) -> None:
        self._shell = shell
        self._magics = magics

    def __enter__(self) -> None:
        self._captures: list[tuple[str | None, Any, Any]] = []
        self._start, self._cpu = time.perf_counter(), time.process_time()
        for name, line in self._magics:
            if name == "capture":
                words = line.split()
                flags = {f"--no-{stream}": stream for stream in ("stdout", "stderr", "display")}
                capture = capture_output(**{stream: flag not in words for flag, stream in flags.items()})
                into = next((word for word in words if not word.startswith("-")), None)
                self._captures.append((into, capture, capture.__enter__()))

    def __exit__(self, *raised: Any) -> None:
        for into, capture, captured in self._captures:
            capture.__exit__(*raised)
            if into:
                self._shell.user_ns[into] = captured
        if any(name == "time" for name, _ in self._magics):
            print(f"CPU time: {time.process_time() - self._cpu:.3f} s")
            print(f"Wall time: {time.perf_counter() - self._start:.3f} s")


# -- the magics

_ASYNCTRACE = """Look at what ran.

    %asynctrace                   the last trace, as a report
    %asynctrace on | off          trace every following cell, with a one-line summary below it
    %asynctrace await main()      run one statement and time it, like %time but for async code
    %%asynctrace                  trace a cell exactly as it stands (nothing is started for you)
    %asynctrace tasks             the tasks alive on the loop now, as a tree
    %asynctrace lint on | off     check cells for missing awaits; `lint RULE …` checks only these rules
    %asynctrace send              send the last trace through your OpenTelemetry tracer provider
    %asynctrace doctor            what on this kernel helps or hurts
    %asynctrace help              this text
"""


@magics_class
class AsyncMagics(Magics):
    """The two magics; the cells themselves are rewritten, see `asyncmagic.rewrite`."""

    @cell_magic
    def agents(self, line: str, cell: str) -> None:
        # Only cells that the rewriting has left alone come here.
        _parser("agents").read(line)
        if not self.shell.autoawait:
            raise UsageError("%%agents needs autoawait: run %autoawait on")
        raise UsageError("%%agents has to be the first line of its cell; only %%time and %%capture may stand above it")

    @line_cell_magic
    def asynctrace(self, line: str, cell: str | None = None) -> None:
        if cell is not None:
            raise UsageError(
                "%%asynctrace needs a cell with code, and has to be its first line"
                if self.shell.autoawait
                else "%%asynctrace needs autoawait: run %autoawait on"
            )
        command, _, rest = line.strip().partition(" ")
        watcher = _watchers[self.shell]
        commands = {
            "": self._report,
            "on": lambda rest: print(watcher.trace(True)),
            "off": lambda rest: print(watcher.trace(False)),
            "tasks": lambda rest: print(tasks.tree()),
            "doctor": lambda rest: print(doctor.report(session)),
            "lint": lambda rest: print(watcher.lint(rest.split())),
            "send": self._send,
            "help": lambda rest: print(_ASYNCTRACE),
        }
        if command == "await":
            raise UsageError("%asynctrace await …: needs autoawait (%autoawait on) and a line of its own")
        if command not in commands:
            close = difflib.get_close_matches(command, commands, n=1)
            meant = f" Did you mean `{close[0]}`?" if close else ""
            known = ", ".join(name for name in commands if name)
            raise UsageError(f"%asynctrace: unknown command {command!r}.{meant} Known are await, {known}.")
        if rest.strip() and command != "lint":
            raise UsageError(f"%asynctrace {command} takes nothing more, such as {rest.strip()!r}: leave that out")
        commands[command](rest)

    def _report(self, rest: str) -> None:
        print(self._last_trace().export("report"))

    def _send(self, rest: str) -> None:
        trace = self._last_trace()
        try:
            print(f"{trace.send()} spans of {trace.name!r} were handed to your OpenTelemetry tracer provider")
        except RuntimeError as error:
            raise UsageError(f"%asynctrace send: {error}") from None

    def _last_trace(self) -> Trace:
        if not session.traces:
            raise UsageError("%asynctrace: nothing has been traced yet; start a cell with %%agents, or %asynctrace on")
        return session.traces[-1]


AsyncMagics.agents.__doc__ = _parser("agents").format_help()
AsyncMagics.asynctrace.__doc__ = _ASYNCTRACE


_watchers: WeakKeyDictionary[InteractiveShell, CellWatcher] = WeakKeyDictionary()


class _Source:
    """IPython's input transformer: the rewriting of `asyncmagic.rewrite`, in a shell that can await at top level."""

    # Not asked for while the user still types: IPython leaves such transformers out of its completeness check.
    has_side_effects = True

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def __call__(self, lines: list[str]) -> list[str]:
        return rewrite_source(lines) if self._shell.autoawait else lines


def _complete(shell: InteractiveShell, event: Any) -> list[str]:
    return [option for action in _parser("agents")._actions for option in action.option_strings]


def _warm_up(shell: InteractiveShell) -> None:
    """Load what the first cells need, beside the user's first steps; what fails here fails again where it counts."""
    with contextlib.suppress(Exception):
        check("pass")
        if getattr(shell, "kernel", None) is not None:
            import_module("asyncmagic.widget")


def load(shell: InteractiveShell) -> None:
    """Put the magics, the rewriting and the checks into a shell; loading twice is loading once."""
    unload(shell)
    shell.input_transformers_cleanup.append(_Source(shell))
    shell.ast_transformers.append(Rewriter(shell.user_ns))
    shell.register_magics(AsyncMagics)
    setattr(builtins, MARK, sys.modules[__name__])
    watcher = _watchers[shell] = CellWatcher(shell)
    shell.configurables.append(watcher.settings)
    shell.events.register("pre_run_cell", watcher.pre_run_cell)
    shell.events.register("post_run_cell", watcher.post_run_cell)
    shell.set_hook("complete_command", _complete, str_key="%%agents")
    threading.Thread(target=_warm_up, args=(shell,), name="asyncmagic-warm-up", daemon=True).start()


def unload(shell: InteractiveShell) -> None:
    """Take everything out again."""
    for transformers, ours in ((shell.input_transformers_cleanup, _Source), (shell.ast_transformers, Rewriter)):
        transformers[:] = [one for one in transformers if not isinstance(one, ours)]
    for kind, name in (("cell", "agents"), ("cell", "asynctrace"), ("line", "asynctrace")):
        shell.magics_manager.magics[kind].pop(name, None)
    if (watcher := _watchers.pop(shell, None)) is not None:
        shell.events.unregister("pre_run_cell", watcher.pre_run_cell)
        shell.events.unregister("post_run_cell", watcher.post_run_cell)
        shell.configurables.remove(watcher.settings)
        watcher.close()
    if not _watchers:
        vars(builtins).pop(MARK, None)
