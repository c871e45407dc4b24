# %% setup
import asyncio
async def fetch(x):
    await asyncio.sleep(0.01)
    return {"x": x}
async def gen():
    yield 1
# %%
job = fetch(1)  # expect: coroutine-left
print("made")
# %%
jobs = {k: fetch(k) for k in "ab"}  # expect: coroutine-left
# %%
a, b = fetch(1), fetch(2)  # expect: coroutine-left
await a
# %%
jobs = []
jobs += [fetch(1)]  # expect: coroutine-left
# %%
jobs = (fetch(1), 2)  # expect: coroutine-left
# %%
for i in range(1):
    last = fetch(i)  # expect: missing-await
# %%
d = {}
d["a"] = fetch(1)  # expect: coroutine-left
# %% ok
job = asyncio.create_task(fetch(1))
# %% ok
agen = gen()
# %% ok
job = fetch(1)
async def later():
    return await job
# %% ok
from functools import partial
job = partial(fetch, 1)
go = lambda: fetch(2)
# %% ok
rs = asyncio.gather(fetch(1), fetch(2))
# %% ok
job = fetch(1)
job.close()
# %%
c = fetch(1)
asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(c))  # expect: dropped-task
# %% ok
%%agents
jobs = []
for i in range(3):
    jobs.append(fetch(i))
more = {"x": [fetch(1)]}
one = fetch(1) if more else 3
# %% setup everyday
# %%
jobs = {q: ask(q) for q in questions}  # expect: coroutine-left
# %%
a = ask("a")  # expect: coroutine-left
b = await ask("b")
# %%
store = {}
for q in questions:
    store[q] = ask(q)  # expect: coroutine-left
# %%
jobs = []
jobs.extend(ask(q) for q in questions)  # expect: coroutine-left
# %%
x, y = ask("a"), ask("b")  # expect: coroutine-left
# %% ok
t = asyncio.create_task(ask("x"))
# %% ok
c = ask("x")
async def use():
    return await c
# %% ok
g = asyncio.gather(ask("a"), ask("b"))
# %%
job = None
if questions:
    job = ask(questions[0])  # expect: coroutine-left
# %%
jobs = [[ask(q) for q in qs] for qs in (questions, questions)]  # expect: coroutine-left
# %% ok
s = stream()
# %%
work = []
for q in questions:
    work.append((q, ask(q)))  # expect: coroutine-left
# %% setup everyday
# %%
class Feed:
    def __init__(self, topic):
        self.topic = topic
        self.opening = ask(topic)  # expect: coroutine-left
feed = Feed("news")
print(feed.topic)
# %% ok
class Feed:
    def __init__(self, topic):
        self.opening = ask(topic)
    async def start(self):
        return await self.opening
feed = Feed("news")
# %% ok
class Feed:
    def __init__(self, topic):
        self.opening = ask(topic)
feed = Feed("news")
print(await feed.opening)
# %%
from dataclasses import dataclass, field
@dataclass
class Farm:
    waiting: list = field(default_factory=list)
    def submit(self, scene):
        self.waiting.append(ask(scene))  # expect: coroutine-left
        return len(self.waiting)
farm = Farm()
print(farm.submit("a"), farm.submit("b"))
# %% ok
class Farm:
    def __init__(self):
        self.waiting = []
    def submit(self, scene):
        self.waiting.append(ask(scene))
farm = Farm()
farm.submit("a")
print(await asyncio.gather(*farm.waiting))
# %%
import heapq
heap = []
for n, question in enumerate(["a", "b"]):
    heapq.heappush(heap, (n, ask(question)))  # expect: coroutine-left
# %%
checks = {host: ask(host) for host in ("a", "b")}  # expect: coroutine-left
print(", ".join(checks))
