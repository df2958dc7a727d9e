"""`waybill scan`: one object a document, with the keys that scripts rely on, and never text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CANARY = "quetzalcoatl-7719"
PROMISED = {"record_id", "source", "source_id", "data_classes", "lane", "lanes", "rule", "findings", "topics"}
EXTRA = {"reason", "markers", "declared", "failures", "partial"}
FINDING = {"detector", "entity", "part", "start", "end", "score"}


def verdicts(said: Any) -> dict[str, dict[str, Any]]:
    return {row["source"]: row for row in map(json.loads, said.out.splitlines())}


def test_objects_have_the_promised_keys_and_never_text(night: Any, cli: Callable[..., Any]) -> None:
    said = cli("scan", night.job.parent / "inbox", "--json")
    found = verdicts(said)
    assert len(found) == len(said.out.splitlines()) == 8
    assert all(set(row) == PROMISED | EXTRA for row in found.values())
    assert all(set(finding) == FINDING for row in found.values() for finding in row["findings"])
    for text in (CANARY, "Castellan", "Lindqvist", "536-22-8145", "40718823", "mooring"):
        assert text not in said.out + said.err


@pytest.mark.parametrize(
    ("source", "data_class", "lane"),
    [
        ("clinic/discharge.txt", "PHI", "local"),
        ("bank/letter.txt", "NPI", "local"),
        ("mail/timetable.eml#letter.txt", "PRIVILEGED", "local"),
        ("mail/timetable.eml", "PRIVILEGED", "local"),
        ("public/harbour.txt", "CLEAN", "cloud"),
    ],
)
def test_verdicts(source: str, data_class: str, lane: str, night: Any, cli: Callable[..., Any]) -> None:
    row = verdicts(cli("scan", night.job.parent / "inbox", "--json"))[source]
    assert data_class in row["data_classes"]
    assert (row["lane"], row["reason"], row["source_id"]) == (lane, None, None)
    assert row["rule"]


def test_no_readable_text_is_held_for_a_reason(night: Any, cli: Callable[..., Any]) -> None:
    row = verdicts(cli("scan", night.job.parent / "inbox" / "empty.txt", "--json"))["empty.txt"]
    assert (row["lane"], row["reason"], row["findings"]) == ("held", "empty_text", [])


def test_offsets_point_at_the_evidence(night: Any, cli: Callable[..., Any]) -> None:
    path = night.job.parent / "inbox" / "bank" / "letter.txt"
    row = verdicts(cli("scan", path, "--json"))["letter.txt"]
    places = {(finding["start"], finding["end"]) for finding in row["findings"] if finding["entity"] == "US_SSN"}
    assert {path.read_text()[start:end] for start, end in places} == {"536-22-8145"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("table.csv", f"id,text\nA-17,The ferry leaves at nine. {CANARY}\nA-18,The pier is closed. {CANARY}\n"),
        ("table.jsonl", f'{{"id": "A-17", "text": "The ferry. {CANARY}"}}\n{{"id": "A-18", "text": "The pier. {CANARY}"}}\n'),
    ],
    ids=["csv", "jsonl"],
)
def test_a_row_of_a_table_has_its_own_id(name: str, content: str, tmp_path: Path, cli: Callable[..., Any]) -> None:
    (tmp_path / name).write_text(content)
    said = cli("scan", tmp_path / name, "--json")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [(row["source"], row["source_id"]) for row in rows] == [(name, "A-17"), (name, "A-18")]
    assert len({row["record_id"] for row in rows}) == 2
    assert not any("A-17" in row["record_id"] for row in rows)
    assert CANARY not in said.out


def test_scanning_twice_gives_the_same_and_leaves_nothing(
    night: Any, cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    first = cli("scan", "inbox", "--json").out
    assert cli("scan", "inbox", "--json").out == first
    assert sorted(tmp_path.rglob("*")) == before


def test_several_paths_and_plain_lines(night: Any, cli: Callable[..., Any]) -> None:
    inbox = night.job.parent / "inbox"
    said = cli("scan", inbox / "public", inbox / "clinic")
    *lines, last = said.out.splitlines()
    assert [line[:16].rstrip() for line in lines] == ["cloud or local"] * 3 + ["local"]
    assert last == "4 documents: 3 cloud or local, 1 local"
    assert CANARY not in said.out


def test_every_permitted_lane_is_named(cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("Hana Birk was born on 14 March 1961 and plays the cello; her date of birth: 14 March 1961.\n")
    row = verdicts(cli("scan", tmp_path, "--json"))["note.txt"]
    assert (row["data_classes"], row["lane"], row["lanes"]) == (["PII"], "local", ["local", "cloud"])
    assert cli("scan", tmp_path).out.startswith("local or cloud  PII ")
    assert cli("scan", tmp_path, "--explain").out.startswith("note.txt: PII → local or cloud\n")


def test_another_policy_decides_otherwise(night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    policy = tmp_path / "inside.yaml"
    policy.write_text(
        "version: 1\nclasses:\n  PII: {basis: house rule, all: [{any_entity: [US_SSN]}]}\n"
        "routes:\n  - {when: [CLEAN], lanes: [local]}\ndefault: held\n"
    )
    found = verdicts(cli("scan", night.job.parent / "inbox", "--policy", policy, "--json"))
    assert found["public/moss.html"]["lane"] == "local"
    assert (found["bank/letter.txt"]["lane"], found["bank/letter.txt"]["rule"]) == ("held", "default")


def test_a_planned_scan_stops_early_under_a_policy_whose_nights_are_complete(night: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    policy = tmp_path / "complete.yaml"
    policy.write_text(
        "version: 1\nevidence: complete\nclasses:\n  PII: {basis: house rule, all: [{entity: US_SSN}]}\n"
        "  SHIPS: {basis: house rule, all: [{topic: health, at_least: 0.5}]}\n"
        "routes:\n  - {when: [PII, SHIPS], lanes: [local]}\n  - {when: [CLEAN], lanes: [cloud]}\ndefault: held\n"
    )
    letter = night.job.parent / "inbox" / "bank" / "letter.txt"
    (planned,) = verdicts(cli("scan", letter, "--policy", policy, "--planned", "--json")).values()
    (complete,) = verdicts(cli("scan", letter, "--policy", policy, "--json")).values()
    assert (planned["partial"], complete["partial"]) == (True, False)
    assert planned["lane"] == complete["lane"] == "local"
    assert len(planned["findings"]) < len(complete["findings"])
