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
# %%
asyncio.create_task(poll()).add_done_callback(print)  # expect: dropped-task
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
# %% setup everyday
# %%
asyncio.create_task(ask("log"))  # expect: dropped-task
print("on")
# %%
async def handler(msg):
    asyncio.create_task(ask(msg))  # expect: dropped-task
    return "ok"
await handler("x")
# %% ok
asyncio.create_task(ask("x"))
# %%
asyncio.create_task(ask("x"));  # expect: dropped-task
# %% ok
bg = set()
def fire(coro):
    t = asyncio.create_task(coro)
    bg.add(t)
    t.add_done_callback(bg.discard)
for q in questions:
    fire(ask(q))
# %% ok
def done(t): print(t.result())
async def go():
    t = asyncio.create_task(ask("x"))
    t.add_done_callback(done)
await go()
# %%
class Server:
    async def start(self):
        asyncio.get_running_loop().create_task(self.serve())  # expect: dropped-task
    async def serve(self):
        await asyncio.sleep(0)
await Server().start()
# %% ok
class Server:
    async def start(self):
        self.task = asyncio.create_task(self.serve())
    async def serve(self):
        await asyncio.sleep(0)
srv = Server()
await srv.start()
# %% ok
async with asyncio.TaskGroup() as tg:
    for q in questions:
        tg.create_task(ask(q))
# %% ok
ts = []
for q in questions:
    ts.append(asyncio.create_task(ask(q)))
await asyncio.gather(*ts)
# %%
on_click = lambda b: asyncio.ensure_future(ask("x"))
on_click(None)  # expect: dropped-task
print("ok")
# %%
for q in questions:
    _ = asyncio.create_task(ask(q))  # expect: dropped-task
await asyncio.sleep(0)
# %%
async def main():
    beat = asyncio.create_task(ask("x"))  # expect: dropped-task
    return await ask("y")
await main()
# %% ok
async def main():
    beat = asyncio.create_task(asyncio.sleep(10))
    try:
        return await ask("y")
    finally:
        beat.cancel()
await main()
# %% ok
tasks = {q: asyncio.create_task(ask(q)) for q in questions}
for q, t in tasks.items():
    print(q, (await t).upper())
# %% ok
def spawn(q):
    return asyncio.create_task(ask(q))
t = spawn("x")
await t
# %%
def spawn(q):
    return asyncio.create_task(ask(q))
spawn("x")  # expect: dropped-task
print(1)
# %% ok
async def main():
    t = asyncio.create_task(ask("x"))
    await asyncio.sleep(0)
    print(t.done())
    await t
await main()
# %% ok
beat = asyncio.create_task(asyncio.sleep(0.01))
print("started")
# %% setup everyday
# %%
name = asyncio.create_task(ask("x"), name="x").get_name()  # expect: dropped-task
print(name)
# %%
running = asyncio.create_task(ask("x"))  # expect: dropped-task
print(running.done())
del running
# %% ok
running = asyncio.create_task(ask("x"))
print(await running)
del running
# %%
import weakref
alive = weakref.WeakSet()
alive.add(asyncio.create_task(ask("x")))  # expect: dropped-task
# %%
async def start(questions):
    running = {}
    for question in questions:
        running[question] = asyncio.create_task(ask(question))  # expect: dropped-task
    await asyncio.sleep(0)
    return f"{len(running)} started"
# %% ok
async def start(questions):
    running = {}
    for question in questions:
        running[question] = asyncio.create_task(ask(question))
    return {question: await task for question, task in running.items()}
# %%
asyncio.get_running_loop().call_later(1, lambda: asyncio.create_task(ask("x")))  # expect: dropped-task
# %% ok
running = asyncio.create_task(ask("x"))
while not running.done():
    await asyncio.sleep(0.01)
