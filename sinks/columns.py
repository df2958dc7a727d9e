"""Columns of a result file: the fixed ones, and one for each top-level property of the task's JSON Schema. Pure.

A property becomes a column of its own name; where that is the name of a fixed column it gets an underscore behind. A value that does
not fit its column is null there; the `output` column always holds the whole JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

FIXED_SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("source_id", pa.string()),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("template_hash", pa.string()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("output", pa.string()),
        pa.field("data_classes", pa.list_(pa.string())),
        pa.field("lane", pa.string()),
        pa.field("endpoint", pa.string()),
        pa.field("model", pa.string()),
        pa.field("revision", pa.string()),
        pa.field("tokens_in", pa.int64()),
        pa.field("tokens_out", pa.int64()),
        pa.field("cost_usd", pa.decimal128(18, 9)),
        pa.field("finish_reason", pa.string()),
        pa.field("error_code", pa.string()),
        pa.field("confidence", pa.float64()),
        pa.field("weights_digest", pa.string()),
        pa.field("lora_digest", pa.string()),
        # Where a long document was split: offsets in characters of its text.
        pa.field("chunks", pa.list_(pa.struct([("start", pa.int64()), ("end", pa.int64())]))),
    ]
)

_TIME = pa.timestamp("us", tz="UTC")
_PLAIN: dict[str, pa.DataType] = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
_FORMATS: dict[str, pa.DataType] = {"date": pa.date32(), "date-time": _TIME}
_JSON_TEXT = pa.field("json", pa.string(), metadata={"waybill.json": "true"})
_INT64 = range(-(2**63), 2**63)


def typed_fields(schema: Mapping[str, Any] | None) -> dict[str, pa.Field]:
    """The typed columns of a task, by property name. Objects, unions and mixed lists become JSON text."""
    fields: dict[str, pa.Field] = {}
    taken = set(FIXED_SCHEMA.names)
    for name, rule in ((schema or {}).get("properties") or {}).items():
        column = name
        while column in taken:
            column += "_"
        taken.add(column)
        kind = arrow_type(rule)
        fields[name] = _JSON_TEXT.with_name(column) if kind is None else pa.field(column, kind)
    return fields


def arrow_type(rule: Any) -> pa.DataType | None:
    """The column type of a JSON Schema; None when only JSON text can hold its values. A null among the types does not count."""
    if not isinstance(rule, Mapping):
        return None
    for union in ("anyOf", "oneOf"):
        if union in rule:
            members = [member for member in rule[union] if member != {"type": "null"}]
            return arrow_type(members[0]) if len(members) == 1 else None
    kinds = _types(rule)
    if len(kinds) != 1:
        return None
    (kind,) = kinds
    if kind == "array":
        element = arrow_type(rule.get("items"))
        return None if element is None else pa.list_(element)
    if kind == "string":
        return _FORMATS.get(rule.get("format", ""), pa.string())
    return _PLAIN.get(kind)


def _types(rule: Mapping[str, Any]) -> set[str]:
    if "type" in rule:
        stated = rule["type"]
        return {stated} if isinstance(stated, str) else set(stated) - {"null"}
    values = rule.get("enum", [rule["const"]] if "const" in rule else [])
    return {"string"} if values and all(isinstance(value, str) for value in values) else set()


def typed_values(fields: Mapping[str, pa.Field], outputs: Iterable[str | None]) -> dict[str, pa.Array]:
    """The typed columns of these outputs (JSON text or None), by column name."""
    parsed = [_object(output) for output in outputs]
    columns = {}
    for name, field in fields.items():
        as_text = field.metadata is not None
        values = [one.get(name) for one in parsed]
        fitted = [_json(value) if as_text else fit(value, field.type) for value in values]
        columns[field.name] = pa.array(fitted, field.type)
    return columns


def fit(value: Any, kind: pa.DataType) -> Any:
    """The value as the column takes it, or None."""
    if isinstance(value, list) and pa.types.is_list(kind):
        return [fit(item, kind.value_type) for item in value]
    if kind == pa.bool_():
        return value if isinstance(value, bool) else None
    if kind == pa.int64():
        whole = int(value) if isinstance(value, float) and value.is_integer() else value
        return whole if isinstance(whole, int) and not isinstance(whole, bool) and whole in _INT64 else None
    if kind == pa.float64():
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**1023 else None
    if not isinstance(value, str):
        return None
    return storable(value) if kind == pa.string() else _moment(value, kind)


def storable(text: str) -> str:
    """The text without lone surrogates, which a file cannot hold: a model's JSON may carry half of an escaped pair."""
    return text.encode("utf-8", "replace").decode()


def _moment(value: str, kind: pa.DataType) -> date | datetime | None:
    try:
        if kind == pa.date32():
            return date.fromisoformat(value)
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _object(output: str | None) -> Mapping[str, Any]:
    try:
        parsed = json.loads(output) if output else None
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _json(value: Any) -> str | None:
    return None if value is None else storable(json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")))
