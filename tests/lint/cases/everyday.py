# %% setup everyday
# %%
class Tool:
    async def _log(self, msg):
        await asyncio.sleep(0)
    async def call(self, x):
        self._log(f"call {x}")  # expect: missing-await
        return x * 2
print(await Tool().call(2))
# %% ok
class Tool:
    def __init__(self, retries=2):
        self.retries = retries
        self.seen = []
    async def _log(self, msg):
        await asyncio.sleep(0)
        self.seen.append(msg)
    async def _once(self, x):
        await self._log(f"call {x}")
        return {"value": x * 2}
    async def call(self, x):
        for attempt in range(self.retries):
            try:
                r = await self._once(x)
                return r["value"]
            except ValueError:
                await asyncio.sleep(0.001 * attempt)
t = Tool()
print(await t.call(2), t.seen)
# %%
@dataclass
class Job:
    prompt: str
    result: str | None = None
    async def run(self):
        self.result = ask(self.prompt)  # expect: missing-await
        return self.result.title()
await Job("x").run()
# %% ok
@dataclass
class Job:
    prompt: str
    result: str | None = None
    async def run(self):
        self.result = await ask(self.prompt)
        return self
jobs = [Job(q) for q in questions]
finished = await asyncio.gather(*(j.run() for j in jobs))
print([j.result.upper() for j in finished])
one = await Job("z").run()
print(one.result)
# %%
record = dict(q="a", answer=ask("a"))  # expect: missing-await
print(json.dumps(record))
# %%
text = "\n".join(ask(q) for q in questions)  # expect: missing-await
# %%
scores = [score(q) for q in questions]  # expect: missing-await
print(sum(scores) / len(scores))
# %%
best = sorted([score(q) for q in questions])[0]  # expect: missing-await
# %%
table = dict(zip(questions, [ask(q) for q in questions]))  # expect: missing-await
for q, a in table.items():
    print(q, a.upper())
# %% ok
table = dict(zip(questions, await asyncio.gather(*[ask(q) for q in questions])))
for q, a in table.items():
    print(q, a.upper())
# %%
results = asyncio.gather(*[ask(q) for q in questions])  # expect: missing-await
print(results[0])
# %%
async def main():
    asyncio.gather(ask("a"), ask("b"))  # expect: missing-await
    return "ok"
await main()
# %% ok
g = asyncio.gather(ask("a"), ask("b"))
print("started")
a, b = await g
# %%
r = asyncio.wait_for(ask("a"), timeout=1)  # expect: missing-await
print(r.upper())
# %% ok
try:
    r = await asyncio.wait_for(ask("a"), timeout=1)
except asyncio.TimeoutError:
    r = "late"
async with asyncio.timeout(5):
    s = await score(r)
print(r.upper(), s + 1)
# %%
ev = asyncio.Event()
async def consumer():
    ev.wait()  # expect: missing-await
    return "go"
t = asyncio.create_task(consumer())
ev.set()
print(await t)
# %%
q = asyncio.Queue()
q.put_nowait({"n": 1})
item = q.get()  # expect: missing-await
print(item["n"])
# %% ok
q = asyncio.Queue(maxsize=2)
async def producer():
    for p in questions:
        await q.put(p)
    await q.put(None)
async def consumer():
    out = []
    while (item := await q.get()) is not None:
        out.append(await ask(item))
        q.task_done()
    return out
p = asyncio.create_task(producer())
print(await consumer())
await p
# %% ok
q = asyncio.Queue()
q.put_nowait(1)
print(q.get_nowait(), q.qsize(), q.empty())
# %%
sem = asyncio.Semaphore(2)
async def limited(p):
    sem.acquire()  # expect: missing-await
    try:
        return await ask(p)
    finally:
        sem.release()
await limited("a")
# %% ok
sem = asyncio.Semaphore(2)
async def limited(p):
    async with sem:
        return await ask(p)
print([r.upper() for r in await asyncio.gather(*(limited(q) for q in questions))])
one = await limited("x")
print(one.upper())
# %%
lock = asyncio.Lock()
async def f():
    with lock:  # expect: missing-async
        return 1
