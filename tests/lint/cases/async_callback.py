# %% setup
import asyncio, functools, itertools, threading, signal, re
from concurrent.futures import ThreadPoolExecutor
import pandas as pd
async def score(x):
    await asyncio.sleep(0)
    return x
async def handler(*a): return None
items = [3, 1, 2]
df = pd.DataFrame({"u": [1, 2]})
loop = asyncio.new_event_loop()
class Model:
    async def predict(self, x): return x
model = Model()
def each(fn, xs):
    return [fn(x) for x in xs]
# %%
xs = list(map(score, items))  # expect: async-callback
print(xs[0] + 1)
# %%
xs = list(filter(score, items))  # expect: async-callback
# %%
best = min(items, key=score)  # expect: async-callback
# %%
items.sort(key=score)  # expect: async-callback
# %%
best = sorted(items, key=lambda x: score(x))  # expect: async-callback
# %%
threading.Thread(target=score, args=(1,)).start()  # expect: async-callback
# %%
with ThreadPoolExecutor() as ex:
    f = ex.submit(score, 1)  # expect: async-callback
    print(f.result())
# %%
r = await asyncio.to_thread(score, 1)  # expect: async-callback
# %%
loop.call_later(1, handler)  # expect: async-callback
# %%
asyncio.get_running_loop().call_soon(handler)  # expect: async-callback
# %%
t = asyncio.create_task(score(1))
t.add_done_callback(handler)  # expect: async-callback
await t
# %%
df["r"] = df["u"].apply(score)  # expect: async-callback
# %%
df["r"] = df["u"].map(lambda u: score(u))  # expect: async-callback
# %%
total = functools.reduce(score, items)  # expect: async-callback
# %%
best = max(items, key=model.predict)  # expect: async-callback
# %%
timer = threading.Timer(1, handler)  # expect: async-callback
# %%
for r in map(score, items):  # expect: async-callback
    print(r + 1)
# %%
text = re.sub("a", handler, "abc")  # expect: async-callback
# %%
total = sum(map(score, items))  # expect: async-callback
# %%
async def job(): return 1
t = threading.Thread(target=job)  # expect: async-callback
t.start()
# %% ok
rs = await asyncio.gather(*map(score, items))
# %% ok
rs = [await c for c in map(score, items)]
# %% ok
t = threading.Thread(target=lambda: asyncio.run(score(1)))
t.start()
# %% ok
rs = await asyncio.gather(*each(score, items))
# %% ok
t = asyncio.create_task(score(1))
t.add_done_callback(lambda t: print(t))
await t
# %% ok
loop.call_soon(print, 1)
best = max(items, key=lambda x: -x)
# %% ok
for fut in asyncio.as_completed(list(map(score, items))):
    print(await fut)
# %% ok
from functools import partial
jobs = list(map(partial(score), items))
rs = await asyncio.gather(*jobs)
# %% ok
tools = [score, handler]
by_name = {t.__name__: t for t in tools}
print(sorted(tools, key=lambda t: t.__name__))
# %% setup everyday
# %%
lens = [x + 1 for x in map(score, questions)]  # expect: async-callback
# %%
good = list(filter(score, questions))  # expect: async-callback
# %%
worst = min(questions, key=lambda q: score(q))  # expect: async-callback
# %%
questions.sort(key=score)  # expect: async-callback
# %%
import functools
async def add(a, b): return a + b
total = functools.reduce(add, [1, 2, 3])  # expect: async-callback
# %%
import atexit
async def bye(): pass
atexit.register(bye)  # expect: async-callback
# %%
import threading
threading.Timer(0.01, ask, args=("x",)).start()  # expect: async-callback
# %%
loop = asyncio.get_running_loop()
h = loop.call_later(0.01, ask, "x")  # expect: async-callback
# %%
async def report(t): print(t.result())
t = asyncio.create_task(ask("x"))
t.add_done_callback(report)  # expect: async-callback
await t
# %%
r = await asyncio.to_thread(ask, "x")  # expect: async-callback
print(r.upper())
# %%
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as ex:
    f = ex.submit(ask, "x")  # expect: async-callback
    print(f.result())
# %%
import re
async def repl(m): return m.group().upper()
s = re.sub(r"\w+", repl, "a b")  # expect: async-callback
# %% ok
from collections import defaultdict
locks = defaultdict(asyncio.Lock)
async with locks["a"]:
    print(1)
# %%
@dataclass
class R:
    v: list = field(default_factory=rows)  # expect: async-callback
# %%
class Bot:
    async def __init__(self, name):  # expect: async-callback
        self.name = name
# %%
class Conn:
    async def __enter__(self):  # expect: async-callback
        return self
    async def __exit__(self, *a):  # expect: async-callback
        pass
# %% ok
tasks = set()
def on_sig():
    tasks.add(asyncio.create_task(ask("x")))
asyncio.get_running_loop().call_soon(on_sig)
# %%
asyncio.get_running_loop().call_soon(partial(ask, "x"))  # expect: async-callback
# %% ok
REG = {}
def tool(fn):
    REG[fn.__name__] = fn
    return fn
@tool
async def search(q): return q
print(await REG["search"]("x"))
# %% ok
class Button:
    def __init__(self): self.cbs = []
    def on_click(self, cb): self.cbs.append(cb)
    def click(self):
        for cb in self.cbs: cb(self)  # expect: missing-await
b = Button()
async def clicked(btn): print("clicked")
b.on_click(clicked)
b.click()
# %% setup everyday
# %%
import heapq
heapq.nlargest(2, ["a", "bb"], key=ask)  # expect: async-callback
# %%
import json
print(json.dumps({"a": 1}, default=ask))  # expect: async-callback
# %%
import contextlib
async with contextlib.AsyncExitStack() as stack:
    stack.callback(ask, "x")  # expect: async-callback
# %% ok
import contextlib
async with contextlib.AsyncExitStack() as stack:
    stack.push_async_callback(ask, "x")
# %%
import ipywidgets
slider = ipywidgets.IntSlider()
async def moved(change):
    await ask(change["new"])
slider.observe(moved, names="value")  # expect: async-callback
# %%
import ipywidgets
label = ipywidgets.HTML()
label.value = ask("x")  # expect: missing-await
# %%
from concurrent.futures import ThreadPoolExecutor
class Agent:
    async def run(self, task):
        return await ask(task)
agents = [Agent(), Agent()]
with ThreadPoolExecutor() as pool:
    futures = [pool.submit(agent.run, "sum") for agent in agents]  # expect: async-callback
