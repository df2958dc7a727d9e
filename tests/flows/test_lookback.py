"""`waybill audit lookback`: what was sent and would not be sent now; nothing guessed, nothing sent, nothing entered twice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sinks.ledger.entry import Entry, Event
from sinks.ledger.erasure import erase
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger

CANARY = "quetzalcoatl-7719"
TABLE = """id,text
row-one,The pier will be painted in the second week of May.
row-two,The ferry keeps its summer timetable until the end of September.
"""
MAIL = f"""From: Noor Abara <noor@harbour.test>
Subject: Timetable
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=cut

--cut
Content-Type: text/plain

The new ferry timetable is attached for the notice board. {CANARY}
--cut
Content-Type: text/plain; name=pier.txt
Content-Disposition: attachment; filename=pier.txt

The pier opens at six in the morning and closes at ten at night. {CANARY}
--cut--
"""
DOCUMENTS = {
    "public/harbour.txt": f"The harbour council will repave the promenade this spring. {CANARY}\n",
    "public/museum.md": f"# The museum\nAdmission is free on the first Sunday of the month. {CANARY}\n",
    "public/moss #2.txt": f"A new species of moss was described from the slopes above the reservoir. {CANARY}\n",
    "clinic/discharge.txt": "Discharge summary\nPatient: Goran Castellan\nMedical record number: MRN 40718823\n"
    f"The patient was admitted with chest pain. Diagnosis: unstable angina. Treated with aspirin. {CANARY}\n",
    "tables/notices.csv": TABLE,
    "mail/timetable.eml": MAIL,
}
OLD = """version: 1
classes:
  PII: {basis: house rule, any_entity: [US_SSN, MEDICAL_RECORD_NUMBER]}
routes:
  - {when: [PII, UNSCANNABLE], lanes: [local]}
  - {when: [CLEAN], lanes: [cloud, local]}
default: held
"""
SENT = {
    "public/harbour.txt",
    "public/museum.md",
    "public/moss #2.txt",
    "tables/notices.csv",
    "mail/timetable.eml",
    "mail/timetable.eml#pier.txt",
}
"""Seven records: the table has two."""


@pytest.fixture(scope="module")
def sent_night(write: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A night of an old policy, which knew little. Copy it, do not change it."""
    folder = tmp_path_factory.mktemp("sent")
    (folder / "old.yaml").write_text(OLD)
    night = write(folder, DOCUMENTS, extra="policy: old.yaml\n")
    night.run()
    return night


@pytest.fixture
def night(sent_night: Any, tmp_path: Path) -> Any:
    """A copy that a test may change."""
    shutil.copytree(sent_night.job.parent, tmp_path / "copy")
    return type(sent_night)(job=tmp_path / "copy" / "small.yaml", out=tmp_path / "copy" / "out")


def declare(night: Any, glob: str, data_class: str = "TRADE_SECRET") -> None:
    """Today's job says of some files what yesterday's did not."""
    text = night.job.read_text().replace("path: inbox}", f"path: inbox, declared: [{{glob: '{glob}', class: {data_class}}}]}}")
    night.job.write_text(text)


def look(cli: Callable[..., Any], night: Any, *options: str, code: int = 0) -> tuple[list[dict[str, Any]], str]:
    said = cli("audit", "lookback", "--job", night.job, "--ledger", night.ledger, "--names", "--format", "json", *options, code=code)
    assert CANARY not in said.out + said.err
    return [json.loads(line) for line in said.out.splitlines()], said.err


def entries(night: Any) -> list[dict[str, Any]]:
    with reading(night.ledger) as reader:
        return list(reader.table("FROM entries WHERE event = 'lookback' ORDER BY seq").to_pylist())


def handed_over(night: Any) -> int:
    with reading(night.ledger) as reader:
        return int(reader.table("SELECT count(*) AS n FROM entries WHERE event = 'submitting'")["n"][0].as_py())


def test_nothing_has_changed(night: Any, cli: Callable[..., Any]) -> None:
    before = handed_over(night)
    rows, totals = look(cli, night)
    assert rows == []
    assert "0 of 7 records that were sent would not go there now" in totals
    assert "judged: 7 of 7 texts sent (still_permitted 7)" in totals
    assert {(row["reason"], row["before"], row["after"], row["endpoint"]) for row in entries(night)} == {
        ("still_permitted", "CLEAN", "CLEAN", "emulator")
    }
    assert handed_over(night) == before
    assert look(cli, night)[1].endswith("0 entries written; nothing was sent\n")
    assert len(entries(night)) == 7


