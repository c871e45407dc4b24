"""Runs through the bodies of functions whose source is known."""

from __future__ import annotations

import ast
import dataclasses

from asyncmagic.lint.flow.ledger import Call, Frame, Ledger, is_declared_data
from asyncmagic.lint.flow.sources import FUNCTIONS, all_arguments, body_of, facts, is_placeholder, positional
from asyncmagic.lint.flow.values import (
    Awaitable,
    Box,
    Class,
    Either,
    Function,
    Live,
    Object,
    Scope,
    Value,
    awaitables,
    either,
)

_MAX_DEPTH = 5


class Bodies(Ledger):
    """Runs through function bodies."""

    def invoke(
        self,
        function: Function,
        call: Call,
        owner: Value | None,
        *,
        is_again: bool = False,
        wants_yield: bool = False,
    ) -> Value | None:
        """Run through the function's body and return what it returns (or yields)."""
        node = function.node
        is_too_far = len(self.frames) >= _MAX_DEPTH or (function.is_library and self.is_hurried)
        if is_too_far or is_placeholder(node) or any(frame.node is node for frame in self.frames):
            self.hand_over_unseen(call, owner)
            return None
        scope = self.function_scope(function)
        self._bind_arguments(function, scope, call, owner, keeps_awaitables=not is_again)
        scope.spent = set(call.scope.spent)
        frame = Frame(node, is_reported=False, is_library=function.is_library)
        site = self.site
        self.site = site or (None if self.is_cell_code(node) else call.node)
        self.frames.append(frame)
        try:
            if function.is_library and not any(True for value in call.values for _ in self.held(value)):
                falls_through = self._look_at_returns(frame, scope)
            else:
                falls_through = self.execute(body_of(node), scope)
        finally:
            self.frames.pop()
            self.site = site
        if wants_yield:
            return either(*frame.yields) if frame.yields else None
        if falls_through:
            frame.returns.append(Live(None))
            frame.spent.append(scope.spent)
        if frame.spent and not function.is_library:
            call.scope.spent |= set.intersection(*frame.spent)
        if not frame.returns:
            return None
        return either(*frame.returns)

    def _look_at_returns(self, frame: Frame, scope: Scope) -> bool:
        """What a library function returns, without running through all of it: names are followed on demand."""
        assert isinstance(frame.node, FUNCTIONS)
        found = facts(frame.node)
        scope.makers = dict(found.makers)
        if isinstance(frame.node, ast.Lambda):
            frame.returns.append(self.evaluate(frame.node.body, scope))
            return False
        for node in found.returns[:8]:
            frame.returns.append(self.evaluate(node.value, scope) if node.value is not None else Live(None))
        if found.returns[8:]:
            frame.returns.append(None)
        for made in found.yields[:4]:
            frame.yields.append(self.evaluate(made.value, scope) if made.value is not None else Live(None))
        return found.may_fall_through

    def _bind_arguments(
        self, function: Function, scope: Scope, call: Call, owner: Value | None, *, keeps_awaitables: bool
    ) -> None:
        node = function.node
        values = [owner, *call.args] if owner is not None else list(call.args)
        stars = {index + (owner is not None) for index in call.starred}
        scope.names.update((arg.arg, None) for arg in all_arguments(node))
        slots = positional(node)
        for index, arg in enumerate(slots):
            if any(star <= index for star in stars):
                break
            if index < len(values):
                scope.names[arg.arg] = values[index]
        for name, value in call.keywords.items():
            if name in scope.names:
                scope.names[name] = value
        if node.args.vararg is not None:
            rest = values[len(slots) :]
            items = [_element_if(index + len(slots) in stars, value) for index, value in enumerate(rest)]
            keys: list[object] | None = None if call.starred else list(range(len(items)))
            scope.names[node.args.vararg.arg] = None if call.has_unknown_keywords else Box(tuple, items, keys)
        if node.args.kwarg is not None and not call.has_unknown_keywords:
            more = {name: value for name, value in call.keywords.items() if name not in scope.names}
            scope.names[node.args.kwarg.arg] = Box(dict, list(more.values()), list(more))
        self._bind_annotated(function, scope)
        for arg in (*slots, *node.args.kwonlyargs):
            value = scope.names[arg.arg]
            if arg.annotation is not None and isinstance(value, Awaitable):
                declared = self.annotation_node(arg.annotation, function.scope)
                if is_declared_data(declared):
                    self.use(value, call.node, "passed where data is declared", is_certain=True)
        for name in scope.captured & scope.names.keys():
            self.hand_over(scope.names[name])
        if not keeps_awaitables:
            for name, value in scope.names.items():
                if any(True for _ in awaitables(value)):
                    scope.names[name] = self.copied(value)
        if (
            function.owner is not None
            and slots
            and scope.names[slots[0].arg] is None
            and isinstance(function.owner, Class)
        ):
            scope.names[slots[0].arg] = Object(function.owner, {})

    def copied(self, value: Value | None) -> Value | None:
        """The value with awaitables of its own, so that looking at it again changes no fate."""
        if isinstance(value, Awaitable):
            return dataclasses.replace(value, uses=[], source=None)
        if isinstance(value, Box):
            return Box(value.kind, [self.copied(item) for item in value.items], value.keys, value.is_shared)
        if isinstance(value, Either):
            return Either(tuple(self.copied(option) for option in value.options))
        return value


def _element_if(is_starred: bool, value: Value | None) -> Value | None:
    if not is_starred:
        return value
    return either(*value.items) if isinstance(value, Box) and value.items else None
