"""How a command shows a table: for people, as CSV, as JSON lines, or as a Parquet file on stdout."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import click

FORMATS = ("table", "json", "csv", "parquet")


def show(table: Any, fmt: str) -> None:
    """Print an Arrow table. Nothing found is said on stderr, so that a pipe gets only data."""
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
        _rich(table)


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


def _rich(table: Any) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    shown = Table()
    numeric = {name for name in table.column_names if str(table.schema.field(name).type).startswith(("int", "double", "decimal"))}
    filled = [name for name in table.column_names if any(value is not None for value in table[name].to_pylist())]
    for name in filled:
        shown.add_column(name, justify="right" if name in numeric else "left", overflow="fold")
    for row in table.to_pylist():
        shown.add_row(*(_cell(row[name]) for name in filled))
    Console(width=None if sys.stdout.isatty() else 200).print(shown)


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
