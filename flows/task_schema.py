"""The JSON Schema of an extract task: read from JSON or YAML, and checked as a schema before the night begins."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from flows.errors import JobError
from flows.marked_yaml import KeyPath, read_yaml


def read_schema(path: Path) -> dict[str, Any]:
    """The schema in a .json or .yaml file; raises ValueError, worded for `flows/job_errors.py`."""
    try:
        value = json.loads(path.read_text("utf-8-sig")) if path.suffix == ".json" else read_yaml(path).value
    except json.JSONDecodeError as error:
        raise ValueError(f"expected JSON in {path}, found a mistake at line {error.lineno}: {error.msg}") from None
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"expected a readable UTF-8 file at {path}") from None
    except JobError as error:
        raise ValueError(f"expected YAML: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON Schema (a mapping) in {path}")  # noqa: TRY004 - pydantic takes ValueError only
    return value


def schema_mistake(schema: Mapping[str, Any]) -> tuple[KeyPath, str] | None:
    """Where inside the schema something is wrong, and what was expected; None when it can be used.

    Columns of results are made from the top-level properties, so there must be some. A reference may point inside the
    schema only: following any other would open a connection.
    """
    try:
        json.dumps(schema, allow_nan=False)
        Draft202012Validator.check_schema(schema)
    except (TypeError, ValueError):
        return (), "expected values that JSON can hold; quote dates and other special values"
    except SchemaError as error:
        return tuple(error.absolute_path), f"expected a JSON Schema (2020-12): {error.message[:200]}"
    if schema.get("type") != "object" or not schema.get("properties"):
        return (), "expected `type: object` with at least one entry in `properties`"
    for key_path, reference in _references(schema, ()):
        if not reference.startswith("#"):
            return key_path, "expected a reference inside this schema (`#/…`); others would have to be fetched"
    return None


def _references(value: Any, key_path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in {"$ref", "$dynamicRef"} and isinstance(item, str):
                yield (*key_path, key), item
            else:
                yield from _references(item, (*key_path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _references(item, (*key_path, index))
