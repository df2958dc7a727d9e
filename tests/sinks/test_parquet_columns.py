from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest

from sinks.columns import arrow_type, typed_fields, typed_values

JSON_TEXT = None


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"type": "string"}, pa.string()),
        ({"type": "integer"}, pa.int64()),
        ({"type": "number"}, pa.float64()),
        ({"type": "boolean"}, pa.bool_()),
        ({"type": ["string", "null"]}, pa.string()),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, pa.int64()),
        ({"enum": ["low", "high"]}, pa.string()),
        ({"const": "letter"}, pa.string()),
        ({"type": "string", "format": "date"}, pa.date32()),
        ({"type": "string", "format": "date-time"}, pa.timestamp("us", tz="UTC")),
        ({"type": "string", "format": "email"}, pa.string()),
        ({"type": "array", "items": {"type": "number"}}, pa.list_(pa.float64())),
        ({"type": "array"}, JSON_TEXT),
        ({"type": "array", "items": {"type": "object"}}, JSON_TEXT),
        ({"type": "object"}, JSON_TEXT),
        ({"type": ["string", "integer"]}, JSON_TEXT),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, JSON_TEXT),
        ({"enum": [1, "two"]}, JSON_TEXT),
        ({"$ref": "#/definitions/x"}, JSON_TEXT),
        ({}, JSON_TEXT),
        (True, JSON_TEXT),
    ],
    ids=str,
)
def test_a_json_schema_becomes_a_column_type(rule: Any, expected: pa.DataType | None) -> None:
    assert arrow_type(rule) == expected


def test_properties_keep_their_names_and_step_back_before_fixed_ones() -> None:
    schema = {
        "properties": {
            "amount": {"type": "number"},
            "model": {"type": "string"},
            "model_": {"type": "string"},
            "source": {"type": "object"},
        }
    }
    assert {name: field.name for name, field in typed_fields(schema).items()} == {
        "amount": "amount",
        "model": "model_",
        "model_": "model__",
        "source": "source_",
    }


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ({"type": "integer"}, 3, 3),
        ({"type": "integer"}, 3.0, 3),
        ({"type": "integer"}, 3.5, None),
        ({"type": "integer"}, True, None),
        ({"type": "integer"}, 2**70, None),
        ({"type": "integer"}, "3", None),
        ({"type": "number"}, 3, 3.0),
        ({"type": "number"}, 10**400, None),
        ({"type": "boolean"}, 1, None),
        ({"type": "string"}, "Grüße", "Grüße"),
        ({"type": "string"}, "half \ud83d", "half ?"),
        ({"type": "string"}, 4, None),
        ({"type": "string", "format": "date"}, "2026-11-22", date(2026, 11, 22)),
        ({"type": "string", "format": "date"}, "tomorrow", None),
        ({"type": "string", "format": "date-time"}, "2026-11-22T01:02:03+02:00", datetime(2026, 11, 21, 23, 2, 3, tzinfo=UTC)),
        ({"type": "array", "items": {"type": "string"}}, ["a", 1], ["a", None]),
        ({"type": "object"}, {"b": 1, "a": [2]}, '{"a":[2],"b":1}'),
        ({"type": "object"}, None, None),
    ],
    ids=str,
)
def test_a_value_is_fitted_or_null(rule: dict[str, Any], value: Any, expected: Any) -> None:
    columns = typed_values(typed_fields({"properties": {"x": rule}}), [json.dumps({"x": value})])
    assert columns["x"].to_pylist() == [expected]


@pytest.mark.parametrize("output", [None, "", "no JSON", "[1]", "{}"], ids=["none", "empty", "no JSON", "no object", "no property"])
def test_an_output_without_the_property_is_null(output: str | None) -> None:
    assert typed_values(typed_fields({"properties": {"x": {"type": "integer"}}}), [output])["x"].to_pylist() == [None]
