# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
import aiohttp
# %%
import aiohttp
async def get(url):
    async with aiohttp.ClientSession() as s:
        async with s.get(url) as r:
            html = r.text()  # expect: missing-await
            return html[:100]
# %% ok
import aiohttp
async def get(url):
    async with aiohttp.ClientSession() as s:
        async with s.get(url) as r:
            r.raise_for_status()
            return (await r.json())["x"]
# %%
import aiohttp
async def get(s: aiohttp.ClientSession, url: str):
    async with s.get(url) as r:
        return r.json()["x"]  # expect: missing-await
# %%
import aiohttp
async def get(u):
    with aiohttp.ClientSession() as s:  # expect: missing-async
        return s
# %% ok
import aiohttp
async def send(host, data):
    r, w = await asyncio.open_connection(host, 80)
    w.write(data)
    await w.drain()
    head = await r.readline()
    body = await r.readline()
    return head + body
# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
import pandas as pd
# %%
import pandas as pd
df = pd.DataFrame([{"q": q, "a": ask(q)} for q in questions])  # expect: missing-await
df["n"] = df["a"].str.len()
# %% ok
import pandas as pd
df = pd.DataFrame({"q": questions})
df["a"] = await asyncio.gather(*(ask(q) for q in df["q"]))
df["n"] = [await score(a) for a in df["a"]]  # noqa: sequential-awaits
print(df.n.sum(), df.a.str.upper().tolist())
# %%
import pandas as pd
df = pd.DataFrame({"q": questions})
df = df.assign(a=[ask(q) for q in df.q])  # expect: missing-await
print(df.head())
# %%
import pandas as pd
df = pd.DataFrame({"q": questions})
df["a"] = df.apply(lambda row: ask(row.q), axis=1)  # expect: async-callback
# %% ok
import pandas as pd
df = pd.DataFrame({"q": questions})
df["n"] = df["q"].map(len)
# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
from IPython.display import display
# %%
from IPython.display import display
display(ask("x"))  # expect: missing-await
# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
from agents import Agent as A, Runner
# %%
from agents import Agent as A, Runner
agent = A(name="x", instructions="y")
res = Runner.run(agent, "hi")  # expect: missing-await
print(res.final_output)
# %% ok
from agents import Agent as A, Runner
agent = A(name="x", instructions="y")
async def go():
    res = Runner.run_streamed(agent, "hi")
    async for ev in res.stream_events():
        print(ev.type)
    final = await Runner.run(agent, "hi")
    return final.final_output
# %%
from agents import Agent as A, Runner
r = Runner.run_sync(A(name="x"), "hi")  # expect: asyncio-run
# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
from pydantic_ai import Agent as PA
from pydantic_ai.models.test import TestModel
# %%
from pydantic_ai import Agent as PA
from pydantic_ai.models.test import TestModel
pa = PA(TestModel())
out = pa.run("hi")  # expect: missing-await
print(out.output)
# %% ok
from pydantic_ai import Agent as PA
from pydantic_ai.models.test import TestModel
pa = PA(TestModel())
out = await pa.run("hi")
print(out.output)
async with pa.run_stream("hi") as s:
    print(await s.get_output())
# %%
from pydantic_ai import Agent as PA
from pydantic_ai.models.test import TestModel
r = PA(TestModel()).run_sync("hi")  # expect: asyncio-run
# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
from sqlalchemy.ext.asyncio import create_async_engine, AsyncSession
from sqlalchemy import text
# %%
from sqlalchemy.ext.asyncio import create_async_engine, AsyncSession
from sqlalchemy import text
async def q():
    engine = create_async_engine("sqlite+aiosqlite://")
    async with AsyncSession(engine) as s:
        r = s.execute(text("select 1"))  # expect: missing-await
        return r.scalar_one()
# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
from sqlalchemy.ext.asyncio import AsyncSession
# %%
from sqlalchemy.ext.asyncio import AsyncSession
async def save(s: AsyncSession, obj):
    s.add(obj)
    s.commit()  # expect: missing-await
    return obj
# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
import redis.asyncio as redis
# %%
import redis.asyncio as redis
r = redis.Redis()
async def cached(k):
    v = r.get(k)  # expect: missing-await
    return v.decode()
# %% ok
import redis.asyncio as redis
r = redis.Redis()
async def cached(k):
    async with r.pipeline() as p:
        p.set(k, 1)
        p.get(k)
        return await p.execute()
# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
from tqdm.asyncio import tqdm
# %% ok
from tqdm.asyncio import tqdm
res = await tqdm.gather(*[ask(q) for q in questions], disable=True)
print(res[0].upper())
# %%
from tqdm.asyncio import tqdm
res = tqdm.gather(*[ask(q) for q in questions], disable=True)  # expect: missing-await
print(res[0].upper())
# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
from tqdm import tqdm
# %% ok
from tqdm import tqdm
out = []
for c in tqdm([ask(q) for q in questions], disable=True):
    out.append(await c)
print(out[0].upper())
# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
from unittest.mock import AsyncMock, MagicMock
# %% ok
from unittest.mock import AsyncMock, MagicMock
m = AsyncMock(return_value=3)
assert await m("x") == 3
m.assert_awaited_once_with("x")
s = MagicMock()
s("x")
# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
from unittest.mock import AsyncMock
# %%
from unittest.mock import AsyncMock
m = AsyncMock(return_value=3)
v = m("x")  # expect: missing-await
print(v + 1)
# %% setup
import asyncio
async def ask(prompt):
    return f"answer to {prompt}"
questions = ["a", "bb"]
import anyio
# %% ok
import anyio
async def main():
    with anyio.move_on_after(1):
        await ask("x")
await main()
# %%
import anyio
async def main():
    with anyio.create_task_group() as tg:  # expect: missing-async
        tg.start_soon(ask, "x")
