"""Which functions of a cell run on its loop, and which code never runs."""

from __future__ import annotations

import ast

from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow.values import Bound, Function, Value


def definition(value: Value | None) -> ast.AST | None:
    """The function of the cell that a value is."""
    if isinstance(value, Bound):
        return definition(value.function)
    return value.node if isinstance(value, Function) else None


def called_on_loop(cell: Cell) -> set[ast.AST]:
    """The plain functions of the cell that code on its loop calls directly, and that go nowhere else.

    A function that is passed on as a value may be called in a thread, so nothing is said about it.
    """
    passed: set[ast.AST] = set()
    called: dict[ast.AST, set[ast.AST | None]] = {}
    for node, call in cell.flow.calls.items():
        for value in call.values:
            found = definition(value)
            if found is not None:
                passed.add(found)
        callee = definition(call.function)
        if isinstance(callee, (ast.FunctionDef, ast.Lambda)):
            called.setdefault(callee, set()).add(cell.function_of(node))
    reached: set[ast.AST] = set()
    grows = True
    while grows:
        grows = False
        for callee, callers in called.items():
            if callee in reached or callee in passed:
                continue
            if any(c is None or isinstance(c, ast.AsyncFunctionDef) or c in reached for c in callers):
                reached.add(callee)
                grows = True
    return reached


def is_dead(cell: Cell, node: ast.AST) -> bool:
    """Whether a constant condition keeps the node from running."""
    child = node
    for parent in cell.above(node):
        if isinstance(parent, (ast.If, ast.While)) and child is not parent.test:
            verdict = bool(parent.test.value) if isinstance(parent.test, ast.Constant) else None
            if verdict is not None and (child in parent.body) != verdict:
                return True
        child = parent
    return False
