"""What a request to a language model and its answer say: one line of a table per format, recognised by its URL."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from asyncmagic.instrumentation.answer import STRANGE, Answer, Json, parse
from asyncmagic.instrumentation.body import Words
from asyncmagic.instrumentation.messages import to_json
from asyncmagic.instrumentation.providers import anthropic, cohere, google, ollama, openai
from asyncmagic.tracing import semconv
from asyncmagic.tracing.model import Attributes

Operation = Literal["chat", "text_completion", "embeddings"]


@dataclass(frozen=True, slots=True)
class Format:
    """One way to ask a model.

    `path` matches the end of the URL's path, and names the model there if the body does not; `provider` is the one
    meant where the host is unknown. `read` adds an answer, or a chunk of one, to what is known. A body without the key
    `needs`, or a model, is something else. Once there is text, only chunks with one of the words `telling` are read;
    one with the word `closing` is read at once, where clients stop there.
    """

    path: str
    operation: Operation
    provider: str
    read: Callable[[Answer, Json], None]
    needs: str = "model"
    telling: Words | None = None
    closing: bytes | None = None
    messages: Callable[[Json], list[Any]] = openai.messages


_CHAT = (b'"finish_reason":"', b'"finish_reason": "', b'"usage":{', b'"usage": {', b'"error"')
_RESPONSE = (b'"response.completed"', b'"response.incomplete"', b'"response.failed"', b'"error"')
_MESSAGE = (b'"message_start"', b'"message_delta"', b'"message_stop"', b'"error"')
_COHERE = (b'"message-end"', b'"error"')
_OLLAMA = (b'"done":true', b'"done": true', b'"error"')

FORMATS: tuple[Format, ...] = (
    Format(r"/chat/completions", "chat", "openai", openai.read_chat, telling=_CHAT),
    Format(r"(?<!/chat)/completions", "text_completion", "openai", openai.read_chat, "prompt", _CHAT),
    Format(r"/responses", "chat", "openai", openai.read_response, "input", _RESPONSE),
    Format(r"/embeddings", "embeddings", "openai", openai.read_embeddings, "input"),
    Format(
        r"/v1/messages|/models/([^/:]+):(?:streamR|r)awPredict",
        "chat",
        "anthropic",
        anthropic.read_message,
        "messages",
        _MESSAGE,
        b'"message_delta"',
        anthropic.messages,
    ),
    Format(
        r"/([^/:]+):(?:generateContent|streamGenerateContent)",
        "chat",
        "gcp.gemini",
        google.read_content,
        "contents",
        messages=google.messages,
    ),
    Format(
        r"/([^/:]+):(?:embedContent|batchEmbedContents)", "embeddings", "gcp.gemini", google.read_embeddings, needs=""
    ),
    Format(r"/v2/chat", "chat", "cohere", cohere.read_chat, "messages", _COHERE),
    Format(r"/v2/embed", "embeddings", "cohere", cohere.read_embeddings),
    Format(r"/api/(?:chat|generate)", "chat", "ollama", ollama.read_chat, telling=_OLLAMA),
    Format(r"/api/embed", "embeddings", "ollama", ollama.read_embeddings),
)
_PATHS = tuple((re.compile(f"(?:{format_.path})/?$"), format_) for format_ in FORMATS)
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "num_predict")

#: The end of a host's name, and the provider behind it by OpenTelemetry's word.
PROVIDERS = {
    "api.openai.com": "openai",
    ".openai.azure.com": "azure.ai.openai",
    ".services.ai.azure.com": "azure.ai.inference",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    ".amazonaws.com": "aws.bedrock",
    "api.mistral.ai": "mistral_ai",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity",
    "openrouter.ai": "openrouter",
    "api.together.xyz": "together",
    "api.fireworks.ai": "fireworks",
}
_HOSTS = re.compile(f"(?:{'|'.join(map(re.escape, PROVIDERS))})$")
_MODEL = re.compile(rb'"model":\s*"([^"\\]+)"')
_STREAM = re.compile(rb'"stream":\s*true')
_AROUND_VECTORS = re.compile(
    rb'"(model)":\s*"[^"\\]*"|"(?:usage|usageMetadata|billed_units)":\s*\{[^{}]*\}|"prompt_eval_count":\s*\d+'
)
_LARGE = 1 << 20


@dataclass(slots=True)
class Question:
    """A request to a model, read: its format, its span's attributes, and what was asked if that is kept."""

    format: Format
    model: str
    streams: bool
    attributes: Attributes

    @property
    def name(self) -> str:
        """The span's name by OpenTelemetry's rule: `chat gpt-5`."""
        return f"{self.format.operation} {self.model}".rstrip()


