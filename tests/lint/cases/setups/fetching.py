import asyncio
from dataclasses import dataclass, field
from typing import Any, Optional
async def fetch(u, n=1):
    await asyncio.sleep(0)
    return {"u": u, "n": n}
async def price(s):
    await asyncio.sleep(0)
    return 3.5
async def names():
    await asyncio.sleep(0)
    return ["a", "b"]
