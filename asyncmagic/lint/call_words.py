"""What the names of functions and objects tell of calls whose source is not the user's."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What awaits the coroutine that it is given.
WRAPPERS = frozenset(
    ["asyncio.tasks.wait_for", "asyncio.tasks.shield", "asyncio.tasks.create_task", "asyncio.tasks.ensure_future"]
)
#: First words of methods whose calls depend on their order, whatever they are given.
ORDERED = _words(
    """
    read readline readlines readexactly readuntil recv receive next send write writelines drain put post patch
    commit begin execute executemany rollback connect disconnect close open start stop acquire release join wait
    sleep push pop seek flush login logout goto click fill type press select insert update upsert delete append
    extend step asend anext save store set add remove clear publish emit enter create register upload move turn
    drop enqueue dequeue submit book pay transfer withdraw deposit charge play train fit reset
    enter_async_context
    """
)
#: First words of methods that ask for something, of objects of which nothing is known.
ASKING = _words(
    """
    get fetch load query search find list lookup ask answer summarize summarise translate classify embed
    complete generate predict score describe download scrape crawl resolve rate review judge evaluate analyze
    analyse retrieve request head forecast measure count
    """
)
#: Last words of the names of objects that serve one call at a time, or remember what was said.
ONE_AT_A_TIME = _words(
    """
    conn connection cursor cur tx transaction page tab ws websocket socket sock reader writer stream channel
    chat conversation dialog dialogue queue q robot game device serial
    """
)
#: Libraries whose connections and sessions serve one call at a time.
ONE_AT_A_TIME_LIBRARIES = frozenset({"sqlalchemy", "asyncpg", "psycopg", "aiosqlite", "playwright", "websockets"})
#: What language models are asked by, without a trace in the client.
STATELESS = ("completions", "embeddings", "responses", "messages", "images", "moderations")
CLOCKS = frozenset({"perf_counter", "monotonic", "perf_counter_ns", "monotonic_ns", "time_ns"})
#: Functions that change nothing of what they are given.
READING = _words("len str repr int float sum min max sorted range list dict set tuple print round zip")
MUTATING = _words("append extend add update insert pop remove clear put put_nowait set setdefault write")
