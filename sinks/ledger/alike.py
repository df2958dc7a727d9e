"""Many entries that differ in few columns, told by the column: as objects of fifty fields each they would be most of a night's own work."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, repeat
from typing import Any

import pyarrow as pa

from sinks.ledger.entry import Entry, Event
from sinks.ledger.schema import COLUMNS, ENTRY_ID_DIGITS, ENTRY_SCHEMA, IDENTITY, SEPARATOR, fitted, to_table


@dataclass(frozen=True, slots=True)
class Alike:
    """As many entries as a column is long. entry: what all of them say. columns: what each of them says besides, by column name.

    Raises ValueError where columns are not equally long, and for a name that is no column.
    """

    entry: Entry
    columns: Mapping[str, Sequence[Any]] = field(repr=False)

    def __post_init__(self) -> None:
        told = set(COLUMNS) - {"event"}
        if not self.columns or len({len(values) for values in self.columns.values()}) > 1 or not self.columns.keys() <= told:
            raise ValueError(f"expected columns of the ledger, of one length, found {', '.join(sorted(self.columns))}")

    @property
    def event(self) -> Event:
        """What kind of entries these are."""
        return self.entry.event

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __iter__(self) -> Iterator[Entry]:
        for values in zip(*self.columns.values(), strict=True):
            yield replace(self.entry, **dict(zip(self.columns, values, strict=True)))


Entries = Sequence[Entry | Alike]
"""What is committed together, in this order."""


def count(entries: Entries) -> int:
    """How many entries these are."""
    return sum(len(one) if isinstance(one, Alike) else 1 for one in entries)


def table_of(entries: Entries) -> pa.Table:
    """The entries as columns, as `schema.to_table` gives them for one object each. Raises LedgerError, as that does."""
    tables = []
    for alike, some in groupby(entries, key=lambda one: isinstance(one, Alike)):
        if alike:
            tables += [_table(one) for one in some if isinstance(one, Alike) and len(one)]
        else:
            tables.append(to_table([one for one in some if isinstance(one, Entry)]))
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables).combine_chunks()


def _table(alike: Alike) -> pa.Table:
    first = pa.repeat(pa.scalar(0, pa.int32()), len(alike))
    columns = [pa.array(_entry_ids(alike), pa.string())]
    for name in COLUMNS:
        given = alike.columns.get(name)
        columns.append(fitted(name, (getattr(alike.entry, name),)).take(first) if given is None else fitted(name, tuple(given)))
    return pa.Table.from_arrays(columns, schema=ENTRY_SCHEMA.remove(0))


def _entry_ids(alike: Alike) -> list[str]:
    """As `schema.entry_ids`."""
    sha256 = hashlib.sha256
    parts = [map(_told, alike.columns[name]) if name in alike.columns else repeat(_told(getattr(alike.entry, name))) for name in IDENTITY]
    if not alike.columns.keys() & set(IDENTITY):
        parts[0] = repeat(next(iter(parts[0])), len(alike))
    return [sha256(SEPARATOR.join(texts).encode()).hexdigest()[:ENTRY_ID_DIGITS] for texts in zip(*parts, strict=False)]


def _told(value: object) -> str:
    return "" if value is None else str(value)
