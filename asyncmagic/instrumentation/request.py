"""Request: what a client is about to send, and what a trace may say of it; keys are not part of that."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import unquote_plus

from asyncmagic.instrumentation.answer import Json
from asyncmagic.tracing import semconv
from asyncmagic.tracing.model import Attributes
from asyncmagic.tracing.redaction import redact

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SECRET_HEADERS = ("authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie")
_SECRET_WORDS = ("key", "token", "secret", "sig", "pass", "auth")


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
        """Yield the keys and tokens that it carries."""
        for name in _SECRET_HEADERS:
            if value := self.headers.get(name):
                yield value
                yield value.partition(" ")[2]
        for pair in self.query.split("&"):
            name, _, value = pair.partition("=")
            if any(word in name.lower() for word in _SECRET_WORDS):
                yield value
                yield unquote_plus(value)

    def body_hash(self) -> int:
        """Return what tells this body from others."""
        try:
            return hash(json.dumps(self.body, default=repr) if isinstance(self.body, dict) else self.body)
        except Exception:  # what is no JSON is never sent
            return 0


@lru_cache(maxsize=512)
def _describe(method: str, scheme: str, host: str, port: int | None, path: str) -> tuple[str, Attributes]:
    path = redact(path)
    address = f"[{host}]" if ":" in host else host
    place = address if port is None or port == _DEFAULT_PORTS.get(scheme) else f"{address}:{port}"
    return f"{method} {path if len(path) <= 80 else path[:79] + '…'}", {
        semconv.HTTP_METHOD: method,
        semconv.URL: f"{scheme}://{place}{path}",
        semconv.SERVER_ADDRESS: host,
        semconv.SERVER_PORT: port or _DEFAULT_PORTS.get(scheme),
    }


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
