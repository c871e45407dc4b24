"""The list of models: what the simulator answers to `GET /v1/models`. Any other name is served as well."""

from __future__ import annotations

from asyncmagic.simulator.answer import Plan, Prompt, Usage
from asyncmagic.simulator.schema import Json

NAMES = (
    "gpt-5",
    "gpt-5-mini",
    "gpt-5-mini-429",
    "gpt-5-mini-500",
    "gpt-5-mini-slow",
    "gpt-5-mini-drop",
    "claude-sonnet-5",
    "gemini-2.5-flash",
    "text-embedding-3-small",
)


def plan(_body: Json) -> Plan:
    """Answer a request for the models."""
    data = [{"id": name, "object": "model", "created": 1735689600, "owned_by": "simulator"} for name in NAMES]
    return Plan(Prompt("", ()), Usage(0), {"object": "list", "data": data})
