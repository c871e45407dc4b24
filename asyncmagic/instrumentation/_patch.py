"""What every instrumentor needs to reach into a library and to leave it as it was."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar
from weakref import WeakKeyDictionary

logger = logging.getLogger("asyncmagic")

#: Modules that are not as an instrumentor needs them, and why; for `%asynctrace doctor`.
unwatched: dict[str, str] = {}

P = ParamSpec("P")
R = TypeVar("R")

_ABSENT: Any = object()
_undone: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


class Watching(Protocol):
    """Whoever has guarded methods: a `Watcher`, or something that asks one."""

    @property
    def is_on(self) -> bool: ...
    def switch_off(self, doing: str) -> None: ...


W = TypeVar("W", bound=Watching)


class Watcher:
    """Someone who watches user code: `is_on` until it fails or is taken away."""

    def __init__(self) -> None:
        self.is_on = True

    def switch_off(self, doing: str) -> None:
        """Watch no more because of the exception being handled; say so once."""
        if self.is_on:
            self.is_on = False
            logger.exception("%s failed in %s and is switched off; your code is not affected", self, doing)


def guarded(method: Callable[Concatenate[W, P], R]) -> Callable[Concatenate[W, P], R | None]:
    """Keep the failures of a watcher's method from the code it watches: the first one switches the watcher off.

    The method returns `None` where its watcher is off. `CancelledError` and `KeyboardInterrupt` pass.
    """

    @wraps(method)
    def call(self: W, /, *args: P.args, **kwargs: P.kwargs) -> R | None:
        if not self.is_on:
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception:
            self.switch_off(method.__name__)
            return None

    return call


@contextmanager
def patched(owner: Any, name: str, replacement: Any) -> Iterator[None]:
    """Replace the attribute of a class, module or object inside the block.

    What others put over it meanwhile stays, and what lies below it then is `replacement`: it has to pass calls on once
    its instrumentor has left. Blocks may overlap and end in any order.
    """
    before = vars(owner).get(name, _ABSENT) if hasattr(owner, "__dict__") else getattr(owner, name)
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        _undone[replacement] = before
        now = vars(owner).get(name, _ABSENT) if hasattr(owner, "__dict__") else getattr(owner, name)
        then = now
        while then is not _ABSENT and _is_undone(then):
            then = _undone[then]
        if then is _ABSENT and now is not _ABSENT:
            delattr(owner, name)
        elif then is not now:
            setattr(owner, name, then)


def _is_undone(value: Any) -> bool:
    try:
        return value in _undone
    except TypeError:  # neither hashable nor weakly referable: no replacement of ours
        return False


@contextmanager
def when_imported(name: str, watch: Callable[[ModuleType], AbstractContextManager[Any]]) -> Iterator[None]:
    """Enter `watch(module)` now if the module is imported, or as soon as the user imports it; leave it at the end."""
    with ExitStack() as stack:

        def enter(module: ModuleType) -> None:
            try:
                stack.enter_context(watch(module))
                unwatched.pop(name, None)
            except Exception as error:
                if name not in unwatched:
                    logger.exception("%s could not be watched; your code is not affected", name)
                unwatched[name] = f"{type(error).__name__}: {error}"

        module = sys.modules.get(name)
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            enter(module)
        else:
            stack.enter_context(_imports.calling(name, enter))
        yield


class _Imports(MetaPathFinder):
    """Stands first on `sys.meta_path` while somebody waits for a module."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Callable[[ModuleType], None]]] = {}

    @contextmanager
    def calling(self, name: str, callback: Callable[[ModuleType], None]) -> Iterator[None]:
        self._waiting.setdefault(name, []).append(callback)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            callbacks = self._waiting.get(name, [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
                self._waiting.pop(name, None)
            if not self._waiting and self in sys.meta_path:
                sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if fullname not in self._waiting:
            return None
        for finder in sys.meta_path:
            find_spec = getattr(finder, "find_spec", None)
            if finder is self or find_spec is None:
                continue
            spec: ModuleSpec | None = find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _TellingLoader(spec.loader, self)
                return spec
        return None

    def tell(self, module: ModuleType) -> None:
        for callback in self._waiting.pop(module.__name__, ()):
            callback(module)


class _TellingLoader(Loader):
    """Loads as the real loader does, and says when it has."""

    def __init__(self, loader: Any, imports: _Imports) -> None:
        self._loader = loader
        self._imports = imports

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._imports.tell(module)


_imports = _Imports()
