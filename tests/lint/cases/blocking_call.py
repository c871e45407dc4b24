# %% setup
import asyncio, time, subprocess, os, queue, threading, urllib.request, socket
import httpx, requests
from openai import OpenAI
from concurrent.futures import ThreadPoolExecutor
pool = ThreadPoolExecutor(2)
jobs = queue.Queue()
sync_http = httpx.Client()
client = OpenAI(api_key="k")
http = requests.Session()
def nap(s=1): time.sleep(s)
def deep(): nap()
from time import sleep
zzz = time.sleep
class Chain:
    def invoke(self, x): return x
    async def ainvoke(self, x): return x
chain = Chain()
async def tick(): await asyncio.sleep(0.01)
# %%
async def f():
    time.sleep(1)  # expect: blocking-call
# %%
async def f():
    sleep(1)  # expect: blocking-call
# %%
async def f():
    zzz(1)  # expect: blocking-call
# %%
async def f():
    nap()  # expect: blocking-call
# %%
async def f():
    deep()  # expect: blocking-call
# %%
def helper():
    time.sleep(1)
async def f():
    helper()  # expect: blocking-call
# %%
async def f():
    return requests.get("http://x")  # expect: blocking-call
# %%
async def f():
    return http.get("http://x").json()  # expect: blocking-call
# %%
async def f(u):
    return sync_http.get(u).text  # expect: blocking-call
# %%
async def f(u):
    with httpx.Client() as c:
        return c.post(u)  # expect: blocking-call
# %%
async def f(m):
    return client.chat.completions.create(model="m", messages=m)  # expect: blocking-call
# %%
async def f():
    c = OpenAI(api_key="k")
    return c.embeddings.create(model="m", input="x")  # expect: blocking-call
# %%
async def f():
    return subprocess.check_output(["ls"])  # expect: blocking-call
# %%
async def f():
    p = subprocess.Popen(["ls"])
    p.wait()  # expect: blocking-call
# %%
async def f():
    os.system("ls")  # expect: blocking-call
# %%
async def f():
    return jobs.get()  # expect: blocking-call
# %%
async def f():
    return pool.submit(nap).result()  # expect: blocking-call
# %%
async def f():
    fut = pool.submit(nap)
    return fut.result()  # expect: blocking-call
# %%
async def f():
    e = threading.Event()
    e.wait()  # expect: blocking-call
# %%
async def f(x):
    return chain.invoke(x)  # expect: blocking-call
# %%
async def f():
    for i in range(3):
        await tick()
        time.sleep(0.5)  # expect: blocking-call
# %%
async def gen():
    while True:
        time.sleep(1)  # expect: blocking-call
        yield 1
# %%
async def f():
    s = socket.create_connection(("localhost", 80))  # expect: blocking-call
# %%
t = asyncio.create_task(tick())
nap(2)  # expect: blocking-call
await t
# %%
async def f():
    import requests as rq
    return rq.post("http://x")  # expect: blocking-call
# %%
async def f():
    r = urllib.request.urlopen("http://x")  # expect: blocking-call
    return r.read()
# %%
class Tool:
    def _wait(self): time.sleep(1)
    async def run(self):
        self._wait()  # expect: blocking-call
# %%
async def f():
    xs = [time.sleep(0.2) for _ in range(3)]  # expect: blocking-call
# %% ok
time.sleep(1)
requests.get
# %% ok
async def f():
    await asyncio.to_thread(time.sleep, 1)
# %% ok
async def f():
    await asyncio.get_running_loop().run_in_executor(None, lambda: time.sleep(1))
# %% ok
async def f():
    def work():
        time.sleep(1)
    await asyncio.to_thread(work)
# %% ok
def f():
    time.sleep(1)
# %% ok
async def f():
    return time.time(), time.monotonic()
# %% ok
async def f():
    return jobs.get_nowait(), jobs.get(block=False)
# %% ok
async def f():
    t = asyncio.create_task(tick())
    await t
    return t.result()
# %% ok
async def f():
    return await chain.ainvoke(1)
# %% ok
async def f():
    e = asyncio.Event()
    await e.wait()
# %% ok
async def f():
    async with httpx.AsyncClient() as c:
        return await c.get("http://x")
# %% ok
async def f():
    time.sleep(0)
# %% ok
async def f(d):
    return d.get("x"), {"a": 1}.get("a"), os.environ.get("HOME")
# %% ok
async def f():
    return " ".join(["a"]), os.path.join("a", "b")
# %% ok
async def f():
    p = await asyncio.create_subprocess_exec("ls")
    await p.wait()
    out = await p.communicate()
# %% ok
t = asyncio.create_task(tick())
await t
time.sleep(0.2)
# %% ok
async def f():
    fut = pool.submit(nap)
    await asyncio.wrap_future(fut)
    return fut.result()
