"""`waybill eval` from the files to what is said."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NOTE = "Patient: Goran Castellan, MRN 40718823. Admitted with chest pain; diagnosis unstable angina, treated with aspirin and metoprolol."
NEWS = "The harbour council will repave the promenade between the fish market and the old lighthouse this spring, weather permitting."
GERMAN = "Der Patient wurde mit Schmerzen in der Brust aufgenommen und nach drei Tagen in gutem Zustand wieder nach Hause entlassen."


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rows = [
        {
            "id": "n1",
            "text": NOTE,
            "labels": ["PHI"],
            "source": "ward",
            "spans": [{"start": 9, "end": 24, "type": "NAME"}],
            "meta": {"template": 1},
        },
        {"id": "n2", "text": NEWS, "labels": ["PHI"], "source": "ward", "meta": {"template": 1}},
        {"id": "c1", "text": NEWS, "labels": [], "source": "paper"},
        {"id": "c2", "text": NOTE, "labels": [], "source": "paper", "tier": "hard_negative", "meta": {"kind": "case_report"}},
        {"id": "g1", "text": GERMAN, "labels": ["PHI"], "source": "klinik", "lang": "de"},
        {"id": "n1", "text": "", "labels": [], "source": "paper"},
    ]
    path = tmp_path / "small.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_counts(corpus: Path, cli: Callable[..., Any]) -> None:
    found = json.loads(cli("eval", corpus, "--json", "--misses").out)
    phi = found["leak"]["PHI"]
    assert (phi["k"], phi["n"], phi["clusters_k"], phi["clusters"]) == (1, 3, 1, 2)
    assert (found["over_block"]["paper"]["k"], found["over_block"]["paper"]["n"]) == (2, 3)
    assert found["hard_negatives"]["case_report"]["k"] == 1
    assert (found["not_english"]["de"]["k"], found["not_english"]["de"]["n"]) == (0, 1)
    assert found["spans"]["entities"]["PERSON"]["recall"] == 1.0
    assert found["files"][str(corpus)]["documents"] == found["documents"] == 6
    assert found["words_per_s"] > 0
    assert {(miss["miss"], miss["id"], miss["line"]) for miss in found["misses"]} >= {
        ("leak", "n2", 2),
        ("over_block", "c2", 4),
        ("over_block", "n1", 6),
    }


def test_no_text_is_said(corpus: Path, cli: Callable[..., Any]) -> None:
    said = cli("eval", corpus, "--misses")
    assert "leak: documents of a class" in said.out
    assert f"{corpus}:2 n2" in said.out
    for word in ("Castellan", "40718823", "lighthouse", "Schmerzen"):
        assert word not in said.out + said.err


def test_planned_gives_the_same_leaks(corpus: Path, cli: Callable[..., Any]) -> None:
    planned, complete = (json.loads(cli("eval", corpus, "--json", *options).out) for options in (["--planned"], []))
    assert {name: row["k"] for name, row in planned["leak"].items()} == {name: row["k"] for name, row in complete["leak"].items()}
    assert planned["spans"] is None
    assert planned["planned"]


def test_another_policy_counts_otherwise(corpus: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    policy = tmp_path / "inside.yaml"
    policy.write_text(
        "version: 1\nclasses:\n  PII: {basis: house rule, all: [{any_entity: [US_SSN]}]}\n"
        "routes:\n  - {when: [CLEAN], lanes: [local]}\ndefault: held\n"
    )
    found = json.loads(cli("eval", corpus, "--policy", policy, "--json").out)
    assert found["leak"]["PHI"]["k"] == 0
    assert found["over_block"]["paper"]["rate"] == 1.0


def test_a_bad_line_stops_before_anything_is_scanned(corpus: Path, cli: Callable[..., Any]) -> None:
    with corpus.open("a") as file:
        file.write('\n{"id": "x", "text": "Castellan", "labels": "PHI"}\n')
    said = cli("eval", corpus, code=2)
    assert said.err == f"waybill: {corpus}:7: labels: expected a valid array\n"
    assert said.out == ""


def test_a_label_that_is_no_class_stops_before_anything_is_scanned(corpus: Path, cli: Callable[..., Any]) -> None:
    with corpus.open("a") as file:
        file.write('\n{"id": "x", "text": "Castellan", "labels": ["PHII"]}\n')
    said = cli("eval", corpus, code=2)
    known = "CREDENTIALS, NPI, PHI, PII, PRIVILEGED, TRADE_SECRET, UNSCANNABLE"
    assert said.err == f"waybill: {corpus}:7: labels: PHII is no class of this policy; expected some of {known}\n"
    assert said.out == ""


def test_personal_data_that_go_out_as_the_policy_says_are_no_leak(tmp_path: Path, cli: Callable[..., Any]) -> None:
    path = tmp_path / "pii.jsonl"
    rows = [{"id": "p1", "text": "US passport of Ada Example: passport number 533401882.", "labels": ["PII"]}]
    rows += [{"id": "p2", "text": NEWS, "labels": ["PII"]}]
    path.write_text("\n".join(map(json.dumps, rows)))
    found = json.loads(cli("eval", path, "--json", "--misses").out)
    assert found["leak"] == {}
    assert (found["without_requirement"]["PII"]["k"], found["without_requirement"]["PII"]["n"]) == (1, 2)
    assert [(miss["miss"], miss["id"]) for miss in found["misses"]] == [("without_requirement", "p2")]
    assert "permitted to the cloud, but without what the class requires" in cli("eval", path).out


def test_files_are_mandatory(cli: Callable[..., Any]) -> None:
    assert "Missing argument 'FILES...'" in cli("eval", code=2).err


def test_a_file_without_records_a_pipe_and_a_file_named_twice_are_refused(corpus: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    empty, pipe, link = tmp_path / "empty.jsonl", tmp_path / "pipe", tmp_path / "link.jsonl"
    empty.write_text("\n")
    os.mkfifo(pipe)
    link.symlink_to(corpus)
    assert cli("eval", corpus, empty, code=2).err == (
        f"waybill: {empty}: expected at least one record, found none; nothing can be measured on it\n"
    )
    assert cli("eval", pipe, code=2).err.startswith(f"waybill: {pipe}: expected a regular file of JSON lines")
    assert cli("eval", corpus, link, code=2).err.startswith(f"waybill: {link}: expected every file once, found it twice")


def test_an_id_cannot_act_on_the_terminal(tmp_path: Path, cli: Callable[..., Any]) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps({"id": "a\x1b[2J\nb", "text": NEWS, "labels": ["PHI"], "source": "ward\x1b[31m"}))
    said = cli("eval", path, "--misses").out
    assert "\x1b" not in said
    assert f"{path}:1 a [2J b  " in said
