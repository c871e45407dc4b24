"""What a function without source does, read off its bytecode: only where it runs straight from top to bottom."""

from __future__ import annotations

import ast
import dis
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any, cast

from asyncmagic.lint.flow.values import FunctionNode

_MOST = 200
_IGNORED = frozenset({"RESUME", "NOP", "CACHE", "PRECALL", "COPY_FREE_VARS", "MAKE_CELL", "EXTENDED_ARG", "END_SEND"})
_LOADS = frozenset(
    {"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLOSURE"}
)
_COLLECTIONS: dict[str, Callable[[list[ast.expr]], ast.expr]] = {
    "BUILD_LIST": lambda items: ast.List(items, ast.Load()),
    "BUILD_TUPLE": lambda items: ast.Tuple(items, ast.Load()),
    "BUILD_SET": ast.Set,
    "BUILD_STRING": lambda items: ast.JoinedStr([]),
}


class _Unreadable(Exception):
    """The bytecode does something that is not told here."""


def tree_from_bytecode(function: types.FunctionType) -> FunctionNode | None:
    """Return a function with the same calls and the same returned value, or `None` where it is not a straight line."""
    code = function.__code__
    if code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        return None
    try:
        body = _Reader(code).statements()
    except (_Unreadable, IndexError):
        return None
    count = code.co_argcount
    names = list(code.co_varnames)
    arguments = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(name) for name in names[:count]],
        vararg=None,
        kwonlyargs=[ast.arg(name) for name in names[count : count + code.co_kwonlyargcount]],
        kw_defaults=[ast.Constant(None) for _ in range(code.co_kwonlyargcount)],
        kwarg=None,
        defaults=[ast.Constant(None) for _ in function.__defaults__ or ()],
    )
    after = count + code.co_kwonlyargcount
    if code.co_flags & inspect.CO_VARARGS:
        arguments.vararg = ast.arg(names[after])
        after += 1
    if code.co_flags & inspect.CO_VARKEYWORDS:
        arguments.kwarg = ast.arg(names[after])
    kind = ast.AsyncFunctionDef if code.co_flags & inspect.CO_COROUTINE else ast.FunctionDef
    tree = kind("_", arguments, body, [], lineno=1, col_offset=0)
    for node in ast.walk(tree):
        node.lineno = node.end_lineno = code.co_firstlineno  # type: ignore[attr-defined]
        node.col_offset = node.end_col_offset = 0  # type: ignore[attr-defined]
    return tree


