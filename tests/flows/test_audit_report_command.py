"""`waybill audit report` as a command: one file, the seal told as it is, and one line where there is nothing to report on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.audit_report.period import month_of
from flows.audit_report.writing import audit_report
from sinks.errors import LedgerError
from sinks.ledger.note import VerifierKey
from sinks.ledger.segments import Ledger
from sinks.ledger.signing import verifier_keys
from tests.flows.report_ledgers import ordinary
from tests.flows.report_page import ALL, NOW, Page, made, of_the_ledger


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ordinary(tmp_path_factory.mktemp("quarter") / "ledger")


def key_of(ledger: Path) -> list[VerifierKey]:
    return verifier_keys((ledger.with_name(f"{ledger.name}.keys") / "signing.pub").read_text())


def test_the_seal_is_told_as_it_is(quarter: Path, tmp_path: Path) -> None:
    (key,) = key_of(quarter)
    report = audit_report(quarter, ALL, now=NOW)
    assert report.verification.told == "self-consistent, key not pinned"
    assert str(key).split("+")[1] in report.html
    pinned = audit_report(quarter, ALL, now=NOW, keys=[key], deep=True)
    assert pinned.verification.told == "intact, signed by the pinned key"
    Ledger.open(tmp_path / "other")
    assert audit_report(quarter, ALL, now=NOW, keys=key_of(tmp_path / "other")).verification.intact is False


def test_a_ledger_that_was_edited_is_reported_as_such(quarter: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    ledger = tmp_path / "edited"
    shutil.copytree(quarter, ledger)
    segment = ledger / "segments" / "00000005.parquet"
    with pq.ParquetFile(segment) as file:
        table = file.read()
    actors = table.column("actor").to_pylist()
    actors[3] = "Somebody Else"
    table = table.set_column(table.column_names.index("actor"), table.schema.field("actor"), [actors])
    segment.chmod(0o640)
    pq.write_table(table, segment)
    said = cli("audit", "report", "--ledger", ledger, "--output", tmp_path / "r.html", code=1)
    assert "NOT INTACT: first bad entry" in said.out
    page = Page((tmp_path / "r.html").read_text())
    assert [attributes["class"] for _, attributes in page.tags if str(attributes.get("class", "")).startswith("verdict")] == ["verdict bad"]


def test_the_command_writes_one_file(quarter: Path, tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli("audit", "report", "--ledger", quarter, "--month", "2026-10")
    assert (said.out, said.err) == ("waybill-audit-2026-10.html: self-consistent, key not pinned\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["waybill-audit-2026-10.html"]
    assert (tmp_path / "waybill-audit-2026-10.html").stat().st_mode & 0o777 == 0o640
    printed = cli("audit", "report", "--ledger", quarter, "--since", "2026-10-01", "--until", "2026-11-01", "--output", "-").out
    assert Page(printed).ribbons() == of_the_ledger(quarter, month_of(date(2026, 10, 1)))


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--month", "2026-10", "--since", "2026-10-01"), 2, "either --month"),
        (("--since", "2026-10-02", "--until", "2026-10-02"), 2, "not after"),
        (("--month", "2026-13"), 2, "--month"),
        (("--month", "9999-12"), 0, ""),
        (("--output", "none/r.html"), 1, "another file"),
        (("--ledger", "nowhere"), 1, "no ledger here"),
        (("--registry", "nowhere.yaml"), 2, "nowhere.yaml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_the_command_refuses(
    *,
    options: tuple[str, ...],
    code: int,
    words: str,
    quarter: Path,
    tmp_path: Path,
    cli: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = cli("audit", "report", "--ledger", quarter, *options, code=code)
    assert words in said.err
    assert "Traceback" not in said.err


def test_no_ledger_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LedgerError):
        made(tmp_path / "none")
