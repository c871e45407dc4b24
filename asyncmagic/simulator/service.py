"""Service: answers HTTP requests at a language model's pace, and notes every exchange."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http.client import responses as REASONS
from random import Random
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.iostream import StreamClosedError

from asyncmagic.simulator import chat, cohere, embeddings, gemini, messages, models, ollama
from asyncmagic.simulator.answer import Frame, Plan, unique_id
from asyncmagic.simulator.faults import FAULT_HEADER, Fault, Request, named_fault
from asyncmagic.simulator.log import Exchange
from asyncmagic.simulator.providers import (
    ANTHROPIC,
    COHERE,
    GOOGLE,
    GROQ,
    MESSAGES,
    MISTRAL,
    OLLAMA,
    OPENAI,
    Provider,
)
from asyncmagic.simulator.responses import Responses
from asyncmagic.simulator.schema import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the model behaves: seconds to the first token, its relative spread, and the pace after it."""

    latency: float
    tokens_per_second: float | None
    jitter: float
    retry_after: float
    faults: Callable[[Request], Fault | None] | None


@dataclass(frozen=True, slots=True)
class Route:
    """Which path is answered how; the path's named groups join the request's body."""

    path: str
    api: str
    provider: Provider
    plan: Callable[[Json], Plan]
    method: str = "POST"


