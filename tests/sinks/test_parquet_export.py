from __future__ import annotations

import csv
import json
import stat
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sinks.errors import ResultsError
from sinks.export import ExportFormat, export_current
from sinks.parquet import ResultRow, Status, write_results

OLD = {"properties": {"amount": {"type": "integer"}}}
NEW = {"properties": {"amount": {"type": "number"}, "party": {"type": "string"}}}


def write(results: Path, file: str, rows: list[ResultRow], schema: dict[str, Any] | None = None) -> None:
    write_results(results / file, rows, schema, digest=lambda data: str(len(data)))


def row(record_id: str, run_id: str, status: Status = Status.COMPLETED, **values: Any) -> ResultRow:
    return ResultRow(record_id=record_id, run_id=run_id, task="extract", status=status, **values)


def current(*rows: tuple[str, str, str, str | None, int | None]) -> pa.Table:
    names = ["record_id", "run_id", "status", "result_file", "result_row"]
    return pa.Table.from_pylist(
        [dict(zip(names, one, strict=True)) for one in rows],
        schema=pa.schema([(name, pa.int32() if name == "result_row" else pa.string()) for name in names]),
    )


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "it's results"
    write(folder, "n-1/clean/i-0.parquet", [row("r-1", "n-1", output='{"amount": 1}'), row("r-2", "n-1", output='{"amount": 2}')], OLD)
    write(folder, "n-2/PHI/i-1.parquet", [row("r-2", "n-2", output='{"amount": 2.5, "party": "Ada"}', data_classes=("PHI",))], NEW)
    write(folder, "n-2/held/rows.parquet", [row("r-3", "n-2", Status.HELD, error_code="budget")], NEW)
    return folder


CURRENT = current(
    ("r-1", "n-1", "completed", "n-1/clean/i-0.parquet", 0),
    ("r-2", "n-2", "completed", "n-2/PHI/i-1.parquet", 0),
    ("r-3", "n-2", "held", None, None),
)


def test_parquet_has_one_current_row_per_document(results: Path, tmp_path: Path) -> None:
    target = tmp_path / "all.parquet"
    assert export_current(CURRENT, results, target, ExportFormat.PARQUET) == 3
    rows = pq.read_table(target).to_pylist()
    assert [(one["record_id"], one["run_id"], one["status"], one["amount"], one["party"], one["error_code"]) for one in rows] == [
        ("r-1", "n-1", "completed", 1.0, None, None),
        ("r-2", "n-2", "completed", 2.5, "Ada", None),
        ("r-3", "n-2", "held", None, None, "budget"),
    ]
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert {one.name for one in tmp_path.iterdir()} == {"all.parquet", results.name}


def test_csv(results: Path, tmp_path: Path) -> None:
    export_current(CURRENT, results, tmp_path / "all.csv", ExportFormat.CSV)
    with (tmp_path / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(one["record_id"], one["amount"]) for one in rows] == [("r-1", "1.0"), ("r-2", "2.5"), ("r-3", "")]


def test_jsonl(results: Path, tmp_path: Path) -> None:
    export_current(CURRENT, results, tmp_path / "all.jsonl", ExportFormat.JSONL)
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [one["record_id"] for one in rows] == ["r-1", "r-2", "r-3"]
    assert rows[1]["data_classes"] == ["PHI"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (current(("r-1", "n-1", "completed", "n-1/clean/gone.parquet", 0)), "gone.parquet is missing"),
        (current(("r-1", "n-1", "completed", "n-1/clean/i-0.parquet", 1)), "expected 1 rows, found 0"),
        (current(("r-9", "n-1", "completed", "n-1/clean/i-0.parquet", 0)), "expected 1 rows, found 0"),
        (current(("r-9", "n-2", "held", None, None)), "expected 1 rows, found 0"),
        (current(), "no results yet"),
    ],
    ids=["file gone", "another row", "another record", "no held row", "nothing"],
)
def test_results_that_are_not_the_ledgers_are_not_exported(results: Path, tmp_path: Path, wanted: pa.Table, message: str) -> None:
    target = tmp_path / "all.parquet"
    with pytest.raises(ResultsError, match=message):
        export_current(wanted, results, target, ExportFormat.PARQUET)
    assert not target.exists()


def test_a_folder_that_is_not_there_is_named(results: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot be written"):
        export_current(CURRENT, results, tmp_path / "nowhere" / "all.csv", ExportFormat.CSV)
