# %% setup
import asyncio
# %%
import httpx
async with httpx.AsyncClient() as client:
    r = client.get("http://x")  # expect: missing-await
    print(r.status_code)
# %%
import httpx
client = httpx.AsyncClient()
r = await client.get("http://x")
r.json()["a"]
client.aclose()  # expect: missing-await
# %%
import httpx
r = httpx.AsyncClient(timeout=5).get("http://x")  # expect: missing-await
r.json()
# %% ok
import httpx
with httpx.Client() as c:
    print(c.get("x").text)
# %%
import httpx
async def get(c: httpx.AsyncClient, u: str) -> httpx.Response:
    r = c.get(u)  # expect: missing-await
    r.raise_for_status()
    return r
# %%
import httpx
async with httpx.AsyncClient() as c:
    async with c.stream("GET", "http://x") as r:
        body = r.aread()  # expect: missing-await
        print(len(body))
# %%
import aiohttp
async with aiohttp.ClientSession() as session:
    async with session.get("http://x") as resp:
        data = resp.json()  # expect: missing-await
        print(data["a"])
# %%
import aiohttp
async with aiohttp.ClientSession() as session:
    resp = await session.get("http://x")
    print(resp.text()[:100])  # expect: missing-await
# %%
import aiohttp
session = aiohttp.ClientSession()
session.close()  # expect: missing-await
# %%
from aiohttp import ClientSession, ClientTimeout
async with ClientSession(timeout=ClientTimeout(total=3)) as s, s.get("http://x") as r:
    r.read()  # expect: missing-await
    print(r.status)
# %%
import aiofiles
async with aiofiles.open("x") as f:
    text = f.read()  # expect: missing-await
    print(text.upper())
# %%
import aiofiles
async with aiofiles.open("x", "w") as f:
    f.write("a")  # expect: missing-await
# %% ok
import aiofiles
async with aiofiles.open("x") as f:
    async for line in f:
        print(line)
# %%
import aiosqlite
async with aiosqlite.connect("x") as db:
    db.execute("select 1")  # expect: missing-await
    db.commit()  # expect: missing-await
# %%
import aiosqlite
db = await aiosqlite.connect("x")
cur = await db.execute("select 1")
rows = cur.fetchall()  # expect: missing-await
print(len(rows))
# %%
import aiosqlite
async with aiosqlite.connect("x") as db:
    async with db.execute("select 1") as cur:
        row = cur.fetchone()  # expect: missing-await
        print(row[0])
# %%
import redis.asyncio as redis
r = redis.Redis()
v = r.get("x")  # expect: missing-await
print(v.decode())
# %%
import redis.asyncio as redis
r = redis.Redis()
async with r.pipeline() as p:
    p.set("a", 1)
    p.get("a")
    out = p.execute()  # expect: missing-await
    print(out[0])
# %%
from openai import AsyncOpenAI
client = AsyncOpenAI(api_key="x")
r = client.chat.completions.create(model="m", messages=[])  # expect: missing-await
print(r.choices[0].message.content)
# %%
from openai import AsyncOpenAI
client = AsyncOpenAI(api_key="x")
stream = client.chat.completions.create(model="m", messages=[], stream=True)  # expect: missing-await
async for part in stream:
    print(part)
# %%
import anthropic
client = anthropic.AsyncAnthropic(api_key="x")
m = client.messages.create(model="m", max_tokens=1, messages=[])  # expect: missing-await
print(m.content[0].text)
# %%
from langchain_core.runnables import RunnableLambda
chain = RunnableLambda(lambda x: x + 1)
out = chain.ainvoke(1)  # expect: missing-await
print(out + 1)
# %%
from langchain_core.language_models import FakeListChatModel
m = FakeListChatModel(responses=["a"])
r = m.ainvoke("x")  # expect: missing-await
print(r.content)
# %%
from langgraph.graph import StateGraph, START, END
g = StateGraph(dict)
g.add_node("a", lambda s: s)
g.add_edge(START, "a")
app = g.compile()
out = app.ainvoke({"x": 1})  # expect: missing-await
print(out["x"])
# %%
import websockets
async with websockets.connect("ws://x") as ws:
    ws.send("a")  # expect: missing-await
    msg = ws.recv()  # expect: missing-await
    print(msg[:3])
