# %% setup
import asyncio
from typing import TypedDict
from langgraph.graph import StateGraph, START, END
class S(TypedDict):
    n: int
async def _step(s): return {"n": s["n"] + 1}
def _sstep(s): return {"n": s["n"] + 1}
_b = StateGraph(S); _b.add_node("a", _step); _b.add_edge(START, "a"); _b.add_edge("a", END)
graph = _b.compile()
_b = StateGraph(S); _b.add_node("a", _sstep); _b.add_edge(START, "a"); _b.add_edge("a", END)
graph_sync = _b.compile()
# %%
state = graph.ainvoke({"n": 1})  # expect: missing-await
print(state["n"])
# %% ok
state = await graph.ainvoke({"n": 1})
print(state["n"])
async for chunk in graph.astream({"n": 2}):
    print(chunk)
both = await asyncio.gather(graph.ainvoke({"n": 1}), graph.ainvoke({"n": 2}))
print(both[0]["n"])
# %%
for chunk in graph.astream({"n": 2}):  # expect: missing-async
    print(chunk)
# %%
async def plan(state):
    sub = graph.ainvoke({"n": state["n"]})  # expect: missing-await
    return {"n": sub["n"] + 1}
# %% ok
print(graph_sync.invoke({"n": 1})["n"])
# %% setup
import asyncio
from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import TextMessage
class Echo(BaseChatAgent):
    @property
    def produced_message_types(self): return (TextMessage,)
    async def on_messages(self, messages, cancellation_token): return Response(chat_message=TextMessage(content="hi", source=self.name))
    async def on_reset(self, cancellation_token): pass
assistant = Echo("echo", "echoes")
# %%
result = assistant.run(task="hi")  # expect: missing-await
print(result.messages[-1].content)
# %%
for m in assistant.run_stream(task="hi"):  # expect: missing-async
    print(m)
# %% ok
result = await assistant.run(task="hi")
print(result.messages[-1].content)
async for m in assistant.run_stream(task="hi"):
    print(m)
await assistant.on_reset(None)
# %%
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.conditions import MaxMessageTermination
team = RoundRobinGroupChat([assistant], termination_condition=MaxMessageTermination(2))
team.reset()  # expect: missing-await
r = await team.run(task="x")
