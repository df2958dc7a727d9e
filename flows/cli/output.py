"""How a command shows a table: for people, as CSV, as JSON lines, or as a Parquet file on stdout."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import click

FORMATS = ("table", "json", "csv", "parquet")
PIPE_WIDTH = 160
FOLDED = frozenset({"source", "classes", "what", "model", "reason", "run_id"})
"""Columns that may go over several lines where the terminal is narrow, but not below FOLDED_TO characters."""
FOLDED_TO = 20


def show(table: Any, fmt: str, *, spare: Sequence[str] = ()) -> None:
    """Print an Arrow table; nothing found is said on stderr, so that a pipe gets only data. spare: columns to drop where it is narrow."""
    if fmt == "parquet":
        import pyarrow.parquet as pq  # noqa: PLC0415 - heavy; only where it is asked for

        pq.write_table(table, sys.stdout.buffer)
    elif fmt == "csv":
        from pyarrow import csv  # noqa: PLC0415

        csv.write_csv(_flat(table), sys.stdout.buffer)
    elif fmt == "json":
        for row in table.to_pylist():
            click.echo(json.dumps(row, default=plain))
    elif not table.num_rows:
        click.echo("nothing found", err=True)
    else:
        _rich(table, spare)


def plain(value: object) -> object:
    """What JSON has no word for."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else repr(value)


def _flat(table: Any) -> Any:
    """CSV has no lists: they become JSON text."""
    import pyarrow as pa  # noqa: PLC0415

    columns = {
        name: pa.array([None if value is None else json.dumps(value, default=plain) for value in table[name].to_pylist()], pa.string())
        if pa.types.is_nested(table.schema.field(name).type)
        else table[name]
        for name in table.column_names
    }
    return pa.table(columns)


def _rich(table: Any, spare: Sequence[str]) -> None:
    """As a table where it fits, folding texts, else one block a row: thirty narrow columns are read by nobody."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    # The terminal's width; COLUMNS, where somebody set it; and for a pipe, which has none, enough for every table here.
    width = shutil.get_terminal_size((PIPE_WIDTH, 24)).columns
    console = Console(width=width, markup=False, emoji=False, highlight=False)
    rows = [{name: _cell(value) for name, value in row.items()} for row in table.to_pylist()]
    widths = {name: max(map(len, column)) for name in table.column_names if any(column := [row[name] for row in rows])}
    needed = {name: max(min(width, FOLDED_TO) if name in FOLDED else width, len(name)) for name, width in widths.items()}
    for name in spare:
        if _sum(needed) > console.width:
            needed.pop(name, None)
    if _sum(needed) <= console.width:
        shown = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for name in needed:
            numeric = _is_numeric(table.schema.field(name))
            shown.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=name not in FOLDED)
        for row in rows:
            shown.add_row(*(row[name] for name in needed))
        console.print(shown)
        return
    margin = max(map(len, widths))
    for number, row in enumerate(rows, start=1):
        console.print(f"── {number} of {len(rows)}")
        for name in widths:
            if row[name]:
                console.print(f"{name:{margin}}  {row[name]}", soft_wrap=True)


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
    return f"{value:g}" if isinstance(value, float) else str(value)
