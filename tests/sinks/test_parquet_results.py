from __future__ import annotations

import errno
import grp
import hashlib
import hmac
import json
import os
import random
import stat
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sinks.columns import FIXED_SCHEMA
from sinks.errors import ResultsError
from sinks.parquet import ResultRow, Status, root_name, write_results

SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}, "parties": {"type": "array", "items": {"type": "string"}}}}


def keyed(data: bytes) -> str:
    return hmac.digest(b"test key", data, "sha256").hex()[:32]


def row(record_id: str = "r-1", **values: Any) -> ResultRow:
    stated = {"run_id": "n-1", "task": "extract", "status": Status.COMPLETED, "data_classes": ("CLEAN",), "source": "inbox/a.txt", **values}
    return ResultRow(record_id=record_id, **stated)


def extracted(number: int) -> ResultRow:
    output = json.dumps({"amount": number / 2, "parties": ["Ada Example"]})
    return row(f"r-{number:03}", output=output, cost_usd=Decimal("0.000001"), tokens_in=5, model="m")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_same_rows_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    rows = [extracted(number) for number in range(50)]
    first = write_results(tmp_path / "clean" / "a.parquet", rows, SCHEMA, digest=keyed)
    random.Random(7).shuffle(rows)  # an order, not a secret
    second = write_results(tmp_path / "clean" / "b.parquet", rows, SCHEMA, digest=keyed)
    assert first.path.read_bytes() == second.path.read_bytes()
    assert (first.digest, first.row_digests) == (second.digest, second.row_digests)
    assert first.digest == keyed(first.path.read_bytes())


def test_rows_are_where_the_receipt_says(tmp_path: Path) -> None:
    written = write_results(tmp_path / "clean" / "a.parquet", [extracted(3), extracted(1), extracted(2)], SCHEMA, digest=keyed)
    assert pq.read_table(written.path)["record_id"].to_pylist() == list(written.record_ids) == ["r-001", "r-002", "r-003"]


def test_typed_columns_stand_beside_the_fixed_ones(tmp_path: Path) -> None:
    written = write_results(
        tmp_path / "clean" / "a.parquet", [extracted(3), row("r-9", status=Status.HELD, error_code="budget")], SCHEMA, digest=keyed
    )
    table = pq.read_table(written.path)
    assert table.column_names == [*FIXED_SCHEMA.names, "amount", "parties"]
    first, second = table.to_pylist()
    assert (first["amount"], first["parties"], first["cost_usd"], first["status"]) == (
        1.5,
        ["Ada Example"],
        Decimal("0.000001000"),
        "completed",
    )
    assert (second["amount"], second["output"], second["error_code"]) == (None, None, "budget")


def test_what_answered_and_in_which_pieces_stands_in_the_row(tmp_path: Path) -> None:
    rows = [row("r-1", weights_digest="ab", lora_digest="cd", chunks=((0, 40), (40, 55))), row("r-2")]
    first, second = pq.read_table(write_results(tmp_path / "clean" / "a.parquet", rows, digest=keyed).path).to_pylist()
    assert (first["weights_digest"], first["lora_digest"]) == ("ab", "cd")
    assert first["chunks"] == [{"start": 0, "end": 40}, {"start": 40, "end": 55}]
    assert (second["weights_digest"], second["chunks"]) == (None, None)


@pytest.mark.parametrize(
    "change",
    [{"output": "other"}, {"data_classes": ("PII",)}, {"cost_usd": Decimal(2)}, {"source_id": "7"}, {"status": Status.FAILED}],
    ids=lambda change: next(iter(change)),
)
def test_any_change_of_a_row_changes_its_digest(tmp_path: Path, change: dict[str, Any]) -> None:
    first = write_results(tmp_path / "PII" / "a.parquet", [row()], digest=keyed)
    second = write_results(tmp_path / "PII" / "b.parquet", [replace(row(), **change)], digest=keyed)
    assert first.row_digests != second.row_digests


def test_digests_are_keyed(tmp_path: Path) -> None:
    written = write_results(tmp_path / "clean" / "a.parquet", [row(output="short")], digest=keyed)
    assert hashlib.sha256(written.path.read_bytes()).hexdigest()[:32] != written.digest


@pytest.mark.parametrize(
    ("classes", "expected"),
    [((), "clean"), (("CLEAN",), "clean"), (("PHI", "NPI"), "NPI+PHI"), (("CLEAN", "PII"), "PII"), (("UNSCANNABLE",), "UNSCANNABLE")],
    ids=["none", "clean", "two", "clean and more", "unscannable"],
)
def test_roots_are_named_by_class(classes: tuple[str, ...], expected: str) -> None:
    assert root_name(classes) == expected


@pytest.mark.parametrize(
    ("classes", "expected"), [(("NPI",), "restricted"), (("CLEAN",), "restricted"), ((), "restricted")], ids=["restricted", "clean", "none"]
)
def test_a_partial_scan_names_no_root_of_its_own(classes: tuple[str, ...], expected: str) -> None:
    assert root_name(classes, partial=True) == expected


def test_a_root_of_very_many_classes_still_fits_a_file_name() -> None:
    names = [f"CLASS_{number:034}" for number in range(20)]
    assert len(root_name(names)) < 255
    assert root_name(names) != root_name(names[:-1])


def test_restricted_roots_are_for_their_owner_alone(tmp_path: Path) -> None:
    root = tmp_path / "NPI+PHI"
    root.mkdir(mode=0o755)
    written = write_results(root / "a.parquet", [row(data_classes=("PHI", "NPI"))], digest=keyed)
    assert (mode(root), mode(written.path)) == (0o700, 0o600)


def test_a_group_may_be_let_in_per_root(tmp_path: Path) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    written = write_results(tmp_path / "PHI" / "a.parquet", [row(data_classes=("PHI",))], digest=keyed, group=group)
    assert (mode(tmp_path / "PHI"), mode(written.path), written.path.stat().st_gid) == (0o750, 0o640, os.getgid())


def test_an_unknown_group_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no group 'nobody-has-this'"):
        write_results(tmp_path / "PHI" / "a.parquet", [row(data_classes=("PHI",))], digest=keyed, group="nobody-has-this")
    assert not list((tmp_path / "PHI").iterdir())


def test_a_restricted_row_is_not_written_under_clean(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="own root"):
        write_results(tmp_path / "clean" / "a.parquet", [row(), row("r-2", data_classes=("PII",))], digest=keyed)
    assert not (tmp_path / "clean").exists()


def test_two_rows_of_one_record_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="one row per record"):
        write_results(tmp_path / "clean" / "a.parquet", [row(), row(output="again")], digest=keyed)


def test_a_full_disk_keeps_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clean" / "a.parquet"
    write_results(path, [row(output="canary")], digest=keyed)
    before = path.read_bytes()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(ResultsError, match="No space left") as caught:
        write_results(path, [row(output="canary two")], digest=keyed)
    assert "canary" not in str(caught.value)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["a.parquet"]


def test_an_output_that_is_no_text_is_stored_all_the_same(tmp_path: Path) -> None:
    written = write_results(tmp_path / "clean" / "a.parquet", [row(output="half \ud83d")], digest=keyed)
    assert pq.read_table(written.path)["output"].to_pylist() == ["half ?"]


def test_no_rows_make_an_empty_file(tmp_path: Path) -> None:
    written = write_results(tmp_path / "held" / "rows.parquet", [], SCHEMA, digest=keyed)
    assert pq.read_table(written.path).num_rows == 0


def test_a_repr_shows_no_output() -> None:
    assert "secret" not in repr(row(output="secret", source="secret.txt"))
