"""What a function or an object is given, in the cell's own calls and by default."""
# %% setup
import anyio
import asyncio
import sqlite3
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property


class Store:
    def __init__(self):
        self.data = {}

    async def get(self, key):
        await asyncio.sleep(0)
        return self.data.get(key)

    async def put(self, key, value, ttl=None):
        self.data[key] = value


store = Store()
seen = {}
folder = anyio.Path(tempfile.gettempdir())


async def look_up(word):
    await asyncio.sleep(0)
    return word


async def count(text):
    return len(text)
# %%
async def cached(key):
    found = await store.get(key)
    if found is not None:
        return found
    value = await look_up(key)
    store.put(key, value)  # expect: missing-await
    return value
# %%
async def remember(key):
    if (known := seen.get(key)) is not None:
        return known
    found = look_up(key)  # expect: missing-await
    return found.upper()
# %% ok
async def remember(key):
    known = seen.get(key, "nothing")
    if known is not None:
        return known
    seen[key] = await look_up(key)
# %%
class Reader:
    def __init__(self, store, limit=3):
        self.store, self.limit = store, limit

    async def read(self, key):
        cached = await self.store.get(key)
        if cached is None:
            self.store.put(key, "new")  # expect: missing-await
        return cached

await Reader(store).read("a")
# %%
@asynccontextmanager
async def borrowed(store, key):
    value = await store.get(key)
    try:
        yield value
    finally:
        store.put(key, None)  # expect: missing-await

async with borrowed(store, "a") as value:
    print(value)
# %%
@dataclass
class Agent:
    tools: dict
    log: list = field(default_factory=list)

    async def act(self, name, **arguments):
        outcome = self.tools[name](**arguments)  # expect: missing-await
        self.log.append(str(outcome))

agent = Agent({"look up": look_up, "count": count})
await agent.act("count", text="abc")
# %% ok
@dataclass
class Agent:
    tools: dict

    async def act(self, name, **arguments):
        return str(await self.tools[name](**arguments))

agent = Agent({"look up": look_up, "count": count})
await agent.act("count", text="abc")
# %% ok
@dataclass
class Agent:
    tools: dict

    async def act(self, name, value):
        outcome = self.tools[name](value)
        if asyncio.iscoroutine(outcome):
            outcome = await outcome
        return str(outcome)

agent = Agent({"look up": look_up, "length": len})
await agent.act("length", "abc")
# %%
async def talk(text, on_word=count):
    for word in text.split():
        on_word(word)  # expect: missing-await
        await asyncio.sleep(0)
# %% ok
async def talk(text, on_word=count):
    for word in text.split():
        if asyncio.iscoroutinefunction(on_word):
            await on_word(word)
        else:
            on_word(word)
# %% ok
async def talk(text, on_word=print):
    for word in text.split():
        on_word(word)
        await asyncio.sleep(0)

await talk("a b")
# %%
async def answer(word):
    return store.get(word) or await look_up(word)  # expect: missing-await
# %% ok
async def answer(word):
    return await store.get(word) or await look_up(word)
# %%
class Team:
    def __init__(self, *names):
        self.members = {name: name.upper() for name in names}

    async def pick(self, text):
        return text.split()[0]

    async def ask(self, text):
        who = self.pick(text)  # expect: missing-await
        return self.members.get(who, "nobody")
# %% ok
pending = {asyncio.create_task(look_up(word)): word for word in ("a", "b")}
for task in list(pending):
    await task
    print(pending.get(task), pending[task])
# %%
async def load(name):
    path = folder / f"{name}.txt"
    if path.exists():  # expect: missing-await
        return await path.read_text()
    return ""
# %%
send, receive = anyio.create_memory_object_stream(max_buffer_size=4)
send.send("a")  # expect: missing-await
# %% ok
send, receive = anyio.create_memory_object_stream(max_buffer_size=4)
send.send_nowait("a")
print(await receive.receive())
# %%
class Bus:
    def __init__(self):
        self.listeners = []

    def on(self, listener):
        self.listeners.append(listener)
        return listener

    async def emit(self, word):
        for listener in self.listeners:
            listener(word)  # expect: missing-await

bus = Bus()

@bus.on
async def show(word):
    print(word)

await bus.emit("hello")
# %% ok
class Bus:
    def __init__(self):
        self.listeners = []

    def on(self, listener):
        self.listeners.append(listener)
        return listener

    async def emit(self, word):
        await asyncio.gather(*(listener(word) for listener in self.listeners))

bus = Bus()
bus.on(look_up)
await bus.emit("hello")
# %%
class Desk:
    def __init__(self, clerk):
        self.clerk = clerk

    async def ask(self, word):
        try:
            return await look_up(word)
        finally:
            self.clerk.put(word, 1)  # expect: missing-await

print((await Desk(store).ask("q")).title())
# %%
async def fill(queue, words):
    for word in words:
        await queue.put_nowait(word)  # expect: await-non-awaitable

async def main(words):
    queue = asyncio.Queue()
    await fill(queue, words)

await main(["a", "b"])
# %%
async def reply(reader, writer):
    writer.write((await reader.readline()).upper())
    writer.drain()  # expect: missing-await

server = await asyncio.start_server(reply, "127.0.0.1", 0)
# %%
numbers = {"one": {"value": 1}}
async def number(word):
    if word in numbers:
        return numbers[word]
    return look_up(word)  # expect: missing-await

async def value(word):
    return (await number(word))["value"]

await value("one")
# %%
def plain(word):  # expect: missing-async
    return await look_up(word)

print(plain("a"))
# %%
import pathlib
for word in ("a", "b"):
    target = pathlib.Path(tempfile.gettempdir()) / f"{word}.md"
    target.write_text(look_up(word))  # expect: missing-await
# %%
from pydantic import BaseModel
class Address(BaseModel):
    city: str
async def address(word):
    return Address(city=look_up(word))  # expect: missing-await
# %% ok
from pydantic import BaseModel
class Address(BaseModel):
    city: str
async def address(word):
    return Address(city=await look_up(word))
# %%
process = await asyncio.create_subprocess_exec("ls", stdout=asyncio.subprocess.PIPE)
for line in process.stdout:  # expect: missing-async
    print(line)
# %% ok
process = await asyncio.create_subprocess_exec("ls", stdout=asyncio.subprocess.PIPE)
async for line in process.stdout:
    print(line)
await process.wait()
# %%
class Notes:
    def __init__(self):
        self.db = sqlite3.connect(":memory:")
    def ask(self):
        return self.db.execute("select 1")
    async def all(self):
        return await self.ask().fetchall()  # expect: await-non-awaitable
# %%
async def safe(word):
    return await asyncio.timeout(look_up(word), 30)  # expect: api-misuse
# %%
words = list(map(look_up, ["a", "b"]))  # expect: coroutine-left
print(len(words))
# %%
words = list(map(look_up, ["a", "b"]))  # expect: async-callback
print(words[0].title())
