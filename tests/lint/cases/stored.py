# %% setup fetching
import asyncio, json, time, functools, contextlib, dataclasses
from dataclasses import dataclass, field
from typing import Any, Optional
import typing
@dataclass
class Job:
    name: str
    result: dict = None
    tags: list = field(default_factory=list)
@dataclass
class Loose:
    name: str
    result: Any = None
class Store:
    def __init__(self):
        self.items = {}
        self.last = None
    def put(self, k, v):
        self.items[k] = v
    def keep(self, v):
        self.last = v
    def add(self, v):
        self.items.setdefault("all", []).append(v)
    async def load(self, k):
        return self.items[k]
    def get(self, k):
        return self.items[k]
    def log(self, msg):
        print(msg)
    def fmt(self, x):
        return f"<{x}>"
store = Store()
class Box2:
    pass
box = Box2()
cache = {}
results = []
from types import SimpleNamespace
sn = SimpleNamespace()
# %%
store.keep(fetch("x"))  # expect: missing-await
print(store.last)
# %%
store.put("a", fetch("x"))  # expect: coroutine-left
# %%
store.add(fetch("x"))  # expect: coroutine-left
# %%
store.log(fetch("x"))  # expect: missing-await
# %%
s = store.fmt(price("x"))  # expect: missing-await
# %%
box.value = fetch("x")  # expect: missing-await
print(box.value["u"])
# %%
box.value = fetch("x")  # expect: coroutine-left
# %%
sn.value = price("x")  # expect: missing-await
total = sn.value * 2
# %%
j = Job("a", fetch("x"))  # expect: missing-await
print(j.result["u"])
# %%
j = Job(name="a", result=fetch("x"))  # expect: missing-await
# %%
j = Loose("a", fetch("x"))  # expect: missing-await
print(j.result["u"])
# %%
j = Loose("a", fetch("x"))  # expect: coroutine-left
# %%
j = Loose("a")
j.result = fetch("x")  # expect: missing-await
print(j.result["u"])
# %%
jobs = [Loose(n, fetch(n)) for n in "abc"]  # expect: missing-await
for j in jobs:
    print(j.name, j.result["u"])
# %% ok
jobs = [Loose(n, fetch(n)) for n in "abc"]
for j in jobs:
    print(j.name, (await j.result)["u"])
# %%
cache["x"] = fetch("x")  # expect: coroutine-left
# %%
results.append(fetch("x"))  # expect: coroutine-left
# %%
results.append(fetch("x"))  # expect: missing-await
print(results[-1]["u"])
# %%
cache["x"] = fetch("x")  # expect: missing-await
print(cache["x"]["u"])
# %%
class P:
    def __init__(self, u):
        self.data = fetch(u)  # expect: missing-await
    def show(self):
        return self.data["u"]
P("x").show()
# %% ok
class P:
    def __init__(self, u):
        self.data = fetch(u)
    async def show(self):
        return (await self.data)["u"]
await P("x").show()
# %%
class P:
    async def setup(self):
        self.data = fetch("u")  # expect: missing-await
    def show(self):
        return self.data["u"]
# %%
class P:
    async def setup(self):
        self.data = price("u")  # expect: missing-await
    def total(self):
        return self.data * 2
p = P()
await p.setup()
p.total()
# %% ok
class P:
    def start(self):
        self.task = fetch("u")
    async def wait(self):
        return await self.task
p = P()
p.start()
print(await p.wait())
# %%
@dataclass
class Row:
    u: str
    body: dict
rows = [Row(u, fetch(u)) for u in "ab"]  # expect: missing-await
print(rows[0].body["n"])
# %%
@dataclass
class Row:
    u: str
    body: object = None
r = Row("a", fetch("a"))  # expect: missing-await
print(r.body["n"])
# %% ok
@dataclass
class Row:
    u: str
    body: object = None
r = Row("a", body=fetch("a"))
print((await r.body)["n"])
# %%
class NT(typing.NamedTuple):
    a: str
    b: float
