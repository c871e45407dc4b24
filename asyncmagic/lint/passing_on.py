"""Whether the handler of an exception lets a cancellation go on."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from asyncmagic.lint.cell import Cell
from asyncmagic.lint.flow.kinds import source_of
from asyncmagic.lint.flow.sources import facts, own_nodes

#: Methods that hand the exception on, or end the process.
_HANDING_ON = frozenset({"set_exception", "uncancel", "throw", "_exit", "exit"})
_CANCELLATIONS = ("CancelledError", "BaseException", "get_cancelled_exc_class", "Cancelled")


def passes_on(cell: Cell, handler: ast.ExceptHandler, function: ast.AsyncFunctionDef) -> bool:
    """Whether the handler raises again when cancelled, or hands the exception to someone who will."""
    attempts = {
        name.id
        for parent in cell.above(handler)
        if isinstance(parent, ast.For) and cell.function_of(parent) is function
        for name in ast.walk(parent.target)
        if isinstance(name, ast.Name)
    }
    return _goes_on(cell, handler.body, handler.name or "", attempts) or _is_raised_later(handler, function)


def _goes_on(cell: Cell, body: Sequence[ast.stmt], name: str, attempts: set[str]) -> bool:
    """Whether the statements raise; where a condition leaves that open, whether they do in one of its branches."""
    cell.flow.check_time()
    for number, statement in enumerate(body):
        if not isinstance(statement, ast.If):
            if _hands_on(cell, statement):
                return True
            if isinstance(statement, (ast.Return, ast.Continue, ast.Break)):
                return False
            continue
        taken = _is_true_when_cancelled(statement.test, name)
        rest = body[number + 1 :]
        branches = [
            _goes_on(cell, [*branch, *rest], name, attempts)
            for branch, is_taken in ((statement.body, taken is not False), (statement.orelse, taken is not True))
            if is_taken
        ]
        names = {n.id for n in ast.walk(statement.test) if isinstance(n, ast.Name)}
        return all(branches) if names & attempts else any(branches)  # The first attempts are cancelled too.
    return False


def _hands_on(cell: Cell, statement: ast.stmt) -> bool:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    for child in ast.walk(statement):
        if isinstance(child, ast.Raise):
            return True
        if not isinstance(child, ast.Call):
            continue
        method = child.func.attr if isinstance(child.func, ast.Attribute) else ""
        is_own = method == "cancel" and "current_task" in ast.unparse(child.func)
        if method in _HANDING_ON or is_own or _never_returns(cell, child):
            return True
    return False


def _is_true_when_cancelled(test: ast.expr, name: str) -> bool | None:
    """What a condition on the caught exception is when that is a CancelledError; None where it asks something else."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        found = _is_true_when_cancelled(test.operand, name)
        return None if found is None else not found
    if isinstance(test, ast.BoolOp):
        answers = {_is_true_when_cancelled(part, name) for part in test.values}
        decisive = isinstance(test.op, ast.Or)
        return decisive if decisive in answers else None if None in answers else not decisive
    classes: ast.expr | None = None
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Name) and test.func.id == "isinstance":
        classes = test.args[1] if len(test.args) == 2 and ast.unparse(test.args[0]) == name else None
    elif isinstance(test, ast.Compare) and ast.unparse(test.left) == f"type({name})":
        classes = test.comparators[0] if isinstance(test.ops[0], (ast.Is, ast.Eq, ast.In)) else None
    if classes is None:
        return None
    parts = classes.elts if isinstance(classes, ast.Tuple) else [classes]
    if any(word in ast.unparse(classes) for word in _CANCELLATIONS):
        return True
    is_plain = all(ast.unparse(part).endswith(("Error", "Exception", "Exit", "Interrupt")) for part in parts)
    return False if is_plain else None


def _is_raised_later(handler: ast.ExceptHandler, function: ast.AsyncFunctionDef) -> bool:
    """Whether the function keeps the exception, and raises it elsewhere."""
    names = {handler.name} if handler.name else set()
    for statement in handler.body:
        for child in ast.walk(statement):
            if isinstance(child, ast.Assign) and isinstance(child.value, ast.Name) and child.value.id in names:
                names |= {t.id for t in child.targets if isinstance(t, ast.Name)}
    inside = {node for statement in handler.body for node in ast.walk(statement)}
    return any(
        isinstance(n, ast.Raise)
        and n not in inside
        and n.exc is not None
        and (ast.unparse(n.exc) in names or "CancelledError" in ast.unparse(n.exc))
        for n in own_nodes(function)
    )


def _never_returns(cell: Cell, call: ast.Call) -> bool:
    """Whether the call always raises: `self._convert_error(exc)`."""
    found = cell.flow.calls.get(call)
    function = source_of(cell.flow, found.function) if found is not None else None
    if function is None or isinstance(function.node, ast.Lambda):
        return False
    returns = ast.unparse(function.node.returns) if function.node.returns is not None else ""
    body = facts(function.node)
    return (
        "NoReturn" in returns or "Never" in returns or not (body.returns or body.may_fall_through or body.is_generator)
    )
