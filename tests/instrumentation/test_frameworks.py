"""Agent frameworks that are not as expected: said once, for the doctor, and nobody else is worse off for it."""

from __future__ import annotations

import logging
import sys
from types import ModuleType

import pytest

from asyncmagic import doctor
from asyncmagic.instrumentation import INSTRUMENTORS
from asyncmagic.instrumentation._patch import unwatched
from asyncmagic.session import Session
from asyncmagic.tracing import Tracer

HOOKED = {
    "openai_agents": "agents.tracing.spans",
    "langgraph": "langgraph._internal._runnable",
    "autogen": "autogen_agentchat.agents._base_chat_agent",
    "crewai": "crewai.events.event_bus",
    "otel": "opentelemetry.sdk.trace",
}


@pytest.mark.parametrize(("name", "module"), HOOKED.items())
def test_a_library_of_another_make_is_left_alone_and_the_doctor_says_so(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, module, ModuleType(module))
    for _ in range(2):
        with INSTRUMENTORS[name](Tracer()):
            pass
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == [
        f"{module} could not be watched; your code is not affected"
    ]
    (line,) = (line for line in doctor.report(Session()).splitlines() if module in line)
    assert line.startswith(f"!!  {module} ")
    assert f"module '{module}' has no attribute" in line
    unwatched.pop(module)


def test_the_doctor_says_who_calls_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "agents", ModuleType("agents"))
    monkeypatch.setitem(sys.modules, "crewai", ModuleType("crewai"))
    monkeypatch.setitem(sys.modules, "langchain_core", ModuleType("langchain_core"))
    for name in ("OPENAI_AGENTS_DISABLE_TRACING", "CREWAI_DISABLE_TELEMETRY", "CREWAI_DISABLE_TRACKING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    monkeypatch.setenv("LANGSMITH_TRACING", "true")

    def warned() -> list[str]:
        return [
            line.split()[1]
            for line in doctor.report(Session()).splitlines()
            if " sends " in line or " reports " in line
        ]

    assert warned() == ["openai-agents", "langchain", "crewai"]
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    monkeypatch.setenv("CREWAI_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    assert warned() == []
