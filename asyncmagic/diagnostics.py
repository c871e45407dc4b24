"""Diagnostic: what a rule found in a cell, where, and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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
