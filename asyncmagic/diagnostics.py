"""Diagnostic: what a rule found in a cell, where, and what to write instead; as text and as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Final, Literal

Severity = Literal["error", "advice"]


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One finding. Lines and end lines are 1-based; columns and end columns are 0-based offsets in characters.

    `message` says what was found and what will happen, `hint` what to do about it, and `fix` is the corrected source
    of the lines `line` to `end_line` (correct Python), or `None` where no single rewrite is certain.
    """

    line: int
    column: int
    rule: str
    message: str
    hint: str = ""
    fix: str | None = None
    end_line: int = 0
    end_column: int = 0
    severity: Severity = "error"


_NOQA: Final = re.compile(r"#\s*noqa(?!\w)(?:\s*:\s*(?P<rules>[\w\-]+(?:\s*,\s*[\w\-]+)*))?", re.IGNORECASE)


def is_silenced(diagnostic: Diagnostic, source: str) -> bool:
    """Whether `# noqa` or `# noqa: RULE` stands on the diagnostic's line."""
    lines = source.split("\n")
    found = _NOQA.search(lines[diagnostic.line - 1]) if 0 < diagnostic.line <= len(lines) else None
    if found is None:
        return False
    return found["rules"] is None or diagnostic.rule in re.split(r"\s*,\s*", found["rules"])


def render_text(
    diagnostics: Iterable[Diagnostic], source: str, *, cell_label: str | None = None, color: bool = False
) -> str:
    """The diagnostics as text: errors with a caret under the user's source, each advice in one line.

    `cell_label` (such as `In [3]`) stands before the line numbers; `color` adds ANSI colours for a terminal.
    """
    found = sorted(diagnostics)
    parts = [_error_text(d, source, cell_label, color) for d in found if d.severity == "error"]
    parts += [_advice_text(d, cell_label, color) for d in found if d.severity == "advice"]
    return "\n".join(parts)


