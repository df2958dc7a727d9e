"""One request in, one answer out: what the extractive lane and the emulator both run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sinks.errors import SchemaUnsatisfiedError
from sinks.extraction.centrality import SUMY_VERSION
from sinks.extraction.extract import extract_fields
from sinks.extraction.summary import summarize
from sinks.extraction.units import count_tokens

VERSION = "1"
"""Goes up whenever an answer to the same request may change."""

MODEL = "lexrank"
REVISION = f"sumy-{SUMY_VERSION}+extraction-{VERSION}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Exactly one of output and error_code is set. Tokens are counted as ceil(UTF-8 bytes / 3)."""

    output: str | None = field(default=None, repr=False)
    error_code: str | None = None
    finish_reason: str | None = None
    tokens_in: int
    tokens_out: int = 0


def answer(*, schema: Mapping[str, Any] | None, max_tokens: int, parts: Mapping[str, str]) -> Answer:
    """A summary of the parts' text, or, with a schema, the JSON text of an object that validates against it.

    parts: `text`, and `metadata.NAME` slots, which the field extractor reads as "name: value" lines above the text.
    """
    tokens_in = sum(count_tokens(part) for part in parts.values())
    try:
        output = _summary(parts, max_tokens) if schema is None else _object(schema, parts)
    except SchemaUnsatisfiedError as error:
        return Answer(error_code=error.code, tokens_in=tokens_in)
    tokens_out = count_tokens(output)
    if not output:
        return Answer(error_code="no_text", tokens_in=tokens_in)
    if schema is not None and tokens_out > max_tokens:
        # A cut JSON text is no JSON text: an error row, as with any engine that stops at its limit.
        return Answer(error_code="max_tokens", finish_reason="length", tokens_in=tokens_in, tokens_out=tokens_out)
    return Answer(output=output, finish_reason="stop", tokens_in=tokens_in, tokens_out=tokens_out)


def _summary(parts: Mapping[str, str], max_tokens: int) -> str:
    text = parts.get("text") or "\n".join(parts.values())
    return summarize(text, max_tokens=max_tokens)


def _object(schema: Mapping[str, Any], parts: Mapping[str, str]) -> str:
    headers = [f"{slot.removeprefix('metadata.')}: {value}" for slot, value in parts.items() if slot != "text"]
    found = extract_fields(schema, "\n".join([*headers, parts.get("text", "")]))
    return json.dumps(found, ensure_ascii=False, allow_nan=False)
