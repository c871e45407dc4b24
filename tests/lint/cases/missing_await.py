# %% setup
import asyncio, functools, contextlib, dataclasses, json
from functools import partial
from unittest.mock import AsyncMock, MagicMock

async def fetch(x, delay=0.01):
    await asyncio.sleep(delay)
    return {"x": x, "score": 1}

async def rows():
    return [1, 2, 3]

class Store:
    def __init__(self, name="s"):
        self.name = name
        self.cache = {}
    async def load(self, key): return key
    async def save(self, key, value): self.cache[key] = value
    @classmethod
    async def open(cls, name): return cls(name)
    @staticmethod
    async def ping(): return True
    @property
    async def size(self): return 3
    async def __call__(self, x): return x
    def later(self, key): return self.load(key)
    def plain(self): return 1

store = Store()
stores = {"a": Store(), "b": Store()}
handlers = [fetch, rows]
mock = AsyncMock()
half = partial(fetch, delay=0)
@functools.lru_cache
def cached(x): return fetch(x)
def timed(fn):
    @functools.wraps(fn)
    async def wrapper(*a, **k): return await fn(*a, **k)
    return wrapper
@timed
async def slow(x): return x
event = asyncio.Event()
lock = asyncio.Lock()

# %%
store.load("a")  # expect: missing-await
print(1)
# %%
store.save("a", 1)  # expect: missing-await
x = await store.load("a")
# %%
Store.ping()  # expect: missing-await
s = await Store.open("x")
# %%
s = Store.open("x")  # expect: missing-await
print(s.name)
# %%
store("x")  # expect: missing-await
y = 1
# %%
stores["a"].load(1)  # expect: missing-await
y = 1
# %%
store.later(1)  # expect: missing-await
y = 1
# %%
mock(1)  # expect: missing-await
mock.method(2)  # expect: missing-await
y = 1
# %%
half(1)  # expect: missing-await
cached(2)  # expect: missing-await
slow(3)  # expect: missing-await
y = 1
# %%
n = len(rows())  # expect: missing-await
# %%
for i, r in enumerate(rows()):  # expect: missing-await
    print(i, r)
# %%
d = {**fetch(1)}  # expect: missing-await
# %%
print("%s" % fetch(1))  # expect: missing-await
# %%
print("{}".format(fetch(1)))  # expect: missing-await
# %%
if not fetch(1):  # expect: missing-await
    print("no")
# %%
assert fetch(1)  # expect: missing-await
# %%
x = fetch(1) or {}  # expect: missing-await
print(x)
# %%
first = rows()[0]  # expect: missing-await
# %%
if 2 in rows():  # expect: missing-await
    print("yes")
# %%
if fetch(1) == {"x": 1}:  # expect: missing-await
    print("same")
# %%
a, *rest = rows()  # expect: missing-await
# %%
json.dumps(fetch(1))  # expect: missing-await
# %%
total = 0
total += fetch(1)  # expect: missing-await
# %%
result = sum(rows())  # expect: missing-await
# %%
async def main():
    r = fetch(1)  # expect: missing-await
    return r["x"]
await main()
# %%
async def main():
    out = []
    for i in range(3):
        out.append(fetch(i))  # expect: missing-await
    print(out)
await main()
# %%
async def main():
    async with lock:
        fetch(1)  # expect: missing-await
await main()
# %%
async def main():
    try:
        fetch(1)  # expect: missing-await
    except ValueError:
        pass
await main()
# %%
event.wait()  # expect: missing-await
lock.acquire()  # expect: missing-await
y = 1
# %%
asyncio.gather(fetch(1), fetch(2))  # expect: missing-await
print("x")
# %%
rs = asyncio.gather(fetch(1), fetch(2))  # expect: missing-await
print(rs[0])
# %%
t = asyncio.create_task(fetch(1))
print(t["x"])  # expect: missing-await
# %%
done, pending = asyncio.wait([asyncio.create_task(fetch(1))])  # expect: missing-await
# %%
with store.load(1) as f:  # expect: missing-await
    pass
# %%
class Agent:
    def __init__(self, store):
        self.store = store
    async def run(self, q):
        return await self.store.load(q)
    async def all(self, qs):
        for q in qs:
            self.run(q)  # expect: missing-await
agent = Agent(store)
agent.run("q")  # expect: missing-await
r = await agent.all(["q"])
# %%
class Agent:
    def __init__(self):
        self.store = Store()
    async def ask(self, q):
        r = self.store.load(q)  # expect: missing-await
        return r.upper()
