"""A JSON value that fits a JSON schema: for structured answers and for the arguments of tool calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

Json = dict[str, Any]

_DEEP = 5
_FORMATS = {
    "date": "2025-06-01",
    "date-time": "2025-06-01T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "ada@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "uri": "https://example.org/",
    "uuid": "6f0e4d5c-3b2a-4190-8f7e-6d5c4b3a2910",
}


def fitting(schema: Json, rng: Random, *, words: Callable[[str], str]) -> Any:
    """Return a value that fits the schema; `words` gives the text for a field's name. A `pattern` is not looked at."""
    return _Filler(schema, rng, words).value(schema, 0)


class _Filler:
    def __init__(self, root: Json, rng: Random, words: Callable[[str], str]) -> None:
        self.root, self.rng, self.words = root, rng, words

    def value(self, schema: Any, depth: int, name: str = "") -> Any:
        schema = self.resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.rng.choice(schema["enum"])
        choices = schema.get("anyOf") or schema.get("oneOf")
        if choices:
            others = [choice for choice in choices if self.resolved(choice).get("type") not in ("null", "NULL")]
            if not others or (depth > _DEEP and len(others) < len(choices)):
                return None
            return self.value(
                {**{k: v for k, v in schema.items() if k not in ("anyOf", "oneOf")}, **others[0]}, depth, name
            )
        match self.kind(schema):
            case "object":
                return self.object(schema, depth)
            case "array":
                return self.array(schema, depth, name)
            case "integer":
                return self.number(schema, whole=True)
            case "number":
                return self.number(schema, whole=False)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return self.string(schema, name)

    def resolved(self, schema: Any) -> Json:
        """Follow `$ref` and fold `allOf` in; `true` allows everything."""
        if not isinstance(schema, dict):
            return {}
        if "$ref" in schema:
            target: Any = self.root
            for part in schema["$ref"].removeprefix("#").strip("/").split("/"):
                target = target.get(part, {}) if part else target
            return self.resolved({**target, **{key: value for key, value in schema.items() if key != "$ref"}})
        if "allOf" in schema:
            folded = {key: value for key, value in schema.items() if key != "allOf"}
            for part in map(self.resolved, schema["allOf"]):
                properties = {**folded.get("properties", {}), **part.get("properties", {})}
                folded = {**folded, **part, **({"properties": properties} if properties else {})}
            return folded
        return schema

    def kind(self, schema: Json) -> str:
        kind = schema.get("type") or (
            "object" if "properties" in schema else "array" if "items" in schema else "string"
        )
        if isinstance(kind, list):
            kind = next((each for each in kind if each != "null"), "null")
        return str(kind).lower()  # Google writes STRING

    def object(self, schema: Json, depth: int) -> Json:
        properties: Json = schema.get("properties") or {}
        wanted = properties if depth < _DEEP else schema.get("required") or []
        return {name: self.value(properties.get(name, {}), depth + 1, name) for name in wanted}

    def array(self, schema: Json, depth: int, name: str) -> list[Any]:
        if "prefixItems" in schema:
            return [self.value(item, depth + 1, name) for item in schema["prefixItems"]]
        fewest = int(schema.get("minItems") or 0)
        wanted = 2 if depth < 2 else 1 if depth < _DEEP else 0  # a schema that contains itself must not explode
        count = max(fewest, min(wanted, int(schema.get("maxItems", wanted))))
        return [self.value(schema.get("items"), depth + 1, name) for _ in range(count)]

    def number(self, schema: Json, *, whole: bool) -> int | float:
        step = schema.get("multipleOf") or 1
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        low = (high - 10 * step if high is not None else 1) if low is None else low
        high = low + 10 * step if high is None else high
        if "exclusiveMinimum" in schema or "exclusiveMaximum" in schema:
            if not whole:
                return (low + high) / 2
            low, high = low + ("exclusiveMinimum" in schema), high - ("exclusiveMaximum" in schema)
        first, last = math.ceil(low / step), math.floor(high / step)
        if first > last:
            return (low + high) / 2
        value = self.rng.randint(first, last) * step
        return int(value) if whole else float(value)

    def string(self, schema: Json, name: str) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        fewest, most = int(schema.get("minLength") or 0), schema.get("maxLength")
        text = words = self.words(name)
        while len(text) < fewest:
            text = f"{text} {words}"
        return text[:most]