x = NT("a", price("a"))  # expect: missing-await
print(x.b + 1)
# %%
from collections import namedtuple
NT = namedtuple("NT", "a b")
x = NT("a", price("a"))  # expect: missing-await
print(x.b + 1)
# %%
from types import SimpleNamespace
ns = SimpleNamespace(a=price("x"))  # expect: missing-await
print(ns.a + 1)
# %%
d = dict(a=price("x"), b=2)  # expect: missing-await
print(d["a"] + 1)
# %%
d = {u: fetch(u) for u in "ab"}  # expect: missing-await
for u, page in d.items():
    print(u, page["n"])
# %%
from collections import defaultdict
d = defaultdict(list)
d["a"].append(price("x"))  # expect: missing-await
print(d["a"][0] + 1)
# %%
for i in range(price("x")):  # expect: missing-await
    pass
# %%
f = open("/dev/null", "w")
f.write(fetch("x"))  # expect: missing-await
# %%
x = yield_ = fetch("x")  # expect: missing-await
print(x["u"])
# %%
global_state = {"r": None}
async def upd():
    global_state["r"] = fetch("x")  # expect: missing-await
await upd()
print(global_state["r"]["u"])
# %% ok
(await fetch("x"))["u"]
# %%
from collections import Counter
c = Counter(names())  # expect: missing-await
# %% setup fetching
import asyncio, json, time, functools, contextlib, threading, random, collections, itertools, inspect
from dataclasses import dataclass, field
from typing import Any, Optional, Awaitable, Callable, Coroutine
from collections import defaultdict, deque
urls = ["a", "b", "c"]
jobs = []
registry = {}
class Bag:
    pass
bag = Bag()
class Sched:
    def __init__(self):
        self.pending = []
        self.by_name = {}
    def add(self, coro, name=None):
        self.pending.append(coro)
        if name:
            self.by_name[name] = coro
        return self
    async def run(self):
        out = await asyncio.gather(*self.pending)
        self.pending.clear()
        return out
    def start(self):
        self.tasks = [asyncio.create_task(c) for c in self.pending]
sched = Sched()
async def drain():
    while jobs:
        await jobs.pop()
def start_all():
    return [asyncio.create_task(j) for j in jobs]
# %% ok
jobs.append(fetch("a"))
await drain()
# %% ok
jobs.append(fetch("a"))
ts = start_all()
await asyncio.gather(*ts)
# %% ok
jobs.append(fetch("a"))
print(await jobs.pop())
# %% ok
jobs.extend([fetch(u) for u in urls])
rs = await asyncio.gather(*jobs)
jobs.clear()
# %% ok
registry["a"] = fetch("a")
x = await registry.pop("a")
# %% ok
registry["a"] = fetch("a")
x = await registry["a"]
del registry["a"]
# %% ok
for u in urls:
    registry[u] = fetch(u)
for u, c in registry.items():
    print(u, (await c)["n"])
# %% ok
for u in urls:
    registry[u] = asyncio.create_task(fetch(u))
for u in urls:
    print((await registry[u])["n"])
# %% ok
sched.add(fetch("a")).add(fetch("b"), name="b")
print(await sched.run())
# %% ok
sched.add(fetch("a"))
sched.start()
await asyncio.gather(*sched.tasks)
# %% ok
s = Sched()
for u in urls:
    s.add(fetch(u), u)
r = await s.run()
# %% ok
s = Sched()
s.add(fetch("a"), "a")
print((await s.by_name["a"])["u"])
# %% ok
bag.c = fetch("a")
r = await bag.c
print(r["u"])
# %% ok
bag.c = fetch("a")
bag.c = await bag.c
print(bag.c["u"])
# %% ok
bag.task = asyncio.create_task(fetch("a"))
print((await bag.task)["u"])
# %% ok
bag.task = asyncio.create_task(fetch("a"))
# %% ok
class W:
    def __init__(self, u):
        self.u = u
        self.c = fetch(u)
    def __await__(self):
        return self.c.__await__()
w = W("a")
r = await w
print(r["u"])
# %% ok
class W:
    def __init__(self):
        self._t = None
    def start(self):
        self._t = asyncio.create_task(fetch("a"))
        return self
    async def result(self):
        return (await self._t)["u"]
