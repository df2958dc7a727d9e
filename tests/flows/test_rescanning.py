"""Outputs are scanned: a result carries the classes of its input and its own, lies under their root, and the ledger says so first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from detectors.document import Document, Evidence, EvidenceKind, Finding
from flows.collecting import write_rows
from flows.rescanning import result_classes
from policies.load import parse_policy
from policies.model import Endpoint, Lane
from policies.yaml_value import Source
from sinks.errors import LedgerUnavailableError
from sinks.ingest import CompletedRow
from sinks.ledger.entry import Entry, Event
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.shard import LaneResult

RUN = "small-2026-11-22"
RECORD = "r" + "0" * 24
POLICY = """
version: 2026-11-22
evidence: complete
classes:
  PHI: {basis: "45 CFR 160.103", any: [{entity: MRN}]}
  NPI: {basis: "15 USC 6809", any: [{entity: IBAN}]}
  PII: {basis: "house rule", any: [{any_entity: [MRN, PERSON]}], covered_by: [PHI]}
routes:
  - {when: [PHI, NPI, UNSCANNABLE], lanes: [local]}
  - {when: [PII, CLEAN], lanes: [cloud, local]}
default: held
"""
ENDPOINTS = {lane: Endpoint(name=f"at-{lane}", lane=lane, engine="extractive", provider="us", model="m") for lane in Lane}


@dataclass
class Words:
    """Detectors that believe what a text says of itself: `MRN` in it is an MRN."""

    failing: bool = False
    seen: list[Document] = field(default_factory=list)

    def __call__(self, documents: Sequence[Document]) -> list[Evidence]:
        self.seen += documents
        return [self._evidence(" ".join(document.parts.values())) for document in documents]

    def _evidence(self, text: str) -> Evidence:
        found = [name for name in ("MRN", "IBAN", "PERSON") if name in text]
        return Evidence(
            findings=tuple(Finding(detector="words", entity=name, start=0, end=1, score=1.0) for name in found),
            failures=frozenset({"scan_timeout"} if self.failing else ()),
            settled=frozenset(EvidenceKind(f"entity:{name}") for name in ("MRN", "IBAN", "PERSON", "OTHER")),
        )


@pytest.fixture
def night(tmp_path: Path) -> SimpleNamespace:
    ledger = Ledger.open(tmp_path / "ledger")
    return SimpleNamespace(
        ledger=ledger,
        keys=ledger.keys,
        run_id=RUN,
        policy=parse_policy(Source(name="p", data=POLICY.encode())),
        detectors=SimpleNamespace(hash="d1"),
        scan=Words(),
        job=SimpleNamespace(output=tmp_path / "results", group=None),
        prompt=SimpleNamespace(kind="summarize", schema=None, hash="t1"),
    )


def decided(night: SimpleNamespace, *classes: str, partial: bool = False, record_id: str = RECORD) -> None:
    entry = Entry(event=Event.DECIDED, at=datetime.now(UTC), run_id=RUN, record_id=record_id, data_classes=classes, partial=partial)
    night.ledger.commit([entry])


def row(output: str | None, *, intent_id: str = "i1", lane: Lane = Lane.LOCAL, record_id: str = RECORD) -> CompletedRow:
    result = LaneResult(row_id="x", output=output)
    return CompletedRow(record_id=record_id, intent_id=intent_id, endpoint=ENDPOINTS[lane], attempt=1, result=result)


def rescanned(night: SimpleNamespace) -> list[dict[str, Any]]:
    with reading(night.ledger) as reader:
        found: list[dict[str, Any]] = reader.table("FROM entries SELECT * WHERE event = 'rescanned' ORDER BY seq").to_pylist()
    return found


@pytest.mark.parametrize("lane", list(Lane))
@pytest.mark.parametrize(
    ("classes", "output", "union"),
    [
        pytest.param(("CLEAN",), "the harbour", None, id="clean"),
        pytest.param(("PHI",), "MRN 40718823", None, id="as its input"),
        pytest.param(("PHI",), "the patient, a PERSON", None, id="covered by its input"),
        pytest.param(("NPI", "PHI"), "the harbour", None, id="less than its input"),
        pytest.param(("CLEAN",), "MRN 40718823", ("PHI",), id="more than clean"),
        pytest.param(("PII",), "MRN 40718823", ("PHI",), id="covers its input"),
        pytest.param(("NPI",), "MRN 40718823", ("NPI", "PHI"), id="both"),
        pytest.param(("CLEAN",), json.dumps({"note": "M\u0052N 1"}).replace("R", "\\u0052"), ("PHI",), id="behind an escape"),
        pytest.param(("CLEAN",), '{"a": "x", "a": {"b": [["MR\\u004e"], 3, null]}, "a": 1}', ("PHI",), id="in a name that comes twice"),
        pytest.param(("CLEAN",), '{"a": ', None, id="broken JSON"),
        pytest.param(("CLEAN",), "[" * 5000, None, id="deep JSON"),
        pytest.param(("CLEAN",), None, None, id="no output"),
    ],
)
def test_a_result_carries_its_own_classes_too(
    night: SimpleNamespace, lane: Lane, classes: tuple[str, ...], output: str | None, union: tuple[str, ...] | None
) -> None:
    decided(night, *classes)
    found = result_classes(night, [row(output, lane=lane)])
    assert found[RECORD].data_classes == (union or classes)
    entries = rescanned(night)
    assert len(entries) == (union is not None)
    if union:
        (entry,) = entries
        assert (entry["before"], entry["after"]) == ("+".join(sorted({*classes} - {"CLEAN"})) or "CLEAN", "+".join(union))
        assert (entry["reason"], entry["intent_id"], entry["endpoint"]) == ("output_more_sensitive", "i1", f"at-{lane}")
        assert tuple(entry["data_classes"]) == union


def test_an_output_that_was_not_scanned_is_unscannable(night: SimpleNamespace) -> None:
    decided(night, "CLEAN")
    night.scan.failing = True
    assert result_classes(night, [row("the harbour")])[RECORD].data_classes == ("UNSCANNABLE",)
    assert [entry["reason"] for entry in rescanned(night)] == ["output_not_scanned"]
    places = write_rows(night, [row("the harbour")])
    assert places[RECORD].file == f"{RUN}/UNSCANNABLE/i1.parquet"


def test_a_lower_bound_stays_one(night: SimpleNamespace) -> None:
    decided(night, "PHI", partial=True)
    assert result_classes(night, [row("the harbour")])[RECORD].partial
    assert rescanned(night) == []


def test_the_file_lies_under_the_root_of_the_union(night: SimpleNamespace) -> None:
    other = "r" + "1" * 24
    decided(night, "NPI")
    decided(night, "CLEAN", record_id=other)
    places = write_rows(night, [row("MRN 1"), row("the harbour", record_id=other)])
    assert (places[RECORD].file, places[other].file) == (f"{RUN}/NPI+PHI/i1.parquet", f"{RUN}/clean/i1.parquet")
    (written,) = pq.ParquetFile(night.job.output / RUN / "NPI+PHI" / "i1.parquet").read().to_pylist()
    assert written["data_classes"] == ["NPI", "PHI"]
    assert (night.job.output / RUN / "NPI+PHI").stat().st_mode & 0o077 == 0


def test_collected_again_the_ledger_stands_whatever_is_installed_by_then(night: SimpleNamespace) -> None:
    decided(night, "CLEAN")
    places, files = write_rows(night, [row("MRN 1")]), tree(night)
    night.scan = Words()
    night.detectors = SimpleNamespace(hash="d2")
    night.policy = parse_policy(Source(name="p", data=POLICY.replace("entity: MRN", "entity: OTHER").encode()))
    assert write_rows(night, [row("MRN 1")]) == places
    assert tree(night) == files
    assert night.scan.seen == []
    assert len(rescanned(night)) == 1


def test_a_file_of_a_killed_collection_under_another_root_goes(night: SimpleNamespace) -> None:
    decided(night, "CLEAN")
    policy = night.policy
    night.policy = parse_policy(Source(name="p", data=POLICY.replace("entity: MRN", "entity: OTHER").replace("[MRN, ", "[").encode()))
    write_rows(night, [row("MRN 1")])
    assert set(tree(night)) == {f"{RUN}/clean/i1.parquet"}
    night.policy = policy
    write_rows(night, [row("MRN 1"), row("MRN 2", intent_id="i1", record_id=also(night))])
    assert set(tree(night)) == {f"{RUN}/PHI/i1.parquet"}


def test_what_another_hand_over_gave_is_another_output(night: SimpleNamespace) -> None:
    decided(night, "CLEAN")
    write_rows(night, [row("MRN 1")])
    assert result_classes(night, [row("the harbour", intent_id="i2")])[RECORD].data_classes == ("CLEAN",)


def test_the_ledger_speaks_before_the_file_is_there(night: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    decided(night, "CLEAN")

    def refuse(*_: object, **__: object) -> int:
        raise LedgerUnavailableError("full")

    monkeypatch.setattr(night.ledger, "commit", refuse)
    with pytest.raises(LedgerUnavailableError):
        write_rows(night, [row("MRN 1")])
    assert tree(night) == {}


def test_all_outputs_of_a_hand_over_are_scanned_at_once(night: SimpleNamespace) -> None:
    names = [f"r{number:024d}" for number in range(50)]
    night.ledger.commit(
        [Entry(event=Event.DECIDED, at=datetime.now(UTC), run_id=RUN, record_id=name, data_classes=("CLEAN",)) for name in names]
    )
    calls: list[int] = []
    scan = night.scan
    night.scan = lambda documents: calls.append(len(documents)) or scan(documents)
    result_classes(night, [row("the harbour", record_id=name) for name in names])
    assert calls == [50]


def also(night: SimpleNamespace) -> str:
    name = "r" + "2" * 24
    decided(night, "CLEAN", record_id=name)
    return name


def tree(night: SimpleNamespace) -> dict[str, bytes]:
    return {path.relative_to(night.job.output).as_posix(): path.read_bytes() for path in night.job.output.rglob("*.parquet")}
