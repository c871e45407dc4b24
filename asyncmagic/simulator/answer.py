"""What the simulated model answers: a prompt in, text or a tool call out, the same every time."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from random import Random
from typing import Any, Literal, NamedTuple

from asyncmagic.simulator import text
from asyncmagic.simulator.schema import Json, fitting

_HAND_OFF = re.compile(r"transfer_(back_)?to_|hand_?off_|delegate[ _]work|ask[ _]question", re.IGNORECASE)
_REASONING = {"low": 16, "medium": 64, "high": 256}


Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls"]


def role(name: str) -> Role:
    """Return who speaks, from any provider's word for it."""
    match name:
        case "system" | "developer":
            return "system"
        case "assistant" | "model":
            return "assistant"
        case "tool" | "function":
            return "tool"
    return "user"


class Turn(NamedTuple):
    """One piece of the conversation. `tool` names the tool that an assistant called (`text`: its arguments)."""

    role: Role
    text: str
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    parameters: Json


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a request asks, in no provider's words. `tool_choice`: `auto`, `none`, `required` or a tool's name."""

    model: str
    turns: tuple[Turn, ...]
    stream: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    schema: Json | None = None
    max_tokens: int | None = None
    reasoning_effort: str | None = None
    has_cache: bool = True

    @property
    def digest(self) -> bytes:
        """A fingerprint of the conversation without its random ids."""
        names = [tool.name for tool in self.tools]
        return hashlib.blake2b(repr((self.model, self.turns, names, self.schema)).encode(), digest_size=16).digest()

    @property
    def question(self) -> str:
        """The last user message; AutoGen's note that an agent was handed the work is none."""
        asked = (turn.text for turn in reversed(self.turns) if turn.role == "user")
        return next((text for text in asked if not text.startswith("Transferred to ")), "")


class Usage(NamedTuple):
    """Tokens of one call; `input` includes `cached`, `output` includes `reasoning`."""

    input: int
    output: int = 0
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class ToolCall:
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Text or one tool call; `pieces` are the tokens of the text, or of the call's arguments, one by one."""

    id: str
    call: ToolCall | None
    pieces: tuple[str, ...]
    finish_reason: FinishReason
    usage: Usage

    @property
    def text(self) -> str:
        return "" if self.call else "".join(self.pieces)


class Frame(NamedTuple):
    """One part of a streamed answer. Its `tokens` take their time; an `early` frame comes before the first token."""

    data: bytes
    tokens: int = 0
    early: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent: `frames` one after another as a stream of some type, or the `whole` at once."""

    prompt: Prompt
    usage: Usage
    whole: Json
    frames: Iterator[Frame] | None = None
    answer: Answer | None = None
    stream_type: str = "text/event-stream; charset=utf-8"


def think(prompt: Prompt) -> Answer:
    """Answer the prompt: tools not used yet come first, then a hand-off, once, then text (or JSON for a schema)."""
    rng = Random(prompt.digest)
    tool = _next_tool(prompt)
    call: ToolCall | None = None
    finish: FinishReason = "stop"
    if tool is not None:
        call = ToolCall(f"call_{unique_id()}", tool.name, json.dumps(_arguments(tool, rng, prompt.question)))
        pieces, finish = text.tokens(call.arguments), "tool_calls"
    else:
        pieces = text.tokens(_text(prompt, rng))
        if prompt.max_tokens is not None and len(pieces) > prompt.max_tokens:
            pieces, finish = pieces[: prompt.max_tokens], "length"
    return Answer(unique_id(), call, tuple(pieces), finish, _usage(prompt, pieces, call))


def unique_id() -> str:
    return uuid.uuid4().hex[:24]


def _next_tool(prompt: Prompt) -> Tool | None:
    if prompt.tool_choice == "none" or not prompt.tools:
        return None
    named = next((tool for tool in prompt.tools if tool.name == prompt.tool_choice), None)
    if named is not None:
        return named
    used = {turn.tool for turn in prompt.turns if turn.role == "assistant"}
    unused = [tool for tool in prompt.tools if tool.name not in used]
    plain = [tool for tool in unused if not _HAND_OFF.match(tool.name)]
    # A crew's "ask a question" tool would go back and forth between its agents without end.
    hand_offs = [tool for tool in unused if _HAND_OFF.match(tool.name) and not tool.name.lower().startswith("ask")]
    required = prompt.tools[:1] if prompt.tool_choice == "required" else ()
    return next(iter([*plain, *hand_offs, *required]), None)


def _arguments(tool: Tool, rng: Random, question: str) -> Any:
    arguments = fitting(tool.parameters or {"type": "object"}, rng, words=lambda name: text.value(name, question))
    coworkers = re.search(r"coworkers?:\s*([^,\n]+)", tool.description)
    if coworkers and "coworker" in arguments:
        arguments["coworker"] = coworkers[1].strip()
    return arguments


def _text(prompt: Prompt, rng: Random) -> str:
    if prompt.schema is not None:
        return json.dumps(fitting(prompt.schema, rng, words=lambda name: text.value(name, prompt.question)))
    source, finding = _last_finding(prompt)
    answer = text.write(text.topic(prompt.question), rng, source=source, finding=finding)
    if any("Final Answer:" in turn.text for turn in prompt.turns):  # CrewAI's format
        answer = f"Thought: I now know the final answer.\nFinal Answer: {answer}"
    if any("TERMINATE" in turn.text for turn in prompt.turns if turn.role == "system"):  # AutoGen's last word
        answer = f"{answer} TERMINATE"
    return answer


def _last_finding(prompt: Prompt) -> tuple[str, str]:
    """Return the name and the result of the last tool that was no hand-off."""
    source = finding = ""
    called: list[str] = []
    for turn in prompt.turns:
        if turn.role == "assistant" and turn.tool:
            called.append(turn.tool)
        elif turn.role == "tool":
            name = called.pop(0) if called else ""
            if not _HAND_OFF.match(name):
                source, finding = name, turn.text
    return source, finding


def _usage(prompt: Prompt, pieces: list[str], call: ToolCall | None) -> Usage:
    counts = [4 + len(text.tokens(turn.text)) for turn in prompt.turns]
    tools = sum(len(text.tokens(f"{t.name} {t.description} {json.dumps(t.parameters)}")) for t in prompt.tools)
    # What the request before this one held: everything up to the assistant's last turn.
    new = len(list(takewhile(lambda turn: turn.role != "assistant", reversed(prompt.turns))))
    earlier = list(prompt.turns[: len(counts) - new])
    while earlier and earlier[-1].role == "assistant":
        earlier.pop()
    reasoning = _REASONING.get(prompt.reasoning_effort or "", 0)
    return Usage(
        input=3 + sum(counts) + tools,
        output=len(pieces) + (len(text.tokens(call.name)) if call else 0) + reasoning,
        cached=sum(counts[: len(earlier)]) if prompt.has_cache else 0,
        reasoning=reasoning,
    )
