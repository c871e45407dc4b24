# %% setup
import asyncio
async def fetch(x=0):
    await asyncio.sleep(0)
    return x
def live_helper(x):
    return asyncio.run(fetch(x))
def safe_helper(x):
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(fetch(x))
    return None
# %%
r = asyncio.run(fetch(1))  # expect: asyncio-run
# %%
print(asyncio.run(fetch(1)))  # expect: asyncio-run
# %%
loop = asyncio.new_event_loop()
r = loop.run_until_complete(fetch(1))  # expect: asyncio-run
# %%
asyncio.get_event_loop().run_until_complete(fetch(1))  # expect: asyncio-run
# %%
with asyncio.Runner() as runner:
    runner.run(fetch(1))  # expect: asyncio-run
# %%
from asyncio import run
run(fetch(1))  # expect: asyncio-run
# %%
import asyncio as aio
aio.run(fetch(1))  # expect: asyncio-run
# %%
async def main():
    loop = asyncio.get_running_loop()
    return loop.run_until_complete(fetch(1))  # expect: asyncio-run
await main()
# %%
live_helper(1)  # expect: asyncio-run
# %%
asyncio.run(fetch(1), debug=True)  # expect: asyncio-run
# %%
def outer():
    return inner()
def inner():
    return asyncio.run(fetch(1))  # expect: asyncio-run
outer()
# %%
for i in range(3):
    asyncio.run(fetch(i))  # expect: asyncio-run
# %%
loop = asyncio.get_event_loop()
loop.run_forever()  # expect: asyncio-run
# %%
results = [asyncio.run(fetch(i)) for i in range(3)]  # expect: asyncio-run
# %% ok
await fetch(1)
# %% ok
import threading
threading.Thread(target=asyncio.run, args=(fetch(1),)).start()
# %% ok
def job():
    return asyncio.run(fetch(1))
r = await asyncio.to_thread(job)
# %% ok
try:
    asyncio.get_running_loop()
except RuntimeError:
    asyncio.run(fetch(1))
# %% ok
def cli():
    asyncio.run(fetch(1))
# %% ok
import nest_asyncio
nest_asyncio.apply()
asyncio.run(fetch(1))
# %% ok
r = safe_helper(1)
# %% ok
loop = asyncio.get_event_loop()
if loop.is_running():
    t = loop.create_task(fetch(1))
else:
    loop.run_until_complete(fetch(1))
# %% ok
import subprocess
def run(cmd): return cmd
run("ls")
# %% ok
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as ex:
    print(ex.submit(lambda: asyncio.run(fetch(1))).result())
# %%
with asyncio.Runner() as runner:
    one = runner.run(fetch(1))  # expect: asyncio-run
    two = runner.run(fetch(one))
# %%
import pandas as pd
rows = pd.DataFrame({"n": [1, 2]})
rows = rows.query("n > 1")
rows["twice"] = rows["n"].map(lambda n: asyncio.run(fetch(n)))  # expect: asyncio-run
# %%
import ipywidgets
slider = ipywidgets.IntSlider()
def moved(change):
    asyncio.run(fetch(change["new"]))  # expect: asyncio-run
slider.observe(moved, "value")
# %%
from ipywidgets import interact
@interact(n=(0, 3))
def show(n):
    return asyncio.run(fetch(n))  # expect: asyncio-run
# %%
class Page:
    @property
    def text(self):
        return asyncio.run(fetch(1))  # expect: asyncio-run
print(Page().text)
# %%
class Db:
    def __enter__(self):
        return self
    def __exit__(self, *exc):
        asyncio.run(fetch(1))  # expect: asyncio-run
with Db() as db:
    pass
# %%
class Store:
    def __getitem__(self, key):
        return asyncio.run(fetch(key))  # expect: asyncio-run
print(Store()["a"])
# %%
class Model:
    def __call__(self, x):
        return asyncio.run(fetch(x))  # expect: asyncio-run
model = Model()
model(1)
# %%
class Feed:
    def __iter__(self):
        return iter(asyncio.run(fetch([1])))  # expect: asyncio-run
for item in Feed():
    print(item)
# %%
from dataclasses import dataclass
@dataclass
class User:
    name: str
    def __post_init__(self):
        self.row = asyncio.run(fetch(self.name))  # expect: asyncio-run
User("a")
# %%
class Shown:
    def __repr__(self):
        return asyncio.run(fetch("x"))  # expect: asyncio-run
Shown()
# %%
def now(f):
    asyncio.run(f())  # expect: asyncio-run
    return f
@now
async def main():
    await fetch(1)
# %%
class Config:
    value = asyncio.run(fetch(1))  # expect: asyncio-run
# %%
asyncio.get_running_loop().call_soon(lambda: asyncio.run(fetch(1)))  # expect: asyncio-run
# %%
[*map(live_helper, [1, 2])]  # expect: asyncio-run
# %%
xs = [2, 1]
def cost(x): return asyncio.run(fetch(x))  # expect: asyncio-run
xs.sort(key=cost)
# %% ok
class Page:
    @property
    def text(self):
        return asyncio.run(fetch(1))
page = Page()
# %% ok
class Db:
    def __enter__(self):
        return asyncio.run(fetch(1))
    def __exit__(self, *exc): ...
def script():
    with Db() as db:
        return db
r = await asyncio.to_thread(script)
# %% ok
class Store:
    def __getitem__(self, key):
        return asyncio.run(fetch(key))
store = Store()
r = await asyncio.to_thread(lambda: store["a"])
# %% ok
def job(n): return asyncio.run(fetch(n))
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as pool:
    rs = list(pool.map(job, [1, 2]))
# %% setup everyday
# %%
async def main():
    return await asyncio.gather(*(ask(q) for q in questions))
res = asyncio.run(main())  # expect: asyncio-run
# %%
r = asyncio.get_event_loop().run_until_complete(ask("x"))  # expect: asyncio-run
# %%
loop = asyncio.new_event_loop()
r = loop.run_until_complete(ask("x"))  # expect: asyncio-run
# %%
with asyncio.Runner() as runner:
    r = runner.run(ask("x"))  # expect: asyncio-run
# %%
from asyncio import run
run(ask("x"))  # expect: asyncio-run
# %% ok
import threading
def worker():
    print(asyncio.run(ask("x")))
th = threading.Thread(target=worker)
th.start()
# %% ok
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as ex:
    print(ex.submit(asyncio.run, ask("x")).result())
# %% ok
def cli():
    asyncio.run(ask("x"))
# %% ok
import subprocess
subprocess.run(["true"])
# %%
values = [*map(lambda x: asyncio.run(fetch(x)), [1, 2])]  # expect: asyncio-run
# %%
values = sorted([2, 1], key=lambda x: asyncio.run(fetch(x)))  # expect: asyncio-run
# %%
import pandas as pd
column = pd.Series([1, 2]).apply(lambda x: asyncio.run(fetch(x)))  # expect: asyncio-run
# %% ok
values = await asyncio.to_thread(lambda: asyncio.run(fetch(1)))
# %% ok
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as pool:
    values = list(pool.map(lambda x: asyncio.run(fetch(x)), [1, 2]))
