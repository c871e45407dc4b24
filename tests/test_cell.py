"""`%%agents` cells in a real shell, on a loop whose clock is virtual: what they return, bind, raise and say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import CoroutineType
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

import asyncmagic
from asyncmagic.runner import AgentsError, Failure
from tests.conftest import VirtualLoop

SETUP = """
import asyncio
async def f(x, seconds=1.0):
    await asyncio.sleep(seconds)
    return x * 2
async def bad(x, seconds=0.5):
    await asyncio.sleep(seconds)
    raise ValueError(f"bad {x}")
"""


@pytest.fixture
def run(shell: InteractiveShell) -> Callable[[str], ExecutionResult]:
    """Run a cell in a shell where asyncmagic is loaded and `f` and `bad` are defined."""
    asyncmagic.load_ipython_extension(shell)
    shell.run_cell(SETUP).raise_error()
    yield lambda source: shell.run_cell(source, store_history=True)
    asyncmagic.unload_ipython_extension(shell)


def agents(body: str, options: str = "") -> str:
    return f"%%agents --no-timeline {options}\n{body}"


NAMES = [
    ("a = f(1)", "a", 2),
    ("a, b = f(1), f(2)", "(a, b)", (2, 4)),
    ("a, *rest = f(1), f(2), f(3)", "(a, rest)", (2, [4, 6])),
    ("a = b = f(1)", "(a, b)", (2, 2)),
    ("a: int = f(1)", "a", 2),
    ("a = [f(i) for i in range(3)]", "a", [0, 2, 4]),
    ("a = (f(1), 'x')", "a", (2, "x")),
    ("a = {f(1), f(2)}", "a", {2, 4}),
    ("a = {'x': f(1), 'n': 3}", "a", {"x": 2, "n": 3}),
    ("a = {'x': [f(1), f(2)]}", "a", {"x": [2, 4]}),
    ("a = [f(1)]\na += [f(2)]", "a", [2, 4]),
    ("a = {}\na['k'] = f(1)", "a", {"k": 2}),
    ("a = []\nfor i in range(3):\n    a.append(f(i))", "a", [0, 2, 4]),
    ("if True:\n    a = f(1)", "a", 2),
    ("try:\n    a = f(1)\nfinally:\n    b = f(2)", "(a, b)", (2, 4)),
    ("with open('/dev/null'):\n    a = f(1)", "a", 2),
    ("a = f(1)\nb = await a", "(a, b)", (2, 2)),
    # A coroutine that has ended makes room for the next one, at the same address.
    ("a = []\nfor i in range(5):\n    b = f(i)\n    a.append(await b)", "a", [0, 2, 4, 6, 8]),
    ("a = f(1)\nb = await a\nc = f(2)", "(a, b, c)", (2, 2, 4)),
    ("a = [f(1), f(2)]\nawait asyncio.gather(*a)\nb, c = f(3), f(4)", "(a, b, c)", ([2, 4], 6, 8)),
    (
        "a = []\nfor i in range(4):\n    b = [f(i), f(i + 10)]\n    a += await asyncio.gather(*b)",
        "a[4:]",
        [4, 24, 6, 26],
    ),
    ("a = f(1)\nb = await asyncio.gather(a, f(2))", "(a, b)", (2, [2, 4])),
    ("a = [f(1), f(2)]\nb = await asyncio.gather(*a)", "(a, b)", ([2, 4], [2, 4])),
    ("a = f(1)\nb = await asyncio.wait_for(a, 5)", "b", 2),
    ("a = f(1)\nb = await asyncio.create_task(a)", "b", 2),
    ("a = [f(1), f(2)]\nb = [asyncio.create_task(c) for c in a]\nc = [await t for t in b]", "c", [2, 4]),
    ("a = f(1)\nprint(str(a)[:0], end='')", "a", 2),
    ("a = f(1)\nb = a.close()", "b", None),
    ("def keep(c): return c\na = f(1)\nb = keep(a)", "a", 2),
    ("async def writer(c):\n    return await c + 1\na = f(1)\nb = writer(a)", "b", 3),
    ("async def writer(c):\n    await asyncio.sleep(1)\n    return await c + 1\na = f(1)\nb = writer(a)", "b", 3),
    ("a = asyncio.run(f(1))", "a", 2),
    ("a = asyncio.get_event_loop().run_until_complete(f(1))", "a", 2),
    ("from asyncio import run as go\na = go(f(1))", "a", 2),
    ("a = 5\nb = 'text'", "(a, b)", (5, "text")),
    ("a = []\na.append(a)", "a is a[0]", True),
    ("a = []\na.append(a)\na.append(f(1))", "a[1:]", [2]),
    ("b = [f(1)]\nfor _ in range(30):\n    b = [b, b]\na = []", "a", []),
    ("import types\nbox = types.SimpleNamespace()\nbox.x = f(1)\na = box", "a.x", 2),
    (
        "import types\nbox = types.SimpleNamespace(d={})\nbox.d['k'], box.y = f(1), [f(2)]\na = box",
        "(a.d, a.y)",
        ({"k": 2}, [4]),
    ),
    (
        "from collections import defaultdict\na = defaultdict(list)\nfor i in range(2):\n    a[i].append(f(i))",
        "a",
        {0: [0], 1: [2]},
    ),
    ("from collections import OrderedDict\na = OrderedDict()\na['k'] = f(1)", "a", {"k": 2}),
    ("from collections import deque\na = deque([f(1), f(2)])", "list(a)", [2, 4]),
    ("a = frozenset([f(1)])", "a", {2}),
    (
        "class Table(dict):\n    def __setitem__(self, key, value):\n        super().__setitem__(key, tuple(value))\n"
        "a = Table()\na['x'] = [f(1), f(2)]",
        "a",
        {"x": (2, 4)},
    ),
    ("import array\na = [0, 0, 0]\na[1:] = [f(1), f(2)]", "a", [0, 2, 4]),
    ("from __future__ import annotations\na = f(1)", "a", 2),
    ("async with asyncio.TaskGroup() as group:\n    t = group.create_task(f(1))\na = t.result()", "a", 2),
    ("async def both():\n    return await asyncio.gather(f(1), f(2))\na = both()", "a", [2, 4]),
]


@pytest.mark.parametrize(("body", "expression", "expected"), NAMES, ids=[case[0] for case in NAMES])
def test_names_hold_results(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell, body: str, expression: str, expected: object
) -> None:
    run(agents(body)).raise_error()
    assert eval(expression, shell.user_ns) == expected


VALUES = [
    ("f(1)", 2),
    ("f(1)\nf(2)\nf(3)", [2, 4, 6]),
    ("a = f(1)\na", 2),
    ("a = f(1)\n(a, f(2))", (2, 4)),
    ("a = f(1)", None),
    ("[f(1), 7]", [2, 7]),
    ("await f(1)", 2),
    ("a = await f(1)\na + 1", 3),
    ("'text'", "text"),
    ("None", None),
    ("a = [f(i) for i in range(2)]\nlen(a)", 2),
]


@pytest.mark.parametrize(("body", "expected"), VALUES, ids=[case[0] for case in VALUES])
def test_the_cells_value_is_its_last_expression_resolved(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell, body: str, expected: object
) -> None:
    result = run(agents(body))
    result.raise_error()
    assert result.result == expected
    assert shell.user_ns["Out"].get(result.execution_count) == expected


TIMES = [
    ("[f(i) for i in range(20)]", "", 1.0),
    ("[f(i) for i in range(6)]", "--limit 2", 3.0),
    ("a = f(1)\nb = await f(2)", "", 1.0),
    ("a = await f(1)\nb = await f(2)", "", 2.0),
    ("f(1, 5)\nbad(1)", "--fail-fast", 0.5),
    ("f(1, 5)\nbad(1)", "", 5.0),
    ("f(1, 5)", "--timeout 2", 2.0),
    ("[f(1, 5), f(1, 1)]", "--agent-timeout 2", 2.0),
    ("[f(i, 3) for i in range(4)]", "--agent-timeout 4 --limit 2", 6.0),
]


@pytest.mark.parametrize(("body", "options", "seconds"), TIMES, ids=[f"{o} {b}" for b, o, _ in TIMES])
def test_the_time_a_cell_takes(
    run: Callable[[str], ExecutionResult], loop: VirtualLoop, body: str, options: str, seconds: float
) -> None:
    before = loop.time()
    run(agents(body, options))
    assert loop.time() - before == pytest.approx(seconds)


def error_of(result: ExecutionResult) -> BaseException:
    error = result.error_in_exec or result.error_before_exec
    assert error is not None
    return error


def test_one_failure_is_raised_as_it_is_and_the_others_run_on(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    error = error_of(run(agents("a = bad(1)\nb = f(2)")))
    assert (type(error), str(error)) == (ValueError, "bad 1")
    assert "a" not in shell.user_ns
    assert shell.user_ns["b"] == 4


def test_a_failed_name_keeps_its_former_value(run: Callable[[str], ExecutionResult], shell: InteractiveShell) -> None:
    shell.user_ns["a"] = "former"
    run(agents("a = bad(1)"))
    assert shell.user_ns["a"] == "former"


def test_what_was_put_into_a_list_of_an_earlier_cell_is_run(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    run("a = []")
    run(agents("a.append(f(1))")).raise_error()
    assert shell.user_ns["a"] == [2]


def test_a_place_that_the_cell_has_filled_anew_is_left_alone(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    run(agents("import types\na = types.SimpleNamespace()\na.x = [f(1)]\na.x = [len(await asyncio.gather(*a.x))]"))
    assert shell.user_ns["a"].x == [1]


def test_the_cause_of_an_exception_stays(run: Callable[[str], ExecutionResult]) -> None:
    error = error_of(
        run(
            agents(
                "async def g():\n    try:\n        1 / 0\n    except ZeroDivisionError as e:\n"
                "        raise ValueError from e\na = g()"
            )
        )
    )
    assert isinstance(error.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt"])
def test_an_agent_that_wants_to_end_the_program_fails_alone(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell, kind: str
) -> None:
    leave = f"async def leave():\n    raise {kind}('no key')\n"
    run(agents(leave + "a = leave()\nb = f(1)\nc = [leave()]", "--return-exceptions")).raise_error()
    assert (
        repr((shell.user_ns["a"], shell.user_ns["b"], shell.user_ns["c"]))
        == f"({kind}('no key'), 2, [{kind}('no key')])"
    )


def test_whom_the_cell_itself_cancels_has_not_failed(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    body = "a = f(1, 5)\ntry:\n    await asyncio.wait_for(a, 1)\nexcept TimeoutError:\n    b = 'late'"
    run(agents(f"{body}\nc = f(2)\nc.cancel()", "--fail-fast")).raise_error()
    assert ("a" in shell.user_ns, shell.user_ns["b"], "c" in shell.user_ns) == (False, "late", False)


def test_an_exception_that_cannot_be_printed_is_listed(run: Callable[[str], ExecutionResult]) -> None:
    run("class Odd(Exception):\n    def __str__(self):\n        raise ValueError\nasync def g():\n    raise Odd")
    body = "a, b = g(), bad(1)"
    assert "  a (line 2): Odd: <its message cannot be made: ValueError>\n" in str(error_of(run(agents(body))))


def test_a_body_that_swallows_a_timeout_leaves_no_cancellation_behind(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    body = "me = asyncio.current_task()\ntry:\n    await asyncio.sleep(9)\nexcept asyncio.CancelledError:\n    pass"
    error_of(run(agents(body, "--timeout 1")))
    assert shell.user_ns["me"].cancelling() == 0


def test_nothing_of_the_users_is_kept_alive(run: Callable[[str], ExecutionResult], shell: InteractiveShell) -> None:
    run("class Big:\n    pass\nasync def big():\n    return Big()\nasync def fail():\n    raise ValueError(Big())")
    run("import gc, sys, weakref\nalive = weakref.WeakSet()\nkeeper = []")
    run(agents("a = big()\nb = [big()]\nkeeper = asyncio.create_task(asyncio.sleep(9))\nawait fail()"))
    run("alive.update([a, *b])\ndel a, b")
    run("sys.last_value = sys.last_traceback = sys.last_exc = None\ngc.collect()\nleft = len(alive)\nkeeper.cancel()")
    assert shell.user_ns["left"] == 0


def test_a_failure_that_ipython_keeps_keeps_no_results(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    run("import gc, weakref\nclass Big:\n    pass\nasync def big():\n    return Big()\nalive = weakref.WeakSet()")
    error = error_of(run(agents("a, c = [big(), big()], bad(1)")))
    run("alive.update(a)\nfound = len(alive)\ndel a\ngc.collect()\nleft = len(alive)")
    assert (type(error), shell.user_ns["found"], shell.user_ns["left"]) == (ValueError, 2, 0)


def test_several_failures_are_listed_with_their_lines(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    error = error_of(run(agents("a = bad(1)\nb = [f(1), bad(2)]")))
    assert isinstance(error, AgentsError)
    assert str(error) == "2 of 3 agents failed\n  a (line 2): ValueError: bad 1\n  b[1] (line 3): ValueError: bad 2"
    good, failed = shell.user_ns["b"]
    assert good == 2
    assert error.failures[1] == Failure("b[1]", 3, failed)


def test_a_thousand_failures_make_a_short_message(run: Callable[[str], ExecutionResult]) -> None:
    error = error_of(run(agents("a = [bad(i) for i in range(1000)]", "--limit 100")))
    lines = str(error).splitlines()
    assert (lines[0], lines[-1], len(lines)) == (
        "1000 of 1000 agents failed",
        "  … and 990 more; all are in `error.failures`",
        12,
    )


def test_return_exceptions_raises_nothing(run: Callable[[str], ExecutionResult], shell: InteractiveShell) -> None:
    run(agents("a = bad(1)\nb = f(2)", "--return-exceptions")).raise_error()
    assert repr(shell.user_ns["a"]) == "ValueError('bad 1')"
    assert shell.user_ns["b"] == 4


def test_a_failure_that_the_cell_handles_is_no_failure_of_the_cell(run: Callable[[str], ExecutionResult]) -> None:
    result = run(agents("a = bad(1)\ntry:\n    await a\nexcept ValueError as error:\n    text = str(error)\ntext"))
    result.raise_error()
    assert result.result == "bad 1"


def test_coroutines_that_were_handed_on_in_vain_are_told_of(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    run(
        agents(
            "def keep(*values):\n    kept.extend(map(type, values))\nkept = []\na = f(1)\nb = [f(2)]\nkeep(a)\nkeep(*b)"
        )
    )
    assert shell.user_ns["kept"] == [CoroutineType, CoroutineType]
    assert (shell.user_ns["a"], shell.user_ns["b"]) == (2, [4])
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith("Where results are needed, write first:  a = await a; b = await asyncio.gather(*b)")
    )


def test_capture_hides_the_cells_value_too(run: Callable[[str], ExecutionResult]) -> None:
    assert run("%%capture\n" + agents("f(1)")).result is None
    assert run("%%capture --no-display\n" + agents("f(1)")).result == 2


def test_an_error_in_the_body_still_waits_for_the_agents(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    assert isinstance(error_of(run(agents("a = f(1)\n1 / 0"))), ZeroDivisionError)
    assert shell.user_ns["a"] == 2


def test_fail_fast_cancels_the_others_and_raises_the_failure(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    error = error_of(run(agents("a = f(1, 0.1)\nb = bad(1)\nc = f(2, 5)\nawait asyncio.sleep(9)", "--fail-fast")))
    assert (type(error), str(error)) == (ValueError, "bad 1")
    assert shell.user_ns["a"] == 2
    assert "c" not in shell.user_ns


def test_a_timeout_names_what_had_not_finished(run: Callable[[str], ExecutionResult], shell: InteractiveShell) -> None:
    error = error_of(run(agents("a = f(1)\nb = f(2, 5)", "--timeout 2")))
    assert (type(error), str(error)) == (TimeoutError, "after 2 s 1 of 2 agents had not finished: b")
    assert shell.user_ns["a"] == 2


def test_an_agent_timeout_is_the_failure_of_that_agent(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    error = error_of(run(agents("a = f(1)\nb = f(2, 5)", "--agent-timeout 2")))
    assert (type(error), str(error)) == (TimeoutError, "b took longer than 2 s")
    assert shell.user_ns["a"] == 2


def test_a_timeout_inside_an_agent_is_its_own(run: Callable[[str], ExecutionResult]) -> None:
    body = "async def slow():\n    async with asyncio.timeout(1):\n        await asyncio.sleep(9)\na = slow()"
    error = error_of(run(agents(body, "--agent-timeout 5")))
    assert (type(error), str(error)) == (TimeoutError, "")


def test_an_agent_that_ignores_cancellation_is_named_and_left(
    run: Callable[[str], ExecutionResult], capsys: pytest.CaptureFixture[str], loop: VirtualLoop
) -> None:
    body = """async def stubborn():
    while True:
        try:
            await asyncio.sleep(100)
            return
        except asyncio.CancelledError:
            pass
