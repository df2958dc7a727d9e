"""The bundled inbox against `expected.yaml`: reading, scanning and deciding as a run does it, without running."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from detectors import load
from detectors.document import Document
from detectors.scan import scan
from flows.job import Job, load_job
from flows.sources import check_duplicates, list_batches, read_batch
from flows.sources.formats import read_content
from policies.decide import decide, decide_family, decide_unreadable
from policies.demand import demand_for
from policies.load import load_policy
from policies.model import CLEAN, Decision

EXAMPLES = Path(__file__).parents[2] / "examples"
INBOX = EXAMPLES / "inbox"
MAX_BYTES = 1_000_000
TRUE: dict[str, dict[str, Any]] = yaml.safe_load((EXAMPLES / "expected.yaml").read_text(encoding="utf-8"))
EXPECTED = {key: expected | expected.get("found", {}) for key, expected in TRUE.items()}
HELD = {key for key, expected in EXPECTED.items() if expected["lane"] == "held"}
READABLE = sorted(EXPECTED.keys() - HELD)


class PlainIds:
    """Record ids that a reader of a failed test understands."""

    def record_id(self, source: str, source_id: str | None, member: str) -> str:
        return f"{source}|{source_id}|{member}"


@cache
def job() -> Job:
    return load_job(EXAMPLES / "nightly.yaml")


@cache
def documents() -> tuple[Document, ...]:
    return tuple(document for batch in list_batches(job()) for document in read_batch(batch, job(), PlainIds()))


@cache
def decisions(*, complete: bool) -> dict[str, Decision]:
    """Every document's final decision, by its key in `expected.yaml`."""
    policy = load_policy(job().policy_path)
    detectors = load(ner=policy.ner, participants=policy.participants)
    readable = [document for document in documents() if document.readable]
    evidence = dict(
        zip(
            (document.record_id for document in readable),
            scan(readable, detectors, demand_for(policy, complete=complete)),
            strict=True,
        )
    )

    def decided(document: Document) -> Decision:
        if document.record_id not in evidence:
            assert document.problem is not None
            return decide_unreadable(document.record_id, document.problem, policy, detectors.hash)
        return decide(document.record_id, evidence[document.record_id], policy, detectors.hash)

    found: dict[str, Decision] = {}
    for family, members in groupby(documents(), key=lambda document: document.family or document.record_id):
        members_of_family = list(members)
        first = [decided(document) for document in members_of_family]
        final = decide_family(first, policy) if family == members_of_family[0].family else first
        found |= {key_of(document): decision for document, decision in zip(members_of_family, final, strict=True)}
    return found


def key_of(document: Document) -> str:
    return f"{document.source}#{document.source_id}" if document.source_id else document.source


def lane_of(decision: Decision) -> str:
    return decision.lanes[0].value if decision.lanes else "held"


def expected_classes(key: str) -> set[str]:
    return set(EXPECTED[key]["data_classes"])


@cache
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_binaries", EXAMPLES / "make_binaries.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def texts(path: Path) -> list[str]:
    return [extract.text for extract in read_content(path.name, path.read_bytes(), MAX_BYTES)]


def test_every_document_of_the_inbox_is_described_and_the_other_way_round() -> None:
    assert sorted(map(key_of, documents())) == sorted(EXPECTED)


def test_the_inbox_holds_what_was_promised() -> None:
    lanes = [expected["lane"] for expected in EXPECTED.values()]
    assert len(lanes) >= 60
    assert {lane: lanes.count(lane) > 0 for lane in ("cloud", "local", "held")} == {"cloud": True, "local": True, "held": True}
    classes = {name for key in EXPECTED for name in expected_classes(key)}
    assert classes == {"PHI", "NPI", "PRIVILEGED", "TRADE_SECRET", "CREDENTIALS", "PII", "UNSCANNABLE", "CLEAN"}


def test_no_id_is_there_twice() -> None:
    check_duplicates(job())


@pytest.mark.parametrize("complete", [False, True], ids=["planned", "complete"])
@pytest.mark.parametrize("key", sorted(EXPECTED))
def test_lane_is_as_expected(key: str, complete: bool) -> None:  # noqa: FBT001 - a parameter of the test
    decision = decisions(complete=complete)[key]
    assert lane_of(decision) == EXPECTED[key]["lane"], f"{key}: {decision.data_classes} by {decision.rule}"


@pytest.mark.parametrize("key", READABLE)
def test_complete_scan_finds_the_expected_classes(key: str) -> None:
    assert set(decisions(complete=True)[key].data_classes) >= expected_classes(key)


@pytest.mark.parametrize("key", [key for key in READABLE if EXPECTED[key]["data_classes"] == [CLEAN]])
def test_clean_documents_carry_no_other_class(key: str) -> None:
    assert decisions(complete=True)[key].data_classes == (CLEAN,)


@pytest.mark.parametrize("key", READABLE)
def test_planned_scan_finds_no_class_that_a_complete_one_does_not(key: str) -> None:
    planned = decisions(complete=False)[key]
    assert set(planned.data_classes) <= set(decisions(complete=True)[key].data_classes)
    assert planned.partial or set(planned.data_classes) >= expected_classes(key)


@pytest.mark.parametrize("key", sorted(HELD))
def test_held_for_the_expected_reason(key: str) -> None:
    decision = decisions(complete=False)[key]
    assert (decision.reason, decision.data_classes) == (EXPECTED[key]["reason"], ())


def test_binaries_are_made_from_the_originals(tmp_path: Path) -> None:
    made: Sequence[Path] = maker().make_all(tmp_path)
    assert made
    stale = [str(name) for name in made if texts(tmp_path / name) != texts(INBOX / name) and name.suffix != ".parquet"]
    assert not stale, "run examples/make_binaries.py"


def test_making_is_repeatable(tmp_path: Path) -> None:
    made: Sequence[Path] = maker().make_all(tmp_path / "first")
    maker().make_all(tmp_path / "second")
    assert [name for name in made if (tmp_path / "first" / name).read_bytes() != (tmp_path / "second" / name).read_bytes()] == []


@pytest.mark.parametrize("name", ["nightly", "extraction"])
def test_bundled_jobs_load(name: str) -> None:
    loaded = load_job(EXAMPLES / f"{name}.yaml")
    assert (loaded.name, loaded.source.path, loaded.unsafe_emulator) == (name, INBOX, True)


def test_extraction_schema_fits_an_answer_and_refuses_another() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = load_job(EXAMPLES / "extraction.yaml").task.output_schema
    answer = {"document_type": "minutes", "title": "Council", "date": "2026-10-13", "people": ["Delphine Sato"], "amounts": ["$1.50"]}
    jsonschema.validate(answer, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(answer | {"document_type": "poem"}, schema)


def test_what_is_found_instead_of_the_truth_is_clean_and_stays_inside() -> None:
    wrong = [expected for expected in TRUE.values() if "found" in expected]
    assert len(wrong) <= 2
    assert all(expected["data_classes"] == [CLEAN] and expected["found"]["lane"] == "local" for expected in wrong)