def test_what_would_be_kept_inside_now_and_where_it_went(night: Any, cli: Callable[..., Any]) -> None:
    before = handed_over(night)
    declare(night, "mail/*")
    newer = night.job.with_name("new.yaml")
    newer.write_text(OLD.replace("when: [PII, UNSCANNABLE]", "when: [PII, UNSCANNABLE, TRADE_SECRET]"))
    rows, totals = look(cli, night, "--policy", str(newer), code=1)
    assert {row["source"] for row in rows} == {"mail/timetable.eml", "mail/timetable.eml#pier.txt"}
    for row in rows:
        assert (row["endpoint"], row["before"], row["after"], row["reason"]) == ("emulator", "CLEAN", "TRADE_SECRET", "now_local")
        assert (row["rule_then"], row["rule_now"], row["lanes_now"], row["hand_overs"]) == ("routes[1]", "routes[0]", ["local"], 1)
        assert row["first_sent"] == row["last_sent"]
    assert "2 of 7 records" in totals
    assert handed_over(night) == before
    assert look(cli, night, "--policy", str(newer), code=1) == (rows, totals.replace("7 entries written", "0 entries written"))
    stated = [row for row in entries(night) if row["reason"] == "now_local"]
    assert all(
        row["policy_hash"] and row["detectors_hash"] and row["document_hmac"] and row["data_classes"] == ["TRADE_SECRET"] for row in stated
    )
    with reading(night.ledger, ("policies",)) as reader:
        registered = reader.table("FROM policies WHERE policy_hash = $wanted", wanted=stated[0]["policy_hash"])
    assert registered["policy_text"].to_pylist() == [newer.read_text()]


def test_what_a_person_raised_since_counts(night: Any, cli: Callable[..., Any]) -> None:
    with reading(night.ledger, ("sources",)) as reader:
        museum = reader.table("SELECT record_id FROM sources WHERE source = 'public/museum.md'")["record_id"][0].as_py()
    raised = Entry(
        event=Event.OVERRIDDEN,
        at=datetime.now(UTC),
        record_id=museum,
        actor="Ana Birk",
        reason="read_again",
        detail_code="raised",
        state="0123456789abcdef",
        data_classes=("PII",),
    )
    Ledger.open(night.ledger).commit([raised])
    (row,), _ = look(cli, night, code=1)
    assert (row["source"], row["reason"], row["after"]) == ("public/museum.md", "now_local", "PII")


def test_a_class_without_a_rule_is_held_now(night: Any, cli: Callable[..., Any]) -> None:
    declare(night, "public/museum.md", "BOARD_PAPERS")
    (row,), _ = look(cli, night, code=1)
    assert (row["source"], row["reason"], row["lanes_now"], row["after"]) == ("public/museum.md", "now_held", [], "BOARD_PAPERS")


def test_an_endpoint_that_lacks_what_is_required_now(night: Any, cli: Callable[..., Any]) -> None:
    newer = night.job.with_name("new.yaml")
    newer.write_text(
        OLD.replace("when: [CLEAN], lanes: [cloud, local]", "when: [CLEAN], lanes: [cloud, local], cloud_requires: {baa: true}")
    )
    registry = night.job.with_name("endpoints.yaml")
    bundled = Path(__file__).parents[2] / "policies" / "endpoints.yaml"
    registry.write_text(bundled.read_text().replace("baa: true", "baa: false"))
    night.job.write_text(night.job.read_text() + "registry: endpoints.yaml\n")
    rows, _ = look(cli, night, "--policy", str(newer), code=1)
    assert [row["reason"] for row in rows] == ["now_another_endpoint"] * 7