class Service:
    """One server's routes, counters and log; called by tornado with every request."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log: list[Exchange] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.number = 0
        self.attempts: Counter[bytes] = Counter()
        self.tasks: set[asyncio.Task[None]] = set()
        self.routes = (
            Route(".*/openai/v1/chat/completions", "chat", GROQ, chat.groq_plan),
            Route(".*/mistral/v1/chat/completions", "chat", MISTRAL, chat.mistral_plan),
            Route(".*/mistral/v1/embeddings", "embeddings", MISTRAL, embeddings.plan),
            Route(".*/v2/chat", "chat", COHERE, cohere.plan),
            Route(".*/v2/embed", "embeddings", COHERE, cohere.embed_plan),
            Route(".*/api/chat", "chat", OLLAMA, ollama.chat_plan),
            Route(".*/api/generate", "generate", OLLAMA, ollama.generate_plan),
            Route(".*/api/embed", "embeddings", OLLAMA, ollama.embed_plan),
            Route(".*/chat/completions", "chat", OPENAI, chat.plan),
            Route(".*/responses", "responses", OPENAI, Responses()),
            Route(".*/embeddings", "embeddings", OPENAI, embeddings.plan),
            Route(".*/models", "models", OPENAI, models.plan, method="GET"),
            Route(".*/messages", "messages", ANTHROPIC, messages.plan),
            Route(
                ".*/models/(?P<model>[^/:]+):(?P<action>generate|streamGenerate)Content",
                "generate_content",
                GOOGLE,
                gemini.plan,
            ),
            Route(
                ".*/models/(?P<model>[^/:]+):(?P<action>embed|batchEmbed)Contents?",
                "embeddings",
                GOOGLE,
                embeddings.google_plan,
            ),
        )

    def __call__(self, http: HTTPServerRequest) -> None:
        # Without this the kernel holds small chunks back until the one before is acknowledged.
        http.connection.stream.set_nodelay(True)
        task = asyncio.get_running_loop().create_task(_Visit(self, http).answer())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        http.connection.set_close_callback(task.cancel)

    def route(self, http: HTTPServerRequest) -> tuple[Route, re.Match[str]] | None:
        for route in self.routes:
            found = re.fullmatch(route.path, http.path)
            if found and route.method == http.method:
                return route, found
        return None

    def fault(self, plan: Plan, api: str, header: str) -> Fault:
        prompt, digest = plan.prompt, plan.prompt.digest
        self.attempts[digest] += 1
        attempt = self.attempts[digest]
        if self.settings.faults is not None:
            request = Request(api, prompt.model, prompt.stream, prompt.question, self.number, attempt, self.in_flight)
            chosen = self.settings.faults(request)
            if chosen is not None:
                return chosen
        words = f"{prompt.model}-{header}"
        return named_fault(words, attempt=attempt, retry_after=self.settings.retry_after) or Fault()


class _Visit:
    """One request: from its arrival to the last byte of its answer."""

    def __init__(self, service: Service, http: HTTPServerRequest) -> None:
        self.service, self.http = service, http
        self.provider = OPENAI
        self.begin = asyncio.get_running_loop().time()
        self.is_noted = False
        self.exchange = Exchange(
            api="",
            model="",
            stream=False,
            request_id=f"req_{unique_id()}",
            retry_count=int(retries) if (retries := http.headers.get("x-stainless-retry-count", "")).isdecimal() else 0,
            started_ns=time.perf_counter_ns(),
        )

    async def answer(self) -> None:
        service = self.service
        service.number += 1
        service.in_flight += 1
        service.most_in_flight = max(service.most_in_flight, service.in_flight)
        try:
            plan = self.plan()
            if plan is not None:
                await self.deliver(plan)
        except (asyncio.CancelledError, StreamClosedError):
            self.note(outcome="disconnected")
        except Exception as error:  # a `faults` function of the user's that fails
            if self.exchange.first_byte_ns is None:
                self.refuse(500, f"The simulator failed: {type(error).__name__}: {error}")
            else:
                self.drop()
        finally:
            self.end()

    def plan(self) -> Plan | None:
        """Read the request; what cannot be read is refused at once."""
        found = self.service.route(self.http)
        if found is None:
            self.refuse(404, f"There is no {self.http.method} {self.http.path} here.")
            return None
        route, match = found
        self.provider = route.provider
        self.note(api=route.api)
        try:
            body = json.loads(self.http.body or b"{}")
            body.update(match.groupdict())
            plan = route.plan(body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.refuse(400, f"The request is not valid: {type(error).__name__}: {error}")
            return None
        self.note(model=plan.prompt.model, stream=plan.frames is not None)
        return plan

    async def deliver(self, plan: Plan) -> None:
        fault = self.service.fault(plan, self.exchange.api, self.http.headers.get(FAULT_HEADER, ""))
        if fault.hang:
            await asyncio.Event().wait()
        if fault.status is not None:
            await self.until(fault.delay)
            self.refuse(fault.status, MESSAGES.get(fault.status, "Something went wrong."), fault.retry_after)
            return
        settings = self.service.settings
        spread = Random(plan.prompt.digest).uniform(-settings.jitter, settings.jitter)
        first = settings.latency * (1 + spread) + fault.delay
        self.note(input_tokens=plan.usage.input, cached_tokens=plan.usage.cached)
        if plan.frames is None:
            await self.send_whole(plan, first, fault)
        else:
            await self.send_frames(plan, plan.frames, first, fault)

    async def send_whole(self, plan: Plan, first: float, fault: Fault) -> None:
        pace = self.service.settings.tokens_per_second
        await self.until(first + (max(plan.usage.output - plan.usage.reasoning - 1, 0) / pace if pace else 0))
        body = json.dumps(plan.whole).encode()
        sent = body[: len(body) // 2] if fault.malformed or fault.drop_after is not None else body
        self.head(200, "application/json", length=len(sent) if fault.malformed else len(body))
        if fault.drop_after is not None:
            await self.write(sent)
            self.drop()
        else:
            self.finish(sent, plan)

    async def send_frames(self, plan: Plan, frames: Iterator[Frame], first: float, fault: Fault) -> None:
        pace = self.service.settings.tokens_per_second
        held, tokens = b"", 0
        for data, weight, early in frames:
            if weight:
                await self.until(first + (tokens / pace if pace else 0))
                if fault.drop_after is not None and tokens >= fault.drop_after:
                    self.drop()
                    return
                if fault.malformed and tokens >= 2:
                    data = data[: len(data) // 2].rstrip() + b"\n\n"
                    weight, fault = 0, replace(fault, malformed=False)
            elif early:
                await self.until(first / 2)
            held += data
            if weight or early:
                if self.exchange.first_byte_ns is None:
                    self.head(200, plan.stream_type)
                if weight and not tokens:
                    self.note(first_token_ns=time.perf_counter_ns())
                tokens += weight
                self.note(output_tokens=tokens)
                await self.write(held)
                held = b""
        if self.exchange.first_byte_ns is None:
            self.head(200, plan.stream_type)
        self.finish(held, plan)

    async def until(self, seconds: float) -> None:
        """Sleep until so many seconds after the request came."""
        left = self.begin + seconds - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)

    def refuse(self, status: int, message: str, retry_after: float | None = None) -> None:
        body = json.dumps(self.provider.error(status, message)).encode()
        headers = {}
        if retry_after is not None:
            headers = {"retry-after": f"{retry_after:g}", "retry-after-ms": f"{retry_after * 1000:g}"}
        self.note(retry_after=retry_after)
        self.head(status, "application/json", length=len(body), **headers)
        self.finish(body)

    def head(self, status: int, content_type: str, *, length: int | None = None, **more: str) -> None:
        self.note(status=status)
        headers = HTTPHeaders({"content-type": content_type, "cache-control": "no-store"})
        headers[self.provider.request_id_header] = self.exchange.request_id
        for name, value in more.items():
            headers[name] = value
        if length is not None:
            headers["content-length"] = str(length)
        self.http.connection.write_headers(
            ResponseStartLine("HTTP/1.1", status, REASONS.get(status, "Overloaded")), headers
        )
        self.note(first_byte_ns=time.perf_counter_ns())

    async def write(self, data: bytes) -> None:
        await self.http.connection.write(data)

    def finish(self, data: bytes, plan: Plan | None = None) -> None:
        if plan is not None:
            self.note(
                output_tokens=plan.usage.output,
                reasoning_tokens=plan.usage.reasoning,
                finish_reason=plan.answer.finish_reason if plan.answer else None,
                tool_call=plan.answer.call.name if plan.answer and plan.answer.call else None,
            )
        self.end()
        if data:
            self.http.connection.write(data)
        self.http.connection.finish()

    def drop(self) -> None:
        self.note(outcome="dropped")
        self.end()
        self.http.connection.stream.close()

    def note(self, **facts: Any) -> None:
        self.exchange = replace(self.exchange, **facts)

    def end(self) -> None:
        """Log the exchange: before its last byte is out, so that whoever has read the answer finds it in the log."""
        if not self.is_noted:
            self.is_noted = True
            self.note(ended_ns=time.perf_counter_ns())
            self.service.in_flight -= 1
            self.service.log.append(self.exchange)
