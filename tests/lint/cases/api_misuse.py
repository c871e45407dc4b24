# %% setup
import asyncio, time, threading
from concurrent.futures import ThreadPoolExecutor
async def fetch(x=0):
    await asyncio.sleep(0)
    return x
def slow(x=0):
    time.sleep(0.001)
    return x
urls = [1, 2]
def make(): return slow
# %%
t = asyncio.create_task(fetch)  # expect: api-misuse
# %%
t = asyncio.create_task(slow(1))  # expect: api-misuse
# %%
t = asyncio.create_task(asyncio.gather(fetch(1)))  # expect: api-misuse
# %%
rs = await asyncio.gather([fetch(u) for u in urls])  # expect: api-misuse
# %%
tasks = [asyncio.create_task(fetch(u)) for u in urls]
rs = await asyncio.gather(tasks)  # expect: api-misuse
# %%
rs = await asyncio.gather(fetch, fetch)  # expect: api-misuse
# %%
rs = await asyncio.gather((fetch(u) for u in urls))  # expect: api-misuse
# %%
done, pending = await asyncio.wait([fetch(1), fetch(2)])  # expect: api-misuse
# %%
r = await asyncio.wait_for(fetch, 1)  # expect: api-misuse
# %%
r = await asyncio.to_thread(slow(1))  # expect: api-misuse
# %%
r = await asyncio.get_running_loop().run_in_executor(None, slow(1))  # expect: api-misuse
# %%
asyncio.get_running_loop().call_later(1, print("x"))  # expect: api-misuse
# %%
t = threading.Thread(target=slow(1))  # expect: api-misuse
# %%
async with asyncio.TaskGroup() as tg:
    tg.create_task(fetch)  # expect: api-misuse
# %%
r = await asyncio.shield(fetch)  # expect: api-misuse
# %%
done, _ = await asyncio.wait(asyncio.create_task(fetch(1)))  # expect: api-misuse
# %%
f = asyncio.run_coroutine_threadsafe(fetch, asyncio.get_running_loop())  # expect: api-misuse
# %%
t = asyncio.create_task(fetch(1))
t.add_done_callback(print("done"))  # expect: api-misuse
await t
# %% ok
t = asyncio.create_task(fetch(1))
await asyncio.wait([t])
# %% ok
r = await asyncio.to_thread(make())
# %% ok
rs = await asyncio.gather(*[fetch(u) for u in urls], fetch(3))
# %% ok
r = await asyncio.wait_for(asyncio.gather(fetch(1), fetch(2)), 1)
# %% ok
r = await asyncio.gather(asyncio.create_task(fetch(1)), asyncio.sleep(0))
# %% ok
from functools import partial
r = await asyncio.to_thread(partial(slow, 1))
# %% ok
t = threading.Thread(target=make())
# %% ok
rs = await asyncio.gather(*(fetch(u) for u in urls))
for f in asyncio.as_completed([fetch(1)]):
    await f
# %%
pages = await asyncio.gather(*[fetch(u) for u in urls], timeout=3)  # expect: api-misuse
# %%
r = await asyncio.wait_for(fetch(1))  # expect: api-misuse
# %%
await asyncio.sleep("0.1")  # expect: api-misuse
# %%
from datetime import timedelta
await asyncio.sleep(timedelta(seconds=1))  # expect: api-misuse
# %%
jobs = [asyncio.create_task(fetch(u)) for u in urls]
done, rest = await asyncio.wait(jobs, return_when="first_completed")  # expect: api-misuse
print([d.result() for d in done])
# %%
asyncio.get_running_loop().call_later(slow, 1)  # expect: api-misuse
# %%
def crunch(n): return n * 2
async def both():
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(crunch, 3)  # expect: api-misuse
# %%
q = asyncio.Queue()
async def take():
    return await q.get(timeout=1)  # expect: api-misuse
# %%
ready = asyncio.Event()
await ready.wait(timeout=1)  # expect: api-misuse
# %%
limit = asyncio.Semaphore(limit=3)  # expect: api-misuse
# %%
async with asyncio.TaskGroup() as tg:
    tg.create_task(fetch, 1)  # expect: api-misuse
# %%
async with asyncio.timeout("5"):  # expect: api-misuse
    await fetch(1)
# %%
async def first(xs):
    jobs = {fetch(x) for x in xs}
    done, rest = await asyncio.wait(jobs, timeout=1)  # expect: api-misuse
    return done.pop().result()
# %%
async def totals():
    pages = await asyncio.gather(*(fetch(u) for u in urls))
    return await asyncio.gather(*urls)  # expect: api-misuse
# %%
async def row(x): return {"id": x}
async def rows():
    found = await asyncio.gather(*(row(x) for x in urls))
    kept = [f for f in found if f["id"] > 1]
    return await asyncio.gather(*kept)  # expect: api-misuse
