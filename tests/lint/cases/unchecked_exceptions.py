# %% setup
import asyncio
async def may_fail(i):
    if i == 1: raise ValueError(i)
    return i
# %%
await asyncio.gather(*(may_fail(i) for i in range(3)), return_exceptions=True)  # expect: unchecked-exceptions
print("done")
# %%
rs = await asyncio.gather(may_fail(0), may_fail(2), return_exceptions=True)  # expect: unchecked-exceptions
total = sum(rs)
# %%
async def main():
    rs = await asyncio.gather(may_fail(0), return_exceptions=True)  # expect: unchecked-exceptions
    return [r + 1 for r in rs]
await main()
# %%
a, b = await asyncio.gather(may_fail(0), may_fail(2), return_exceptions=True)  # expect: unchecked-exceptions
print(a + b)
# %%
ts = [asyncio.create_task(may_fail(i)) for i in range(3)]
done, pending = await asyncio.wait(ts)  # expect: unchecked-exceptions
print(len(done))
# %%
rs = await asyncio.gather(may_fail(0), return_exceptions=True)  # expect: unchecked-exceptions
for r in rs:
    print(r * 2)
# %% ok
rs = await asyncio.gather(may_fail(0), return_exceptions=True)
ok = [r for r in rs if not isinstance(r, Exception)]
# %% ok
rs = await asyncio.gather(may_fail(0), return_exceptions=True)
for r in rs:
    if isinstance(r, BaseException):
        print("bad")
# %% ok
rs = await asyncio.gather(may_fail(0))
print(rs)
# %% ok
async def main():
    return await asyncio.gather(may_fail(0), return_exceptions=True)
rs = await main()
# %% ok
ts = [asyncio.create_task(may_fail(i)) for i in range(3)]
done, pending = await asyncio.wait(ts)
for t in done:
    print(t.result())
# %% ok
ts = [asyncio.create_task(may_fail(i)) for i in range(3)]
await asyncio.wait(ts)
rs = await asyncio.gather(*ts)
# %% ok
rs = await asyncio.gather(may_fail(0), return_exceptions=True)
print(rs)
# %% setup
import asyncio, json, time, random
from dataclasses import dataclass, field
from functools import partial
async def ask(prompt, model="small", *, temperature=0.0):
    await asyncio.sleep(0.001)
    return f"answer to {prompt}"
async def score(text):
    await asyncio.sleep(0.001)
    return len(text)
async def rows(n=3):
    await asyncio.sleep(0)
    return [{"id": i, "q": str(i)} for i in range(n)]
async def stream(n=3):
    for i in range(n):
        await asyncio.sleep(0)
        yield f"tok{i}"
questions = ["a", "bb", "ccc"]
# %%
await asyncio.gather(*map(ask, questions), return_exceptions=True)  # expect: unchecked-exceptions
print("done")
# %%
rs = await asyncio.gather(*map(score, questions), return_exceptions=True)  # expect: unchecked-exceptions
print(sum(rs))
# %% ok
rs = await asyncio.gather(*map(score, questions), return_exceptions=True)
good = [r for r in rs if not isinstance(r, BaseException)]
# %%
async def main():
    ts = [asyncio.create_task(ask(q)) for q in questions]
    done, pending = await asyncio.wait(ts, timeout=1)  # expect: unchecked-exceptions
    for p in pending:
        p.cancel()
    return "ok"
# %% ok
ts = [asyncio.create_task(ask(q)) for q in questions]
done, pending = await asyncio.wait(ts)
rs = [t.result() for t in done]
# %% ok
ts = [asyncio.create_task(ask(q)) for q in questions]
done, _ = await asyncio.wait(ts)
for t in done:
    if t.exception():
        print(t.exception())
# %%
rs = await asyncio.gather(*map(ask, questions), return_exceptions=True)  # expect: unchecked-exceptions
print([r.upper() for r in rs])
# %% ok
async def all_(qs):
    return await asyncio.gather(*map(ask, qs), return_exceptions=True)
# %% ok
rs = await asyncio.gather(*map(ask, questions), return_exceptions=True)
for r in rs:
    match r:
        case Exception():
            print("bad", r)
        case str():
            print(r)
# %% ok
results = await asyncio.gather(*map(ask, questions), return_exceptions=True)
