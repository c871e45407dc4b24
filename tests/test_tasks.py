"""`%asynctrace tasks`: who is alive, and who awaits whom."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Coroutine
from typing import Any

from asyncmagic.tasks import tree
from tests.conftest import VirtualLoop


def seen(loop: VirtualLoop, main: Coroutine[Any, Any, str]) -> list[str]:
    """The tree's lines without what they say of the task that asks, and without line numbers."""
    lines = loop.run_until_complete(main).splitlines()
    return [line.partition(" line ")[0] for line in lines if "  running" not in line]


async def nap() -> None:
    await asyncio.sleep(1)


async def same_as(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.gather(*tasks)


def test_awaited_tasks_stand_below_those_that_await_them(loop: VirtualLoop) -> None:
    async def main() -> str:
        first, second = (asyncio.create_task(nap(), name=name) for name in ("first", "second"))
        both = asyncio.create_task(same_as(first, second), name="both")
        also = asyncio.create_task(same_as(first), name="second of them")
        await asyncio.sleep(0)
        text = tree()
        await asyncio.gather(both, also)
        return text

    assert seen(loop, main()) == [
        "both  waiting  same_as",
        "  first  waiting  nap",
        "  second  waiting  nap",
        "second of them  waiting  same_as",
        "  first  (see above)",
    ]


def test_tasks_that_await_each_other_are_shown_too(loop: VirtualLoop) -> None:
    async def main() -> str:
        tasks: list[asyncio.Task[Any]] = []

        async def other(index: int) -> None:
            await tasks[index]

        tasks += [asyncio.create_task(other(1), name="a"), asyncio.create_task(other(0), name="b")]
        await asyncio.sleep(0)
        text = tree()
        for task in tasks:
            # Nobody can cancel a circle, nor can the end of the loop.
            asyncio.tasks._unregister_task(task)  # type: ignore[attr-defined]
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            task.get_coro().close()  # type: ignore[union-attr]
        return text

    assert seen(loop, main()) == [
        "a  waiting  test_tasks_that_await_each_other_are_shown_too.<locals>.main.<locals>.other",
        "  b  waiting  test_tasks_that_await_each_other_are_shown_too.<locals>.main.<locals>.other",
        "    a  (see above)",
    ]


async def close() -> None:
    stack = contextlib.AsyncExitStack()
    stack.push_async_callback(asyncio.sleep, 1)
    await stack.aclose()


def test_the_place_is_the_users_line_or_else_a_librarys_with_its_file(loop: VirtualLoop) -> None:
    async def main() -> str:
        tasks = [asyncio.create_task(close(), name="mine"), asyncio.create_task(asyncio.sleep(1), name="nobody's")]
        await asyncio.sleep(0)
        text = tree()
        await asyncio.wait(tasks)
        return text

    text = re.sub(r"line \d+", "line …", loop.run_until_complete(main()))
    assert [line for line in text.splitlines() if "  running" not in line] == [
        "mine  waiting  close line …: await stack.aclose()",
        "nobody's  waiting  sleep in asyncio/tasks.py line …: return await future",
    ]
