# %% setup
import asyncio, contextlib, threading
async def gen(n=3):
    for i in range(n):
        yield i
class Stream:
    def __aiter__(self): return self
    async def __anext__(self): raise StopAsyncIteration
class Conn:
    async def __aenter__(self): return self
    async def __aexit__(self, *e): return None
    async def query(self): return 1
class Both(Conn):
    def __enter__(self): return self
    def __exit__(self, *e): return None
    def __iter__(self): return iter([])
    def __aiter__(self): return gen()
@contextlib.asynccontextmanager
async def session():
    yield 1
stream, conn, both = Stream(), Conn(), Both()
lock = asyncio.Lock()
def source(): return gen()
# %%
for x in gen(2):  # expect: missing-async
    print(x)
# %%
xs = [x for x in gen()]  # expect: missing-async
# %%
xs = list(gen())  # expect: missing-async
# %%
s = {x for x in source()}  # expect: missing-async
# %%
for x in stream:  # expect: missing-async
    print(x)
# %%
with conn as c:  # expect: missing-async
    print(c)
# %%
with session() as s:  # expect: missing-async
    print(s)
# %%
with lock:  # expect: missing-async
    print(1)
# %%
with asyncio.Semaphore(3):  # expect: missing-async
    pass
# %%
with asyncio.TaskGroup() as tg:  # expect: missing-async
    pass
# %%
x = next(gen())  # expect: missing-async
# %%
total = sum(gen())  # expect: missing-async
# %%
xs = [*gen()]  # expect: missing-async
# %%
for i, x in enumerate(gen()):  # expect: missing-async
    print(i)
# %%
a, b = gen(2)  # expect: missing-async
# %%
def main():  # expect: missing-async
    await asyncio.sleep(0)
# %%
def main():  # expect: missing-async
    async with conn as c:
        return await c.query()
# %%
async def main():
    for x in gen():  # expect: missing-async
        print(x)
await main()
# %%
async def numbers():
    yield 1
for n in numbers():  # expect: missing-async
    print(n)
# %%
class Feed:
    async def __aiter__(self):
        yield 1
for x in Feed():  # expect: missing-async
    print(x)
# %%
gen()  # expect: missing-async
y = 1
# %%
async with conn as c:
    for x in gen():  # expect: missing-async
        print(x)
# %%
with contextlib.aclosing(gen()) as g:  # expect: missing-async
    pass
# %% ok
async for x in gen():
    print(x)
# %% ok
with both:
    pass
async with both:
    pass
for x in both:
    print(x)
# %% ok
it = aiter(gen())
x = await anext(it)
# %% ok
with threading.Lock():
    pass
# %% ok
async with session() as s, conn as c:
    print(s, c)
# %% ok
g = gen()
await g.aclose()
# %% ok
def main():
    async def inner():
        await asyncio.sleep(0)
    return inner()
await main()
# %% ok
async with contextlib.AsyncExitStack() as stack:
    c = await stack.enter_async_context(conn)
# %% ok
xs = [x async for x in gen() if x]
# %% ok
for x in asyncio.as_completed([asyncio.sleep(0)]):
    await x
# %% setup everyday
# %%
def helper(p):  # expect: missing-async
    r = await ask(p)
    return r.upper()
# %%
def helper(p):  # expect: missing-async
    async with asyncio.timeout(1):
        return 1
# %%
f = lambda p: await ask(p)  # expect: missing-async
# %%
def collect():  # expect: missing-async
    return [t async for t in stream()]
# %%
toks = [t.upper() for t in stream()]  # expect: missing-async
# %%
toks = list(stream())  # expect: missing-async
# %%
text = "".join(stream())  # expect: missing-async
# %%
first, *rest = stream()  # expect: missing-async
# %%
for i, t in enumerate(stream()):  # expect: missing-async
    print(i, t)
# %% ok
it = aiter(stream())
print(await anext(it))
# %%
async def relay():
    for t in stream():  # expect: missing-async
        yield t
# %% ok
async def relay(n):
    async for t in stream(n):
        yield t.upper()
async def first(n):
    async for t in relay(n):
        return t
print(await first(2), [t async for t in relay(2)])
print(len({t async for t in relay(3)}))
# %%
async def main():
    with asyncio.TaskGroup() as tg:  # expect: missing-async
        tg.create_task(ask("x"))
# %%
sem = asyncio.Semaphore(3)
async def limited(q):
    with sem:  # expect: missing-async
        return await ask(q)
# %% setup agents
# %%
for w in researcher.stream("a b"):  # expect: missing-async
    print(w)
# %% ok
for ch in researcher.label:
    print(ch)
