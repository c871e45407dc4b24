"""Exchange: what the simulator notes of one request, for tests to compare with what a client saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["complete", "dropped", "disconnected"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request and its answer. Times are `time.perf_counter_ns()`; keys and headers are not kept.

    `input_tokens` includes the cached ones and `output_tokens` the reasoning ones; where an answer was cut off,
    `output_tokens` counts what had been sent. `status` is 0 where no status line was sent. `outcome` says who ended it:
    the answer was `complete`, the simulator `dropped` the connection, or the client `disconnected`.
    """

    api: str
    model: str
    stream: bool
    request_id: str
    retry_count: int
    started_ns: int
    first_byte_ns: int | None = None
    first_token_ns: int | None = None
    ended_ns: int = 0
    status: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    finish_reason: str | None = None
    tool_call: str | None = None
    retry_after: float | None = None
    outcome: Outcome = "complete"
