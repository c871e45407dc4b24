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
