from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.ledger import canonical
from sinks.ledger.canonical import CanonicalError, canonical_rows, leaf_hashes
from sinks.ledger.entry import Entry, Event, EvidenceCount
from sinks.ledger.schema import ENTRY_SCHEMA, to_table, with_sequence

AT = datetime(2026, 11, 22, tzinfo=UTC)
FORMAT = Path(__file__).parents[3] / "docs" / "ledger-format.md"
TEXT = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=6))
NAMES = st.one_of(st.none(), st.lists(st.text(max_size=4).filter(str.isascii), max_size=3).map(tuple))
EVIDENCE = st.builds(
    EvidenceCount, entity=st.text(max_size=3).filter(str.isascii), count=st.integers(0, 9), max_score=st.floats(), detector=st.just("d")
)
ENTRIES = st.builds(
    Entry,
    event=st.sampled_from(Event),
    at=st.datetimes(datetime(1960, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - made aware by the strategy
    record_id=TEXT,
    reason=TEXT,
    lanes=NAMES,
    partial=st.one_of(st.none(), st.booleans()),
    score=st.one_of(st.none(), st.floats()),
    attempt=st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)),
    cost_usd=st.one_of(st.none(), st.decimals(-999, 999, places=9)),
    evidence=st.one_of(st.none(), st.lists(EVIDENCE, max_size=2).map(tuple)),
)


def bits(value: float) -> bytes:
    return str(struct.unpack("<q", struct.pack("<d", value))[0]).encode()


def netstring(data: bytes) -> bytes:
    return b"%d:%s," % (len(data), data)


def plainly(name: str, value: Any) -> bytes:  # noqa: PLR0911 - one line for each type
    """The format as the document says it, one value at a time."""
    if name == "evidence":
        parts = [(one["entity"].encode(), b"%d" % one["count"], bits(one["max_score"]), one["detector"].encode()) for one in value]
        return b"".join(netstring(b"".join(map(netstring, part))) for part in parts)
    if isinstance(value, list):
        return b"".join(netstring(one.encode()) for one in value)
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, float):
        return bits(value)
    if isinstance(value, datetime):
        elapsed = value - datetime(1970, 1, 1, tzinfo=UTC)
        return b"%d" % ((elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds)
    if isinstance(value, Decimal):
        return b"%d" % int(value.scaleb(9))
    return str(value).encode()


def expected(row: dict[str, Any]) -> bytes:
    lines = [(name, plainly(name, value)) for name, value in sorted(row.items()) if value is not None]
    return b"".join(b"%s:%d:%s\n" % (name.encode(), len(value), value) for name, value in lines)


@settings(max_examples=60, deadline=None)
@given(st.lists(ENTRIES, min_size=1, max_size=12), st.integers(0, 3), st.integers(1, 5))
def test_whole_columns_give_what_the_document_says_of_each_row(entries: list[Entry], skipped: int, chunk: int) -> None:
    table = with_sequence(to_table(entries), 1).slice(skipped)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "CHUNK_ROWS", chunk)
        rows, hashes = canonical_rows(table), leaf_hashes(table)
    assert rows == [expected(row) for row in table.to_pylist()]
    assert hashes == [hashlib.sha256(b"\0" + row).digest() for row in rows]


def test_a_value_that_is_repeated_is_written_all_the_same() -> None:
    table = with_sequence(to_table([Entry(event=Event.HELD, at=AT, reason="budget", record_id=f"r{row}") for row in range(40)]), 1)
    assert canonical_rows(table) == [expected(row) for row in table.to_pylist()]


def test_the_example_in_the_document_is_true() -> None:
    block = next(block for block in re.findall(r"(?:^    .*\n)+", FORMAT.read_text(encoding="utf-8"), re.MULTILINE) if "actor:7" in block)
    entry = Entry(
        event=Event.DECIDED,
        at=datetime.fromtimestamp(1795309200, UTC),
        record_id="r85c924c3597164c4a6058a00",
        data_classes=("PHI", "PII"),
        partial=False,
        evidence=(EvidenceCount(entity="US_SSN", count=2, max_score=0.75, detector="us_ssn"),),
    )
    table = with_sequence(to_table([entry]), 7)
    table = table.set_column(1, ENTRY_SCHEMA.field("entry_id"), pa.array(["0d0abf59b010ba50"]))
    assert canonical_rows(table)[0].decode() == re.sub("^    ", "", block, flags=re.MULTILINE)


def test_values_cannot_pass_for_another_column() -> None:
    plain = Entry(event=Event.HELD, at=AT, reason="a\nrule:1:b")
    split = Entry(event=Event.HELD, at=AT, reason="a", rule="b")
    first, second = leaf_hashes(with_sequence(to_table([plain, split]), 1).drop_columns(["seq", "entry_id"]))
    assert first != second


def with_column(name: str, values: list[Any], kind: pa.DataType) -> pa.Table:
    table = with_sequence(to_table([Entry(event=Event.HELD, at=AT)]), 1)
    return table.set_column(table.column_names.index(name), name, pa.array(values, kind))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lanes", ["local", None]),
        ("evidence", [None]),
        ("evidence", [{"entity": None, "count": 1, "max_score": 0.5, "detector": "d"}]),
        ("evidence", [{"entity": "E", "count": 1, "max_score": None, "detector": "d"}]),
    ],
    ids=["in a list", "a struct", "a text in a struct", "a number in a struct"],
)
def test_nulls_inside_lists_have_no_canonical_form(name: str, value: Any) -> None:
    with pytest.raises(CanonicalError, match=f"column {name}: a null inside a list"):
        leaf_hashes(with_column(name, [value], ENTRY_SCHEMA.field(name).type))


def test_a_strange_type_has_no_canonical_form() -> None:
    with pytest.raises(CanonicalError, match="column reason: type"):
        leaf_hashes(with_column("reason", [b"x"], pa.binary()))


def test_a_score_is_its_bits() -> None:
    entries = [Entry(event=Event.HELD, at=AT, score=score) for score in (0.0, -0.0, 0.1 + 0.2, 0.3)]
    rows = [row.split(b"score:")[1] for row in canonical_rows(with_sequence(to_table([replace(one) for one in entries]), 1))]
    assert len({row.split(b"\n")[0] for row in rows}) == 4
