# %% setup
import asyncio
async def fetch(x=0):
    await asyncio.sleep(0)
    return x
done = fetch(1)
closed = [fetch(2), fetch(3)]
for c in [done, *closed]:
    c.close()
# %%
x = await done  # expect: reused-coroutine
# %%
rs = await asyncio.gather(*closed)  # expect: reused-coroutine
# %%
t = asyncio.create_task(done)  # expect: reused-coroutine
# %%
c = fetch(1)
for _ in range(2):
    await c  # expect: reused-coroutine
# %%
c = fetch(1)
t = asyncio.create_task(c)
await c  # expect: reused-coroutine
# %%
cs = [fetch(i) for i in range(2)]
a = await asyncio.gather(*cs)
b = await asyncio.gather(*cs)  # expect: reused-coroutine
# %%
async def main():
    c = fetch(1)
    print(await c)
    print(await c)  # expect: reused-coroutine
await main()
# %%
c = fetch(1)
await asyncio.wait_for(c, 1)
await asyncio.wait_for(c, 1)  # expect: reused-coroutine
# %%
c1 = c2 = fetch(1)
await c1
await c2  # expect: reused-coroutine
# %% ok
c = fetch(1)
if c:
    await c
else:
    await c
# %% ok
for i in range(2):
    c = fetch(i)
    await c
# %% ok
t = asyncio.create_task(fetch(1))
await t
await t
# %% ok
done = fetch(1)
await done
# %% ok
cs = [fetch(i) for i in range(3)]
for c in cs:
    await c
# %% ok
f = asyncio.gather(fetch(1), fetch(2))
await f
await f
# %% ok
c = fetch(1)
try:
    r = await asyncio.wait_for(c, 1)
except TimeoutError:
    c = fetch(2)
    r = await c
# %% ok
make = lambda: fetch(1)
await make()
await make()
# %% ok
c = fetch(1)
a = await c
c = fetch(2)
b = await c
# %% setup everyday
# %%
c = ask("x")
for i in range(2):
    print(await c)  # expect: reused-coroutine
# %%
cs = [ask(q) for q in questions]
first = await asyncio.gather(*cs)
second = await asyncio.gather(*cs)  # expect: reused-coroutine
# %% ok
async def retry(coro, n=3):
    for i in range(n):
        try:
            return await coro
        except ValueError:
            pass
# %% ok
t = asyncio.create_task(ask("x"))
a = await t
b = await t
# %% ok
c = ask("x")
if questions:
    r = await c
else:
    r = await c
# %% ok
for i in range(2):
    c = ask("x")
    print(await c)
# %%
c = ask("x")
t = asyncio.create_task(c)
r = await c  # expect: reused-coroutine
# %% ok
f = asyncio.get_running_loop().create_future()
f.set_result(1)
print(await f, await f)
# %%
c = ask("x")
try:
    r = await asyncio.wait_for(c, 0.1)
except asyncio.TimeoutError:
    r = await c  # expect: reused-coroutine
# %% ok
rs = await asyncio.gather(*[ask("x")] * 3)
# %% setup
import asyncio
async def ask(p): return p
spent = [ask("a"), ask("b")]
await asyncio.gather(*spent)
fresh = ask("c")
# %%
res = await asyncio.gather(*spent)  # expect: reused-coroutine
# %% ok
res = await fresh
# %% setup everyday
# %%
import functools
@functools.lru_cache(maxsize=8)
async def glossary(language):  # expect: reused-coroutine
    return {"hello": language}
# %%
import functools
class Book:
    @functools.cached_property
    async def title(self):  # expect: reused-coroutine
        return await ask("title")
# %% ok
import functools
@functools.lru_cache
def glossary(language):
    return {"hello": language}
# %%
async def reply(text, greeting=ask("hello")):  # expect: reused-coroutine
    return f"{await greeting}, {text}"
# %% ok
async def reply(text, greet=ask):
    return f"{await greet(text)}, {text}"
# %%
rolls = [ask("dice")] * 3
tasks = [asyncio.create_task(roll) for roll in rolls]  # expect: reused-coroutine
print(await asyncio.gather(*tasks))
# %% ok
rolls = [ask(face) for face in "123"] + [ask("4")]
tasks = [asyncio.create_task(roll) for roll in rolls]
print(await asyncio.gather(*tasks))
