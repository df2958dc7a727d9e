"""What a page is made of: sections of notes, tables, facts, figures and quotations. Every text in them is escaped by the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar

from flows.audit_report.charts import BarChart
from flows.audit_report.sankey import Sankey
from flows.audit_report.shown_text import shown
from flows.audit_report.steps import StepChart

MOST_ROWS = 200
"""Rows that a table shows; the others are one row that says how many they are and what they add up to."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value. order: what it is sorted by, where that is not its text. code: an id or a digest. whole: never on two lines."""

    text: str
    order: str = ""
    code: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; numbers stand on the right."""

    label: str
    number: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a caption. rest: a last row that sorting leaves where it is. empty: the sentence in the place of no rows."""

    kind: ClassVar[str] = "table"
    name: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    rest: Sequence[Cell] = ()
    empty: str = "None in this period."


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Terms and what they are."""

    kind: ClassVar[str] = "facts"
    items: Sequence[tuple[str, Cell]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A text as it was written."""

    kind: ClassVar[str] = "quote"
    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """A list of sentences."""

    kind: ClassVar[str] = "points"
    items: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A drawing that lies in the page as data. summary: what it shows, for those who do not see it."""

    kind: ClassVar[str] = "image"
    name: str
    source: str
    width: int
    height: int
    summary: str
    caption: str


Block = Table | Facts | Quote | Points | Sankey | BarChart | StepChart | Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with what belongs under it."""

    name: str
    title: str
    notes: Sequence[str] = ()
    blocks: Sequence[Block] = ()


def text(value: str | None, *, absent: str = "not stated") -> Cell:
    """A name or a word."""
    return Cell(shown(value, absent=absent))


def code(value: str | None, *, absent: str = "not stated") -> Cell:
    """An id or a digest."""
    return Cell(shown(value, absent=absent), code=value is not None)


def number(value: int) -> Cell:
    """A count."""
    return Cell(f"{value:,}", str(value))


def money(value: Decimal) -> Cell:
    """US dollars, exact: at least cents, and every digit that the ledger has."""
    whole, _, digits = f"{value:,.9f}".partition(".")
    return Cell(f"{whole}.{digits.rstrip('0').ljust(2, '0')}", f"{value:f}")


def moment(value: datetime | None, *, absent: str = "") -> Cell:
    """A time in UTC, to the second."""
    return Cell(f"{value:%Y-%m-%d %H:%M:%S}" if value else absent, value.isoformat() if value else "", whole=True)


def day(value: date | None) -> Cell:
    """A day in UTC."""
    return Cell(str(value) if value else "", whole=True)


def cut(rows: Sequence[Sequence[Cell]], rest: Sequence[int | Decimal | None], *, kept: int = MOST_ROWS) -> list[Cell]:
    """The last row of a table that is cut after `kept` rows. rest: sums over the others by column, None where there is nothing to add."""
    others = len(rows) - kept
    if others <= 0:
        return []
    sums = [Cell("") if value is None else money(value) if isinstance(value, Decimal) else number(value) for value in rest[1:]]
    return [Cell(f"{others:,} others"), *sums]
