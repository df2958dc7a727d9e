"""Reviewed answers from a file: CSV with a heading, or JSON lines, with `confidence` (0..1) and `verdict` on each line.

Where the confidence is left out, `record_id` (and `run_id`, where a record was answered in several runs) says which answer of the ledger is
meant. Every line needs a verdict: a sample that is filled in half is no random sample. A doubt counts as wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.errors import RouterError
from flows.review_csv import csv_lines
from flows.router_outcomes import MOST_BYTES, json_lines

RIGHT, WRONG, IN_DOUBT = "right", "wrong", "unsure"
WORDS: Mapping[str, str] = {
    **dict.fromkeys((RIGHT, "correct", "true"), RIGHT),
    **dict.fromkeys((WRONG, "incorrect", "false"), WRONG),
    IN_DOUBT: IN_DOUBT,
}
"""What people and spreadsheets write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedLine:
    """One line. confidence: 0..1, NaN where the answer has none, None where the file has no such column. verdict: one word of WORDS."""

    number: int
    verdict: str
    confidence: float | None
    record_id: str
    run_id: str
    endpoint: str
    sample: str

    @property
    def right(self) -> bool:
        """Whether the answer was found right; a doubt is no yes."""
        return self.verdict == RIGHT


def read_reviewed(path: Path) -> list[ReviewedLine]:
    """Every line. Raises RouterError with FILE:LINE, for the first line that cannot be used."""
    lines = [_line(path, number, row) for number, row in (_json(path) if path.suffix in {".jsonl", ".json"} else _csv(path))]
    if not lines:
        raise RouterError(f"{path}: expected one reviewed answer a line, with confidence and verdict; found none")
    return lines


def _line(path: Path, number: int, row: Mapping[str, str]) -> ReviewedLine:
    where = f"{path}:{number}"
    verdict = row.get("verdict", "").lower()
    if verdict not in WORDS:
        found = "another word" if verdict else "nothing"
        raise RouterError(f"{where}: verdict: expected {RIGHT}, {WRONG} or {IN_DOUBT} on every line, found {found}")
    record_id = row.get("record_id", "")
    if "confidence" not in row and not record_id:
        raise RouterError(f"{where}: expected confidence, or record_id to find it in the ledger; found neither")
    return ReviewedLine(
        number=number,
        verdict=WORDS[verdict],
        confidence=_confidence(where, row["confidence"]) if "confidence" in row else None,
        record_id=record_id,
        run_id=row.get("run_id", ""),
        endpoint=row.get("endpoint", ""),
        sample=row.get("sample", ""),
    )


def _confidence(where: str, text: str) -> float:
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not 0 <= value <= 1:
        hint = "; the ledger's column is a mean log-probability: give exp of it" if value < 0 else ""
        raise RouterError(f"{where}: confidence: expected a number, 0..1 with a decimal point, or nothing; found something else{hint}")
    return value


def _json(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for number, row in json_lines(path):
        yield number, {key: _written(value) for key, value in row.items()}


def _written(value: object) -> str:
    if value is None:
        return ""
    return ("true" if value else "false") if isinstance(value, bool) else str(value).strip()


def _csv(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    names: list[str] = []
    for number, cells in _cells(path):
        if not names:
            names = [cell.strip() for cell in cells]
            if "verdict" not in names or len(set(names)) != len(names):
                raise RouterError(f"{path}: expected a heading with verdict and confidence or record_id, each once; found another")
        elif any(cell.strip() for cell in cells):
            filled = {name: cell.strip().removeprefix("'") for name, cell in zip(names, cells, strict=False)}
            yield number, dict.fromkeys(names, "") | filled


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RouterError(f"{path}: expected at most {MOST_BYTES} bytes, found more")
        yield from csv_lines(path, RouterError)
    except OSError as error:
        raise RouterError(f"{path}: expected a readable file: {error.strerror}") from None