a = Agent()
# %%
@dataclasses.dataclass
class Job:
    store: Store
    async def go(self):
        self.store.save("k", 1)  # expect: missing-await
        return 1
await Job(store).go()
# %%
async def work(s: Store):
    s.save("k", 1)  # expect: missing-await
    return await s.load("k")
await work(store)
# %%
def helper(x):
    return fetch(x)
helper(1)  # expect: missing-await
y = 1
# %%
def helper(x):
    return fetch(x)
print(helper(1)["x"])  # expect: missing-await
# %%
def deco(fn):
    def inner(*a):
        return fn(*a)
    return inner
@deco
async def get(x): return x
get(1)  # expect: missing-await
y = await get(2)
# %%
get = partial(fetch, 1)
get()  # expect: missing-await
y = await get()
# %%
tools = {"fetch": fetch}
tools["fetch"](1)  # expect: missing-await
y = 1
# %%
f = fetch if True else rows
f(1)  # expect: missing-await
y = 1
# %%
for h in handlers:
    h(1)  # expect: missing-await
# %%
r = await fetch(1)
s = fetch(r["x"])  # expect: missing-await
print(s["x"])
# %%
import asyncio as aio
aio.sleep(1)  # expect: missing-await
await aio.sleep(0)
# %%
from asyncio import sleep, gather
sleep(1)  # expect: missing-await
await gather(fetch(1))
# %%
q = asyncio.Queue()
q.put(1)  # expect: missing-await
q.get()  # expect: missing-await
print(q.qsize())
# %%
fetch(1);  # expect: missing-await
# %%
print([fetch(i) for i in range(3)])  # expect: missing-await
# %%
results = [fetch(i) for i in range(3)]  # expect: missing-await
best = max(results, key=lambda r: r["score"])
# %%
for r in [fetch(i) for i in range(3)]:  # expect: missing-await
    print(r["x"])
# %%
coros = [fetch(i) for i in range(3)]  # expect: missing-await
for c in coros:
    print(c["x"])
# %%
x = {"a": fetch(1), "b": 2}  # expect: missing-await
print(x["a"]["score"])
# %%
c = fetch(1)  # expect: missing-await
c = None
# %%
c = fetch(1)  # expect: missing-await
del c
# %%
match fetch(1):  # expect: missing-await
    case {"x": x}:
        print(x)
# %%
text = store.load("a").strip()  # expect: missing-await
# %%
v = store.size + 1  # expect: missing-await
# %%
async with asyncio.TaskGroup() as tg:
    t = tg.create_task(fetch(1))
    fetch(2)  # expect: missing-await
# %%
%time fetch(1)  # expect: missing-await
y = 1
# %%
%%time
fetch(1)  # expect: missing-await
y = 1
# %%
loop = asyncio.get_running_loop()
loop.run_in_executor(None, print)
r = loop.run_in_executor(None, len, "abc")
print(r + 1)  # expect: missing-await
# %%
reader, writer = asyncio.open_connection("localhost", 80)  # expect: missing-await
# %%
proc = asyncio.create_subprocess_exec("ls")  # expect: missing-await
print(proc.returncode)
# %%
async def agen():
    for i in range(3):
        yield fetch(i)
async for c in agen():
    print(c["x"])  # expect: missing-await
# %%
async def outer():
    async def inner():
        return 1
    inner()  # expect: missing-await
    return await inner()
await outer()
# %%
try:
    r = fetch(1)  # expect: missing-await
    print(r["x"])
finally:
    print("done")
# %%
while True:
    fetch(1)  # expect: missing-await
    break
# %%
x = await fetch(1) if fetch(2) else None  # expect: missing-await
# %%
print(fetch(1), await fetch(2))  # expect: missing-await
# %%
x = str(fetch(1)).upper()  # expect: missing-await
# %%
names = ", ".join(rows())  # expect: missing-await
# %%
lookup = dict(zip("ab", [fetch(1), fetch(2)]))  # expect: missing-await
print(lookup["a"]["x"])
# %% ok
c = fetch(1)
print(c)
r = await c
# %% ok
c = fetch(1)
t = asyncio.create_task(c)
r = await t
print(r["x"])
# %% ok
r = (await fetch(1))["x"]
# %% ok
rs = await asyncio.gather(*[fetch(i) for i in range(3)])
print(rs[0]["x"], len(rs))
# %% ok
c = None
for i in range(3):
    if c is not None:
        await c
    c = fetch(i)
await c
# %% ok
pending = []
for i in range(5):
    if len(pending) > 2:
        await pending.pop(0)
    pending.append(fetch(i))