w = W().start()
print(await w.result())
# %% ok
@dataclass
class Job:
    name: str
    coro: Coroutine
    result: Any = None
js = [Job(u, fetch(u)) for u in urls]
for j in js:
    j.result = await j.coro
print([j.result["u"] for j in js])
# %% ok
@dataclass
class Job:
    name: str
    coro: Any
    result: Any = None
js = [Job(u, fetch(u)) for u in urls]
rs = await asyncio.gather(*(j.coro for j in js))
for j, r in zip(js, rs):
    j.result = r
    print(j.result["u"])
# %% ok
@dataclass
class Job:
    name: str
    value: Any = None
js = [Job(u) for u in urls]
for j in js:
    j.value = fetch(j.name)
for j in js:
    j.value = await j.value
print(js[0].value["u"])
# %% ok
@dataclass
class Job:
    run: Callable[[], Awaitable]
js = [Job(lambda u=u: fetch(u)) for u in urls]
rs = await asyncio.gather(*(j.run() for j in js))
# %% ok
d = {u: [] for u in urls}
for u in urls:
    d[u].append(fetch(u))
for u in urls:
    await asyncio.gather(*d[u])
# %% ok
d = defaultdict(list)
for u in urls:
    d[u[0]].append(fetch(u))
for k, cs in d.items():
    print(k, await asyncio.gather(*cs))
# %% ok
q = deque(fetch(u) for u in urls)
while q:
    print(await q.popleft())
# %% ok
cs = [fetch(u) for u in urls]
for i in range(0, len(cs), 2):
    print(await asyncio.gather(*cs[i:i + 2]))
# %% ok
cs = [fetch(u) for u in urls]
head, *rest = cs
print(await head, await asyncio.gather(*rest))
# %% ok
cs = [fetch(u) for u in urls]
a = await cs[0]
b = await cs[1]
c = await cs[2]
# %% ok
cs = dict(zip(urls, map(fetch, urls)))
rs = dict(zip(cs, await asyncio.gather(*cs.values())))
print(rs["a"]["u"])
# %% ok
def maybe(flag):
    return fetch("a") if flag else {"u": 1}
r = maybe(True)
if inspect.isawaitable(r):
    r = await r
print(r["u"])
# %% ok
async def call(f, *a):
    r = f(*a)
    if asyncio.iscoroutine(r):
        r = await r
    return r
print(await call(fetch, "a"), await call(len, "a"))
# %% ok
class C:
    cache = {}
    async def get(self, u):
        if u not in self.cache:
            self.cache[u] = asyncio.ensure_future(fetch(u))  # noqa: atomic-update
        return await self.cache[u]
c = C()
print((await c.get("a"))["u"], (await c.get("a"))["u"])
# %% ok
class C:
    def __init__(self):
        self.cbs = []
    def on(self, f):
        self.cbs.append(f)
        return f
    async def emit(self, x):
        for f in self.cbs:
            await f(x)
c = C()
@c.on
async def hello(x):
    print(x)
await c.emit(1)
# %% ok
class Ctx:
    async def __aenter__(self):
        self.t = asyncio.create_task(fetch("a"))
        return self
    async def __aexit__(self, *a):
        await self.t
async with Ctx() as c:
    print(c.t.done())
# %% ok
class P:
    @property
    def page(self):
        return fetch("a")
    @functools.cached_property
    def task(self):
        return asyncio.create_task(fetch("b"))
p = P()
print((await p.page)["u"], (await p.task)["u"], (await p.task)["u"])
# %% ok
class Lazy:
    def __init__(self): self._v = None
    async def value(self):
        if self._v is None:
            self._v = await fetch("a")  # noqa: atomic-update
        return self._v["u"]
l = Lazy()
print(await l.value(), await l.value())
# %% ok
async def producer(q):
    for u in urls:
        await q.put(fetch(u))
    await q.put(None)
async def consumer(q):
    while (c := await q.get()) is not None:
        print((await c)["u"])
