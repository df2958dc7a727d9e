"""Reading the ledger: a private DuckDB connection over the segment files, with just the views a question needs.

`ledger.duckdb` is for people; the program never opens it, so that nobody's open client can stand in a run's way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from sinks.errors import LedgerError, LedgerUnavailableError
from sinks.ledger import files, views
from sinks.ledger.segments import Ledger


@dataclass(frozen=True, slots=True)
class Reader:
    """A view of the ledger as of segment `head`: whatever is committed later is not in it."""

    head: int
    connection: duckdb.DuckDBPyConnection

    def table(self, query: str, /, **parameters: Any) -> pa.Table:
        """The answer to a query, as columns. `parameters` fill `$name` in it."""
        return self.connection.sql(query, params=parameters or None).to_arrow_table()


def folder_of(ledger: Ledger | Path) -> Path:
    """The folder of an open ledger, or the folder itself."""
    return ledger.path if isinstance(ledger, Ledger) else ledger.resolve()


@contextmanager
def reading(
    ledger: Ledger | Path,
    needed: Sequence[str] = (),
    *,
    run_id: str | None = None,
    record_ids: Iterable[str] | None = None,
    since_segment: int = 1,
) -> Iterator[Reader]:
    """Open the ledger as it is now. `needed`: the views beyond `entries`, those they build on included.

    run_id, record_ids: only entries of this run, about these records. since_segment: only segments from this one on. Raises LedgerError
    when there is no ledger.
    """
    folder = folder_of(ledger)
    try:
        head, paths = files.snapshot(folder, after=since_segment - 1)
        if not head:
            raise LedgerError(f"{folder}: no ledger here (no segments); name the folder that holds `segments`")
        with duckdb.connect(config=views.CONFIG) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            # With no file left to read, the last one still gives the columns; the condition then lets no row of it through.
            listed = paths or [files.numbered(folder / files.SEGMENTS)[-1][1]]
            _choose(connection, listed, none=not paths, run_id=run_id, record_ids=record_ids)
            script = views.statements(views.views_script(folder, entries="FROM chosen"))
            for name in ("entries", *needed):
                connection.execute(script[name])
            yield Reader(head, connection)
    except (OSError, duckdb.IOException) as error:
        raise LedgerUnavailableError(
            f"{folder}: the ledger cannot be read ({type(error).__name__}); check the folder, then run again"
        ) from error


def _choose(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], *, none: bool, run_id: str | None, record_ids: Iterable[str] | None
) -> None:
    entries = connection.read_parquet([str(path) for path in paths])
    if none:
        entries = entries.filter("false")
    if run_id is not None:
        entries = entries.filter(duckdb.ColumnExpression("run_id") == duckdb.ConstantExpression(run_id))
    if record_ids is None:
        entries.create_view("chosen")
        return
    # One pass over the files picks the few entries that several questions are then asked about.
    connection.register("wanted", pa.table({"record_id": pa.array(sorted(set(record_ids)), pa.string())}))
    entries.create_view("of_the_run")
    connection.execute("CREATE TEMP TABLE chosen AS FROM of_the_run e SEMI JOIN wanted w ON w.record_id = e.record_id")
