"""Reading the ledger: a private DuckDB connection over the segment files, with just the views a question needs.

`ledger.duckdb` is for people; the program never opens it, so that nobody's open client can stand in a run's way.
"""

from __future__ import annotations

import atexit
import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from sinks.errors import LedgerError, LedgerUnavailableError
from sinks.ledger import files, views
from sinks.ledger.index import of_runs
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
    run_id: str | Sequence[str] | None = None,
    record_ids: Sequence[str] | None = None,
    about: Sequence[str] | None = None,
    since_segment: int = 1,
    share: tuple[int, int] | None = None,
    columns: Sequence[str] = (),
) -> Iterator[Reader]:
    """Open the ledger as it is now. `needed`: the views beyond `entries`, those they build on included.

    run_id, record_ids: only entries of this run, or of these, about these records. about: only segments that speak of these intents or runs
    (`index.run_name`). since_segment: only segments from this one on. share: (k, n), only
    entries about the k-th of n shares of the records. columns: no views, but `chosen`, these columns of the entries.
    Raises LedgerError when there is no ledger.
    """
    folder = folder_of(ledger)
    names = [*(record_ids or ()), *(about or ())]
    try:
        runs = None if run_id is None else (run_id,) if isinstance(run_id, str) else tuple(run_id)
        with _database().cursor() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            for again in (True, False):
                try:
                    head, paths = _listed(ledger, since_segment, runs, names)
                    _choose(connection, folder, paths, runs=runs, record_ids=record_ids, share=share, columns=columns)
                    break
                except (FileNotFoundError, duckdb.IOException):
                    if not again:
                        raise  # compaction deletes what it has copied, but not twice in a moment
            script = {} if columns else views.statements(views.views_script(folder, entries="FROM chosen"))
            for name in () if columns else ("entries", *needed):
                connection.execute(_temporary(script[name]))
            yield Reader(head, connection)
    except (OSError, duckdb.IOException) as error:
        raise LedgerUnavailableError(
            f"{folder}: the ledger cannot be read ({type(error).__name__}); check the folder, then run again"
        ) from error
    except (duckdb.InvalidInputException, duckdb.SerializationException) as error:
        damaged = files.first_damaged(folder)
        if damaged is None:
            raise
        raise LedgerUnavailableError(f"{damaged}: not a readable Parquet file; restore it from a copy and verify the ledger") from error


def _listed(ledger: Ledger | Path, since_segment: int, runs: Sequence[str] | None, names: Sequence[str]) -> tuple[int, list[Path]]:
    """The head, and the files that may hold an answer."""
    folder = folder_of(ledger)
    head, paths = files.snapshot(folder, after=since_segment - 1)
    if not head:
        raise LedgerError(f"{folder}: no ledger here (no segments); name the folder that holds `segments`")
    if runs is not None:
        paths = of_runs(paths, runs)
    if names and isinstance(ledger, Ledger):
        paths = ledger.index.about(paths, names)
    return head, paths


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One empty in-memory database for the process; every reading is a cursor of its own, with temporary views nobody else sees."""
    return duckdb.connect(config=views.CONFIG)


@contextmanager
def one_thread() -> Iterator[None]:
    """Ask with one thread meanwhile: for who asks many small questions, beside processes that need the cores.

    Several take a tenth more CPU time, and each holds tens of megabytes of what it worked with.
    """
    _database().execute("SET threads = 1")
    try:
        yield
    finally:
        _database().execute("RESET threads")


def _leave_to_the_parent() -> None:
    """In a forked child: start anew, and never destroy what was inherited, whose threads are the parent's: that crashes or hangs."""
    if _database.cache_info().currsize:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(_database()))
    _database.cache_clear()


os.register_at_fork(after_in_child=_leave_to_the_parent)
atexit.register(_database.cache_clear)  # else DuckDB complains of it at the exit of a process with Prefect's threads


def _temporary(statement: str) -> str:
    return statement.replace("CREATE VIEW", "CREATE TEMP VIEW", 1).replace("CREATE MACRO", "CREATE TEMP MACRO", 1)


def _choose(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    paths: Sequence[Path],
    *,
    runs: Sequence[str] | None,
    record_ids: Sequence[str] | None,
    share: tuple[int, int] | None,
    columns: Sequence[str],
) -> None:
    """The entries that the views stand on, as `chosen`."""
    # With no file to read, the last one still gives the columns; the condition then lets no row of it through.
    listed = paths or [files.numbered(folder / files.SEGMENTS)[-1][1]]
    conditions = [] if paths else ["false"]
    if runs is not None:
        conditions.append(f"run_id IN ({', '.join(map(_quoted, runs))})")
    if share is not None:
        conditions.append(f"(record_id IS NULL OR hash(record_id) % {share[1]:d} = {share[0]:d})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    older = views.is_older(listed[0])
    by_name = f", {views.BY_NAME}" if older else ""
    rows = views.rows_of(f"FROM read_parquet([{', '.join(_quoted(str(path)) for path in listed)}]{by_name}){where}", older=older)
    selected = f"SELECT {', '.join(columns)} " if columns else ""
    if record_ids is None:
        connection.execute(f"CREATE TEMP VIEW chosen AS {selected}FROM ({rows})")
        return
    connection.register("wanted", pa.table({"record_id": pa.array(sorted(set(record_ids)), pa.string())}))
    picked = f"FROM ({rows}) e SEMI JOIN wanted w ON w.record_id = e.record_id"
    if columns:
        connection.execute(f"CREATE TEMP VIEW chosen AS {selected}{picked}")
    else:  # one pass over the files picks the few entries that several questions are then asked about
        connection.execute(f"CREATE TEMP TABLE chosen AS {picked}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
