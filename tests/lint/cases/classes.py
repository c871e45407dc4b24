# %% setup agents
# %%
facts = await researcher.run("solar")
writer.run(facts)  # expect: missing-await
print(writer.calls)
# %%
draft = team["w"].run("intro")  # expect: missing-await
print(draft.split())
# %%
for a in crew:
    print(a.name, a.run("x"))  # expect: missing-await
# %%
hits = researcher.memory.recall("x")  # expect: missing-await
print(len(hits))
# %% ok
researcher.memory.remember("sun")
researcher.memory.remember("moon")
print(researcher.label, len(researcher.memory.items))
# %% ok
async def pipeline(topic):
    facts = await researcher.run(topic)
    researcher.memory.remember(facts)
    hits = await researcher.memory.recall("solar")
    draft = await writer.run(" ".join(hits))
    return draft.upper()
result = await pipeline("solar")
print(result)
await researcher.memory.flush()
# %%
editor = Agent.create("editor")  # expect: missing-await
print(editor.name)
# %%
editor = await Agent.create("editor")
out = editor.run("fix")  # expect: missing-await
print(out + "!")
# %%
if not Agent.ping():  # expect: missing-await
    raise RuntimeError("down")
# %%
ready = Agent.ping() and len(crew) > 1  # expect: missing-await
# %%
assert researcher.run("x"), "empty"  # expect: missing-await
# %%
same = researcher.run("x") == "researcher: x"  # expect: missing-await
# %%
if "x" in writer.run("x"):  # expect: missing-await
    print("yes")
# %% ok
jobs = [a.spawn("t") for a in crew]
done = await asyncio.gather(*jobs)
print(done)
# %%
async with Agent("tmp") as a:
    a.run("x")  # expect: missing-await
    y = await a.run("y")
# %% ok
async with Agent("tmp") as a:
    x = await a.run("x")
    words = [w async for w in a.stream(x)]
print(len(x), words)
# %%
class Loud(Agent):
    async def run(self, task):
        base = super().run(task)  # expect: missing-await
        return base.upper()
print(await Loud("l").run("x"))
# %%
class Planner(Agent):
    async def plan(self, goal):
        steps = self.run(goal)  # expect: missing-await
        return steps.split(",")
await Planner("p").plan("a,b")
# %%
async def use(agent: Agent, topic: str) -> str:
    out = agent.run(topic)  # expect: missing-await
    return out.upper()
# %%
async def fan(agents: list[Agent]) -> list[str]:
    return [a.run("x").upper() for a in agents]  # expect: missing-await
# %% ok
def start(agent: Agent, topic: str):
    return agent.run(topic)
x = await start(writer, "y")
print(x)
# %%
async def start(agent: Agent, topic: str):
    return agent.run(topic)  # expect: missing-await
x = await start(writer, "y")
print(x.upper())
# %% ok
async def start(agent: Agent, topic: str):
    return agent.run(topic)
x = await (await start(writer, "y"))
print(x.upper())
