"""`waybill scan --explain`: class ← condition ← evidence, with offsets that lead back to the file, and no text unless told to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SECRETS = ("Castellan", "Lindqvist", "536-22-8145", "40718823", "mooring dispute", "quetzalcoatl")


def explained(said: Any) -> dict[str, dict[str, Any]]:
    return {row["source"]: row for row in map(json.loads, said.out.splitlines())}


def evidence(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from node.get("evidence", ())
    for member in node.get("members", ()):
        yield from evidence(member)


def test_offsets_lead_back_to_the_file(night: Any, cli: Callable[..., Any]) -> None:
    path = night.job.parent / "inbox" / "clinic" / "discharge.txt"
    row = explained(cli("scan", path, "--explain", "--json"))["discharge.txt"]
    (phi,) = [one for one in row["explanation"]["classes"] if one["class"] == "PHI"]
    pieces = list(evidence(phi["held"]))
    text = path.read_text()
    assert {text[one["start"] : one["end"]] for one in pieces if one["kind"] == "entity:PERSON"} >= {"Goran Castellan"}
    (health, *_) = [one for one in pieces if one["kind"] == "topic:health"]
    assert "chest pain" in text[health["start"] : health["end"]] or "angina" in text[health["start"] : health["end"]]
    assert (phi["line"] > 0, "45 CFR 160.103" in phi["basis"]) == (True, True)
    assert all({"kind", "detector", "part", "start", "end", "score"} == set(one) for one in pieces)


def test_every_document_of_the_inbox_is_explained_without_text(night: Any, cli: Callable[..., Any]) -> None:
    for options in (("--json",), ()):
        said = cli("scan", night.job.parent / "inbox", "--explain", *options)
        assert said.err == ""
        for secret in SECRETS:
            assert secret not in said.out
    rows = explained(cli("scan", night.job.parent / "inbox", "--explain", "--json"))
    for row in rows.values():
        told = [one["class"] for one in row["explanation"]["classes"] if "covered_by" not in one]
        assert set(told) == set(row["data_classes"])


def test_lines_for_a_person(night: Any, cli: Callable[..., Any]) -> None:
    said = cli("scan", night.job.parent / "inbox" / "bank", "--explain").out.splitlines()
    assert said[0] == "letter.txt: NPI → local"
    assert said[1].startswith("  rule routes[0] (default.yaml:")
    assert any(line.startswith("      ← US_SSN 0.") and "text " in line for line in said)
    assert said[-1] == "1 documents: 1 local"


@pytest.mark.parametrize(
    ("source", "data_class", "why"),
    [
        ("mail/timetable.eml", "PRIVILEGED", "inherited from another member of the family"),
        ("public/harbour.txt", "CLEAN", "no other class holds"),
    ],
)
def test_classes_without_a_condition(source: str, data_class: str, why: str, night: Any, cli: Callable[..., Any]) -> None:
    row = explained(cli("scan", night.job.parent / "inbox", "--explain", "--json"))[source]
    assert {"class": data_class, "why": why} in row["explanation"]["classes"]


def test_a_document_that_is_held_says_so(night: Any, cli: Callable[..., Any]) -> None:
    said = cli("scan", night.job.parent / "inbox" / "empty.txt", "--explain").out
    assert said.startswith("empty.txt: no class → held\n  rule unreadable: held, because empty_text\n")


def test_what_could_not_be_judged_names_the_code(tmp_path: Path, cli: Callable[..., Any]) -> None:
    (tmp_path / "brief.txt").write_text("Der Patient wurde gestern mit Schmerzen in der Brust aufgenommen und wieder nach Hause entlassen.")
    assert "← could not be judged: unsupported_language" in cli("scan", tmp_path / "brief.txt", "--explain").out


def test_a_planned_scan_says_that_it_stopped(night: Any, tmp_path: Path, cli: Callable[..., Any]) -> None:
    policy = tmp_path / "planned.yaml"
    policy.write_text(
        "version: 1\nevidence: planned\nclasses:\n  PII: {basis: house rule, all: [{entity: US_SSN}]}\n"
        "  SHIPS: {basis: house rule, all: [{topic: health, at_least: 0.5}]}\n"
        "routes:\n  - {when: [PII, SHIPS], lanes: [local]}\n  - {when: [CLEAN], lanes: [cloud]}\ndefault: held\n"
    )
    said = cli("scan", night.job.parent / "inbox" / "bank", "--explain", "--planned", "--policy", policy).out
    assert "the scan stopped when this was settled" in said
    assert "PII (planned.yaml:4)" in said


def test_text_is_shown_only_unsafely_and_with_a_warning(night: Any, cli: Callable[..., Any]) -> None:
    path = night.job.parent / "inbox" / "bank"
    said = cli("scan", path, "--explain", "--unsafe-show-text")
    assert "“536-22-8145”" in said.out
    assert said.err.startswith("waybill: warning: --unsafe-show-text prints text of these documents")
    assert len(said.err.splitlines()) == 1
    (row,) = explained(cli("scan", path, "--explain", "--unsafe-show-text", "--json")).values()
    (npi,) = [one for one in row["explanation"]["classes"] if one["class"] == "NPI"]
    assert "536-22-8145" in {one["text"] for one in evidence(npi["held"])}


def test_text_without_an_explanation_is_refused(night: Any, cli: Callable[..., Any]) -> None:
    assert "expected --explain" in cli("scan", night.job.parent / "inbox", "--unsafe-show-text", code=2).err


def test_what_a_terminal_would_act_on_is_not_printed(tmp_path: Path, cli: Callable[..., Any]) -> None:
    (tmp_path / "letter.txt").write_text(
        "Dear customer,\nthe \x1b[31msocial security\x07 number of Ms Falk is\x1b]0;x\x07 536-22-8145 as we said.\n"
    )
    said = cli("scan", tmp_path / "letter.txt", "--explain", "--unsafe-show-text").out
    assert not {"\x1b", "\x07"} & set(said)