# %%
import anyio
anyio.sleep(1)  # expect: missing-await
print("x")
# %%
import anyio
p = anyio.Path("x")
t = p.read_text()  # expect: missing-await
print(t.upper())
# %%
from sqlalchemy.ext.asyncio import create_async_engine, async_sessionmaker
engine = create_async_engine("sqlite+aiosqlite://")
async with engine.begin() as conn:
    res = conn.execute("select 1")  # expect: missing-await
    print(res.fetchall())
# %%
from sqlalchemy.ext.asyncio import create_async_engine, async_sessionmaker, AsyncSession
engine = create_async_engine("sqlite+aiosqlite://")
Session = async_sessionmaker(engine)
async with Session() as s:
    s.commit()  # expect: missing-await
    rows = s.execute("x")  # expect: missing-await
    print(rows.all())
# %%
from sqlalchemy.ext.asyncio import AsyncSession
async def load(s: AsyncSession):
    r = s.execute("x")  # expect: missing-await
    return r.scalars().all()
# %%
from playwright.async_api import async_playwright
async with async_playwright() as p:
    b = p.chromium.launch()  # expect: missing-await
    page = b.new_page()
# %%
from playwright.async_api import async_playwright
async with async_playwright() as p:
    b = await p.chromium.launch()
    page = await b.new_page()
    page.goto("x")  # expect: missing-await
    title = page.title()  # expect: missing-await
    print(title.upper())
# %%
from mcp import ClientSession
async def tools(s: ClientSession):
    r = s.list_tools()  # expect: missing-await
    return r.tools
# %%
from agents import Agent, Runner
r = Runner.run(Agent(name="x"), "hi")  # expect: missing-await
print(r.final_output)
# %%
from pydantic_ai import Agent
a = Agent("test")
r = a.run("x")  # expect: missing-await
print(r.output)
# %%
from google import genai
c = genai.Client(api_key="x")
r = c.aio.models.generate_content(model="x", contents="y")  # expect: missing-await
print(r.text)
# %%
from elasticsearch import AsyncElasticsearch
es = AsyncElasticsearch("http://x")
r = es.search(index="x")  # expect: missing-await
print(r["hits"])
# %%
import tenacity
@tenacity.retry
async def f(): return 1
f()  # expect: missing-await
print("x")
# %%
from jupyter_client import AsyncKernelManager
km = AsyncKernelManager()
km.start_kernel()  # expect: missing-await
kc = km.client()
msg = kc.get_iopub_msg()  # expect: missing-await
print(msg["x"])
# %%
from concurrent.futures import ThreadPoolExecutor
ex = ThreadPoolExecutor()
r = ex.submit(asyncio.sleep, 1)  # expect: async-callback
# %%
import asyncio as aio
from asyncio import sleep as nap
nap(1)  # expect: missing-await
aio.sleep(1)  # expect: missing-await
print(1)
# %%
from unittest.mock import AsyncMock
m = AsyncMock(return_value=3)
x = m()  # expect: missing-await
print(x + 1)
# %%
import aiohttp
async def page(url):
    async with aiohttp.ClientSession() as s:
        async with s.get(url) as r:
            return r.text()  # expect: missing-await
t = await page("x")
print(t.upper())
# %%
import aiohttp
async def page(url):
    async with aiohttp.ClientSession() as s:
        async with s.get(url) as r:
            r.raise_for_status()
            return await r.text()
ts = [page(u) for u in "ab"]  # expect: missing-await
print(len(ts[0]))
# %%
import requests
async def f():
    return requests.get("x").json()  # expect: blocking-call
# %%
import aiokafka
p = aiokafka.AIOKafkaProducer()
p.start()  # expect: missing-await
p.send_and_wait("t", b"x")  # expect: missing-await
print("x")
