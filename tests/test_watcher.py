"""What asyncmagic says around ordinary cells, and how it is told to say less."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

from asyncmagic.session import session, tracer
from tests.conftest import VirtualLoop
from tests.test_cell import run  # noqa: F401 - a fixture

Run = Callable[[str], ExecutionResult]


def test_a_forgotten_await_is_said_before_the_cell_runs_and_by_nobody_else(
    run: Run,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    run("print('before', flush=True)\nf(1)\nprint('after')").raise_error()
    said = capfd.readouterr()
    assert said.err == (
        "missing-await: `f(1)` makes a coroutine, and nothing awaits it: it never runs\n"
        "  2 | f(1)\n"
        "    | ^^^^\n"
        "  Write:  await f(1)\n"
    )


def test_what_only_running_shows_is_said_after_the_cell(run: Run, capfd: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    run("make = {'f': f}\ndef start(name):\n    return make[name](1)\nresult = [start('f')]").raise_error()
    assert "coroutine" in capfd.readouterr().err


def test_a_coroutine_that_is_collected_later_is_told_once(
    run: Run,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    run("kept = [eval('f')(1)]").raise_error()
    assert capfd.readouterr().err.startswith("coroutine-left: the coroutine `f` made here is still waiting to run")
    run("kept.clear()").raise_error()
    gc.collect()
    assert capfd.readouterr().err == ""


def test_the_same_warning_of_a_cell_run_again_is_one_line(run: Run, capfd: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    run("f(1)\nNone")
    first = capfd.readouterr().err
    run("f(1)\nNone")
    assert first.startswith("missing-await")
    assert capfd.readouterr().err == "asyncmagic: as before, missing-await in line 1\n"


FORGOTTEN = "x = str(f(2))"
LATER = "kept = [eval('f')(1)]"


@pytest.mark.filterwarnings("ignore:coroutine 'f' was never awaited")
@pytest.mark.parametrize("cell", [FORGOTTEN, LATER])
@pytest.mark.parametrize(
    "quiet", ["%asynctrace lint off", "%asynctrace lint dropped-task", "%config AsyncMagic.rules = []"]
)
def test_checks_can_be_switched_off(
    run: Run,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
    quiet: str,
    cell: str,
) -> None:
    run(cell).raise_error()
    assert f"  1 | {cell}\n" in capfd.readouterr().err
    run(quiet).raise_error()
    capfd.readouterr()
    run(cell).raise_error()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("cell", [FORGOTTEN, LATER])
@pytest.mark.parametrize("comment", ["# noqa", "# noqa: missing-await, coroutine-left"])
def test_a_line_can_be_silenced(
    run: Run,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
    cell: str,
    comment: str,
) -> None:
    run(f"{cell}  {comment}").raise_error()
    assert capfd.readouterr().err == ""


def test_an_unknown_rule_lists_the_known_ones(run: Run) -> None:  # noqa: F811
    error = run("%asynctrace lint bogus").error_in_exec
    assert isinstance(error, UsageError)
    assert "bogus is no rule" in str(error)
    assert "missing-await" in str(error)


def test_settings_reach_the_tracer(run: Run, shell: InteractiveShell) -> None:  # noqa: F811
    before = tracer.blocking_threshold
    try:
        run("%config AsyncMagic.blocking_threshold = 0.05").raise_error()
        assert tracer.blocking_threshold == 0.05
    finally:
        tracer.blocking_threshold = before


def test_cells_are_traced_after_asynctrace_on(run: Run, capfd: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    run("%asynctrace on").raise_error()
    run("x = await asyncio.gather(f(1), f(2))").raise_error()
    assert session.newest is not None
    assert session.newest.name == "x = await asyncio.gather(f(1), f(2))"
    assert [span.kind for span in session.newest.spans] == ["cell", "task", "task"]
    run("%asynctrace off").raise_error()
    count = len(session.traces)
    run("await f(1)").raise_error()
    assert len(session.traces) == count
    assert "asyncmagic: " in capfd.readouterr().out


def test_awaiting_one_after_another_says_what_it_cost(
    run: Run,  # noqa: F811
    loop: VirtualLoop,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("httpx2")
    run(
        "import httpx2\n"
        "class Slow(httpx2.AsyncBaseTransport):\n"
        "    async def handle_async_request(self, request):\n"
        "        await asyncio.sleep(2)\n"
        "        return httpx2.Response(200, json={'choices': [{'message': {'content': 'hi'}}]})\n"
        "client = httpx2.AsyncClient(transport=Slow(), base_url='http://simulated')\n"
        "async def ask(q):\n"
        "    return await client.post('/v1/chat/completions', json={'model': 'm', 'messages': []})\n"
    ).raise_error()
    monkeypatch.setattr(tracer, "clock", loop.clock)
    run("%%asynctrace --no-timeline\na = await ask('x')\nb = await ask('y')\nc = await ask('z')").raise_error()
    cost = "these 3 awaits took 6.0 s one after another; together they would take about 2.0 s"
    assert cost in capfd.readouterr().out


def test_a_line_that_held_the_loop_is_named_after_the_cell(
    run: Run,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    run("import time")
    run("def count():\n    end = time.perf_counter() + 0.3\n    while time.perf_counter() < end:\n        pass")
    run("async def work():\n    count()").raise_error()
    capfd.readouterr()
    run("%%agents --no-timeline\na = work()\nb = f(1, 0.5)").raise_error()
    said = capfd.readouterr().err
    assert "blocking-call: this line held the event loop for 0." in said
    assert "    while time.perf_counter() < end:" in said or "        pass" in said


def test_a_line_that_the_checks_have_named_is_not_named_again(
    run: Run,  # noqa: F811
    capfd: pytest.CaptureFixture[str],
) -> None:
    run("import time\nasync def work():\n    time.sleep(0.3)").raise_error()
    assert capfd.readouterr().err.startswith("blocking-call: `time.sleep(0.3)` holds the event loop")
    run("%%agents --no-timeline\na = work()\nb = f(1, 0.5)").raise_error()
    assert "blocking-call" not in capfd.readouterr().err


def test_a_cell_that_runs_another_ends_both_traces(run: Run) -> None:  # noqa: F811
    run("%asynctrace on")
    run("get_ipython().run_cell('inner = await f(1)')\nouter = 2").raise_error()
    inner, outer = list(session.traces)[-1], list(session.traces)[-2]
    run("%asynctrace off")
    assert [(trace.name, trace.is_running) for trace in (inner, outer)] == [
        ("inner = await f(1)", False),
        ("get_ipython().run_cell('inner = await f(1)')", False),
    ]
    assert not session.is_watching


def test_what_asyncmagic_does_itself_is_not_blamed_on_the_cell(run: Run, capfd: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    run("%config AsyncMagic.blocking_threshold = 0.001")
    try:
        run("%%agents --no-timeline\nxs = [f(i) for i in range(3000)]").raise_error()
    finally:
        run("%config AsyncMagic.blocking_threshold = 0.1")
    assert "%%agents" not in capfd.readouterr().err


def test_a_setting_that_config_refused_and_kept_does_not_prevent_loading(
    run: Run,  # noqa: F811
    shell: InteractiveShell,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run("%config AsyncMagic.rules = ['nope']")
    run("%reload_ext asyncmagic").raise_error()
    assert "nope: no such rule" in caplog.text
    assert not run("%config AsyncMagic.blocking_threshold = -1").success or tracer.blocking_threshold > 0
    run("%reload_ext asyncmagic").raise_error()