def test_sources_that_are_gone_changed_or_forgotten_are_counted_and_not_judged(night: Any, cli: Callable[..., Any]) -> None:
    inbox = night.job.parent / "inbox"
    declare(night, "**", "BOARD_PAPERS")  # whatever is judged would be held
    (inbox / "public/harbour.txt").unlink()
    (inbox / "public/museum.md").write_text("Patient: Goran Castellan, SSN 536-22-8145.")
    (inbox / "mail/timetable.eml").write_text(MAIL.replace("six in the morning", "seven in the morning"))
    (inbox / "tables/notices.csv").write_text(TABLE.replace("row-two,", "row-three,"))
    with reading(night.ledger, ("sources",)) as reader:
        moss = reader.table("SELECT record_id FROM sources WHERE source = 'public/moss #2.txt'")["record_id"].to_pylist()
    erase(night.ledger, moss)
    rows, totals = look(cli, night, code=1)
    # The cover of the mail and one row of the table are as they were.
    assert {(row["source"], row["source_id"]) for row in rows} == {("mail/timetable.eml", None), ("tables/notices.csv", "row-one")}
    assert "judged: 2 of 7 texts sent (now_held 2)" in totals
    assert "source_gone 2, source_changed 2, name_forgotten 1" in totals
    unjudged = [row for row in entries(night) if row["reason"] != "now_held"]
    assert all(row["after"] is None and row["data_classes"] is None and row["before"] == "CLEAN" for row in unjudged)
    assert look(cli, night, code=1) == (rows, totals.replace("7 entries written", "0 entries written"))


def test_a_source_that_comes_back_is_judged_then(night: Any, cli: Callable[..., Any]) -> None:
    path = night.job.parent / "inbox/public/harbour.txt"
    path.rename(path.with_suffix(".away"))
    declare(night, "public/harbour.txt", "BOARD_PAPERS")
    assert "source_gone 1" in look(cli, night)[1]
    path.with_suffix(".away").rename(path)
    rows, totals = look(cli, night, code=1)
    assert [row["source"] for row in rows] == ["public/harbour.txt"]
    assert "source_gone" not in totals
    assert totals.endswith("1 entries written; nothing was sent\n")


def test_what_the_job_no_longer_includes_is_read_again_all_the_same(night: Any, cli: Callable[..., Any]) -> None:
    night.job.write_text(night.job.read_text().replace("path: inbox}", "path: inbox, exclude: ['public/**', 'tables/**']}") + "limit: 1\n")
    assert "judged: 7 of 7 texts sent" in look(cli, night)[1]


def test_it_goes_on_where_it_was_killed(night: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from flows import looking_back  # noqa: PLC0415

    real = looking_back.judge_batch
    calls: list[int] = []

    def dies(*arguments: Any) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        real(*arguments)

    monkeypatch.setattr(looking_back, "judge_batch", dies)
    cli("audit", "lookback", "--job", night.job, "--ledger", night.ledger, code=130)
    monkeypatch.undo()
    done = len(entries(night))
    assert 0 < done < 7
    assert f"{7 - done} entries written" in look(cli, night)[1]
    assert len({(row["record_id"], row["document_hmac"], row["endpoint"]) for row in entries(night)}) == len(entries(night)) == 7


@pytest.mark.parametrize(("options", "sent"), [(("--until", "2000-01-01"), 0), (("--since", "2000-01-01"), 7)], ids=["none", "all"])
def test_days(options: tuple[str, ...], sent: int, night: Any, cli: Callable[..., Any]) -> None:
    assert f"0 of {sent} records" in look(cli, night, *options)[1]


def test_for_people(night: Any, cli: Callable[..., Any]) -> None:
    declare(night, "public/museum.md", "BOARD_PAPERS")
    said = cli("audit", "lookback", "--job", night.job, "--ledger", night.ledger, code=1)
    assert "museum" not in said.out
    assert "BOARD_PAPERS" in said.out
    assert "1 of 7 records" in said.out


def test_records_of_another_job_are_said_to_be_left_out(night: Any, cli: Callable[..., Any]) -> None:
    night.job.write_text(night.job.read_text().replace("name: small", "name: other"))
    rows, totals = look(cli, night)
    assert rows == []
    assert "7 records were sent by other jobs of this ledger" in totals


def test_a_folder_without_a_ledger_stays_without(night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    said = cli("audit", "lookback", "--job", night.job, "--ledger", empty, code=1)
    assert "no ledger here" in said.err
    assert list(empty.iterdir()) == []


def test_a_policy_that_asks_what_no_detector_answers(night: Any, cli: Callable[..., Any]) -> None:
    newer = night.job.with_name("new.yaml")
    newer.write_text(OLD.replace("US_SSN", "SHOE_SIZE"))
    said = cli("audit", "lookback", "--job", night.job, "--ledger", night.ledger, "--policy", newer, code=2)
    assert "entity:SHOE_SIZE" in said.err
    assert entries(night) == []


def test_no_way_out_is_in_reach() -> None:
    ways = "[name for name in sys.modules if name.startswith(('sinks.lanes', 'sinks.egress', 'sinks.clients', 'flows.lanes'))]"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, flows.looking_back; print({ways})"], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
