# %% setup
import asyncio
async def poll(n=0):
    await asyncio.sleep(0.01)
    return n
loop = asyncio.new_event_loop()
bg = set()
def start(c):
    return asyncio.create_task(c)
def keep(c):
    t = asyncio.create_task(c)
    bg.add(t)
    return t
# %%
asyncio.create_task(poll(), name="p")  # expect: dropped-task
print(1)
# %%
loop.create_task(poll())  # expect: dropped-task
print(1)
# %%
start(poll())  # expect: dropped-task
print(1)
# %%
async def main():
    asyncio.create_task(poll())  # expect: dropped-task
    await asyncio.sleep(0)
await main()
# %%
async def main():
    t = asyncio.create_task(poll())  # expect: dropped-task
    await asyncio.sleep(0)
await main()
# %%
for i in range(3):
    asyncio.create_task(poll(i))  # expect: dropped-task
await asyncio.sleep(0)
# %%
def kick():
    asyncio.create_task(poll())  # expect: dropped-task
kick()
# %%
asyncio.get_event_loop().create_task(poll())  # expect: dropped-task
x = 1
# %%
[asyncio.ensure_future(poll(i)) for i in range(3)]  # expect: dropped-task
x = 1
# %%
class Service:
    def start(self):
        asyncio.create_task(self.run())  # expect: dropped-task
    async def run(self): pass
s = Service()
s.start()
# %%
def on_click(b):
    asyncio.ensure_future(poll(b))  # expect: dropped-task
on_click(1)
# %% ok
t = asyncio.create_task(poll())
# %% ok
keep(poll())
print(1)
# %% ok
tasks = [asyncio.create_task(poll(i)) for i in range(3)]
await asyncio.gather(*tasks)
# %% ok
async with asyncio.TaskGroup() as tg:
    for i in range(3):
        tg.create_task(poll(i))
# %% ok
class Service:
    def start(self):
        self.task = asyncio.create_task(self.run())
    async def run(self): pass
s = Service()
s.start()
# %% ok
async def main():
    t = asyncio.create_task(poll())
    try:
        await asyncio.sleep(0)
    finally:
        t.cancel()
await main()
# %% ok
async def main():
    return asyncio.create_task(poll())
t = await main()
# %% ok
asyncio.create_task(poll()).add_done_callback(print)
# %% ok
async def main():
    tasks = set()
    for i in range(3):
        t = asyncio.create_task(poll(i))
        tasks.add(t)
        t.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
await main()
# %% ok
await asyncio.create_task(poll())
# %% ok
async def run(tg: asyncio.TaskGroup):
    tg.create_task(poll())
# %% ok
asyncio.create_task(poll())
# %% ok
async def main():
    async with asyncio.timeout(1), asyncio.TaskGroup() as tg:
        tg.create_task(poll())
await main()
# %% ok
async def main():
    t1 = asyncio.create_task(poll())
    t2 = asyncio.create_task(poll())
    done, pending = await asyncio.wait({t1, t2})
    return [t.result() for t in done]
await main()