# %%
async def f():
    fut = asyncio.run_coroutine_threadsafe(tick(), asyncio.get_running_loop())
    return fut.result(timeout=0.1)  # expect: blocking-call
# %%
loop = asyncio.get_running_loop()
asyncio.run_coroutine_threadsafe(tick(), loop).result()  # expect: blocking-call
# %%
async def f(paths):
    with ThreadPoolExecutor() as ex:
        for row in ex.map(nap, paths):  # expect: blocking-call
            print(row)
# %%
async def f(paths):
    with ThreadPoolExecutor() as ex:  # expect: blocking-call
        futs = [ex.submit(nap, p) for p in paths]
    return futs
# %%
class Gate:
    @property
    def state(self):
        time.sleep(1)
        return 1
async def f():
    return Gate().state  # expect: blocking-call
# %%
class Session:
    def __enter__(self):
        time.sleep(1)
        return self
    def __exit__(self, *exc): ...
async def f():
    with Session() as s:  # expect: blocking-call
        return s
# %%
def ticks():
    while True:
        time.sleep(1)
        yield 1
async def f():
    for t in ticks():  # expect: blocking-call
        await tick()
# %%
async def f(xs):
    return sorted(xs, key=lambda x: requests.get(x).text)  # expect: blocking-call
# %%
import multiprocessing.pool
async def f(xs):
    workers = multiprocessing.pool.ThreadPool(2)
    return workers.map(nap, xs)  # expect: blocking-call
# %% ok
async def f(xs):
    with ThreadPoolExecutor() as ex:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(ex, nap, x) for x in xs))
# %% ok
async def f(loop):
    fut = asyncio.run_coroutine_threadsafe(tick(), loop)
    await asyncio.wrap_future(fut)
    return fut.result()
# %% ok
def elsewhere(loop):
    return asyncio.run_coroutine_threadsafe(tick(), loop).result()
# %% ok
def ticks():
    time.sleep(1)
    yield 1
async def f():
    return await asyncio.to_thread(list, ticks())
# %% ok
class Gate:
    def wait(self): time.sleep(1)
async def f():
    await asyncio.to_thread(Gate().wait)
# %% ok
def rows(xs):
    with ThreadPoolExecutor() as ex:
        return list(ex.map(nap, xs))
# %%
import pandas as pd
async def f():
    source = "https://example.org/rows.csv"
    return pd.read_csv(source)  # expect: blocking-call
# %%
async def f():
    s = socket.socket()
    s.connect(("localhost", 80))  # expect: blocking-call
# %% ok
async def f(s: socket.socket):
    return s.recv(10)
# %% ok
async def f():
    s = socket.socket()
    s.setblocking(False)
    return s.recv(10)
# %% setup everyday
# %%
import requests
async def get(u):
    return requests.get(u).json()  # expect: blocking-call
# %%
import requests
session = requests.Session()
async def get(u):
    r = session.post(u, json={})  # expect: blocking-call
    return r.json()
# %%
from time import sleep
async def poll():
    while True:
        sleep(1)  # expect: blocking-call
        await ask("x")
# %% ok
time.sleep(0.01)
print("slept")
# %% ok
def slow(): time.sleep(0.01); return 1
r = await asyncio.to_thread(slow)
# %%
def backoff(n):
    time.sleep(2 ** n)
async def call(p):
    backoff(1)  # expect: blocking-call
    return await ask(p)
# %%
import os
async def sh(c):
    os.system(c)  # expect: blocking-call
# %%
from concurrent.futures import ThreadPoolExecutor
ex = ThreadPoolExecutor()
async def go():
    f = ex.submit(time.sleep, 1)
    return f.result()  # expect: blocking-call
# %%
import queue
inbox = queue.Queue()
async def worker():
    item = inbox.get()  # expect: blocking-call
    return await ask(item)
# %% ok
import queue
inbox = queue.Queue()
async def worker():
    return inbox.get_nowait()
# %%
import threading
ev = threading.Event()
async def w():
    ev.wait()  # expect: blocking-call
# %% ok
import requests
async def get(u):
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, requests.get, u)
# %% ok
async def nap():
    await asyncio.to_thread(lambda: time.sleep(0.01))
await nap()
# %%
async def call(p):
    for i in range(3):
        try:
            return await ask(p)
        except ValueError:
            time.sleep(2 ** i)  # expect: blocking-call
# %%
import urllib.request
async def pages(us):
    for u in us:
        yield urllib.request.urlopen(u).read()  # expect: blocking-call
# %%
import subprocess
async def ver():
    return subprocess.check_output(["true"])  # expect: blocking-call
# %% ok
import sqlite3
async def q():
    return sqlite3.connect(":memory:").execute("select 1").fetchone()
# %% ok
async def main():
    def work():
        time.sleep(0.01)
        return 1
    return await asyncio.to_thread(work)
await main()
# %% ok
async def main():
    t = time.monotonic()
    await asyncio.sleep(0)
    return time.monotonic() - t
