"""Agent frameworks that are not as expected: said once, for the doctor, and nobody else is worse off for it."""

from __future__ import annotations

import logging
import sys
from types import ModuleType, SimpleNamespace

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
    error = f"AttributeError: module '{module}' has no attribute"
    for _ in range(2):
        with INSTRUMENTORS[name](Tracer()):
            pass
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == [
        f"{module} could not be watched; your code is not affected"
    ]
    (line,) = (line for line in doctor.report(Session()).splitlines() if module in line)
    assert line.startswith(f"!!  {module}")
    assert f"lacks what asyncmagic hooks into, and is not watched; your code runs as it would: {error}" in line
    unwatched.pop(module)


def test_the_doctor_tries_the_hooks_before_anything_was_traced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "crewai", ModuleType("crewai"))
    monkeypatch.setitem(sys.modules, "crewai.crew", ModuleType("crewai.crew"))
    assert "!!  crewai.crew lacks what asyncmagic hooks into" in doctor.report(Session()).replace(_installed(), "")
    unwatched.pop("crewai.crew")


def _installed() -> str:
    return doctor._distribution("crewai")


def test_the_doctor_says_who_calls_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """AutoGen never does."""
    for library in ("agents", "crewai", "langchain_core", "autogen_core"):
        monkeypatch.setitem(sys.modules, library, ModuleType(library))
    for name in ("OPENAI_AGENTS_DISABLE_TRACING", "CREWAI_DISABLE_TELEMETRY", "CREWAI_DISABLE_TRACKING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("CREWAI_DISABLE_VERSION_CHECK", raising=False)
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("CREWAI_TRACING_ENABLED", "true")

    def warned() -> list[tuple[str, str]]:
        lines = [line.removeprefix("!!  ").split() for line in doctor.report(Session()).splitlines()]
        return [(words[0], words[1]) for words in lines if words[1] in ("sends", "reports", "asks")]

    assert warned() == [
        ("openai-agents", "sends"),
        ("langchain", "sends"),
        ("crewai", "reports"),
        ("crewai", "sends"),
        ("crewai", "asks"),
    ]
    sys.modules["agents"].get_trace_provider = lambda: SimpleNamespace(_manual_disabled=True)
    assert warned()[0] == ("langchain", "sends")
    del sys.modules["agents"].get_trace_provider
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    monkeypatch.setenv("CREWAI_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("CREWAI_TRACING_ENABLED", "false")
    monkeypatch.setenv("CREWAI_DISABLE_VERSION_CHECK", "true")
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    assert warned() == []
