"""Virtual environments that are made once: a stamp tells whether one still holds what the project asks for."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class SetupError(Exception):
    """A set-up step failed; the message says what to do about it."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment in the checkout: `requirements` are pip's arguments, such as `("-e", ".[demo]")`."""

    directory: Path
    requirements: tuple[str, ...]
    base: str = sys.executable
    """The interpreter that it is made from."""

    @property
    def python(self) -> str:
        return str(self.directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))

    @property
    def is_ready(self) -> bool:
        return self._stamp.is_file() and self._stamp.read_text("utf-8") == self._fingerprint()

    def make(self) -> None:
        """Make it anew and install the requirements, by uv where there is one, else by pip."""
        shutil.rmtree(self.directory, ignore_errors=True)
        if uv := _uv():
            _run([*uv, "venv", "--quiet", "--no-project", "--python", self.base, str(self.directory)], VENV_HINT)
            install = [*uv, "pip", "install", "--quiet", "--python", self.python]
        else:
            _run([self.base, "-m", "venv", str(self.directory)], VENV_HINT)
            install = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*install, *self.requirements], INSTALL_HINT)
        self._stamp.write_text(self._fingerprint(), "utf-8")

    @property
    def _stamp(self) -> Path:
        return self.directory / "asyncmagic-stamp"

    def _fingerprint(self) -> str:
        """Changes with the place, the interpreter, and everything that the requirements are read from."""
        files = [ROOT / "pyproject.toml", *(ROOT / name for name in self.requirements if name.endswith(".txt"))]
        parts = [str(self.directory), self.base, *self.requirements, *(file.read_text("utf-8") for file in files)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


VENV_HINT = "Install the venv module of that Python (Debian: apt-get install python3-venv), or uv, and try again."
INSTALL_HINT = (
    "Is a package index within reach? See pip's words above; a proxy or a mirror goes into pip's own settings."
)


def _uv() -> list[str] | None:
    """The command that runs uv, or `None` where there is none that works."""
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    path = shutil.which("uv")
    return [path] if path and subprocess.run([path, "--version"], capture_output=True).returncode == 0 else None


def _run(command: list[str], hint: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    if subprocess.run(command, cwd=ROOT, env=environment).returncode:
        raise SetupError(f"this command failed: {' '.join(command)}\n{hint}")
