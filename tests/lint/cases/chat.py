# %% setup
import asyncio
from typing import Optional, Any
from dataclasses import dataclass
class LLM:
    def __init__(self, model): self.model = model; self.usage = 0
    async def chat(self, prompt, **kw) -> str:
        await asyncio.sleep(0)
        return prompt.upper()
    async def stream(self, prompt):
        for w in prompt.split():
            yield w
    def with_tools(self, *tools): return self
    async def __aenter__(self): return self
    async def __aexit__(self, *a): pass
llm = LLM("m")
class Tool:
    name = "t"
    async def __call__(self, x): return x * 2
    async def run(self, x): return x * 2
tool = Tool()
tools = {"double": tool.run, "call": tool}
class Repo:
    _inst = None
    @classmethod
    async def create(cls, dsn):
        self = cls(); self.dsn = dsn
        return self
    @staticmethod
    async def ping(): return True
    async def all(self): return [1, 2]
    async def one(self, i): return {"id": i}
    @property
    async def count(self): return 2
repo = Repo()
def logged(fn):
    import functools
    @functools.wraps(fn)
    async def inner(*a, **k):
        return await fn(*a, **k)
    return inner
def timed(label):
    def deco(fn):
        async def inner(*a, **k):
            return await fn(*a, **k)
        return inner
    return deco
history = []
config = {}
prompts = ["a b", "c"]
# %%
answer = llm.chat("hi")  # expect: missing-await
history.append({"role": "assistant", "content": answer})
print(history[-1]["content"].strip())
# %%
history.append({"role": "assistant", "content": llm.chat("hi")})  # expect: missing-await
print(history[-1]["content"].strip())
# %%
msgs = [{"role": "user", "content": "x"}]
msgs += [{"role": "assistant", "content": llm.chat("hi")}]  # expect: missing-await
print("\n".join(m["content"] for m in msgs))
# %%
answer = llm.with_tools(tool).chat("hi")  # expect: missing-await
print(answer[:10])
# %%
r = tools["double"](3)  # expect: missing-await
print(r + 1)
# %%
r = tools["call"](3)  # expect: missing-await
print(r + 1)
# %%
repo2 = Repo.create("x")  # expect: missing-await
rows = await repo2.all()
# %%
if repo.count > 1:  # expect: missing-await
    print("many")
# %%
assert Repo.ping(), "down"  # expect: missing-await
# %%
for row in repo.all():  # expect: missing-await
    print(row)
# %%
rows = [r * 2 for r in repo.all()]  # expect: missing-await
# %%
ids = {r["id"]: r for r in [repo.one(i) for i in range(3)]}  # expect: missing-await
# %%
total = len(repo.all())  # expect: missing-await
# %%
@logged
async def ask(q):
    return await llm.chat(q)
print(ask("x").lower())  # expect: missing-await
# %%
@timed("ask")
async def ask(q):
    return await llm.chat(q)
ask("x")  # expect: missing-await
print("asked")
# %%
async def agent(q, depth=0):
    plan = llm.chat(q)  # expect: missing-await
    if "stop" in plan:
        return plan
    return await agent(q, depth + 1)
# %%
async def agent(q):
    if depth := llm.chat(q):  # expect: missing-await
        return depth
# %%
async def pipeline(q):
    draft = await llm.chat(q)
    review = llm.chat(f"review {draft}")  # expect: missing-await
    return f"{draft}\n{review}"
# %%
async def pipeline(q):
    draft = llm.chat(q)  # expect: missing-await
    final = await llm.chat(f"review {draft}")
    return final
# %%
async def pipeline(q):
    draft = llm.chat(q)  # expect: missing-await
    final = await llm.chat("review: " + draft)
    return final
# %%
async def pipeline(q):
    return await llm.chat(llm.chat(q))  # expect: missing-await
# %%
answers = {p: llm.chat(p) for p in prompts}  # expect: missing-await
for p, a in answers.items():
    print(p, a.upper())
# %%
answers = [(p, llm.chat(p)) for p in prompts]  # expect: missing-await
best = max(answers, key=lambda t: len(t[1]))
# %%
answers = [llm.chat(p) for p in prompts]  # expect: missing-await
print(sorted(answers))
# %%
answers = [llm.chat(p) for p in prompts]  # expect: missing-await
text = "\n".join(answers)
# %%
answers = [llm.chat(p) for p in prompts]  # expect: missing-await
assert all(a.isupper() for a in answers)
# %%
answers = list(map(llm.chat, prompts))  # expect: async-callback
print(answers[0].upper())
# %%
config["answer"] = llm.chat("x")  # expect: missing-await
print(f"answer: {config['answer']}")
# %%
config.update(answer=llm.chat("x"))  # expect: missing-await
print(config["answer"].upper())
# %%
config.setdefault("answer", llm.chat("x"))  # expect: coroutine-left
# %%
config |= {"answer": llm.chat("x")}  # expect: missing-await
print(config["answer"].upper())
# %%
results = []
async def one(p):
    results.append(llm.chat(p))  # expect: missing-await
for p in prompts:
    await one(p)
print(results[0].upper())
# %%
results = {}
async def one(p):
    results[p] = llm.chat(p)  # expect: missing-await
await asyncio.gather(*(one(p) for p in prompts))
print(results["a b"].upper())
# %%
class Chat:
    def __init__(self, llm): self.llm = llm; self.log = []
    async def say(self, text):
        reply = self.llm.chat(text)  # expect: missing-await
        self.log.append(reply.strip())
        return reply
