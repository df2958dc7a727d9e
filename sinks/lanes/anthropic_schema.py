"""A job's JSON Schema as the structured output of the Messages API takes it. Pure.

The API refuses a schema with keywords outside its own part of the language, and with it every request of the batch. What it does not take
is therefore said in words, in the description; the answer is checked against the job's whole schema in any case (`sinks/answers.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# https://platform.claude.com/docs/en/build-with-claude/structured-outputs, JSON Schema limitations
_KEPT = frozenset({"type", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "definitions", "properties", "required", "items", "title"})
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_FEWEST_ITEMS = frozenset({0, 1})
_NO_CONSTRAINT = frozenset({"$schema", "$id", "$comment", "$anchor", "default", "examples", "deprecated", "readOnly", "writeOnly"})
_DICTS = frozenset({"$defs", "definitions", "properties"})
_LISTS = frozenset({"anyOf", "allOf"})


def taken(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same schema in the keywords that the API takes. Objects are closed: the API knows no others."""
    kinds = schema.get("type")
    if isinstance(kinds, list):  # ["string", "null"], each with what applies to it
        rest = {key: value for key, value in schema.items() if key not in {"type", "description", "title", *_NO_CONSTRAINT}}
        about = {key: schema[key] for key in ("title", "description") if key in schema}
        return {**about, "anyOf": [taken({"type": kind, **({} if kind == "null" else rest)}) for kind in kinds]}
    found: dict[str, Any] = {}
    said: list[str] = []
    for key, value in schema.items():
        if key in _DICTS and isinstance(value, Mapping):
            found[key] = {name: _inner(one) for name, one in value.items()}
        elif key in _LISTS and isinstance(value, list):
            found[key] = [_inner(one) for one in value]
        elif key == "oneOf" and isinstance(value, list):
            found["anyOf"] = [_inner(one) for one in value]
        elif key == "items":
            found[key] = _inner(value)
        elif key in _KEPT or (key == "format" and value in _FORMATS) or (key == "minItems" and value in _FEWEST_ITEMS):
            found[key] = value
        elif key not in {"additionalProperties", "description", *_NO_CONSTRAINT}:
            said.append(f"{key}: {json.dumps(value, ensure_ascii=False, sort_keys=True)}")
    if schema.get("type") == "object":
        found["additionalProperties"] = False
    description = " ".join(
        [*([str(schema["description"])] if "description" in schema else []), *([f"({', '.join(said)})"] if said else [])]
    )
    return {**found, "description": description} if description else found


def _inner(schema: Any) -> Any:
    return taken(schema) if isinstance(schema, Mapping) else schema
