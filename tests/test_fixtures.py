"""The fixtures of conftest.py: time on the virtual loop is exact, and the shell's cells run on it."""

from __future__ import annotations

import asyncio
import time

import pytest


def test_sleeps_on_the_virtual_loop_take_no_time_and_end_exactly(loop):
    async def nap(seconds):
        await asyncio.sleep(seconds)
        return loop.clock()

    async def main():
        return await asyncio.gather(nap(3600), nap(0.1), nap(0.3)), loop.clock()

    begun = time.perf_counter()
    assert loop.run_until_complete(main()) == ([3600 * 10**9, 10**8, 3 * 10**8], 3600 * 10**9)
    assert time.perf_counter() - begun < 1


def test_a_held_loop_lets_time_pass_and_its_timers_come_late(loop):
    async def main():
        late = asyncio.create_task(asyncio.sleep(0.5, result="late"))
        await asyncio.sleep(0)
        loop.advance(2)
        return await late, loop.clock()

    assert loop.run_until_complete(main()) == ("late", 2 * 10**9)


def test_a_thread_answers_before_the_virtual_clock_runs_away(loop):
    async def main():
        async with asyncio.timeout(60):
            return await asyncio.to_thread(lambda: "from the thread"), loop.clock()

    answer, now = loop.run_until_complete(main())
    assert (answer, now) == ("from the thread", 0)


def test_a_virtual_loop_that_nothing_can_wake_says_so(loop, monkeypatch):
    monkeypatch.setattr("selectors.DefaultSelector.select", lambda self, timeout=None: [])
    with pytest.raises(RuntimeError, match="nothing can wake this loop"):
        loop.run_until_complete(loop.create_future())
    monkeypatch.undo()


def test_the_shell_awaits_on_the_virtual_loop(shell, loop):
    begun = time.perf_counter()
    result = shell.run_cell("import asyncio\nawait asyncio.sleep(100, 'slept')")
    assert (result.result, result.error_in_exec, loop.clock()) == ("slept", None, 100 * 10**9)
    assert time.perf_counter() - begun < 2


def test_the_simulator_listens_on_loopback(simulator):
    assert simulator.base_url.startswith("http://127.0.0.1:")
