"""The ledger's columns, and how entries become a table.

A column is added at the end and `SCHEMA_VERSION` raised; none is renamed or removed, so that every old segment stays readable, and a
ledger of an older version is gone on with: its files keep the columns of their version, and a null column adds nothing to a leaf.
`seq` numbers all entries of the ledger from 1 without a gap. `entry_id` names what happened: the same fact stated twice (a step repeated
after a crash) has the same id and another `seq`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from operator import attrgetter
from typing import Any

import pyarrow as pa

from sinks.errors import LedgerError
from sinks.ledger.entry import Entry, EvidenceCount

SCHEMA_VERSION = 3
ENTRY_ID_DIGITS = 16

_TIME = pa.timestamp("us", tz="UTC")
_COST = pa.decimal128(18, 9)
_CENT = Decimal(1).scaleb(-9)
_EVIDENCE = pa.struct([("entity", pa.string()), ("count", pa.int32()), ("max_score", pa.float64()), ("detector", pa.string())])

# Every field of Entry that is not a string.
_TYPES: dict[str, pa.DataType] = {
    "at": _TIME,
    "data_classes": pa.list_(pa.string()),
    "partial": pa.bool_(),
    "evidence": pa.list_(_EVIDENCE),
    "lanes": pa.list_(pa.string()),
    "cloud_requires": pa.list_(pa.string()),
    "score": pa.float64(),
    "payload_bytes": pa.int64(),
    "attempt": pa.int32(),
    "result_row": pa.int32(),
    "tokens_in": pa.int64(),
    "tokens_out": pa.int64(),
    "cost_usd": _COST,
    "confidence": pa.float64(),
    "expiry": _TIME,
}

COLUMNS = tuple(field.name for field in fields(Entry))
ENTRY_SCHEMA = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("entry_id", pa.string(), nullable=False),
        *(pa.field(name, _TYPES.get(name, pa.string()), nullable=name not in {"event", "at", "actor"}) for name in COLUMNS),
    ]
)

ADDED = {3: ("cost_centre",)}
"""The columns that came with each version after the first that is read."""

VERSIONS = (min(ADDED) - 1, *ADDED)
"""The versions of files that are read and verified; only the newest is written."""

UNIQUE_COLUMNS = frozenset({"entry_id", "clearance_id", "payload_hmac", "document_hmac", "result_digest"})
"""Columns whose values hardly repeat: a dictionary would only make the file larger."""

DICTIONARY_COLUMNS = [
    *(name for name in ENTRY_SCHEMA.names if ENTRY_SCHEMA.field(name).type == pa.string() and name not in UNIQUE_COLUMNS),
    *(f"{name}.list.element" for name in ("data_classes", "lanes", "cloud_requires")),
    *(f"evidence.list.element.{name}" for name in ("entity", "detector")),
]

IDENTITY = (
    "run_id",
    "event",
    "record_id",
    "intent_id",
    "endpoint",
    "attempt",
    "clearance_id",
    "state",
    "reason",
    "document_hmac",
    "policy_hash",
)
SEPARATOR = "\x1f"  # ids and codes hold no control character
_identity = attrgetter(*IDENTITY)
_values = attrgetter(*COLUMNS)


def schema_of(version: int) -> pa.Schema:
    """The columns of a file of one of `VERSIONS`."""
    later = {name for number, names in ADDED.items() if number > version for name in names}
    return pa.schema([field for field in ENTRY_SCHEMA if field.name not in later])


def entry_ids(entries: Sequence[Entry]) -> list[str]:
    """What each entry states, as 16 hex digits: deterministic over run, event, record, intent, endpoint, attempt, clearance and verdict."""
    sha256 = hashlib.sha256
    return [
        sha256(SEPARATOR.join(["" if value is None else str(value) for value in _identity(entry)]).encode()).hexdigest()[:ENTRY_ID_DIGITS]
        for entry in entries
    ]


def to_table(entries: Sequence[Entry]) -> pa.Table:
    """The entries as columns, without `seq`, which only the commit knows.

    Raises LedgerError when a value does not fit its column; the message names the column, never the value.
    """
    columns: list[pa.Array] = [pa.array(entry_ids(entries), pa.string())]
    for name, values in zip(COLUMNS, zip(*map(_values, entries), strict=True), strict=True):
        columns.append(fitted(name, values))
    return pa.Table.from_arrays(columns, schema=ENTRY_SCHEMA.remove(0))


def with_sequence(table: pa.Table, first: int) -> pa.Table:
    """The table with `seq` in front, counting from `first`."""
    return table.add_column(0, ENTRY_SCHEMA.field("seq"), pa.array(range(first, first + table.num_rows), pa.int64()))


def fitted(name: str, values: tuple[Any, ...]) -> pa.Array:
    """The values of one column. Raises LedgerError, naming the column, when one does not fit it."""
    try:
        return _column(name, values)
    except (pa.ArrowException, UnicodeError, TypeError, InvalidOperation, OverflowError) as error:
        kind = ENTRY_SCHEMA.field(name).type
        raise LedgerError(f"ledger column {name}: a value does not fit {kind} ({type(error).__name__}); nothing was written") from None


def _column(name: str, values: tuple[Any, ...]) -> pa.Array:
    field = ENTRY_SCHEMA.field(name)
    if values.count(None) == len(values):
        if not field.nullable:
            raise TypeError
        return pa.nulls(len(values), field.type)
    if field.type == _TIME:
        return _times(values)
    if field.type == _COST:
        return pa.array([None if value is None else value.quantize(_CENT) for value in values], _COST)
    if name == "evidence":
        return _evidence(values)
    return pa.array(values, field.type)


def _times(values: tuple[Any, ...]) -> pa.Array:
    if any(value is not None and value.tzinfo is None for value in values):
        raise TypeError  # a naive time would be taken for UTC without anybody having said so
    return pa.array(values, _TIME)


def _evidence(values: tuple[tuple[EvidenceCount, ...] | None, ...]) -> pa.Array:
    flat = [line for lines in values if lines for line in lines]
    struct = pa.StructArray.from_arrays(
        [pa.array(list(map(attrgetter(field.name), flat)), field.type) for field in _EVIDENCE], fields=list(_EVIDENCE)
    )
    offsets = pa.array(accumulate((len(lines or ()) for lines in values), initial=0), pa.int32())
    mask = pa.array([lines is None for lines in values], pa.bool_())
    return pa.ListArray.from_arrays(offsets, struct, type=pa.list_(_EVIDENCE), mask=mask)
