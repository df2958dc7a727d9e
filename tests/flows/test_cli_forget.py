"""`waybill ledger forget`: the names go, the log stays, verifies, and says that they went; a legal hold keeps them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sinks.ledger import views
from sinks.ledger.sources import find, lookup


@pytest.fixture
def old(finished_night: Any, tmp_path: Path) -> Any:
    folder = tmp_path / "copy"
    shutil.copytree(finished_night.job.parent, folder)
    return type(finished_night)(job=folder / finished_night.job.name, out=folder / "out")


def forget(cli: Callable[..., Any], night: Any, *options: object, code: int = 0) -> Any:
    return cli("ledger", "forget", "--ledger", night.ledger, "--reason", "erasure_request", "--actor", "mara", *options, code=code)


def mentions(ledger: Path, name: str) -> list[str]:
    return [path.name for path in ledger.rglob("*") if path.is_file() and name.encode() in path.read_bytes()]


def record_of(night: Any, source: str) -> str:
    (record_id,) = find(night.ledger, source)
    return record_id


def test_a_source_is_forgotten_with_its_members(old: Any, cli: Callable[..., Any]) -> None:
    record_id = record_of(old, "mail/timetable.eml")
    assert mentions(old.ledger, "timetable.eml")
    assert "2 records forgotten" in forget(cli, old, "--source", "mail/timetable.eml").out
    assert mentions(old.ledger, "timetable.eml") == []
    assert mentions(old.ledger, "#letter.txt") == []
    assert "forgotten" in cli("audit", "document", record_id, "--ledger", old.ledger).out
    assert lookup(old.ledger, [record_id])[record_id].source == "(forgotten)"
    assert "knows no such record" in cli("audit", "document", "mail/timetable.eml", "--ledger", old.ledger, code=1).err
    cli("audit", "verify", "--deep", "--ledger", old.ledger)


def test_a_record_is_forgotten_by_the_beginning_of_its_id(old: Any, cli: Callable[..., Any]) -> None:
    record_id = record_of(old, "bank/letter.txt")
    forget(cli, old, "--record", record_id[:9], "--record", record_of(old, "empty.txt"))
    assert mentions(old.ledger, "bank/letter.txt") == []
    assert "(forgotten)" in cli("held", "list", "--ledger", old.ledger).out
    with duckdb.connect(old.ledger / views.DATABASE, read_only=True) as auditor:
        said = auditor.sql("SELECT record_id, actor, reason, detail_code FROM erasures WHERE erasure = 'forgotten'").fetchall()
        assert len(said) == 2
        assert (record_id, "mara", "erasure_request", "names") in said
        assert auditor.sql("SELECT count(*) FROM sources WHERE source = '(forgotten)'").fetchall() == [(2,)]


def test_old_records_are_forgotten_by_day(old: Any, cli: Callable[..., Any]) -> None:
    assert "0 records forgotten" in forget(cli, old, "--before", "2026-01-01").out
    assert "8 records forgotten" in forget(cli, old, "--before", "2100-01-01").out
    assert mentions(old.ledger, "museum.md") == []


def test_the_next_night_does_not_name_it_again(old: Any, cli: Callable[..., Any]) -> None:
    forget(cli, old, "--source", "empty.txt")
    cli("run", old.job, "--out", old.out, "--date", "2031-01-01")
    assert mentions(old.ledger, "empty.txt") == []


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--source", "nothing.txt"), id="source"),
        pytest.param(("--record", "r" + "0" * 24), id="record"),
        pytest.param(("--record", "r"), id="too short"),
    ],
)
def test_who_is_not_there_cannot_be_forgotten(old: Any, cli: Callable[..., Any], options: tuple[str, str]) -> None:
    assert "names no record" in forget(cli, old, *options, code=1).err


@pytest.mark.parametrize("options", [(), ("--source", "a", "--before", "2026-01-01")], ids=["nothing", "two"])
def test_one_way_to_say_what(old: Any, cli: Callable[..., Any], options: tuple[str, ...]) -> None:
    assert "expected one of --record, --source and --before" in forget(cli, old, *options, code=2).err


def test_a_reason_is_a_code(old: Any, cli: Callable[..., Any]) -> None:
    said = cli("ledger", "forget", "--ledger", old.ledger, "--source", "empty.txt", "--reason", "Ms Castellan asked", code=1)
    assert "expected a code" in said.err
    assert mentions(old.ledger, "Castellan asked") == []


@pytest.mark.parametrize("hold", ["PHI", "RECORD", "RUN"])
def test_a_legal_hold_keeps_the_name(old: Any, cli: Callable[..., Any], hold: str) -> None:
    record_id = record_of(old, "clinic/discharge.txt")
    run_id = next(path.name for path in old.results.iterdir())
    old.job.write_text(old.job.read_text() + f"legal_hold: [{ {'RECORD': record_id, 'RUN': run_id}.get(hold, hold) }]\n")
    job = old.job.parent / "held.yaml"
    job.write_text(old.job.read_text().replace("ledger: unused-ledger", "ledger: out/ledger"))
    said = forget(cli, old, "--source", "clinic/discharge.txt", "--job", job, code=1)
    assert "1 records are under legal hold" in said.err
    assert record_of(old, "clinic/discharge.txt") == record_id


def test_where_there_is_no_ledger_none_is_made(cli: Callable[..., Any], tmp_path: Path) -> None:
    for options in (("--source", "a"), ("--record", "r123456"), ("--before", "2026-01-01")):
        said = cli("ledger", "forget", "--ledger", tmp_path / "none", "--reason", "asked", *options, code=1)
        assert said.err
    assert list(tmp_path.iterdir()) == []
