"""A schema and a text → an object that validates against the schema, or SchemaUnsatisfiedError.

A property without a value is null where the schema allows null, left out where it is optional, and otherwise an error: a
required value is never made up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from sinks.errors import SchemaUnsatisfiedError
from sinks.extraction.candidates import candidates
from sinks.extraction.fields import Field, read_fields
from sinks.extraction.units import excerpt

MAX_EXTRACT_CHARS = 200_000
_MOST_CANDIDATES = 200


class _Form:
    """A schema made ready: its fields, and a validator for the whole and for each property."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError:
            raise SchemaUnsatisfiedError("schema_invalid") from None
        self.fields = read_fields(schema)
        self.whole = _validator(schema)
        definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
        self.properties = {field.name: _validator({**definitions, **field.schema}) for field in self.fields}

    def best(self, field: Field, text: str) -> tuple[bool, Any]:
        """Whether the text has a value for the field that its own schema accepts, and the first such value."""
        for value in islice(candidates(field, text), _MOST_CANDIDATES):
            if value != "" and self.properties[field.name].is_valid(value):
                return True, value
        return False, None


def extract_fields(schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The object. Raises SchemaUnsatisfiedError when a required value is missing or the schema cannot be satisfied."""
    form = _form(json.dumps(schema))
    text = excerpt(text, MAX_EXTRACT_CHARS)
    result: dict[str, Any] = {}
    try:
        for field in form.fields:
            found, value = form.best(field, text)
            if found:
                result[field.name] = value
            elif field.nullable:
                result[field.name] = None
        satisfied = form.whole.is_valid(result)
    except Unresolvable:
        satisfied = False
    if not satisfied:
        raise SchemaUnsatisfiedError("schema_unsatisfied")
    return result


@lru_cache(maxsize=32)
def _form(schema_json: str) -> _Form:
    return _Form(json.loads(schema_json))


def _validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    # An empty registry of our own: the default one would fetch a remote `$ref` over the network.
    return Draft202012Validator(schema, registry=Registry(), format_checker=FormatChecker(formats=("date", "email")))
