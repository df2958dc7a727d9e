"""Before the first hand-over: every table has its columns, and no id is there twice.

Memory stays flat: the ids seen are kept in a temporary SQLite database that SQLite itself spills to disk and deletes, as keyed
hashes with a key that exists for this call only, because an id may be a social security number (invariant 5).
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from detectors.document import ReadProblem
from flows.errors import JobError
from flows.job import Job
from flows.sources.opening import CannotReadError
from flows.sources.table import BrokenTableError, Row, as_text
from flows.sources.tables import is_table, open_table
from flows.sources.walk import list_files, shown

CACHE_KIB = 16 * 1024


def check_duplicates(job: Job) -> None:
    """Raises JobError naming the table and the missing column, or both places of an id that is there twice."""
    key = secrets.token_bytes(32)
    files: list[str] = []
    with closing(sqlite3.connect("", isolation_level=None)) as seen:  # "": a private file in the temporary folder, deleted on close
        seen.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        seen.execute("PRAGMA journal_mode = OFF")
        seen.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY, file INTEGER, line INTEGER) WITHOUT ROWID")
        seen.execute("BEGIN")
        for path in list_files(job.source):
            if not is_table(path):
                continue
            files.append(shown(path))
            scope = files[-1] if job.source.ids == "file" else ""
            for row_id, line in _ids(job, path):
                digest = hashlib.blake2b(f"{scope}\x00{row_id}".encode("utf-8", "surrogatepass"), key=key, digest_size=16).digest()
                place = (digest, len(files) - 1, line)
                if seen.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", place).rowcount == 0:
                    ((file, first),) = seen.execute("SELECT file, line FROM seen WHERE digest = ?", (digest,)).fetchall()
                    raise JobError(_message(job, files[file], first, files[-1], line))


def _ids(job: Job, path: str) -> Iterator[tuple[str, int]]:
    try:
        with open_table(job.source, path) as table:
            for row in table.rows(table.whole(), (job.source.id,)):
                row_id = row_id_of(row, job.source.id)
                if row_id:
                    yield row_id, row.line
    except (CannotReadError, BrokenTableError):
        return  # held as a whole when it is read


def row_id_of(row: Row, column: str) -> str:
    """The row's own id, or "" when it has none that can be used."""
    if row.problem in {ReadProblem.CORRUPT, ReadProblem.TOO_LARGE}:
        return ""
    try:
        return as_text(row.values.get(column)) or ""
    except ValueError:
        return ""


def _message(job: Job, first_file: str, first_line: int, file: str, line: int) -> str:
    advice = (
        "make the ids unique"
        if job.source.ids == "file"
        else "make the ids unique, or set source.ids: file if they only are within each file"
    )
    return (
        f"{job.source.place_of(file)}:{line}: expected every {job.source.id!r} once, "
        f"found the id of {job.source.place_of(first_file)}:{first_line} again; {advice}"
    )
