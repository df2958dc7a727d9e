"""One request in, one answer out, for every provider: the extraction engine behind the wire forms. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sinks.extraction.units import count_tokens

DEFAULT_MAX_TOKENS = 512
_QUICK_CHARS = 200

Kind = Literal["succeeded", "errored", "cancelled", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a row asks for. spoken: the text parts of the last user message; texts: those of all messages."""

    spoken: tuple[str, ...] = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)
    schema: Mapping[str, Any] | None = field(default=None, repr=False)
    max_tokens: int = DEFAULT_MAX_TOKENS


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The engine's answer. code: set when there is none, then status says whose fault it is, as HTTP would."""

    content: str = field(default="", repr=False)
    cut: bool = False
    code: str | None = None
    status: int = 200
    tokens_in: int = 0
    tokens_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """A line of a provider's results, and the tokens that it is charged for."""

    row_id: str
    kind: Kind
    line: bytes = field(repr=False)
    tokens_in: int = 0
    tokens_out: int = 0


def constants(asks: Sequence[Ask]) -> frozenset[str]:
    """Text parts that every row has: the template's. With one row nothing can be told apart."""
    if len(asks) < 2:  # noqa: PLR2004 - the smallest number that has something in common
        return frozenset()
    common = set(asks[0].spoken)
    for ask in asks[1:]:
        common.intersection_update(ask.spoken)
    return frozenset(common)


def reply(ask: Ask, template: frozenset[str] = frozenset(), *, quick: bool = False) -> Reply:
    """The answer to one row. The document is the longest part of the last user message that is not the template's.

    quick: the document's beginning stands for its summary, for measurements that are not about the provider.
    """
    document = max([part for part in ask.spoken if part not in template] or ask.spoken, key=len, default="")
    if not document.strip():
        return Reply(code="invalid_request", status=400)
    tokens_in = sum(count_tokens(text) for text in ask.texts)
    if quick and ask.schema is None:
        content = document[:_QUICK_CHARS]
        return Reply(content=content, tokens_in=tokens_in, tokens_out=count_tokens(content))
    from sinks.extraction import engine  # noqa: PLC0415 - seconds of imports, which the start of a server need not wait for

    try:
        answer = engine.answer(schema=ask.schema, max_tokens=ask.max_tokens, parts={"text": document})
    except Exception:  # noqa: BLE001 - a provider answers 500 for the row that broke it and goes on; the message could quote the text
        return Reply(code="server_error", status=500)
    if answer.error_code is not None and answer.finish_reason != "length":
        return Reply(code=answer.error_code, status=400)
    cut = answer.output is None
    return Reply(content=answer.output or "{", cut=cut, tokens_in=tokens_in, tokens_out=answer.tokens_out)


def shuffled(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """The rows in an order that has nothing to do with the input's, and is the same each time: no provider promises one."""
    return sorted(rows, key=lambda row: hashlib.sha256(row.row_id.encode()).digest())


def identity(prefix: str, seed: str, length: int = 24) -> str:
    """An id that is the same each time."""
    return f"{prefix}{hashlib.sha256(seed.encode()).hexdigest()[:length]}"


def json_line(tree: Mapping[str, Any]) -> bytes:
    """One line of a JSONL file."""
    return json.dumps(tree).encode() + b"\n"


def positive(value: object, default: int = DEFAULT_MAX_TOKENS) -> int:
    """A token limit; the default where there is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default