def _paint(text: str, code: str, color: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if color else text


def _error_text(diagnostic: Diagnostic, source: str, cell_label: str | None, color: bool) -> str:
    where = f" ({cell_label}, line {diagnostic.line})" if cell_label else ""
    lines = [f"{_paint(diagnostic.rule, '1;31', color)}: {diagnostic.message}{where}"]
    shown = _source_lines(diagnostic, source)
    if shown:
        width = len(str(diagnostic.line))
        lines.append(f"  {diagnostic.line:>{width}} | {shown[0]}")
        lines.append(f"  {'':>{width}} | {_paint(caret(diagnostic, shown[0]), '1;31', color)}")
    if diagnostic.fix is not None:
        label, indent = "  Write:  ", _common_indent(diagnostic.fix)
        fixed = [line[indent:] for line in diagnostic.fix.split("\n")]
        lines.append(label + _paint(fixed[0], "32", color))
        lines += [" " * len(label) + _paint(line, "32", color) for line in fixed[1:]]
    elif diagnostic.hint:
        lines.append(f"  {diagnostic.hint}")
    return "\n".join(lines)


def _advice_text(diagnostic: Diagnostic, cell_label: str | None, color: bool) -> str:
    where = f"{cell_label}, line {diagnostic.line}" if cell_label else f"line {diagnostic.line}"
    hint = f" {diagnostic.hint}." if diagnostic.hint else ""
    return f"{_paint(diagnostic.rule, '1;33', color)} ({where}): {diagnostic.message}.{hint}"


def _source_lines(diagnostic: Diagnostic, source: str) -> list[str]:
    return source.split("\n")[diagnostic.line - 1 : max(diagnostic.line, diagnostic.end_line)]


def _common_indent(text: str) -> int:
    return min((len(line) - len(line.lstrip()) for line in text.split("\n") if line.strip()), default=0)


def caret(diagnostic: Diagnostic, line: str) -> str:
    """The carets that stand under the diagnostic's place in its first line; tabs stay tabs."""
    start = min(diagnostic.column, len(line))
    end = diagnostic.end_column if diagnostic.end_line == diagnostic.line else len(line.rstrip())
    indent = "".join("\t" if character == "\t" else " " for character in line[:start])
    return indent + "^" * max(1, min(end, len(line)) - start)


_STYLE: Final = """\
.asyncmagic-lint{--e:#b3261e;--a:#8a5a00;--ok:#18652f;--bg:#fdf6f5;--fg:#1f1f1f;--mut:#5f5f5f;--line:#e6c9c6;\
color:var(--jp-content-font-color1,var(--fg));font:13px/1.45 var(--jp-content-font-family,system-ui,sans-serif);\
border-left:3px solid var(--e);padding:4px 0 4px 10px;margin:4px 0}
@media(prefers-color-scheme:dark){.asyncmagic-lint{--e:#ff8a80;--a:#ffca6b;--ok:#7bd88f;--fg:#e6e6e6;--mut:#a8a8a8}}
[data-jp-theme-light=true] .asyncmagic-lint{--e:#b3261e;--a:#8a5a00;--ok:#18652f;--fg:#1f1f1f;--mut:#5f5f5f}
[data-jp-theme-light=false] .asyncmagic-lint{--e:#ff8a80;--a:#ffca6b;--ok:#7bd88f;--fg:#e6e6e6;--mut:#a8a8a8}
.asyncmagic-lint.quiet{border-color:var(--a)}
.asyncmagic-lint pre{margin:2px 0 2px 8px;padding:0;background:none;color:inherit;\
font:12px/1.4 var(--jp-code-font-family,ui-monospace,monospace);white-space:pre;overflow-x:auto}
.asyncmagic-lint b{color:var(--e)}.asyncmagic-lint summary{cursor:pointer}
.asyncmagic-lint.quiet b{color:var(--a)}.asyncmagic-lint ins{color:var(--ok);text-decoration:none}
.asyncmagic-lint small{color:var(--mut)}
.asyncmagic-lint button{font:inherit;font-size:11px;margin-left:8px;cursor:pointer;color:inherit;background:none;\
border:1px solid currentColor;border-radius:3px;padding:0 6px;opacity:.75}
"""
_COPY: Final = "navigator.clipboard.writeText(this.dataset.fix);this.textContent='Copied'"


def render_html(diagnostics: Iterable[Diagnostic], source: str, *, cell_label: str | None = None) -> str:
    """The diagnostics as an HTML fragment for a notebook, light and dark, all text escaped.

    Errors are shown; each kind of advice is one line that can be opened. Where scripts and styles are stripped
    (an untrusted notebook) the same text stays readable and only the copy button does nothing.
    """
    found = sorted(diagnostics)
    errors = [d for d in found if d.severity == "error"]
    advice = sorted((d for d in found if d.severity == "advice"), key=lambda d: d.rule)
    parts = [_error_html(d, source, cell_label) for d in errors]
    for rule, group in groupby(advice, key=lambda d: d.rule):
        parts.append(_advice_html(rule, list(group), source))
    return f"<style>{_STYLE}</style>{''.join(parts)}" if parts else ""


def _error_html(diagnostic: Diagnostic, source: str, cell_label: str | None) -> str:
    where = f"{cell_label}, line {diagnostic.line}" if cell_label else f"line {diagnostic.line}"
    return (
        f'<div class="asyncmagic-lint" role="note"><b>{escape(diagnostic.rule)}</b>: {_prose(diagnostic.message)} '
        f"<small>{escape(where)}</small>{_body_html(diagnostic, source)}</div>"
    )


def _advice_html(rule: str, group: Sequence[Diagnostic], source: str) -> str:
    first = group[0]
    more = f" (and {len(group) - 1} more)" if len(group) > 1 else ""
    bodies = "".join(
        f"<div><small>line {d.line}</small> {_prose(d.message)}{_body_html(d, source)}</div>" for d in group
    )
    return (
        f'<details class="asyncmagic-lint quiet"><summary><b>{escape(rule)}</b> <small>line {first.line}</small> '
        f"{_prose(first.message)}{more}</summary>{bodies}</details>"
    )


def _body_html(diagnostic: Diagnostic, source: str) -> str:
    shown = _source_lines(diagnostic, source)
    parts = []
    if shown:
        number = str(diagnostic.line)
        marks = caret(diagnostic, shown[0])
        parts.append(f"<pre>{number} | {escape(shown[0])}\n{' ' * len(number)} | <b>{marks}</b></pre>")
    if diagnostic.fix is not None:
        button = f'<button type="button" data-fix="{escape(diagnostic.fix)}" onclick="{_COPY}">Copy</button>'
        parts.append(f"<div>Write:{button}</div><pre><ins>{escape(diagnostic.fix)}</ins></pre>")
    elif diagnostic.hint:
        parts.append(f"<div>{_prose(diagnostic.hint)}.</div>")
    command = f"%asynctrace lint explain {diagnostic.rule}"
    return "".join(parts) + f"<small>More: <code>{escape(command)}</code></small>"


def _prose(text: str) -> str:
    """Escaped text, what stands between backticks as code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    return "".join(f"<code>{escape(p)}</code>" if i % 2 else escape(p) for i, p in enumerate(pieces))