await f()
# %%
def retry(times):
    def deco(fn):
        async def wrapper(*a, **k):
            for _ in range(times):
                try:
                    return await fn(*a, **k)
                except ValueError:
                    pass
        return wrapper
    return deco
@retry(3)
async def flaky(x):
    return x
v = flaky(1)  # expect: missing-await
print(v + 1)
# %%
def timed(fn):
    async def wrapper(*a, **k):
        t0 = time.perf_counter()
        result = fn(*a, **k)  # expect: missing-await
        print(time.perf_counter() - t0)
        return result
    return wrapper
@timed
async def work(x):
    return x + 1
out = await work(1)
print(out + 1)
# %% ok
import functools
def timed(fn):
    @functools.wraps(fn)
    async def wrapper(*a, **k):
        t0 = time.perf_counter()
        try:
            return await fn(*a, **k)
        finally:
            wrapper.times.append(time.perf_counter() - t0)
    wrapper.times = []
    return wrapper
@timed
async def work(x):
    await asyncio.sleep(0)
    return x + 1
print(await work(1) + 1, len(work.times))
# %% ok
import functools
@functools.lru_cache
def ask_cached(p):
    return p * 2
ask_cached("x")
print(ask_cached("x").upper())
# %%
big = partial(ask, model="big", temperature=1.0)
reply = big("why")  # expect: missing-await
print(reply.upper())
# %% ok
big = partial(ask, model="big")
print((await big("x")).upper())
res = await asyncio.gather(*map(big, questions))
print(res[0].upper())
# %%
tools = {"ask": lambda p: ask(p), "len": lambda p: len(p)}
x = tools["ask"]("hello")  # expect: missing-await
print(x.upper())
# %% ok
TOOLS = {"ask": ask, "score": score}
async def call_tool(name, arg):
    fn = TOOLS[name]
    return await fn(arg)
out = await call_tool("score", "abc")
print(out + 1)
# %%
TOOLS = {"ask": ask, "score": score}
async def call_tool(name, arg):
    out = TOOLS[name](arg)  # expect: missing-await
    return f"tool said {out}"
await call_tool("ask", "x")
# %% ok
import inspect
TOOLS = {"ask": ask, "upper": str.upper}
async def call_tool(name, arg):
    out = TOOLS[name](arg)
    if inspect.isawaitable(out):
        out = await out
    return out
print(await call_tool("ask", "x"), await call_tool("upper", "x"))
# %% ok
import inspect
async def call(fn, *args):
    if inspect.iscoroutinefunction(fn):
        return await fn(*args)
    return fn(*args)
print(await call(ask, "x"), await call(len, "abc"))
# %%
def build(p):
    """Ask about p."""
    return ask(f"tell me about {p}")
print(build("x").upper())  # expect: missing-await
# %% ok
cache = {"x": asyncio.get_event_loop_policy()}
def lookup(p):
    if p in cache:
        return cache[p]
    return ask(p)
r = lookup("x")
print(r)
# %%
async def outer(qs):
    async def inner(q):
        text = await ask(q)
        return score(text)
    return [await inner(q) for q in qs]  # expect: sequential-awaits
print(sum(await outer(questions)))  # expect: missing-await
# %%
async def outer(qs):
    async def inner(q):
        return await ask(q)
    texts = [inner(q) for q in qs]  # expect: missing-await
    return " ".join(texts)
await outer(questions)
# %%
async def feed():
    for q in questions:
        yield f"data: {ask(q)}\n"  # expect: missing-await
async for line in feed():
    print(line)
# %%
s = stream()
first = anext(s)  # expect: missing-await
print(first.upper())
# %%
s = stream()
await anext(s)
s.aclose()  # expect: missing-await
# %%
def heavy(n): return sum(range(n))
total = asyncio.to_thread(heavy, 1000)  # expect: missing-await
print(total + 1)
# %%
def heavy(n): return sum(range(n))
loop = asyncio.get_running_loop()
total = loop.run_in_executor(None, heavy, 1000)
print(total + 1)  # expect: missing-await
# %%
t = asyncio.create_task(ask("a"))
print(t.upper())  # expect: missing-await
# %% ok
t = asyncio.create_task(ask("a"), name="q")
t.add_done_callback(lambda t: print(t.get_name()))
await t
print(t.result().upper(), t.done())
# %%
async with asyncio.TaskGroup() as tg:
    ts = [tg.create_task(ask(q)) for q in questions]