for p in pending:
    await p
# %% ok
coro = fetch(1)
if True:
    coro = asyncio.wait_for(coro, 1)
r = await coro
# %% ok
async def run(coro):
    try:
        return await coro
    except ValueError:
        return None
r = await run(fetch(1))
# %% ok
def later(coro, bucket):
    bucket.append(coro)
bucket = []
later(fetch(1), bucket)
r = await bucket[0]
# %% ok
class Pool:
    def __init__(self): self.jobs = []
    def add(self, c): self.jobs.append(c)
    async def run(self): return await asyncio.gather(*self.jobs)
pool = Pool()
pool.add(fetch(1))
pool.add(fetch(2))
rs = await pool.run()
# %% ok
stack = contextlib.AsyncExitStack()
stack.push_async_callback(fetch, 1)
await stack.aclose()
# %% ok
for coro in asyncio.as_completed([fetch(i) for i in range(3)]):
    r = await coro
    print(r["x"])
# %% ok
async def producer():
    for i in range(3):
        yield i
xs = [x async for x in producer()]
# %% ok
f = fetch
r = await f(1)
# %% ok
jobs = {i: asyncio.create_task(fetch(i)) for i in range(3)}
for k, t in jobs.items():
    print(k, (await t)["x"])
# %% ok
t = asyncio.create_task(fetch(1))
t.add_done_callback(lambda t: print(t.result()["x"]))
await t
# %% ok
x = store.plain()
store.plain()
print(store.cache)
# %% ok
m = MagicMock()
m.load(1)
print(m.load(2).x)
# %% ok
r = await mock(1)
mock.assert_awaited()
# %% ok
results = await asyncio.gather(*(store.load(k) for k in "abc"), fetch(1))
print(results[3]["x"])
# %% ok
def make(n):
    return [fetch(i) for i in range(n)]
rs = await asyncio.gather(*make(3))
# %% ok
async def chain(x):
    return fetch(x)
r = await (await chain(1))
print(r["x"])
# %% ok
with contextlib.suppress(Exception):
    r = await fetch(1)
    print(r["x"])
# %% ok
import inspect
v = fetch(1)
if inspect.isawaitable(v):
    v = await v
print(v["x"])
# %% ok
v = fetch(1)
while inspect.iscoroutine(v) if False else False:
    pass
r = await v
# %% ok
r = await fetch(1) or await fetch(2)
print(r["x"])
# %% ok
task = asyncio.ensure_future(fetch(1))
await asyncio.wait([task])
print(task.result()["x"])
# %% ok
fut = asyncio.get_running_loop().create_future()
fut.set_result({"x": 1})
print((await fut)["x"], fut.done())
# %% ok
def sync_wrapper(x):
    return {"x": x}
fetch = sync_wrapper
print(fetch(1)["x"])
fetch(2)
# %% ok
async def worker(q):
    while True:
        item = await q.get()
        q.task_done()
q = asyncio.Queue()
w = asyncio.create_task(worker(q))
q.put_nowait(1)
await q.join()
w.cancel()
# %% ok
async def main(fetch):
    fetch(1)
    return fetch(2)["x"]
# %% ok
from types import SimpleNamespace
ns = SimpleNamespace(job=fetch(1))
r = await ns.job
# %% ok
def gen():
    yield from (fetch(i) for i in range(3))
rs = [await c for c in gen()]
# %% ok
async with asyncio.timeout(1):
    r = await fetch(1)
# %% ok
async def f():
    return await asyncio.gather(fetch(1), fetch(2))
a, b = await f()
print(a["x"], b["x"])
# %% ok
x = 3
if x: await fetch(x)
# %% ok
watchers = {asyncio.create_task(fetch(1)): "idle", asyncio.create_task(fetch(2)): "run"}
for w in watchers:
    await w
# %% ok
watchers = {}
watchers[asyncio.create_task(fetch(1))] = "run"
await asyncio.wait({*watchers})
for w in watchers:
    print((await w)["x"])
# %% ok
from abc import ABC, abstractmethod
class Base(ABC):
    @abstractmethod
    def go(self, x): ...
    async def run(self):
        return await self.go(1)
# %% ok
class Plugin:
    _lock = None
    @classmethod
    async def start(cls):
        if Plugin._lock is None:
            Plugin._lock = asyncio.Lock()
        async with Plugin._lock:
            return 1
await Plugin.start()
# %%
jobs = {"a": fetch(1), "b": fetch(2)}  # expect: missing-await
print(jobs.get("a")["x"])
await jobs["b"]
