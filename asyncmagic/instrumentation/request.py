"""Request: what a client is about to send, and what a trace may say of it; keys are not part of that."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import unquote_plus

from asyncmagic.instrumentation.answer import Json
from asyncmagic.tracing import semconv
from asyncmagic.tracing.model import Attributes
from asyncmagic.tracing.redaction import is_secret, mask

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONG = 16  # of a cookie: what is shorter may well be a word


@dataclass(slots=True)
class Request:
    """What a client is about to send; `body` as bytes or as the object that becomes JSON."""

    method: str
    scheme: str
    host: str
    port: int | None
    path: str
    query: str
    body: bytes | Json | None
    headers: Mapping[str, str]

    def describe(self) -> tuple[str, Attributes]:
        """Return the name and the attributes of an attempt's span; what looks like a key in the path is masked."""
        return _describe(self.method, self.scheme, self.host, self.port, self.path)

    def secrets(self) -> Iterator[str]:
        """Return the keys and tokens that it carries when they are read; until then its body is not held."""
        return _secrets(self.headers, self.query)

    def body_hash(self) -> int:
        """Return what tells this body from others."""
        try:
            return hash(json.dumps(self.body, default=repr) if isinstance(self.body, dict) else self.body)
        except Exception:  # what is no JSON is never sent
            return 0


@lru_cache(maxsize=512)
def _describe(method: str, scheme: str, host: str, port: int | None, path: str) -> tuple[str, Attributes]:
    path = mask(path)
    address = f"[{host}]" if ":" in host else host
    place = address if port is None or port == _DEFAULT_PORTS.get(scheme) else f"{address}:{port}"
    return f"{method} {path if len(path) <= 80 else path[:79] + '…'}", {
        semconv.HTTP_METHOD: method,
        semconv.URL: f"{scheme}://{place}{path}",
        semconv.SERVER_ADDRESS: host,
        semconv.SERVER_PORT: port or _DEFAULT_PORTS.get(scheme),
    }


def _secrets(headers: Mapping[str, str], query: str) -> Iterator[str]:
    for name, value in headers.items():
        if not is_secret(name):
            continue
        scheme, _, credentials = value.partition(" ")
        yield value
        yield credentials
        if scheme.lower() == "basic":
            with suppress(ValueError):
                yield base64.b64decode(credentials).decode().partition(":")[2]
        if name.lower() == "cookie":
            for cookie, _, content in _pairs(value, ";"):
                if len(content) >= _LONG or is_secret(cookie):
                    yield content
    for name, _, value in _pairs(query, "&"):
        if is_secret(name):
            yield value
            yield unquote_plus(value)


def _pairs(text: str, separator: str) -> Iterator[tuple[str, str, str]]:
    return (pair.strip().partition("=") for pair in text.split(separator))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds after which the server wants to be asked again: from milliseconds, seconds or a date."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return float(milliseconds) / 1000
        value = headers.get("retry-after")
        if not value:
            return None
        if value.replace(".", "", 1).strip().isdigit():
            return float(value)
        date = headers.get("date")
        now = parsedate_to_datetime(date).timestamp() if date else time.time()
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None