# %%
done, rest = await asyncio.wait({"a": asyncio.create_task(fetch(1))})  # expect: api-misuse
print([d.result() for d in done])
# %%
t = asyncio.create_task(fetch(1))
t.add_done_callback("done")  # expect: api-misuse
await t
# %%
text = "body"
r = await asyncio.to_thread(text, 1)  # expect: api-misuse
# %% ok
jobs = [asyncio.create_task(fetch(u)) for u in urls]
done, rest = await asyncio.wait(jobs, return_when="FIRST_COMPLETED", timeout=None)
print([d.result() for d in done])
# %% ok
when = asyncio.FIRST_EXCEPTION
done, rest = await asyncio.wait([asyncio.create_task(fetch(1))], timeout=0.5, return_when=when)
print([d.result() for d in done])
# %% ok
async with asyncio.timeout(None):
    r = await asyncio.wait_for(fetch(1), None)
# %% ok
h = asyncio.get_running_loop().call_later(0.01, slow, 1)
h = asyncio.get_running_loop().call_later(callback=slow, delay=True)
# %% ok
extra = {"return_exceptions": True}
rs = await asyncio.gather(*[fetch(u) for u in urls], **extra)
# %% ok
args = (fetch(1), 1)
r = await asyncio.wait_for(*args)
# %% ok
slots = [None] * 2
def start(i): slots[i] = asyncio.create_task(fetch(i))
start(0), start(1)
rs = await asyncio.gather(*slots)
# %% ok
async def later(loop):
    return asyncio.run_coroutine_threadsafe(fetch(1), loop)
def elsewhere(loop):
    return asyncio.run_coroutine_threadsafe(fetch(1), loop).result(timeout=1)
# %% ok
with ThreadPoolExecutor() as pool:
    r = await asyncio.get_running_loop().run_in_executor(pool, slow, 1)
# %% ok
q = asyncio.Queue(maxsize=3)
async with asyncio.Semaphore(2):
    await q.put(1)
# %%
jobs = {u: asyncio.create_task(fetch(u)) for u in urls}
rs = await asyncio.gather(*jobs)  # expect: api-misuse
# %%
done, rest = await asyncio.wait(urls)  # expect: api-misuse
print([d.result() for d in done])
# %% ok
import sys
if sys.version_info >= (3, 14):
    t = asyncio.create_task(fetch(1), eager_start=True)
# %% ok
jobs = {u: asyncio.create_task(fetch(u)) for u in urls}
rs = await asyncio.gather(*jobs.values())
# %% ok
jobs = [asyncio.create_task(fetch(u)) for u in urls]
done, rest = await asyncio.wait({*jobs})
print([d.result() for d in done])
rs = await asyncio.gather(*[*jobs, *jobs])
# %% setup everyday
# %%
rs = await asyncio.gather([ask(q) for q in questions])  # expect: api-misuse
# %%
done, pending = await asyncio.wait([ask(q) for q in questions])  # expect: api-misuse
# %%
rs = await asyncio.gather(ask, score)  # expect: api-misuse
# %%
r = await asyncio.wait_for(ask, 1)  # expect: api-misuse
# %%
t = asyncio.create_task(await ask("x"))  # expect: api-misuse
# %%
t = asyncio.create_task([ask(q) for q in questions])  # expect: api-misuse
# %%
def heavy(n): return n
r = await asyncio.to_thread(heavy(3))  # expect: api-misuse
# %%
def heavy(n): return n
loop = asyncio.get_running_loop()
r = await loop.run_in_executor(None, heavy(3))  # expect: api-misuse
# %%
a, b = await asyncio.gather(await ask("a"), await ask("b"))  # expect: api-misuse
# %% ok
a, *rest = await asyncio.gather(ask("x"), *[ask(q) for q in questions])
# %%
t = asyncio.create_task(ask("x"))
done, _ = await asyncio.wait(t)  # expect: api-misuse
# %%
async with asyncio.TaskGroup() as tg:
    tg.create_task(ask)  # expect: api-misuse
# %% ok
async def nap():
    await asyncio.sleep(500)
# %%
asyncio.run(ask)  # expect: asyncio-run
# %% ok
done, _ = await asyncio.wait({asyncio.create_task(ask("x"))}, return_when=asyncio.FIRST_COMPLETED)
print([d.result() for d in done])
# %%
r = await asyncio.shield(ask)  # expect: api-misuse
# %%
for f in asyncio.as_completed(*[ask(q) for q in questions]):  # expect: api-misuse
    await f
# %%
t = asyncio.create_task(asyncio.gather(ask("a"), ask("b")))  # expect: api-misuse
# %% ok
t = asyncio.ensure_future(asyncio.gather(ask("a"), ask("b")))
await t
# %%
f = asyncio.run_coroutine_threadsafe(ask, asyncio.get_running_loop())  # expect: api-misuse
# %%
def crunch(): return 4
x = await asyncio.get_running_loop().run_in_executor(crunch)  # expect: api-misuse
# %% ok
def crunch(): return 4
x = await asyncio.get_running_loop().run_in_executor(None, crunch)
