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
# %% setup
import asyncio
async def fetch(x):
    await asyncio.sleep(0)
    return 1
async def ticks(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i
stats = {"n": 0, "rows": []}
five = asyncio.Semaphore(5)
one = asyncio.Semaphore(1)
# %%
class Meter:
    async def eat(self, n):
        before = self.seen
        before += len([x async for x in ticks(n)])
        self.seen = before  # expect: atomic-update
# %%
async def count(n):
    got = stats["n"]
    async with asyncio.timeout(1) as t:
        got = got + 1
    stats["n"] = got  # expect: atomic-update
await asyncio.gather(count(1), count(2))
# %%
class Pool:
    async def take(self, n):
        free, size = self.free, self.size
        left = max(0, free - n)
        await fetch(n)
        self.free = left  # expect: atomic-update
# %% ok
class Pool:
    async def take(self, n):
        free = self.free
        await fetch(n)
        free = self.free
        self.free = free - n
# %% ok
class Pager:
    async def more(self):
        cursor = self.cursor
        page = await fetch(cursor)
        self.cursor = page
# %%
class Bank:
    async def pay(self, n):
        if self.money < n:
            raise ValueError("not enough")
        await fetch(n)
        self.money -= n  # expect: atomic-update
# %%
class Bank:
    async def pay(self, n):
        if self.money >= n:
            await fetch(n)
            self.money -= n  # expect: atomic-update
# %% ok
class Bank:
    async def pay(self, n):
        await fetch(n)
        if self.money < n:
            raise ValueError("not enough")
        self.money -= n
# %% ok
class Bank:
    async def pay(self, n):
        if self.money < n:
            raise ValueError("not enough")
        self.money -= n
        await fetch(n)
# %% ok
class Bank:
    async def pay(self, n):
        while self.money < n:
            await fetch(n)
        self.money -= n
# %%
async def add(i):
    async with five:
        stats["n"] += await fetch(i)  # expect: atomic-update
# %% ok
async def add(i):
    async with one:
        stats["n"] += await fetch(i)
# %%
few = asyncio.Semaphore(3)
async def add(i):
    async with few:
        stats["n"] += await fetch(i)  # expect: atomic-update
await asyncio.gather(*(add(i) for i in range(3)))
# %% ok
async def add(i, size):
    gate = asyncio.Semaphore(size)
    async with gate:
        stats["n"] += await fetch(i)
# %% ok
async def add(i):
    await one.acquire()
    try:
        stats["n"] += await fetch(i)
    finally:
        one.release()
# %%
async def add(i):
    mine = stats
    row = stats["rows"]
    row[0] += await fetch(i)  # expect: atomic-update
# %%
async def add(board, i):
    board["n"] += await fetch(i)  # expect: atomic-update
tally = {"n": 0}
await asyncio.gather(*(add(tally, i) for i in range(3)))
# %% ok
async def add(board, i):
    board["n"] += await fetch(i)
boards = [{"n": 0} for _ in range(3)]
await asyncio.gather(*(add(board, 1) for board in boards))
# %% ok
async def add(board, i):
    board["n"] += await fetch(i)
tally = {"n": 0}
for i in range(3):
    await add(tally, i)
# %% setup everyday
# %%
class Counter:
    def __init__(self):
        self.value = 0
        self.lock = asyncio.Lock()
    async def add(self):
        with self.lock:  # expect: missing-async
            value = self.value
            await asyncio.sleep(0)
            self.value = value + 1
# %% ok
class Countdown:
    def __init__(self, n):
        self.n = n
    def __aiter__(self):
        return self
    async def __anext__(self):
        if self.n <= 0:
            raise StopAsyncIteration
        await asyncio.sleep(0)
        self.n -= 1
        return self.n
async for n in Countdown(3):
    print(n)
