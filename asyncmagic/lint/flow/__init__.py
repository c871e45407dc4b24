"""What the expressions of a cell are, found without running anything."""

from __future__ import annotations

from asyncmagic.lint.flow.machine import Call, Flow, OutOfTime

__all__ = ["Call", "Flow", "OutOfTime"]