class _Reader:
    """Runs the bytecode with expressions in place of values. `None` on the stack is the interpreter's own NULL."""

    def __init__(self, code: types.CodeType) -> None:
        self.code = code
        self.stack: list[ast.expr | None] = []
        self.keywords: tuple[str, ...] = ()

    def statements(self) -> list[ast.stmt]:
        body: list[ast.stmt] = []
        is_awaiting = False
        for count, instruction in enumerate(dis.get_instructions(self.code)):
            name, value, number = instruction.opname, instruction.argval, instruction.arg or 0
            if count > _MOST:
                raise _Unreadable
            if is_awaiting:
                # The loop that hands values through until the awaited one is done.
                is_awaiting = name != "JUMP_BACKWARD_NO_INTERRUPT"
            elif name == "GET_AWAITABLE":
                is_awaiting = True
                self.stack.append(ast.Await(self._pop()))
            elif name in ("RETURN_VALUE", "RETURN_CONST"):
                # What follows is for exceptions: nothing before it has jumped.
                returned = self._pop() if name == "RETURN_VALUE" else ast.Constant(cast("Any", value))
                return [*body, ast.Return(returned)]
            elif name == "POP_TOP":
                body.append(ast.Expr(self._pop()))
            elif name == "STORE_FAST":
                body.append(ast.Assign([ast.Name(value, ast.Store())], self._pop()))
            elif name not in _IGNORED:
                self._push(name, value, number)
        raise _Unreadable

    def _push(self, name: str, value: object, number: int) -> None:
        stack = self.stack
        if name == "RETURN_GENERATOR":
            stack.append(ast.Constant(None))
        elif name in _LOADS:
            stack.append(ast.Name(str(value), ast.Load()))
            if name == "LOAD_GLOBAL" and number & 1:
                stack.insert(len(stack) if sys.version_info >= (3, 13) else -1, None)
        elif name == "LOAD_FAST_LOAD_FAST" and isinstance(value, tuple):
            stack.extend(ast.Name(str(each), ast.Load()) for each in value)
        elif name == "LOAD_CONST":
            if isinstance(value, types.CodeType):
                raise _Unreadable
            stack.append(ast.Constant(cast("Any", value)))
        elif name == "PUSH_NULL":
            stack.append(None)
        elif name in ("LOAD_ATTR", "LOAD_METHOD"):
            is_method = name == "LOAD_METHOD" or (number & 1 and sys.version_info >= (3, 12))
            stack.append(ast.Attribute(self._pop(), str(value), ast.Load()))
            if is_method:
                stack.append(None)
        elif name == "KW_NAMES":
            self.keywords = self.code.co_consts[number]
        elif name == "CALL_KW":
            names = self._pop()
            self.keywords = names.value if isinstance(names, ast.Constant) else ()  # type: ignore[assignment]
            self._call(number)
        elif name == "CALL":
            self._call(number)
        elif name == "CALL_FUNCTION_EX":
            keywords = [ast.keyword(None, self._pop())] if number & 1 else []
            starred = ast.Starred(self._pop(), ast.Load())
            stack.append(ast.Call(self._callee(), [starred], keywords))
        elif name in ("DICT_MERGE", "DICT_UPDATE", "LIST_EXTEND"):
            added = self._pop()
            if isinstance(stack[-1], ast.Dict) and not stack[-1].values:
                stack[-1] = added
        elif name == "LIST_TO_TUPLE" or name.startswith(("FORMAT_SIMPLE", "CONVERT_VALUE")):
            pass
        elif name in ("BINARY_OP", "COMPARE_OP"):
            right, left = self._pop(), self._pop()
            operation = ast.BinOp(left, ast.Add(), right)
            stack.append(operation if name == "BINARY_OP" else ast.Compare(left, [ast.Eq()], [right]))
        elif name == "BINARY_SUBSCR":
            key, owner = self._pop(), self._pop()
            stack.append(ast.Subscript(owner, key, ast.Load()))
        elif name in _COLLECTIONS:
            items = [self._pop() for _ in range(number)][::-1]
            stack.append(_COLLECTIONS[name](items))
        elif name == "BUILD_MAP":
            pairs = [self._pop() for _ in range(2 * number)][::-1]
            stack.append(ast.Dict(list(pairs[::2]), pairs[1::2]))
        elif name == "BUILD_CONST_KEY_MAP":
            self._pop()
            values = [self._pop() for _ in range(number)][::-1]
            stack.append(ast.Dict([ast.Constant(None) for _ in values], values))
        else:
            raise _Unreadable

    def _call(self, number: int) -> None:
        arguments = [self._pop() for _ in range(number)][::-1]
        names, self.keywords = self.keywords, ()
        split = len(arguments) - len(names)
        keywords = [ast.keyword(name, value) for name, value in zip(names, arguments[split:], strict=True)]
        self.stack.append(ast.Call(self._callee(), arguments[:split], keywords))

    def _callee(self) -> ast.expr:
        """Take the callable and the NULL that stands above or below it."""
        pair = [self.stack.pop(), self.stack.pop()]
        callee = next((each for each in pair if each is not None), None)
        if callee is None or None not in pair:
            raise _Unreadable
        return callee

    def _pop(self) -> ast.expr:
        value = self.stack.pop()
        if value is None:
            raise _Unreadable
        return value
