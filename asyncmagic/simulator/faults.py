"""Fault: what goes wrong with a request, chosen by the model's name, a header or a function."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

FAULT_HEADER = "X-Simulator-Fault"

_WORD = re.compile(r"-([45]\d\d|slow|drop|hang|malformed)(?:(?<!\d)(\d+(?:\.\d+)?))?(?:x(\d+))?(?=$|[-:@/])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one request; several may be combined.

    `status` answers with that HTTP error, and `retry_after` (seconds, may be fractional) tells when to come back.
    `delay` adds seconds before the first token. `drop_after` closes the connection after that many tokens.
    `hang` never answers. `malformed` sends JSON that ends too early.
    """

    status: int | None = None
    retry_after: float | None = None
    delay: float = 0.0
    drop_after: int | None = None
    hang: bool = False
    malformed: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What a `faults` function is asked about.

    `number` counts the requests to this server from 1, `attempt` those of this very conversation from 1, `in_flight`
    the requests being answered now, this one included. `prompt` is the conversation's last user message.
    """

    api: str
    model: str
    stream: bool
    prompt: str
    number: int
    attempt: int
    in_flight: int


def named_fault(words: str, *, attempt: int, retry_after: float) -> Fault | None:
    """Return the fault that a model name (or header) such as `gpt-5-429x2-slow0.5` asks for at this attempt.

    `x2` limits a word to the first two attempts of a conversation; a 429 without it happens once, the rest always.
    """
    fault = Fault()
    for word, number, times in _WORD.findall(f"-{words}"):
        if attempt > (int(times) if times else 1 if word == "429" else attempt):
            continue
        match word:
            case "slow":
                fault = replace(fault, delay=float(number or 2.0))
            case "drop":
                fault = replace(fault, drop_after=int(number or 4))
            case "hang":
                fault = replace(fault, hang=True)
            case "malformed":
                fault = replace(fault, malformed=True)
            case _:
                fault = replace(fault, status=int(word), retry_after=retry_after if word == "429" else None)
    return fault if fault != Fault() else None
