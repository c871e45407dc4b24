# %% setup
import asyncio
async def fetch(x, n=0):
    await asyncio.sleep(0.01)
    return {"x": x}
async def other(x):
    await asyncio.sleep(0.01)
    return x
log = []
async def logged(x):
    log.append(x)
    return x
class Api:
    async def get(self, k): return k
    async def read(self, n): return n
    async def ask(self, q): return q
api = Api()
urls = [1, 2, 3]
sem = asyncio.Semaphore(2)
q = asyncio.Queue()
# %%
pages = [await fetch(u) for u in urls]  # expect: sequential-awaits
# %%
s = {await other(u) for u in urls}  # expect: sequential-awaits
# %%
out = []
for u in urls:
    out.append(await fetch(u))  # expect: sequential-awaits
# %%
out = {}
for u in urls:
    out[u] = await api.get(u)  # expect: sequential-awaits
# %%
async def main():
    out = []
    for u in urls:
        r = await fetch(u)  # expect: sequential-awaits
        out.append(r["x"])
    return out
# %%
a = await fetch(1)
b = await other(2)  # expect: sequential-awaits
# %%
a = await api.ask("x")
b = await api.ask("y")  # expect: sequential-awaits
c = await api.ask("z")
# %%
async def main():
    a = await fetch(1)
    b = await fetch(2)  # expect: sequential-awaits
    return a, b
# %%
total = 0
for u in urls:
    total += (await fetch(u))["x"]  # expect: sequential-awaits
# %%
answers = [(await api.ask(u)).upper() for u in "ab"]  # expect: sequential-awaits
# %% ok
answers = [(await api.ask(u)).upper() if u else "" for u in "ab"]
# %%
def merge(a, b): return {**a, **b}
both = merge(await fetch(1), await fetch(2))  # expect: sequential-awaits
# %%
total = await other(1) + await other(2)  # expect: sequential-awaits
# %% ok
print(await fetch(1), await fetch(2))
# %% ok
both = merge(await fetch(1), {})
# %%
for i, u in enumerate(urls):
    urls[i] = await other(u)  # expect: sequential-awaits
# %% ok
a = await fetch(1)
b = await fetch(a["x"])
# %% ok
for u in urls:
    await fetch(u)
# %% ok
for u in urls:
    r = await fetch(u)
    if r["x"] == 2:
        break
# %% ok
rs = await asyncio.gather(*[fetch(u) for u in urls])
# %% ok
a = await logged(1)
b = await logged(2)
# %% ok
a = await api.read(1)
b = await api.read(2)
# %% ok
items = [await q.get() for _ in range(2)]
# %% ok
state = 0
for u in urls:
    state = await other(state + u)
# %% ok
for u in urls:
    async with sem:
        x = await fetch(u)
# %% ok
ts = [asyncio.create_task(fetch(u)) for u in urls]
rs = [await t for t in ts]
# %% ok
a = await fetch(1)
print(a)
b = await fetch(2)
# %% ok
for u in urls:
    r = await fetch(u)
    print(r)
# %% ok
for u in urls:
    r = await fetch(u)
    await asyncio.sleep(1)
# %% ok
t1 = asyncio.create_task(fetch(1))
t2 = asyncio.create_task(fetch(2))
a = await t1
b = await t2
# %% ok
history = []
for u in urls:
    history.append({"q": u})
    reply = await other(history)
    history.append(reply)
# %%
for u in urls:
    task = asyncio.create_task(fetch(u))
    log.append(await task)  # expect: sequential-awaits
# %% ok
jobs = []
for u in urls:
    jobs.append(asyncio.create_task(await fetch(u)))  # expect: api-misuse
# %%
async def panel(agents, question):
    replies = []
    for agent in agents:
        replies.append(await agent.answer(question))  # expect: sequential-awaits
    return replies
# %%
a = await api.get(1)
b = await api.ask(1)  # expect: sequential-awaits
# %%
line = f"{await fetch(1)} {await fetch(2)}"  # expect: sequential-awaits
# %%
both = {"a": await fetch(1), "b": await other(2)}  # expect: sequential-awaits
# %%
a = await asyncio.wait_for(fetch(1), 5)
b = await asyncio.wait_for(fetch(2), 5)  # expect: sequential-awaits
# %%
class Page:
    async def load(self):
        self.a = await fetch(1)
        self.b = await other(2)  # expect: sequential-awaits
# %% ok
class Page:
    async def load(self):
        self.a = await fetch(1)
        self.b = await other(self.a)
# %%
out = []
for u in urls:
    text = f"about {u}"
    out.append(await other(text))  # expect: sequential-awaits
# %% ok
summary, out = "", []
for u in urls:
    text = f"{summary} {u}"
    summary = await other(text)
    out.append(summary)
# %% setup everyday
# %%
answers = [await ask(q) for q in questions]  # expect: sequential-awaits
# %%
a = await ask("a")
b = await ask("b")  # expect: sequential-awaits
c = await ask("c")
print(a, b, c)
# %%
async def report(topic):
    facts = await ask(f"facts {topic}")
    risks = await ask(f"risks {topic}")  # expect: sequential-awaits
    return facts + risks
# %% ok
facts = await ask("x")
draft = await ask(f"write {facts}")
# %%
out = {}
for q in questions:
    out[q] = await ask(q)  # expect: sequential-awaits
# %% ok
state = "start"
while len(state) < 20:
    state = await ask(state)
# %% ok
summary = ""
for q in questions:
    summary = await ask(summary + q)
# %% ok
out = []
for q in questions:
    out.append(await ask(q))
    await asyncio.sleep(0.1)
# %% ok
for q in questions:
    r = await ask(q)
    if "x" in r:
        break
# %% ok
t1 = asyncio.create_task(ask("a"))
t2 = asyncio.create_task(ask("b"))
a = await t1
b = await t2
# %% ok
q = asyncio.Queue()
for i in (1, 2): q.put_nowait(i)
a = await q.get()
b = await q.get()
# %%
out, failed = {}, []
for q in questions:
    try:
        out[q] = await ask(q)  # expect: sequential-awaits
    except ValueError as e:
        failed.append((q, e))
# %% ok
lock = asyncio.Lock()
out = []
async with lock:
    for q in questions:
        out.append(await ask(q))
# %% ok
for q in questions:
    print(await ask(q))
# %% ok
async def one(q):
    a = await ask(q)
    return await score(a)
print(await asyncio.gather(*map(one, questions)))
# %% setup agents
# %% ok
await researcher.memory.flush()
hits = await researcher.memory.recall("x")
