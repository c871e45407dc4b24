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