def read_request(host: str, path: str, body: bytes | Json | None, *, keeps_content: bool = False) -> Question | None:
    """Return what a POST request asks of a language model, or `None` where it asks something else."""
    place = _recognise(host, path)
    if place is None:
        return None
    asked = body if isinstance(body, dict) else _parse(body)
    needs = place.format.needs
    if asked is None or (needs and needs not in asked and "model" not in asked):
        return None
    try:
        return _question(place, asked, keeps_content)
    except STRANGE:
        return None  # some other service under the same path


@dataclass(frozen=True, slots=True)
class _Place:
    """What the address alone tells."""

    format: Format
    provider: str
    model: str | None
    streams: bool


@lru_cache(maxsize=512)
def _recognise(host: str, path: str) -> _Place | None:
    for pattern, format_ in _PATHS:
        if found := pattern.search(path):
            known = _HOSTS.search(host)
            provider = PROVIDERS[known[0]] if known else format_.provider
            streams = ":stream" in path or path.endswith(("/api/chat", "/api/generate"))
            return _Place(format_, provider, found[1] if pattern.groups else None, streams)
    return None


def _question(place: _Place, body: Json, keeps_content: bool) -> Question:
    model = body.get("model") or place.model
    model = model.removeprefix("models/") if isinstance(model, str) else ""
    streams = body.get("stream")
    if not isinstance(streams, bool):
        streams = place.streams
    operation = place.format.operation
    attributes: Attributes = {semconv.OPERATION: operation, semconv.PROVIDER: place.provider}
    if model:
        attributes[semconv.REQUEST_MODEL] = model
    if operation != "embeddings":
        attributes[semconv.REQUEST_STREAM] = streams
        settings = body.get("generationConfig") or body.get("options") or body
        for name in _LIMITS:
            if isinstance(settings.get(name), int):
                attributes[semconv.REQUEST_MAX_TOKENS] = settings[name]
        if isinstance(settings.get("temperature"), int | float):
            attributes[semconv.REQUEST_TEMPERATURE] = float(settings["temperature"])
    if keeps_content:
        attributes[semconv.INPUT_MESSAGES] = to_json(place.format.messages(body))
    return Question(place.format, model, streams, attributes)


def _parse(body: bytes | None) -> Json | None:
    if not body:
        return None
    if len(body) > _LARGE:
        # Pictures and books: reading them through would hold the loop, so only the two keys that matter are looked up.
        model = _MODEL.search(body, max(0, len(body) - 4096)) or _MODEL.search(body, 0, 4096)
        return {"model": model[1].decode(errors="replace"), "stream": bool(_STREAM.search(body))} if model else None
    try:
        asked = parse(body)
    except STRANGE:
        return None
    return asked if isinstance(asked, dict) else None


def read_answer(format_: Format, answer: Answer, data: bytes) -> None:
    """Add an answer's body, or the data of one chunk, to `answer`; what is no such thing is passed over."""
    if data == b"[DONE]":
        answer.is_complete = True
        return
    try:
        said = parse(_without_vectors(data) if format_.operation == "embeddings" else data)
        for each in said if isinstance(said, list) else [said]:
            format_.read(answer, each)
    except STRANGE:
        return  # the answer goes to the user unread


def _without_vectors(data: bytes) -> bytes:
    # Megabytes of numbers say nothing here; model and usage stand before or behind them.
    if len(data) < 1 << 14:
        return data
    ends = data[:1000] + b" " + data[-1000:]
    return b"{" + b",".join({found[1]: found[0] for found in _AROUND_VECTORS.finditer(ends)}.values()) + b"}"