print([t.upper() for t in ts])  # expect: missing-await
# %% ok
async with asyncio.TaskGroup() as tg:
    ts = [tg.create_task(ask(q)) for q in questions]
print([t.result().upper() for t in ts])
extra = await ask("z")
print(extra.upper())
# %%
for answer in [ask(q) for q in questions]:  # expect: missing-await
    print(answer)
# %% ok
for c in [ask(q) for q in questions]:
    print(await c)
# %%
for i, a in enumerate(ask(q) for q in questions):  # expect: missing-await
    print(i, a.upper())
# %%
answers = list(map(ask, questions))  # expect: async-callback
print(answers[0].upper())
# %%
head = rows()[:2]  # expect: missing-await
# %%
n = len(rows(5))  # expect: missing-await
# %%
while not score("x"):  # expect: missing-await
    pass
# %%
total = 0
for q in questions:
    total += score(q)  # expect: missing-await
# %%
print("%s" % ask("x"))  # expect: missing-await
print("{}".format(ask("y")))  # expect: missing-await
# %%
def notify(ok):
    return None
if len(questions) > 2:
    ask("summary")  # expect: missing-await
else:
    notify(False)
# %%
try:
    data = rows()  # expect: missing-await
except ValueError:
    data = []
else:
    print(data[0])
# %% ok
class Service:
    def __init__(self, backend):
        self.backend = backend
    def go(self, x):
        r = self.backend.run(x)
        return r.text
# %%
!echo start
%matplotlib inline
res = ask("x")  # expect: missing-await
print(res[0])
files = !ls
# %%
a = await ask("a"); ask("b"); c = await ask("c")  # expect: missing-await
# %%
result = ask(  # expect: missing-await
    "a long prompt",
    model="big",
)
print(result.upper())
# %% ok
r = ask("a")
r = await r
print(r.upper())
# %% ok
pending = {}
for q in questions:
    pending[q] = ask(q)
answers = dict(zip(pending, await asyncio.gather(*pending.values())))
print(answers["a"].upper())
# %% ok
def batched(xs, n):
    for i in range(0, len(xs), n):
        yield xs[i:i + n]
out = []
for batch in batched(questions, 2):
    out += await asyncio.gather(*[ask(q) for q in batch])
print([o.upper() for o in out])
# %%
out = []
for i in range(2):
    out += asyncio.gather(*[ask(q) for q in questions])  # expect: missing-await
# %%
for f in asyncio.as_completed([ask(q) for q in questions]):
    r = f
    print(r.upper())  # expect: missing-await
# %% ok
for f in asyncio.as_completed([ask(q) for q in questions]):
    r = await f
    print(r.upper())
# %%
from contextlib import asynccontextmanager
@asynccontextmanager
async def session():
    yield {"id": 1}
with session() as s:  # expect: missing-async
    print(s["id"])
# %% ok
from contextlib import asynccontextmanager, AsyncExitStack
@asynccontextmanager
async def session(n):
    await asyncio.sleep(0)
    yield {"id": n}
    await asyncio.sleep(0)
async with AsyncExitStack() as stack:
    s = await stack.enter_async_context(session(1))
    u = await stack.enter_async_context(session(2))
    print(s["id"] + u["id"])
# %%
from contextlib import asynccontextmanager, AsyncExitStack
@asynccontextmanager
async def session(n):
    yield {"id": n}
async with AsyncExitStack() as stack:
    s = stack.enter_async_context(session(1))  # expect: missing-await
    print(s["id"])
# %%
async def sh(*cmd):
    p = asyncio.create_subprocess_exec(*cmd, stdout=asyncio.subprocess.PIPE)  # expect: missing-await
    out, _ = await p.communicate()
    return out
