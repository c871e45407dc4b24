# %% setup
import asyncio
async def fetch(x):
    await asyncio.sleep(0)
    return 1
total, n, cache, stats = 0, 0, {}, {"n": 0}
lock = asyncio.Lock()
# %%
async def add(i):
    global total
    total += await fetch(i)  # expect: atomic-update
await asyncio.gather(*(add(i) for i in range(3)))
# %%
async def add(i):
    stats["n"] = stats["n"] + await fetch(i)  # expect: atomic-update
ts = [asyncio.create_task(add(i)) for i in range(3)]
# %%
async def add(i):
    global n
    old = n
    await asyncio.sleep(0)
    n = old + 1  # expect: atomic-update
# %%
async def get(k):
    if k not in cache:
        cache[k] = await fetch(k)  # expect: atomic-update
    return cache[k]
# %%
class Counter:
    def __init__(self): self.n = 0
    async def bump(self):
        n = self.n
        await asyncio.sleep(0)
        self.n = n + 1  # expect: atomic-update
# %%
def make():
    count = 0
    async def inc():
        nonlocal count
        count = count + await fetch(1)  # expect: atomic-update
    return inc
# %%
class Bank:
    async def pay(self, x):
        self.money = self.money - await fetch(x)  # expect: atomic-update
# %% ok
async def add(i):
    global total
    r = await fetch(i)
    total += r
# %% ok
async def add(i):
    async with lock:
        stats["n"] += await fetch(i)
# %% ok
async def add(i):
    local = 0
    local += await fetch(i)
    return local
# %% ok
async def add(i):
    cache[i] = await fetch(i)
# %% ok
async def add(i):
    global total
    total += await fetch(i)
for i in range(3):
    await add(i)
# %% ok
class Job:
    async def run(self):
        self.state = "a"
        self.value = await fetch(1)
        self.state = "b"
# %% ok
async def add(i):
    row = {"n": 0}
    row["n"] += await fetch(i)
    return row
# %% ok
total += await fetch(1)
# %% setup everyday
# %%
done = 0
async def work(q):
    global done
    done += await score(q)  # expect: atomic-update
await asyncio.gather(*map(work, questions))
# %%
class Budget:
    def __init__(self): self.spent = 0
    async def charge(self, q):
        self.spent = self.spent + await score(q)  # expect: atomic-update
b = Budget()
await asyncio.gather(*(b.charge(q) for q in questions))
# %%
class Budget:
    def __init__(self): self.spent = 0
    async def charge(self, q):
        now = self.spent
        cost = await score(q)
        self.spent = now + cost  # expect: atomic-update
b = Budget()
await asyncio.gather(*(b.charge(q) for q in questions))
# %%
async def total(qs):
    n = 0
    for q in qs:
        n += await score(q)  # expect: sequential-awaits
    return n
print(await total(questions))
# %% ok
class Budget:
    def __init__(self): self.spent = 0
    async def charge(self, q):
        cost = await score(q)
        self.spent += cost
b = Budget()
await asyncio.gather(*(b.charge(q) for q in questions))
# %% ok
class Budget:
    def __init__(self):
        self.spent = 0
        self.lock = asyncio.Lock()
    async def charge(self, q):
        async with self.lock:
            self.spent += await score(q)
b = Budget()
await asyncio.gather(*(b.charge(q) for q in questions))
# %%
n = 0
for q in questions:
    n += await score(q)  # expect: sequential-awaits
# %%
usage = {"n": 0}
async def work(q):
    usage["n"] += await score(q)  # expect: atomic-update
await asyncio.gather(*map(work, questions))
# %%
async def main():
    total = 0
    async def one(q):
        nonlocal total
        total += await score(q)  # expect: atomic-update
    await asyncio.gather(*map(one, questions))
    return total
await main()
# %% ok
res = {}
async def work(q):
    res[q] = await score(q)
await asyncio.gather(*map(work, questions))
# %%
async def count(x):
    stats["n"] = stats.get("n", 0) + await fetch(x)  # expect: atomic-update
await asyncio.gather(count(1), count(2))
# %% ok
async def count(x):
    stats["n"] = await fetch(x) + stats.get("n", 0)
await asyncio.gather(count(1), count(2))
