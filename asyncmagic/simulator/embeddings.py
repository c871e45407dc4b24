"""Embeddings, OpenAI's and Google's: texts that share words lie close together."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from dataclasses import replace

from asyncmagic.simulator.answer import Plan, Prompt, Turn, Usage, unique_id
from asyncmagic.simulator.schema import Json
from asyncmagic.simulator.text import tokens

_DIMENSIONS = {"text-embedding-3-large": 3072, "text-embedding-3-small": 1536, "text-embedding-ada-002": 1536}


def plan(body: Json) -> Plan:
    """Answer a request to `/v1/embeddings`: one text, many texts, or their token numbers."""
    given = body["input"]
    if isinstance(given, str) or (given and isinstance(given[0], int)):
        given = [given]
    texts = [text if isinstance(text, str) else " ".join(map(str, text)) for text in given]
    dimensions = body.get("dimensions") or _DIMENSIONS.get(body["model"], 1536)
    encode = _base64 if body.get("encoding_format") == "base64" else list
    vectors = [
        {"object": "embedding", "index": index, "embedding": encode(vector(text, dimensions))}
        for index, text in enumerate(texts)
    ]
    used = sum(len(tokens(text)) for text in texts)
    usage = {"prompt_tokens": used, "total_tokens": used}
    whole = {"id": unique_id(), "object": "list", "data": vectors, "model": body["model"], "usage": usage}
    return Plan(_prompt(body["model"], texts), Usage(used), whole)


def plan_of(model: str, texts: list[str], dimensions: int) -> tuple[list[list[float]], Plan]:
    """Return the vectors of the texts, and a plan whose answer is still to be written."""
    usage = Usage(sum(len(tokens(text)) for text in texts))
    return [vector(text, dimensions) for text in texts], Plan(_prompt(model, texts), usage, {})


def google_plan(body: Json) -> Plan:
    """Answer a request to `/v1beta/models/{model}:embedContent` (or `:batchEmbedContents`)."""
    requests = body["requests"] if body["action"] == "batchEmbed" else [body]
    texts = [" ".join(part.get("text", "") for part in request["content"]["parts"]) for request in requests]
    config = requests[0].get("embedContentConfig") or requests[0] if requests else {}
    vectors, plan = plan_of(body["model"], texts, config.get("outputDimensionality") or 3072)
    values = [{"values": each} for each in vectors]
    whole: Json = {"embeddings": values} if "requests" in body else {"embedding": values[0]}
    return replace(plan, whole={**whole, "usageMetadata": {"promptTokenCount": plan.usage.input}})


def vector(text: str, dimensions: int) -> list[float]:
    """Return the text's unit vector: every word adds to sixteen places of its own."""
    values = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        for number in struct.unpack("<16i", hashlib.blake2b(word.encode()).digest()):
            values[number % dimensions] += 1.0 if number > 0 else -1.0
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value / length for value in values]


def _base64(values: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def _prompt(model: str, texts: list[str]) -> Prompt:
    return Prompt(model, tuple(Turn("user", text) for text in texts))
