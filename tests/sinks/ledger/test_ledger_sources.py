from __future__ import annotations

import os
import stat
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sinks.errors import LedgerUnavailableError
from sinks.ledger import files
from sinks.ledger.erasure import erase
from sinks.ledger.segments import Ledger
from sinks.ledger.sources import FORGOTTEN, MOST_FILES, SourceName, find, lookup, merge_files, readable_names, remember

LETTER = SourceName(record_id="r-1", source="inbox/letter for Ada Example.txt", family="f-1", title="Letter")
TABLE_ROW = SourceName(record_id="r-2", source="inbox/table.csv", source_id="42")


def test_names_come_back(ledger: Ledger) -> None:
    assert remember(ledger.path, [LETTER, TABLE_ROW]) == 2
    assert lookup(ledger.path, ["r-1", "r-2", "r-3"]) == {"r-1": LETTER, "r-2": TABLE_ROW}


def test_only_what_is_new_or_changed_is_written(ledger: Ledger) -> None:
    remember(ledger.path, [LETTER])
    assert remember(ledger.path, [LETTER]) == 0
    changed = SourceName(record_id="r-1", source=LETTER.source, family="f-2")
    assert remember(ledger.path, [changed, TABLE_ROW]) == 2
    assert lookup(ledger.path, ["r-1"]) == {"r-1": changed}


def test_a_name_of_undecodable_bytes_is_kept_readable(ledger: Ledger) -> None:
    odd = SourceName(record_id="r-1", source=os.fsdecode(b"inbox/\xff.txt"))
    assert remember(ledger.path, [odd]) == 1
    assert remember(ledger.path, [odd]) == 0
    assert lookup(ledger.path, ["r-1"])["r-1"].source == "inbox/\\udcff.txt"


def test_forgotten_names_are_in_no_byte_of_the_ledger_and_the_log_is_untouched(ledger: Ledger) -> None:
    remember(ledger.path, [LETTER])
    remember(ledger.path, [SourceName(record_id="r-1", source=LETTER.source, title="Second title"), TABLE_ROW])
    segments = {path: path.read_bytes() for path in (ledger.path / files.SEGMENTS).iterdir()}
    assert erase(ledger.path, ["r-1"]) == 2
    assert lookup(ledger.path, ["r-1", "r-2"]) == {"r-1": SourceName(record_id="r-1", source=FORGOTTEN), "r-2": TABLE_ROW}
    for path in ledger.path.rglob("*"):
        assert path.is_dir() or b"Ada Example" not in path.read_bytes()
    assert segments == {path: path.read_bytes() for path in (ledger.path / files.SEGMENTS).iterdir()}


def test_many_small_files_become_one_that_says_the_same(ledger: Ledger) -> None:
    for number in range(MOST_FILES + 1):
        remember(ledger.path, [SourceName(record_id=f"r-{number % 40}", source="inbox/a.txt", title=str(number))])
    ids = [f"r-{number}" for number in range(40)]
    before = lookup(ledger.path, ids)
    merge_files(ledger.path)
    assert len(files.numbered(ledger.path / files.SOURCES)) == 1
    assert lookup(ledger.path, ids) == before
    assert remember(ledger.path, [LETTER]) == 1
    assert Ledger.open(ledger.path).head() == 1


def test_names_are_for_the_owner_alone(ledger: Ledger) -> None:
    remember(ledger.path, [LETTER])
    erase(ledger.path, ["r-2"])
    for path in (ledger.path / files.SOURCES).iterdir():
        assert path.name == ".lock" or stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_repr_shows_no_name() -> None:
    assert "Ada" not in repr(LETTER)


def test_names_that_cannot_be_written_stop_the_run(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(LedgerUnavailableError, match="No space left") as caught:
        remember(ledger.path, [LETTER])
    assert "Ada" not in str(caught.value)


def test_an_empty_ledger_knows_nobody(tmp_path: Path) -> None:
    assert lookup(Ledger.open(tmp_path / "ledger").path, ["r-1"]) == {}


def test_records_are_found_by_their_source(ledger: Ledger) -> None:
    remember(ledger.path, [LETTER, TABLE_ROW, SourceName(record_id="r-0", source=TABLE_ROW.source, source_id="41")])
    assert find(ledger.path, TABLE_ROW.source) == ["r-0", "r-2"]
    assert find(ledger.path, "inbox/table") == []
    erase(ledger.path, ["r-2"])
    assert find(ledger.path, TABLE_ROW.source) == ["r-0"]


def test_a_file_is_opened_once_however_many_batches_follow(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = pq.ParquetFile

    def counted(path: Path) -> pq.ParquetFile:
        opened.append(path.name)
        return real(path)

    monkeypatch.setattr("sinks.ledger.sources.pq.ParquetFile", counted)
    for number in range(20):
        remember(ledger.path, [SourceName(record_id=f"r-{number}", source="inbox/a.txt")])
    assert len(opened) == len(set(opened)) == 20


def test_what_was_forgotten_after_it_was_looked_up_stays_forgotten(ledger: Ledger) -> None:
    remember(ledger.path, [LETTER, TABLE_ROW])
    assert set(lookup(ledger.path, ["r-1", "r-2"])) == {"r-1", "r-2"}
    erase(ledger.path, ["r-1"])
    assert {name.source for name in lookup(ledger.path, ["r-1", "r-2"]).values()} == {FORGOTTEN, TABLE_ROW.source}
    assert remember(ledger.path, [LETTER]) == 0
    assert lookup(ledger.path, ["r-1"])["r-1"].source == FORGOTTEN


def test_who_may_not_read_the_names_gets_none(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> list[str]:
        raise PermissionError(path)

    remember(ledger.path, [LETTER])
    assert readable_names(ledger.path, ["r-1"]) == {"r-1": LETTER}
    monkeypatch.setattr("sinks.ledger.files.os.listdir", refuse)
    assert readable_names(ledger.path, ["r-1"]) == {}