# %%
async def sh(*cmd):
    p = await asyncio.create_subprocess_exec(*cmd, stdout=asyncio.subprocess.PIPE)
    out, _ = p.communicate()  # expect: missing-await
    return out.decode()
# %%
async def send(host, port, data):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(data)
    writer.drain()  # expect: missing-await
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line
# %% ok
async def send(host, port, data):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(data)
    await writer.drain()
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return line
# %%
from typing import Protocol
class LLM(Protocol):
    async def complete(self, p: str) -> str: ...
async def run(llm: LLM, p: str) -> str:
    return llm.complete(p).strip()  # expect: missing-await
# %%
class Tool:
    async def __call__(self, x):
        return x + 1
inc = Tool()
print(inc(1) + 1)  # expect: missing-await
# %%
from typing import Awaitable, Callable
async def apply(fn: Callable[[str], Awaitable[str]], x: str) -> str:
    y = fn(x)  # expect: missing-await
    return y.upper()
# %% ok
from abc import ABC, abstractmethod
class Base(ABC):
    @abstractmethod
    async def step(self, x): ...
    async def run(self, xs):
        return [self.step(x) for x in xs if x]
class Impl(Base):
    async def step(self, x):
        return x
r = await asyncio.gather(*(await Impl().run([1, 2])))
print(r)
# %% ok
def plan(qs):
    return [ask(q) for q in qs]
print(await asyncio.gather(*plan(questions)))
# %%
def plan(qs):
    return [ask(q) for q in qs]
for a in plan(questions):  # expect: missing-await
    print(a.upper())
# %%
good = [q for q in questions if score(q)]  # expect: missing-await
# %%
big = [s for q in questions if (s := score(q)) > 1]  # expect: missing-await
# %% ok
scored = [(await score(q), q) for q in questions]  # noqa: sequential-awaits
best = max(scored)[1]
# %%
r, n = ask("x"), 3  # expect: missing-await
print(r * n)
# %% ok
ask("x")  # noqa: missing-await
# %%
ask("x")  # noqa: E501  # expect: missing-await
# %% ok
c = ask("x")
try:
    print(c.cr_code.co_name)
finally:
    c.close()
# %%
async def fail(x):
    if not x:
        raise ValueError(f"bad: {ask(x)}")  # expect: missing-await
    return x
# %%
import logging
log = logging.getLogger("x")
log.info("answer %s", ask("x"))  # expect: missing-await
# %% ok
c = ask("x") if questions else None
if c is not None:
    print(await c)
# %% ok
c = ask("x")
if len(questions) > 2:
    r = await c
else:
    r = await asyncio.wait_for(c, 1)
# %% ok
r = await asyncio.shield(ask("x"))
print(r.upper())
# %%
r = asyncio.shield(ask("x"))
print(r.upper())  # expect: missing-await
# %% ok
class Pool:
    def __init__(self): self.ts = set()
    def submit(self, coro):
        t = asyncio.create_task(coro); self.ts.add(t); return t
    async def join(self): return await asyncio.gather(*self.ts)
pool = Pool()
for q in questions:
    pool.submit(ask(q))
print(len(await pool.join()))
# %%
class Pool:
    def __init__(self): self.ts = set()
    def submit(self, coro):
        t = asyncio.create_task(coro); self.ts.add(t); return t
    async def join(self): return await asyncio.gather(*self.ts)
pool = Pool()
for q in questions:
    pool.submit(ask(q))
pool.join()  # expect: missing-await
print("done")
# %% ok
class Pages:
    def __init__(self, n): self.n = n
    def __aiter__(self): return self
    async def __anext__(self):
        if self.n == 0: raise StopAsyncIteration
        self.n -= 1
        return await ask(str(self.n))
async for p in Pages(2):
    print(p.upper())
all_ = [p async for p in Pages(2)]
# %%
class Pages:
    def __init__(self, n): self.n = n
    def __aiter__(self): return self
    async def __anext__(self):
        if self.n == 0: raise StopAsyncIteration
        self.n -= 1
        return self.n
print(list(Pages(2)))  # expect: missing-async
