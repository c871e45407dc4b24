"""The value fits the schema, whatever its keywords."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from asyncmagic.simulator.schema import fitting

TREE = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "left": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                "others": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
            "required": ["name"],
        }
    },
}


def fit(schema: dict[str, Any], seed: int = 0) -> Any:
    return fitting(schema, Random(seed), words=lambda name: f"<{name}>")


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 7}, 7),
        ({"type": "null"}, None),
        ({"type": "boolean"}, True),
        ({"type": ["null", "boolean"]}, True),
        ({"enum": ["only"]}, "only"),
        ({"type": "string", "format": "date"}, "2025-06-01"),
        ({"type": "string", "minLength": 5, "maxLength": 6}, "<> <>"),
        ({"type": "integer", "minimum": 3, "maximum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5}, 4),
        ({"type": "integer", "minimum": 10, "maximum": 19, "multipleOf": 10}, 10),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, 0.5),
        ({"type": "number", "minimum": 0.2, "maximum": 0.4}, 0.3),
        ({"type": "array", "items": {"type": "boolean"}}, [True, True]),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 3}, [True, True, True]),
        ({"type": "array", "items": {"type": "boolean"}, "maxItems": 1}, [True]),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": "a"}]}, [1, "a"]),
        ({"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}, {"city": "<city>"}),
        ({"properties": {"a": {"anyOf": [{"type": "null"}, {"const": 1}]}}}, {"a": 1}),
        ({"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}, {"a": 1, "b": 2}),
        ({"type": "object"}, {}),
        ({}, "<>"),
    ],
)
def test_the_value_fits(schema: dict[str, Any], value: Any) -> None:
    assert fit(schema) == pytest.approx(value) if isinstance(value, float) else fit(schema) == value


def test_numbers_and_choices_depend_on_the_seed_and_stay_within_their_bounds() -> None:
    schema = {"type": "array", "items": {"type": "integer", "minimum": -2, "maximum": 2}, "minItems": 200}
    assert set(fit(schema)) == {-2, -1, 0, 1, 2}
    assert {fit({"enum": ["a", "b"]}, seed) for seed in range(20)} == {"a", "b"}


def test_a_schema_that_contains_itself_comes_to_an_end() -> None:
    def depth(node: dict[str, Any]) -> int:
        return 1 + max([depth(child) for child in [node.get("left"), *node.get("others", [])] if child], default=0)

    assert depth(fit(TREE)) == 6
