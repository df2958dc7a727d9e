"""Case files: the bundled cases hold, a wrong expectation fails, a text case needs a scanner."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.document import Document, Evidence, Finding
from policies.cases import Case, load_cases, run_cases
from policies.errors import PolicyFileError
from policies.load import DEFAULT_POLICY, load_policy

POLICY = load_policy(DEFAULT_POLICY)
CASES = load_cases(DEFAULT_POLICY.with_name("default.cases.yaml"))
EVIDENCE_CASES = [case for case in CASES if case.document is None]


@pytest.mark.parametrize("case", EVIDENCE_CASES, ids=lambda case: case.name)
def test_bundled_case(case: Case) -> None:
    (result,) = run_cases(POLICY, [case])
    assert (result.classes, result.lanes) == (case.classes, case.lanes)
    assert result.passed


def test_the_bundled_cases_cover_every_class_of_the_policy() -> None:
    assert len(EVIDENCE_CASES) >= 30
    assert set(POLICY.classes) <= {name for case in EVIDENCE_CASES for name in case.classes}


def write(folder: Path, text: str) -> Path:
    path = folder / "some.cases.yaml"
    path.write_text(text, encoding="utf-8")
    return path


TEXT_CASE = 'cases:\n  - {name: a, text: "key 123", metadata: {from: b}, expect: {classes: [CREDENTIALS], lanes: [local]}}\n'


def test_a_text_case_without_a_scanner_has_not_passed(tmp_path: Path) -> None:
    (result,) = run_cases(POLICY, load_cases(write(tmp_path, TEXT_CASE)))
    assert result.skipped
    assert not result.passed


def test_a_text_case_goes_through_the_scanner(tmp_path: Path) -> None:
    seen: list[Document] = []

    def scan(document: Document) -> Evidence:
        seen.append(document)
        return Evidence(findings=(Finding(detector="x", entity="CREDENTIAL", start=0, end=7, score=0.9),), settled=POLICY.kinds)

    (result,) = run_cases(POLICY, load_cases(write(tmp_path, TEXT_CASE)), scan)
    assert result.passed
    assert [(document.text, dict(document.metadata)) for document in seen] == [("key 123", {"from": "b"})]


@pytest.mark.parametrize(
    "expect",
    [
        "{classes: [PHI], lanes: [local]}",
        "{classes: [CREDENTIALS], lanes: [local, cloud]}",
        "{classes: [CREDENTIALS, PII], lanes: [local]}",
    ],
    ids=["other class", "other lanes", "one class too many"],
)
def test_a_wrong_expectation_fails(tmp_path: Path, expect: str) -> None:
    path = write(tmp_path, f"cases:\n  - {{name: a, evidence: {{entities: {{CREDENTIAL: 0.9}}}}, expect: {expect}}}\n")
    (result,) = run_cases(POLICY, load_cases(path))
    assert not result.passed


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("cases: []\n", 1, "expected a list of at least one case"),
        ("cases:\n  - {name: a, expect: {classes: [PHI], lanes: []}}\n", 2, "expected either evidence or text"),
        ("cases:\n  - {name: a, text: b, evidence: {}, expect: {classes: [PHI], lanes: []}}\n", 2, "expected either evidence or text"),
        ("cases:\n  - {name: a, evidence: {}, expect: {classes: [PHI]}}\n", 2, "expect.lanes: expected this key"),
        ("cases:\n  - {name: a, evidence: {markerz: [b]}, expect: {classes: [PHI], lanes: []}}\n", 2, "markerz: unknown key"),
        ("cases:\n  - {name: a, evidence: {entities: {X: 2}}, expect: {classes: [PHI], lanes: []}}\n", 2, "expected a score from 0 to 1"),
        ("cases:\n  - {name: a, evidence: {entities: {x: 1}}, expect: {classes: [PHI], lanes: []}}\n", 2, "expected an entity in capitals"),
        ("cases:\n  - {name: a, evidence: {}, expect: {classes: [phi], lanes: []}}\n", 2, "expected data class, found 'phi'"),
        ("cases:\n  - {name: a, evidence: {}, metadata: {b: c}, expect: {classes: [PHI], lanes: []}}\n", 2, "expected no metadata"),
    ],
    ids=["none", "neither", "both", "no lanes", "unknown key", "score", "entity", "class", "metadata"],
)
def test_a_fault_in_a_case_file(tmp_path: Path, text: str, line: int, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(PolicyFileError) as caught:
        load_cases(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert message in str(caught.value)


def test_a_name_twice_is_a_fault(tmp_path: Path) -> None:
    case = "  - {name: a, evidence: {}, expect: {classes: [CLEAN], lanes: [cloud, local]}}\n"
    with pytest.raises(PolicyFileError, match="each name once"):
        load_cases(write(tmp_path, f"cases:\n{case}{case}"))
