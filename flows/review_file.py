"""The file that came back from the reviewers: CSV or Parquet, line by line, with the number of each line.

Spreadsheets save with a byte order mark, with semicolons or tabs, and with empty lines at the end: all of that is read. Only ids, verdicts
and reviewers are; the names of sources, if they are in it, are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.errors import ReviewError
from flows.review_csv import csv_lines

COLUMNS = ("item", "record_id", "verdict", "sample")
REVIEWER = "reviewer"
MOST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewLine:
    """One filled line. number: of the line in a CSV, of the row in a Parquet file, from 1."""

    number: int
    item: str
    record_id: str
    verdict: str
    reviewer: str
    sample: str


def read_review(path: Path) -> list[ReviewLine]:
    """Every line that is not empty. Raises ReviewError when the file is none of the kind that `waybill audit sample` writes."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ReviewError(f"{path}: expected at most {MOST_BYTES} bytes, as a sample has; found more")
        rows = list(_parquet(path) if path.suffix == ".parquet" else _csv(path))
    except OSError as error:
        raise ReviewError(f"{path}: expected a readable file: {error.strerror}") from None
    return [_line(number, row) for number, row in rows if any(row.values())]


def _line(number: int, row: Mapping[str, str]) -> ReviewLine:
    return ReviewLine(number=number, reviewer=row.get(REVIEWER, ""), **{name: row[name] for name in COLUMNS})


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid:
        raise ReviewError(f"{path}: expected a Parquet file, found something else") from None
    _require(path, table.column_names)
    for number, row in enumerate(table.to_pylist(), start=1):
        yield number, {name: str(row.get(name) or "").strip() for name in (*COLUMNS, REVIEWER)}


def _csv(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    names: list[str] = []
    for number, cells in csv_lines(path, ReviewError):
        if not names:
            names = [cell.strip() for cell in cells]
            _require(path, names)
            continue
        row = dict(zip(names, cells, strict=False))
        yield number, {name: row.get(name, "").strip() for name in (*COLUMNS, REVIEWER)}
    if not names:
        _require(path, names)


def _require(path: Path, names: list[str]) -> None:
    missing = [name for name in COLUMNS if name not in names]
    if missing or len(set(names)) != len(names):
        raise ReviewError(f"{path}: expected each of the columns {', '.join(COLUMNS)} once, as `waybill audit sample` writes them")
