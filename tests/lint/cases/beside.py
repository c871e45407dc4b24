# %% setup fetching
import asyncio, json, time, functools, contextlib, threading, queue, requests, random
from dataclasses import dataclass, field
from typing import Any, Optional
from unittest.mock import AsyncMock, MagicMock
async def ticks(n=3):
    for i in range(n):
        yield i
@contextlib.asynccontextmanager
async def session():
    yield 1
def parse(x):
    return {"x": x}
def load_sync(u):
    time.sleep(1)
    return u
total = 0
counts = {"a": 0}
class Account:
    def __init__(self):
        self.balance = 0
    async def get(self):
        return self.balance
acct = Account()
async def worker():
    while True:
        await asyncio.sleep(1)
sem = asyncio.Semaphore(2)
urls = ["a", "b"]
handlers = {"a": fetch, "b": price}
class Agent:
    def __init__(self): self.memory = []
    async def run(self, q):
        await asyncio.sleep(0)
        self.memory.append(q)
        return q
alice, bob = Agent(), Agent()
# %%
cs = [fetch(u) for u in urls]
a = await asyncio.gather(*cs)
for c in cs:
    print(await c)  # expect: reused-coroutine
# %%
x = await (fetch(u) for u in urls)  # expect: await-non-awaitable
# %%
for i, x in enumerate(ticks()):  # expect: missing-async
    print(x)
# %%
n = len(ticks())  # expect: missing-async
# %%
with contextlib.ExitStack() as st:
    st.enter_context(session())  # expect: missing-async
# %%
x = asyncio.run(fetch("x"))["u"]  # expect: asyncio-run
# %%
loop = asyncio.get_event_loop()
loop.run_until_complete(fetch("x"))  # expect: asyncio-run
# %% ok
threading.Thread(target=lambda: asyncio.run(fetch("x"))).start()
# %%
loop = asyncio.get_running_loop()
loop.run_forever()  # expect: asyncio-run
# %%
a = await fetch("a")
b = await price("b")  # expect: sequential-awaits
# %%
pages = [await fetch(u) for u in urls]  # expect: sequential-awaits
# %%
pages = {u: await fetch(u) for u in urls}  # expect: sequential-awaits
# %% ok
async def f():
    a = await fetch("a")
    b = await fetch(a["u"])
    return b
# %%
async def f():
    s = 0
    for u in urls:
        s += (await price(u))  # expect: sequential-awaits
    return s
# %% ok
for u in urls:
    r = await fetch(u)
    if r["n"]:
        break
# %%
async def f():
    a, b = await fetch("a"), await fetch("b")  # expect: sequential-awaits
    return a, b
# %%
async def f():
    return {"a": await fetch("a"), "b": await price("b")}  # expect: sequential-awaits
# %%
await asyncio.to_thread(fetch("x"))  # expect: api-misuse
# %%
import signal
asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker)  # expect: async-callback
# %%
threading.Thread(target=fetch, args=("x",)).start()  # expect: async-callback
# %%
threading.Timer(1, worker).start()  # expect: async-callback
# %%
x = await fetch  # expect: await-non-awaitable
# %%
x = await [fetch(u) for u in urls]  # expect: await-non-awaitable
# %%
c = fetch("x")
r = await asyncio.wait_for(c, 1)
r = await c  # expect: reused-coroutine
# %%
c = fetch("x")
t = asyncio.create_task(c)
await c  # expect: reused-coroutine
# %%
c = fetch("x")
c.close()
await c  # expect: reused-coroutine
# %%
u = fetch("x")
xs = [await u for _ in range(2)]  # expect: reused-coroutine
# %%
try:
    r = asyncio.run(fetch("x"))  # expect: asyncio-run
except RuntimeError as error:
    print("no", error)
# %% ok
try:
    r = asyncio.run(fetch("x"))
except RuntimeError:
    r = await fetch("x")
# %%
print("a", **fetch("x"))  # expect: missing-await
# %%
r = fetch("x")  # expect: missing-await
if isinstance(r, dict):
    print(r["u"])
# %%
t = asyncio.create_task(fetch("x"))
t.cancel()
try:
    t  # expect: missing-await
except asyncio.CancelledError:
    print("stopped")
# %%
async def f(ts):
    await asyncio.wait(ts, timeout=1)  # expect: unchecked-exceptions
    return len(ts)
# %%
from tqdm import tqdm
for c in tqdm([fetch(u) for u in urls]):  # expect: missing-await
    print(c["u"])
# %%
for k in ["a", "b"]:
    handlers[k](k)  # expect: missing-await
# %%
a = await alice.run("x")
b = await bob.run("x")  # expect: sequential-awaits
print(a, b)
# %% ok
a = await alice.run("x")
b = await alice.run("y")
print(a, b)
