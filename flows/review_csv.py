"""CSV as reviewers send it back: with a byte order mark or without, with commas, semicolons or tabs, as the first line has most of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from flows.errors import FlowError

DELIMITERS = ",;\t"


def csv_lines(path: Path, wrong: type[FlowError]) -> Iterator[tuple[int, list[str]]]:
    """Cells, with the number of the line that they end at. Raises `wrong` with FILE or FILE:LINE; an OSError is the caller's to name."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise wrong(f"{path}: expected CSV in UTF-8, found another encoding; save it as `CSV UTF-8`") from None
    head = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=head.count), strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error:
        raise wrong(f"{path}:{reader.line_num}: expected a line of CSV, found a quote that does not end") from None
