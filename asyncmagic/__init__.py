"""asyncmagic: run, see and check asynchronous agent code in notebooks.

In IPython: `%load_ext asyncmagic`, then `%%agents` and `%asynctrace`. In scripts: `asyncmagic.run`, `asyncmagic.trace`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncmagic.registry import load

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"

#: The public names and where each lives: importing asyncmagic costs the standard library alone.
_PUBLIC = {
    "Diagnostic": "asyncmagic.diagnostics:Diagnostic",
    "Span": "asyncmagic.tracing.model:Span",
    "Trace": "asyncmagic.tracing.model:Trace",
    "Tracer": "asyncmagic.tracing.tracer:Tracer",
    "check": "asyncmagic.lint:check",
    "last_trace": "asyncmagic.session:last_trace",
    "run": "asyncmagic.session:run",
    "span": "asyncmagic.session:span",
    "trace": "asyncmagic.session:trace",
}
__all__ = ["load_ipython_extension", "unload_ipython_extension", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'asyncmagic' has no attribute {name!r}")
    value = globals()[name] = load(_PUBLIC[name])
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%load_ext asyncmagic`."""
    load("asyncmagic.magics:load")(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Called by `%unload_ext asyncmagic`; leaves the shell, the loop and every library as they were."""
    load("asyncmagic.magics:unload")(shell)
