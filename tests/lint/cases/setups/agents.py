import asyncio
from dataclasses import dataclass, field
class Memory:
    def __init__(self):
        self.items = []
    def remember(self, item):
        self.items.append(item)
    async def recall(self, query):
        await asyncio.sleep(0)
        return [i for i in self.items if query in i]
    async def flush(self):
        await asyncio.sleep(0)
        self.items.clear()
class Agent:
    def __init__(self, name, memory=None):
        self.name = name
        self.memory = memory or Memory()
        self.calls = 0
    async def run(self, task):
        await asyncio.sleep(0.001)
        self.calls += 1
        return f"{self.name}: {task}"
    async def stream(self, task):
        for w in task.split():
            await asyncio.sleep(0)
            yield w
    async def __aenter__(self):
        return self
    async def __aexit__(self, *exc):
        await self.memory.flush()
    @classmethod
    async def create(cls, name):
        await asyncio.sleep(0)
        return cls(name)
    @staticmethod
    async def ping():
        return True
    @property
    def label(self):
        return self.name.upper()
    def spawn(self, task):
        return asyncio.ensure_future(self.run(task))
researcher = Agent("researcher")
writer = Agent("writer")
team = {"r": researcher, "w": writer}
crew = [researcher, writer]