a = f(1)
b = stubborn()"""
    error = error_of(run(agents(body, "--timeout 2")))
    assert isinstance(error, TimeoutError)
    assert "b did not stop when cancelled and still runs" in capsys.readouterr().err
    run("a + 1").raise_error()
    for task in asyncio.all_tasks(loop):
        while not task.done():
            loop.run_until_complete(asyncio.sleep(101))


def test_an_error_in_a_finally_block_is_told(
    run: Callable[[str], ExecutionResult], capsys: pytest.CaptureFixture[str]
) -> None:
    body = "async def untidy():\n    try:\n        await asyncio.sleep(9)\n    finally:\n        1 / 0\na = untidy()"
    error = error_of(run(agents(body, "--timeout 1")))
    assert isinstance(error, TimeoutError)
    assert "while it was stopped, a (line 7): ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_a_coroutine_used_twice_is_one_agent(run: Callable[[str], ExecutionResult], shell: InteractiveShell) -> None:
    run(agents("c = f(1)\nd = c\ne = [c, c]\nawait c")).raise_error()
    assert [shell.user_ns[name] for name in "cde"] == [2, 2, [2, 2]]


def test_a_coroutine_of_an_earlier_cell_that_has_run_says_so(run: Callable[[str], ExecutionResult]) -> None:
    run("c = f(1)\nawait c").raise_error()
    error = error_of(run(agents("d = c")))
    assert (type(error), str(error)) == (RuntimeError, "cannot reuse already awaited coroutine")


BAD = [
    ("%%agents --bogus\n1", "unrecognized arguments: --bogus. Options are --limit,"),
    ("%%agents --help\n1", "at most N agents in flight; the others queue, in order"),
    ("%%agents --limt 3\n1", "Did you mean --limit?"),
    ("%%agents --limit 0\n1", "'0' is not a whole number of 1 or more"),
    ("%%agents --limit\n1", "argument --limit: expected one argument"),
    ("%%agents --timeout soon\n1", "'soon' is not a number of seconds above 0"),
    ("%%agents -o 3x\n1", "'3x' is not a name that a variable can have"),
    ("%%agents --name 'x\n1", "cannot read"),
    ("%%agents\n", "the cell body is empty"),
    ("%asynctrace bogus", "unknown command 'bogus'"),
    ("%asynctrace on --bogus", "%asynctrace on takes nothing more, such as '--bogus': leave that out"),
    ("%asynctrace doctor now", "%asynctrace doctor takes nothing more, such as 'now'"),
    ("%asynctrace tsks", "Did you mean `tasks`?"),
]


@pytest.mark.parametrize(("source", "message"), BAD, ids=[case[0] for case in BAD])
def test_wrong_use_says_what_is_right_and_runs_nothing(
    run: Callable[[str], ExecutionResult],
    shell: InteractiveShell,
    capsys: pytest.CaptureFixture[str],
    source: str,
    message: str,
) -> None:
    result = run(source)
    assert isinstance(error_of(result), UsageError)
    assert message in str(error_of(result))
    assert result.result is None


def test_a_syntax_error_keeps_the_users_line(run: Callable[[str], ExecutionResult]) -> None:
    error = error_of(run(agents("a = f(1)\nb = 1 +")))
    assert isinstance(error, SyntaxError)
    assert (error.lineno, error.text) == (3, "b = 1 +\n")


def test_a_traceback_shows_the_users_own_lines(
    run: Callable[[str], ExecutionResult], capsys: pytest.CaptureFixture[str]
) -> None:
    run("%%agents --no-timeline\na = 1\n1 / 0")
    shown = capsys.readouterr().out
    assert "      1 %%agents --no-timeline\n      2 a = 1\n----> 3 1 / 0\n" in shown
    assert "__asyncmagic__" not in shown


def test_magics_and_semicolons_work_in_the_body(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    run(agents("a = f(1)\nb = !echo hello\n%precision 3\nf(2);")).raise_error()
    assert (shell.user_ns["a"], list(shell.user_ns["b"])) == (2, ["hello"])
    assert "Out[" not in capsys.readouterr().out


def test_time_and_capture_may_stand_above(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    run("%%time\n%%capture seen\n%%agents --no-timeline\nprint('inside')\na = f(1)").raise_error()
    assert shell.user_ns["seen"].stdout.startswith("inside\n")
    assert shell.user_ns["a"] == 2


def test_output_names_the_trace_also_when_the_cell_fails(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    run(agents("a = bad(1)", "-o trace --name 'my run'"))
    trace = shell.user_ns["trace"]
    assert (trace.name, trace.is_running, trace.root.outcome) == ("my run", False, "failed")
    assert [(span.name, span.kind, span.outcome) for span in trace.spans[1:]] == [("a", "task", "failed")]


def test_no_name_of_ours_stays_in_the_namespace(run: Callable[[str], ExecutionResult], shell: InteractiveShell) -> None:
    before = set(shell.user_ns)
    run(agents("a = f(1)\na"))
    assert {name for name in set(shell.user_ns) - before if not name.startswith("_")} == {"a"}


def test_unload_leaves_the_shell_as_it_was(shell: InteractiveShell) -> None:
    def state() -> Any:
        return (
            list(shell.input_transformers_cleanup),
            [type(one).__name__ for one in shell.ast_transformers],
            {kind: set(names) for kind, names in shell.magics_manager.magics.items()},
            {event: list(callbacks) for event, callbacks in shell.events.callbacks.items()},
        )

    before = state()
    asyncmagic.load_ipython_extension(shell)
    asyncmagic.load_ipython_extension(shell)
    asyncmagic.unload_ipython_extension(shell)
    assert state() == before


def test_asynctrace_await_runs_one_statement_in_a_trace(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run("%asynctrace await f(21)")
    result.raise_error()
    assert result.result == 42
    trace = asyncmagic.last_trace()
    assert trace is not None
    assert trace.name == "await f(21)"
    run("%asynctrace x = await f(4)").raise_error()
    assert shell.user_ns["x"] == 8


def test_a_traced_cell_is_run_exactly_as_it_stands(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    run("%%asynctrace --no-timeline -o trace\nt = asyncio.create_task(f(1))\nx = await t\nx").raise_error()
    assert shell.user_ns["x"] == 2
    assert isinstance(shell.user_ns["t"], asyncio.Task)


def test_the_magics_line_may_use_variables(run: Callable[[str], ExecutionResult], loop: VirtualLoop) -> None:
    run("n = 2")
    before = loop.time()
    run(agents("[f(i) for i in range(4)]", "--limit {n}")).raise_error()
    assert loop.time() - before == pytest.approx(2)


def test_without_autoawait_it_says_what_it_needs(run: Callable[[str], ExecutionResult]) -> None:
    run("%autoawait off")
    assert str(error_of(run(agents("a = f(1)")))) == "%%agents needs autoawait: run %autoawait on"
    assert "autoawait" in str(error_of(run("%%asynctrace\n1")))
    assert "autoawait" in str(error_of(run("%asynctrace await f(1)")))


def test_asynctrace_await_may_stand_in_a_loop_or_in_a_function(
    run: Callable[[str], ExecutionResult], shell: InteractiveShell
) -> None:
    run("for i in range(2):\n    %asynctrace a = await f(i)").raise_error()
    run("async def g():\n    %asynctrace b = await f(5)\n    return b\nc = await g()").raise_error()
    assert (shell.user_ns["a"], shell.user_ns["c"]) == (2, 10)


def test_asynctrace_send_goes_through_the_users_tracer_provider(
    run: Callable[[str], ExecutionResult], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    run("%%asynctrace --no-timeline --name sent -o trace\nx = await f(1)").raise_error()
    assert "set_tracer_provider" in str(error_of(run("%asynctrace send")))
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: provider)
    run("%asynctrace send").raise_error()
    assert (
        capsys.readouterr().out.strip().endswith("1 spans of 'sent' were handed to your OpenTelemetry tracer provider")
    )
