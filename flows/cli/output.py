"""How a command shows a table: for people, as CSV, as JSON lines, or as Parquet; on stdout or into a file."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

import click

FORMATS = ("table", "json", "csv", "parquet")
PIPE_WIDTH = 160
FOLDED = frozenset({"source", "classes", "what", "model", "reason", "run_id"})
"""Columns that may go over several lines where the terminal is narrow, but not below FOLDED_TO characters."""
FOLDED_TO = 20
FORMULA = r"\A(\s*[=+\-@\t\r\n\x{FF0B}\x{FF0D}\x{FF1D}\x{FF20}])"
"""What makes a spreadsheet compute a cell, wide forms included."""


def show(table: Any, fmt: str, *, spare: Sequence[str] = (), output: Path | None = None) -> None:
    """Print an Arrow table, or write it to a file; to a person, that nothing was found is said on stderr.

    spare: columns to drop where it is narrow. The file is for its owner only, and is there in full or not at all.
    """
    if fmt == "table" and output is None:
        _rich(table, spare, sys.stdout)
    else:
        data = _encoded(table, fmt, spare)
        if output is not None:
            _write(output, data)
        elif fmt == "parquet" and _is_terminal():
            raise click.UsageError("Parquet is nothing for a terminal: add --output FILE, or pipe it")
        else:
            sys.stdout.buffer.write(data)
    if fmt == "table" and not table.num_rows:
        click.echo("nothing found", err=True)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _encoded(table: Any, fmt: str, spare: Sequence[str]) -> bytes:
    if fmt == "json":
        return "".join(json.dumps(row, default=plain) + "\n" for row in table.to_pylist()).encode()
    if fmt == "table":
        text = io.StringIO()
        _rich(table, spare, text)
        return text.getvalue().encode()
    buffer = io.BytesIO()
    if fmt == "parquet":
        import pyarrow.parquet as pq  # noqa: PLC0415 - heavy; only where it is asked for

        pq.write_table(table, buffer)
    else:
        from pyarrow import csv  # noqa: PLC0415

        csv.write_csv(_flat(table), buffer)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    from sinks.durable import PRIVATE_FILE, replace  # noqa: PLC0415

    try:
        replace(path, data, mode=PRIVATE_FILE)
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written ({error.strerror}); name a file in a folder that is there") from None


def plain(value: object) -> object:
    """What JSON has no word for."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else repr(value)


def _flat(table: Any) -> Any:
    """CSV has no lists: they become JSON text. Text that a spreadsheet would compute gets an apostrophe in front, and stays text.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_nested(column.type):
            column = pa.array([None if value is None else json.dumps(value, default=plain) for value in column.to_pylist()], pa.string())
        if pa.types.is_decimal(column.type):  # Arrow, too, writes an amount of nothing as 0E-9
            column = pa.array([None if value is None else format(value, "f") for value in column.to_pylist()], pa.string())
        elif pa.types.is_string(column.type):
            column = pc.replace_substring_regex(column, FORMULA, r"'\1")
        columns[name] = column
    return pa.table(columns)


def _rich(table: Any, spare: Sequence[str], file: TextIO) -> None:
    """As a table where it fits, folding texts, else one block a row: thirty narrow columns are read by nobody."""
    from rich.console import Console  # noqa: PLC0415

    # The terminal's width; COLUMNS, where somebody set it; and for a pipe, which has none, enough for every table here.
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns
    console = Console(file=file, width=width, markup=False, emoji=False, highlight=False)
    rows = [{name: _cell(value) for name, value in row.items()} for row in table.to_pylist()]
    widths = {
        name: max(map(len, column), default=0) for name in table.column_names if any(column := [row[name] for row in rows]) or not rows
    }
    needed = {name: max(min(width, FOLDED_TO) if name in FOLDED else width, len(name)) for name, width in widths.items()}
    for name in spare:
        if _sum(needed) > console.width:
            needed.pop(name, None)
    if not rows or _sum(needed) <= console.width:
        console.print(_drawn(table, needed, rows))
        return
    margin = max(map(len, widths))
    for number, row in enumerate(rows, start=1):
        console.print(f"── {number} of {len(rows)}")
        for name in widths:
            if row[name]:
                console.print(f"{name:{margin}}  {row[name]}", soft_wrap=True)


def _drawn(table: Any, names: Iterable[str], rows: Sequence[Mapping[str, str]]) -> Any:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    shown = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        numeric = _is_numeric(table.schema.field(name))
        shown.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=name not in FOLDED)
    for row in rows:
        shown.add_row(*(row[name] for name in names))
    return shown


def _sum(needed: Mapping[str, int]) -> int:
    """Columns and what is between them."""
    return sum(needed.values()) + 2 * len(needed)


def _is_numeric(column: Any) -> bool:
    return str(column.type).startswith(("int", "uint", "double", "decimal"))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value)
    if isinstance(value, dict):
        return " ".join(_cell(item) for item in value.values() if item is not None)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, float | Decimal):  # str() of an amount of nothing is 0E-9
        return format(value, "g" if isinstance(value, float) else "f")
    # What steers a terminal (in the name of a file, say) is shown, not obeyed.
    return "".join(one if one.isprintable() or one == "\n" else f"\\x{ord(one):02x}" for one in str(value))
