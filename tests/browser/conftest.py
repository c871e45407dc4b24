"""Real JupyterLab and Notebook 7 in real Chromium for tests; nothing of the user's settings is read or written."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import nbformat
import pytest

from tests.browser.view import View

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

App = Literal["lab", "notebook"]
Theme = Literal["light", "dark"]
PATHS: dict[App, str] = {"lab": "doc/tree", "notebook": "notebooks"}
THEMES: dict[Theme, str] = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
SERVER_OPTIONS = (
    "--no-browser",
    "--allow-root",
    "--ServerApp.ip=127.0.0.1",
    "--ServerApp.port_retries=0",
    "--ServerApp.disable_check_xsrf=True",
    "--IdentityProvider.token=",
    "--LabApp.expose_app_in_browser=True",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.news_url=",
    "--JupyterNotebookApp.expose_app_in_browser=True",
)
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
QUIET = {"fetchNews": "false", "checkForUpdates": False}


@dataclass(frozen=True)
class Server:
    """A running Jupyter server, whose root is `directory`."""

    url: str
    directory: Path

    def ask(self, path: str, method: str = "GET") -> Any:
        with urlopen(Request(f"{self.url}/{path}", method=method), timeout=20) as answer:
            return json.loads(answer.read() or "null")

    def end_sessions(self) -> None:
        """Shut down every kernel that a page has started.

        One that has just died is being started again by the server, which cannot shut it down for a moment.
        """
        give_up = time.monotonic() + 20
        while sessions := self.ask("api/sessions"):
            for session in sessions:
                try:
                    self.ask(f"api/sessions/{session['id']}", "DELETE")
                except HTTPError:
                    if time.monotonic() > give_up:
                        raise
                    time.sleep(0.5)


@dataclass
class NotebookPage:
    """A notebook open in a browser; cells are counted from 0."""

    page: Page
    server: Server
    path: Path
    app: App
    theme: Theme
    errors: list[str] = field(default_factory=list)
    """Exceptions that no script of the page has caught since it was open (Notebook 7 starts with some of its own)."""

    def open(self, *, is_busy: bool = False) -> None:
        """Open the file, wait for its kernel (until it is idle, unless `is_busy`) and switch to the theme."""
        self.page.goto(f"{self.server.url}/{PATHS[self.app]}/{self.path.name}")
        state = "" if is_busy else "?.status === 'idle'"
        self.page.wait_for_function(
            f"() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel{state}"
        )
        self.execute("apputils:change-theme", theme=THEMES[self.theme])
        light = str(self.theme == "light").lower()
        self.page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
        self.page.evaluate("() => { window.runsUnderWay = 0 }")
        self.errors.clear()

    def execute(self, command: str, **arguments: Any) -> None:
        """Execute one of the application's commands and wait for what it does."""
        self.page.evaluate(
            "([command, args]) => window.jupyterapp.commands.execute(command, args).then(() => null)",
            [command, arguments],
        )

    def run_cell(self, index: int, *, wait: bool = True, timeout: float = 60) -> Locator:
        """Run a cell and return its output area; `wait=False` returns while it runs."""
        self.page.evaluate(
            """index => {
                const app = window.jupyterapp;
                app.shell.currentWidget.content.activeCellIndex = index;
                window.runsUnderWay += 1;
                app.commands.execute("notebook:run-cell").finally(() => { window.runsUnderWay -= 1 });
            }""",
            index,
        )
        if wait:
            self.wait_idle(timeout)
        return self.output(index)

    def wait_idle(self, timeout: float = 60) -> None:
        """Wait until no cell runs and the kernel is idle."""
        self.page.wait_for_function(
            """() => window.runsUnderWay === 0
                && window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === "idle" """,
            timeout=timeout * 1000,
        )

    def output(self, index: int) -> Locator:
        """The output area of a cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-Cell-outputArea")

    def interrupt(self) -> None:
        """Press Stop."""
        self.execute("notebook:interrupt-kernel")

    def save(self) -> nbformat.NotebookNode:
        """Save the notebook and return what stands in the file."""
        self.execute("docmanager:save")
        return nbformat.read(self.path, as_version=4)

    def screenshot(self, path: str | Path) -> None:
        self.page.screenshot(path=str(path))

    def reopen(self, *, trusted: bool = True) -> None:
        """Shut the kernel down and open the saved file as somebody would tomorrow; untrusted, as a stranger would."""
        self.page.goto("about:blank")
        self.server.end_sessions()
        if not trusted:
            notebook = nbformat.read(self.path, as_version=4)
            notebook.metadata["changed"] = "so that its signature no longer fits"
            nbformat.write(notebook, self.path)
        self.open()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One JupyterLab server with Notebook 7 beside it for the whole run."""
    pytest.importorskip("jupyterlab", reason="pip install 'asyncmagic[test]' brings JupyterLab")
    with running_server(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@contextmanager
def running_server(directory: Path) -> Iterator[Server]:
    """Start JupyterLab with Notebook 7 beside it, on loopback, without a token; all it writes is in `directory`."""
    notebooks, settings, log = directory / "notebooks", directory / "settings", directory / "log"
    notebooks.mkdir()
    quiet = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(json.dumps(QUIET), "utf-8")
    own = {
        "HOME": directory,
        "IPYTHONDIR": directory / "ipython",
        "JUPYTER_CONFIG_DIR": directory / "config",
        "JUPYTER_DATA_DIR": directory / "data",
        "JUPYTER_RUNTIME_DIR": directory / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": settings,
        "JUPYTERLAB_WORKSPACES_DIR": directory / "workspaces",
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *SERVER_OPTIONS, f"--port={port}", f"--notebook-dir={notebooks}"],
            env={**os.environ, **{name: str(value) for name, value in own.items()}},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", notebooks)
    try:
        _wait_for(server, process, log)
        yield server
        server.end_sessions()
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium for one test file. While it runs, no event loop can run in this thread: Playwright holds it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'asyncmagic[test]' brings Playwright")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no Chromium or Google Chrome was found (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-quic"])
        yield browser
        browser.close()


@pytest.fixture
def notebook(server: Server, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., NotebookPage]]:
    """`notebook(cells, app="lab" | "notebook", theme="light" | "dark")` opens a new notebook with these code cells."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, device_scale_factor=1)
    context.set_default_timeout(30_000)
    opened: list[Path] = []

    def open_notebook(cells: Sequence[str], *, app: App = "lab", theme: Theme = "light") -> NotebookPage:
        path = server.directory / f"{request.node.originalname}-{len(opened)}-{time.time_ns()}.ipynb"
        opened.append(path)
        contents = [nbformat.v4.new_code_cell(cell) for cell in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=contents, metadata=KERNEL), path)
        page = NotebookPage(context.new_page(), server, path, app, theme)
        page.page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.open()
        return page

    yield open_notebook
    context.close()
    server.end_sessions()


@pytest.fixture
def view(browser) -> Iterator[View]:
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    context.set_default_timeout(5_000)
    view = View(context.new_page())
    yield view
    context.close()
    assert view.errors == []


def _wait_for(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.ask("api/status")
            return
        except URLError:
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text('utf-8', 'replace')[-3000:]}")
