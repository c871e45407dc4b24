# %% setup
import asyncio, json, time, random, re, queue, threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
async def fetch(x=0):
    await asyncio.sleep(0)
    return {"x": x}
def add(a, b): return a + b
def nothing(): print("x")
class Box:
    def get(self): return 1
    async def aget(self): return 2
    async def gen(self):
        yield 1
    def __iter__(self): return iter([1])
box = Box()
data = {"a": 1}
pool = ThreadPoolExecutor(1)
q = asyncio.Queue()
class Late:
    def __await__(self):
        yield from ()
        return 1
late = Late()
@dataclass
class Row:
    x: int
def maybe(x):
    if x:
        return fetch(x)
    return None
# %%
x = await add(1, 2)  # expect: await-non-awaitable
# %%
await nothing()  # expect: await-non-awaitable
# %%
await time.sleep(0.01)  # expect: await-non-awaitable
# %%
await print("x")  # expect: await-non-awaitable
# %%
x = await box.get()  # expect: await-non-awaitable
# %%
x = await data  # expect: await-non-awaitable
# %%
x = await fetch  # expect: await-non-awaitable
# %%
x = await json.loads("{}")  # expect: await-non-awaitable
# %%
x = await [fetch(1), fetch(2)]  # expect: await-non-awaitable
# %%
x = await (fetch(1), fetch(2))  # expect: await-non-awaitable
# %%
async for i in [1, 2]:  # expect: await-non-awaitable
    print(i)
# %%
async for i in box:  # expect: await-non-awaitable
    print(i)
# %%
async with open("/etc/hostname") as f:  # expect: await-non-awaitable
    print(f.read())
# %%
async with threading.Lock():  # expect: await-non-awaitable
    pass
# %%
x = await box.gen()  # expect: await-non-awaitable
# %%
await q.put_nowait(1)  # expect: await-non-awaitable
# %%
r = await fetch(1)
y = await r  # expect: await-non-awaitable
# %%
t = asyncio.create_task(fetch(1))
await t.cancel()  # expect: await-non-awaitable
# %%
x = await pool.submit(add, 1, 2)  # expect: await-non-awaitable
# %%
x = await len([1])  # expect: await-non-awaitable
# %%
def twice(x):
    return [x, x]
y = await twice(1)  # expect: await-non-awaitable
# %%
async def main():
    return await add(1, 2)  # expect: await-non-awaitable
await main()
# %%
x = await "text"  # expect: await-non-awaitable
# %%
x = await Row(1)  # expect: await-non-awaitable
# %%
class Client:
    def __init__(self): self.n = 1
    def close(self): self.n = 0
c = Client()
await c.close()  # expect: await-non-awaitable
# %%
event = asyncio.Event()
await event.set()  # expect: await-non-awaitable
# %%
xs = [await add(i, 1) for i in range(3)]  # expect: await-non-awaitable
# %%
async with asyncio.TaskGroup() as tg:
    await add(1, 2)  # expect: await-non-awaitable
# %%
async for x in fetch(1):  # expect: missing-await
    print(x)
# %% ok
x = await late
# %% ok
x = await maybe(1)
# %% ok
x = await box.aget()
async for i in box.gen():
    print(i)
# %% ok
c = maybe(1)
if c is not None:
    await c
# %% ok
async def run(fn, *a):
    r = fn(*a)
    if asyncio.iscoroutine(r):
        r = await r
    return r
await run(add, 1, 2)
# %% ok
f = asyncio.get_running_loop().run_in_executor(None, add, 1, 2)
x = await f
# %% ok
client = None
async def ask():
    return await client.get("x")
# %% ok
lock = asyncio.Lock()
async with lock:
    pass
await lock.acquire()
lock.release()
# %% ok
x = await asyncio.wrap_future(pool.submit(add, 1, 2))
# %% ok
x = await asyncio.shield(fetch(1))
y = await asyncio.gather()
# %% ok
async def use(cm):
    async with cm as c:
        await c
# %% ok
class Lazy:
    def __getattr__(self, name):
        return lambda *a: fetch(1)
r = await Lazy().anything(1)
# %% ok
fn = random.choice([fetch, fetch])
await fn()
# %% ok
class Base:
    def go(self): ...
class Impl(Base):
    async def go(self): return 1
async def run(b: Base):
    return await b.go()
await run(Impl())
# %% ok
class Base:
    def go(self):
        """Do it."""
class Impl(Base):
    async def go(self): return 1
async def run(b: Base):
    return await b.go()
await run(Impl())
# %%
class Base:
    def go(self): pass
async def run(b: Base):
    return await b.go()  # expect: await-non-awaitable
# %% setup everyday
# %%
await print("x")  # expect: await-non-awaitable
# %%
res = await [ask(q) for q in questions]  # expect: await-non-awaitable
# %%
q = asyncio.Queue()
await q.put_nowait(1)  # expect: await-non-awaitable
# %%
t = asyncio.create_task(ask("x"))
await t.cancel()  # expect: await-non-awaitable
# %%
ev = asyncio.Event()
await ev.set()  # expect: await-non-awaitable
# %%
r = await stream()  # expect: await-non-awaitable
# %%
async def main():
    async for q in questions:  # expect: await-non-awaitable
        print(q)
# %%
async for r in await rows():  # expect: await-non-awaitable
    print(r)
# %%
async with open("/etc/hostname") as f:  # expect: await-non-awaitable
    print(f.read())
# %%
t = asyncio.create_task(ask("x"))
await t
r = await t.result()  # expect: await-non-awaitable
# %%
sem = asyncio.Semaphore(2)
with_sem = await sem  # expect: await-non-awaitable
# %%
def load(p):
    return {"p": p}
async def main():
    d = await load("x")  # expect: await-non-awaitable
    return d
await main()
# %% ok
def load(p):
    return ask(p)
async def main():
    return await load("x")
await main()
# %% ok
def load(p):
    if p:
        return ask(p)
    return asyncio.sleep(0)
await load("x")
# %%
cfg = {"a": 1}
x = await cfg["a"]  # expect: await-non-awaitable
# %%
res = await asyncio.gather(*[ask(q) for q in questions])
out = [r.upper() async for r in res]  # expect: await-non-awaitable
# %% ok
class Handle:
    def __await__(self):
        return ask("x").__await__()
print(await Handle())
# %%
async for f in asyncio.as_completed([ask(q) for q in questions]):  # expect: await-non-awaitable
    print(await f)
# %% ok
import types
@types.coroutine
def tick():
    yield
async def main():
    await tick()
await main()
# %%
first = await rows()[0]  # expect: missing-await
# %% setup agents
# %%
await researcher.memory.remember("x")  # expect: await-non-awaitable