q = asyncio.Queue()
await asyncio.gather(producer(q), consumer(q))
# %% ok
async with contextlib.AsyncExitStack() as st:
    st.push_async_callback(fetch, "a")
    t = await st.enter_async_context(asyncio.TaskGroup())
    h = t.create_task(fetch("b"))
print(h.result()["u"])
# %% ok
def tasks_of(us):
    for u in us:
        yield asyncio.create_task(fetch(u))
for t in list(tasks_of(urls)):
    print((await t)["u"])
# %% ok
results = {}
async def one(u):
    results[u] = await fetch(u)
await asyncio.gather(*map(one, urls))
print(results["a"]["u"])
# %% ok
results = {}
async def one(u):
    results[u] = asyncio.create_task(fetch(u))
    await results[u]
await one("a")
print(results["a"].result()["u"])
# %% ok
state = {"t": None}
async def begin():
    state["t"] = asyncio.create_task(fetch("a"))
await begin()
print((await state["t"])["u"])
# %% ok
state = {"c": None}
def begin():
    state["c"] = fetch("a")
begin()
print((await state["c"])["u"])
# %% ok
c = fetch("a")
def use(x): return asyncio.create_task(x)
t = use(c)
print((await t)["u"])
# %% ok
def twice(c):
    t = asyncio.ensure_future(c)
    return asyncio.gather(t, t)
a, b = await twice(fetch("a"))
print(a["u"])
# %% ok
async def with_log(c, log=[]):
    log.append(c)
    return await c
print((await with_log(fetch("a")))["u"])
# %% ok
def name_of(c):
    return c.__name__
c = fetch("a")
print(name_of(c), (await c)["u"])
# %% ok
Coro = Coroutine[Any, Any, dict]
async def wait_all(*cs: Coro) -> list[dict]:
    return [r for r in await asyncio.gather(*cs)]
print((await wait_all(fetch("a"), fetch("b")))[0]["u"])
# %% ok
from typing import NamedTuple
class Pair(NamedTuple):
    name: str
    coro: Any
ps = [Pair(u, fetch(u)) for u in urls]
rs = {p.name: await p.coro for p in ps}  # noqa: sequential-awaits
print(rs["a"]["u"])
# %% ok
from types import SimpleNamespace
ns = SimpleNamespace(c=fetch("a"))
ns.c = await ns.c
print(ns.c["u"])
# %% ok
lst = [None] * 3
for i, u in enumerate(urls):
    lst[i] = fetch(u)
lst = await asyncio.gather(*lst)
print(lst[0]["u"])
# %% ok
lst = [None] * 3
for i, u in enumerate(urls):
    lst[i] = fetch(u)
for i in range(3):
    lst[i] = await lst[i]
print(lst[0]["u"])
# %% ok
grid = [[fetch((i, j)) for j in range(2)] for i in range(2)]
out = [await asyncio.gather(*row) for row in grid]  # noqa: sequential-awaits
print(out[0][0]["u"])
# %% ok
class Node:
    def __init__(self, c, nxt=None):
        self.c, self.next = c, nxt
n = Node(fetch("a"), Node(fetch("b")))
while n:
    print((await n.c)["u"])
    n = n.next
# %% ok
class Client:
    async def get(self, u): return await fetch(u)
    def get_many(self, us): return asyncio.gather(*(self.get(u) for u in us))
cl = Client()
print((await cl.get_many(urls))[0]["u"])
# %% ok
class Client:
    async def get(self, u): return await fetch(u)
    def get_sync(self, u):
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(self.get(u))
        finally:
            loop.close()
print(await asyncio.to_thread(Client().get_sync, "a"))
# %% ok
t1 = asyncio.create_task(fetch("a"))
t2 = asyncio.create_task(fetch("b"))
done, pending = await asyncio.wait({t1, t2})
for t in done:
    print(t.result()["u"])
# %% ok
async def stream(n):
    for i in range(n):
        yield fetch(i)
async for c in stream(2):
    print((await c)["u"])
# %% ok
f = functools.partial(fetch, "a")
print((await f())["u"])
retry = lambda fn: fn()
print((await retry(f))["u"])
# %% ok
coro = fetch("a")
try:
    r = await asyncio.wait_for(coro, 1)