c = Chat(llm)
await c.say("x")
# %%
class Chat:
    def __init__(self): self.llm = LLM("x"); self.log = []
    async def say(self, text):
        self.llm.chat(text)  # expect: missing-await
        self.log.append(text)
    async def twice(self, t):
        self.say(t)  # expect: missing-await
        await self.say(t)
# %%
class Chat:
    llm: LLM
    async def say(self, text):
        return self.llm.chat(text).strip()  # expect: missing-await
# %%
@dataclass
class Chat:
    llm: LLM
    last: str = ""
    async def say(self, text):
        self.last = self.llm.chat(text)  # expect: missing-await
        return self.last.strip()
# %%
class Base:
    async def step(self, x): return x + 1
class Child(Base):
    async def run(self):
        y = self.step(1)  # expect: missing-await
        return y + 1
    async def step2(self):
        super().step(2)  # expect: missing-await
# %%
async with LLM("x") as m:
    out = m.chat("hello")  # expect: missing-await
    print(out.title())
# %%
async with asyncio.TaskGroup() as tg:
    t = tg.create_task(llm.chat("x"))
print(t.upper())  # expect: missing-await
# %%
t = asyncio.create_task(llm.chat("x"))
print(t.upper())  # expect: missing-await
# %%
t1, t2 = (asyncio.create_task(llm.chat(p)) for p in prompts)
print(t1 + t2)  # expect: missing-await
# %%
rs = asyncio.gather(*[llm.chat(p) for p in prompts])  # expect: missing-await
for r in rs:
    print(r)
# %%
loop = asyncio.get_running_loop()
x = loop.run_in_executor(None, len, "abc")
print(x + 1)  # expect: missing-await
# %%
x = asyncio.to_thread(len, "abc")  # expect: missing-await
print(x + 1)
# %%
first = anext(llm.stream("a b"))  # expect: missing-await
print(first.upper())
# %%
def sync_wrapper(p):
    return llm.chat(p)
print(sync_wrapper("x").upper())  # expect: missing-await
# %%
get = lambda p: llm.chat(p)
print(get("x").upper())  # expect: missing-await
# %%
import functools
quick = functools.partial(llm.chat, temperature=0)
print(quick("x").upper())  # expect: missing-await
# %%
fn = llm.chat
out = fn("x")  # expect: missing-await
print(out.upper())
# %%
m = getattr(llm, "chat")("x")  # expect: missing-await
print(m.upper())
# %%
x = [await llm.chat(p) for p in prompts][0] + llm.chat("z")  # expect: missing-await, sequential-awaits
# %%
print(len(await llm.chat("x")), len(llm.chat("y")))  # expect: missing-await
# %%
out = llm.chat("x")  # expect: missing-await
out = out.upper()
# %%
out = llm.chat("x")  # expect: missing-await
out = out if out else "none"
# %%
out = llm.chat("x") if prompts else ""  # expect: missing-await
print(out.upper())
# %%
try:
    out = llm.chat("x")  # expect: missing-await
except ConnectionError:
    out = "failed"
else:
    print(out.upper())
# %%
for attempt in range(3):
    out = llm.chat("x")  # expect: missing-await
    if out.startswith("X"):
        break
# %%
while not Repo.ping():  # expect: missing-await
    pass
# %%
x = yield_value = llm.chat("x")  # expect: missing-await
del x
print(yield_value.upper())
# %%
print("done" if llm.chat("x") == "X" else "no")  # expect: missing-await
# %%
word, *rest = llm.chat("a b")  # expect: missing-await
# %%
with open("/tmp/x.txt", "w") as f:
    f.write(llm.chat("x"))  # expect: missing-await
# %%
import json
json.dump({"a": llm.chat("x")}, open("/tmp/x.json", "w"))  # expect: missing-await
# %%
import re
re.findall(r"\w+", llm.chat("x"))  # expect: missing-await
# %%
from IPython.display import Markdown, display
display(Markdown(llm.chat("x")))  # expect: missing-await
# %%
from IPython.display import display
display(llm.chat("x"))  # expect: missing-await
# %%
import logging
logging.info("got %s", llm.chat("x"))  # expect: missing-await
# %%
raise ValueError(llm.chat("x"))  # expect: missing-await
# %%
import pandas as pd
df = pd.DataFrame([{"p": p, "a": llm.chat(p)} for p in prompts])  # expect: missing-await
# %%
import numpy as np
np.array([llm.chat(p) for p in prompts])  # expect: missing-await
# %%
out = str(llm.chat("x")).upper()  # expect: missing-await
# %%
x = int(llm.chat("3"))  # expect: missing-await
# %%
def f(s: str) -> int:
    return len(s)
f(llm.chat("x"))  # expect: missing-await
# %%
def shout(s):
    return s.upper() + "!"
shout(llm.chat("x"))  # expect: missing-await
# %%
def show(s):
    print(">>", s)
show(llm.chat("x"))  # expect: missing-await
# %%
print(*(llm.chat(p) for p in prompts), sep="\n")  # expect: missing-await
# %%
sum(len(llm.chat(p)) for p in prompts)  # expect: missing-await
# %%
a, b = llm.chat("a"), llm.chat("b")  # expect: missing-await
print(a.upper())
await b
# %%
llm.chat("x").add_done_callback(print)  # expect: missing-await
# %%
llm.chat("x").result()  # expect: missing-await
