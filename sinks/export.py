"""`waybill results export`: one current row per document, out of the result files, into one Parquet, CSV or JSONL file.

Which row is current is the ledger's word; the rows come from the result files. An export holds rows of every class that its caller may
read, so it is written 0600 (invariant 7). Where the file of held or failed rows is gone, they are made again from the ledger, in private.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from string import Template

import duckdb
import pyarrow as pa

from sinks import durable
from sinks.columns import FIXED_SCHEMA
from sinks.errors import ResultsError
from sinks.parquet import EXPLICIT_ROWS, ResultRow, write_results


class ExportFormat(StrEnum):
    """What an export can be."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"


_COPY_OPTIONS = {
    ExportFormat.PARQUET: "FORMAT parquet, COMPRESSION zstd",
    ExportFormat.CSV: "FORMAT csv, HEADER",
    ExportFormat.JSONL: "FORMAT json",
}
_ROWS = Template(
    """
    SELECT f.* EXCLUDE (filename, file_row_number)
    FROM read_parquet($files, union_by_name = true, filename = true, file_row_number = true) f
    JOIN wanted w ON w.file = f.filename AND w.record_id = f.record_id AND coalesce(w.result_row, f.file_row_number) = f.file_row_number
    """
)
_NO_ROWS = "FROM no_rows"
# A result that retention deleted has a row that says so, and nothing else.
_COPY = Template(
    """
    COPY (
        FROM ($rows UNION ALL BY NAME SELECT record_id, run_id, status FROM wanted WHERE status = 'purged') ORDER BY record_id
    ) TO $target ($options)
    """
)
PURGED = "purged"
"""The status of a document whose result retention deleted."""


ExplicitRows = Callable[[str], Sequence[ResultRow]]
"""The held and failed rows of a run, by its id, as the ledger gives them."""


def export_current(current: pa.Table, results: Path, target: Path, kind: ExportFormat, *, explicit: ExplicitRows = lambda _: ()) -> int:
    """Write the rows that `sinks.ledger.outcomes.current_results` names to `target`, by record id; returns how many.

    A document whose result was purged has a row with this status and nothing more. results: the folder that `result_file` is relative to;
    held and failed rows are read from `<run_id>/<status>/rows.parquet` in it, or are `explicit` where that is gone.
    Raises ResultsError when a result file is missing, or when a row is not where the ledger says it is.
    """
    if not current.num_rows:
        raise ResultsError(f"{target}: nothing was exported, because there are no results yet; run the job first")
    missing = sorted({name for name in current["result_file"].to_pylist() if name is not None and not (results / name).exists()})
    if missing:
        raise ResultsError(_missing(target, [results / name for name in missing]))
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".tmp-export-") as private:
            wanted = current.append_column("file", pa.array(_files(current, results, Path(private), explicit), pa.string()))
            files = sorted({name for name in wanted["file"].to_pylist() if name is not None})
            part = Path(private) / "part"
            copied = _copy(wanted, files, part, kind)
            if copied != current.num_rows:
                raise ResultsError(
                    f"{target}: expected {current.num_rows} rows, found {copied}; the result files are not those of this ledger"
                )
            part.chmod(durable.PRIVATE_FILE)
            part.replace(target)
    except (OSError, duckdb.IOException) as error:
        raise ResultsError(f"{target}: the export cannot be written ({type(error).__name__}); check the folder, then run again") from None
    return copied


def _missing(target: Path, paths: Sequence[Path]) -> str:
    are = f"and {len(paths) - 1} more are" if len(paths) > 1 else "is"
    return (
        f"{target}: nothing was exported, because {paths[0]} {are} missing; restore the results from a copy, or make those of documents "
        "that are still in the source anew: `waybill run JOB --reprocess`"
    )


def _files(current: pa.Table, results: Path, private: Path, explicit: ExplicitRows) -> list[str | None]:
    rows = zip(current["result_file"].to_pylist(), current["run_id"].to_pylist(), current["status"].to_pylist(), strict=True)
    places: dict[tuple[str, str], Path] = {}
    files: list[str | None] = []
    for file, run_id, status in rows:
        if file is None and status != PURGED and (run_id, status) not in places:
            places[run_id, status] = _explicit_file(f"{run_id}/{status}/{EXPLICIT_ROWS}", results, private, explicit)
        files.append(None if status == PURGED else str(results / file if file else places[run_id, status]))
    return files


def _explicit_file(name: str, results: Path, private: Path, explicit: ExplicitRows) -> Path:
    """Where the held or failed rows of a run are: in its results, or made anew beside the export."""
    if (results / name).exists():
        return results / name
    run_id, status, _ = name.split("/")
    rows = [row for row in explicit(run_id) if row.status == status]
    return write_results(private / name, rows, digest=lambda _: "").path  # nobody is told of this file, so nobody compares its digest


def _copy(wanted: pa.Table, files: list[str], part: Path, kind: ExportFormat) -> int:
    with duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        # What does not fit memory is spilled: beside the private copy, not into a folder of the working directory.
        connection.execute(f"SET temp_directory = {_quoted(str(part.parent))}")
        connection.register("wanted", wanted)
        listed = f"[{', '.join(map(_quoted, files))}]"
        connection.register("no_rows", FIXED_SCHEMA.empty_table())
        rows = _ROWS.substitute(files=listed) if files else _NO_ROWS
        connection.execute(_COPY.substitute(rows=rows, target=_quoted(str(part)), options=_COPY_OPTIONS[kind]))
        ((copied,),) = connection.fetchall()
    return int(copied)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