except asyncio.TimeoutError:
    r = {"u": None}
print(r["u"])
# %% ok
coro = fetch("a")
if random.random() > 2:
    r = await coro
else:
    coro.close()
# %% ok
@functools.wraps(fetch)
async def wrapped(*a, **k):
    return await fetch(*a, **k)
print((await wrapped("a"))["u"])
# %% ok
class Meta(type):
    def __call__(cls, *a):
        return super().__call__(*a)
class K(metaclass=Meta):
    def __init__(self, c): self.c = c
k = K(fetch("a"))
print((await k.c)["u"])
# %% ok
class D(dict):
    pass
d = D()
d["c"] = fetch("a")
print((await d["c"])["u"])
# %% ok
ts = {asyncio.create_task(fetch(u)): u for u in urls}
for t in asyncio.as_completed(ts):
    print((await t)["u"])
while ts:
    done, _ = await asyncio.wait(ts, return_when=asyncio.FIRST_COMPLETED)
    for t in done:
        print(ts.pop(t), t.result()["u"])
# %% ok
bg = set()
for u in urls:
    t = asyncio.create_task(fetch(u))
    bg.add(t); t.add_done_callback(bg.discard)
# %% ok
bag.tasks = []
for u in urls:
    bag.tasks.append(asyncio.create_task(fetch(u)))
# %% ok
async def main():
    j = Bag()
    j.c = fetch("a")
    return await j.c
print((await main())["u"])
# %% ok
async def main():
    out = {}
    for u in urls:
        out[u] = fetch(u)
    vals = await asyncio.gather(*out.values())
    return dict(zip(out, vals))
print((await main())["a"]["u"])
# %% ok
async def main(c):
    return {"c": c, "r": await c}
print((await main(fetch("a")))["r"]["u"])
# %% ok
def build():
    s = Sched()
    s.add(fetch("a"))
    return s
print(await build().run())
# %% ok
def plan():
    return [("a", fetch("a")), ("b", fetch("b"))]
for n, c in plan():
    print(n, (await c)["u"])
# %% ok
import asyncio as aio
async def f(x: "Awaitable[dict]"):
    return (await x)["u"]
print(await f(fetch("a")))
# %% ok
x = fetch("a")
y = x
print((await y)["u"])
# %% ok
x = fetch("a"), fetch("b")
a, b = x
print((await a)["u"], (await b)["u"])
# %% ok
x = None
if urls:
    x = fetch("a")
if x is not None:
    print((await x)["u"])
# %% ok
o = Bag()
o.cb = fetch
print((await o.cb("a"))["u"])
# %% ok
o = Bag()
o.items = []
o.items.append(fetch("a"))
print((await o.items[0])["u"])
# %% ok
class Graph:
    def __init__(self): self.nodes = {}
    def node(self, name):
        def deco(fn):
            self.nodes[name] = fn
            return fn
        return deco
    async def run(self, x):
        for n, fn in self.nodes.items():
            r = fn(x)
            x = await r if inspect.isawaitable(r) else r
        return x
g = Graph()
@g.node("a")
async def a(x): return x + 1
@g.node("b")
def b(x): return x * 2
print(await g.run(1))
# %% ok
class Listener:
    def __init__(self):
        self._future = None
    async def accept(self):
        self._future = asyncio.get_running_loop().create_future()
        return await self._future
    def close(self):
        if future := self._future:
            future.cancel()
Listener().close()
# %% ok
class Base:
    def submit(self, job): raise NotImplementedError
class Queue(Base):
    def submit(self, job): jobs.append(job)
def schedule(b: Base):
    b.submit(fetch(1))
# %% ok
from abc import abstractmethod
class Base:
    @abstractmethod
    def submit(self, job): return None
def schedule(b: Base):
    b.submit(fetch(1))
# %% ok
class Base:
    def submit(self, job):
        """Take a job."""
        ...
def schedule(b: Base):
    b.submit(fetch(1))
# %%
class Base:
    def submit(self, job): print("ignored")
def schedule(b: Base):
    b.submit(fetch(1))  # expect: missing-await
