import base64
import logging
import math
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

import detectors
from detectors.detector import DetectorSet, collect, entity_kind, marker_kind
from detectors.document import Document, Evidence, EvidenceKind, Finding, ReadProblem
from detectors.normalized import Normalized
from detectors.scan import COMPLETE, Limits, batches, scan
from detectors.screen import Screen

SSN = "123-45-6789"
CANARY = "Zebulon Quartermaine 987-12-3456"


@pytest.fixture(scope="module")
def loaded() -> DetectorSet:
    return detectors.load()


def document(text: str, **fields: Any) -> Document:
    return Document(record_id=fields.pop("record_id", "r1"), text=text, source="s", **fields)


@dataclass
class Recorder:
    """Answers one question, and remembers how many texts it was shown."""

    name: str
    kind: EvidenceKind
    cost: int = 1
    markers: frozenset[str] = frozenset()
    shown: list[int] = field(default_factory=list)
    version: str = "1"
    screen: Screen | None = None

    @property
    def provides(self) -> frozenset[EvidenceKind]:
        return frozenset({self.kind})

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        self.shown.append(len(texts))
        return [Evidence(markers=self.markers) for _ in texts]


class Broken(Recorder):
    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        if any("bad" in text.text for text in texts):
            raise ValueError(texts[0].text)
        return [Evidence() for _ in texts]


class Short(Recorder):
    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        return []


A, B, C = (marker_kind(name) for name in "abc")


def test_a_detector_that_raises_fails_its_document_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    texts = ["fine", f"bad {CANARY}", "fine too"]
    with caplog.at_level(logging.DEBUG):
        found = list(scan([document(text, record_id=str(index)) for index, text in enumerate(texts)], [Broken("broken", A)]))
    assert [evidence.failures for evidence in found] == [frozenset(), frozenset({"detector_error:broken"}), frozenset()]
    assert [A in evidence.settled for evidence in found] == [True, False, True]
    assert "broken" in caplog.text
    assert CANARY not in caplog.text


def test_a_detector_that_answers_too_little_fails() -> None:
    assert next(scan([document("x y")], [Short("short", A)])).failures == {"detector_error:short"}


UNSOUND = {
    "no evidence": None,
    "topic is no number": Evidence(topics={"t": math.nan}),
    "topic without end": Evidence(topics={"t": math.inf}),
    "topic in words": Evidence(topics={"t": "0.9"}),  # type: ignore[dict-item]
    "finding is no number": Evidence(findings=(Finding(detector="odd", entity="US_SSN", start=0, end=1, score=math.nan),)),
    "entity is no text": Evidence(findings=(Finding(detector="odd", entity=7, start=0, end=1, score=0.9),)),  # type: ignore[arg-type]
    "findings that are read once": Evidence(findings=iter(())),  # type: ignore[arg-type]
    "marker is no text": Evidence(markers=frozenset({7})),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("answer", UNSOUND.values(), ids=UNSOUND)
def test_an_answer_that_is_no_evidence_is_a_failure(answer: Any) -> None:
    class Odd(Recorder):
        def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
            return [answer if text.part == "text" else Evidence(topics={"t": 0.0}) for text in texts]

    found = next(scan([document("the river", metadata={"title": "river"})], [Odd("odd", A)]))
    assert found.failures == {"detector_error:odd"}
    assert not found.settled


@pytest.mark.parametrize(("raised", "fails"), [(SystemExit, True), (KeyboardInterrupt, False)], ids=["exit", "interrupt"])
def test_a_detector_cannot_end_the_run_but_a_person_can(raised: type[BaseException], *, fails: bool) -> None:
    class Ending(Recorder):
        def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
            raise raised

    stream = scan([document("x y")], [Ending("ending", A)])
    if fails:
        assert next(stream).failures == {"detector_error:ending"}
    else:
        with pytest.raises(raised):
            next(stream)


def test_nobody_is_asked_when_nothing_is_wanted() -> None:
    recorder = Recorder("a", A)
    found = next(scan([document("hello there")], [recorder], lambda _: frozenset()))
    assert (recorder.shown, found.settled) == ([], frozenset())


def until_found(evidence: Evidence) -> frozenset[EvidenceKind]:
    return frozenset() if "a" in evidence.markers else frozenset({A}) - evidence.settled


def test_the_cheapest_that_can_answer_runs_first_and_the_rest_not_at_all() -> None:
    dear, other = Recorder("dear", A, cost=9), Recorder("other", B, cost=1)
    cheap = Recorder("cheap", A, cost=1, markers=frozenset({"a"}))
    found = next(scan([document("hello there")], [dear, cheap, other], until_found))
    assert (cheap.shown, dear.shown, other.shown) == ([1], [], [])
    assert found.settled == frozenset()


def test_a_question_is_settled_when_all_who_can_answer_have() -> None:
    dear, cheap = Recorder("dear", A, cost=9), Recorder("cheap", A, cost=1)
    found = next(scan([document("hello there")], [dear, cheap], until_found))
    assert (cheap.shown, dear.shown, found.settled) == ([1], [1], frozenset({A}))


def test_a_question_whose_detector_failed_stays_open() -> None:
    found = next(scan([document("bad")], [Recorder("sound", A), Broken("broken", A)], until_found))
    assert (found.settled, found.failures) == (frozenset(), frozenset({"detector_error:broken"}))


def test_an_answer_may_open_a_new_question() -> None:
    late, first = Recorder("late", B, cost=1), Recorder("first", A, cost=5, markers=frozenset({"a"}))

    def demand(evidence: Evidence) -> frozenset[EvidenceKind]:
        return frozenset({B}) if "a" in evidence.markers else frozenset({A})

    assert next(scan([document("hello there")], [late, first], demand)).settled == {A, B}


def test_a_question_that_nobody_answers_stays_open() -> None:
    assert next(scan([document("hello there")], [Recorder("a", A)], lambda _: frozenset({C}))).settled == frozenset()


def test_evidence_is_lazy_and_aligned() -> None:
    taken: list[int] = []

    def documents() -> Iterator[Document]:
        for index in range(100):
            taken.append(index)
            yield document(f"number {index}", declared=frozenset({f"D{index}"}))

    stream = scan(documents(), [Recorder("a", A)], limits=Limits(batch=10))
    assert next(stream).declared == {"D0"}
    assert len(taken) == 10
    assert [evidence.declared for evidence in stream] == [{f"D{index}"} for index in range(1, 100)]


def test_documents_go_to_a_detector_together() -> None:
    recorder = Recorder("a", A)
    list(scan([document("x y"), document("y x", metadata={"to": "z"})], [recorder]))
    assert recorder.shown == [3]


def test_the_same_text_is_looked_at_once_in_a_batch() -> None:
    recorder = Recorder("a", A, markers=frozenset({"a"}))
    given = [document("x y"), document("x y", metadata={"to": "x y"}), document("x y", declared=frozenset({"PHI"}))]
    found = list(scan(given, [recorder]))
    assert recorder.shown == [2]  # a part's name is context too, so the text and the field are two
    assert [(evidence.markers, evidence.declared) for evidence in found] == [
        (frozenset({"a"}), frozenset()),
        (frozenset({"a"}), frozenset()),
        (frozenset({"a"}), frozenset({"PHI"})),
    ]


def test_a_detector_sees_only_what_passes_its_screen() -> None:
    recorder = Recorder("a", A)
    recorder.screen = Screen(words=frozenset({"loan"}))
    found = list(scan([document("the loan"), document("the lawn")], [recorder]))
    assert recorder.shown == [1]
    assert [evidence.settled for evidence in found] == [{A}, {A}]


def test_a_batch_is_bounded_by_its_characters() -> None:
    sizes = [len(batch) for batch in batches([document("x" * 10) for _ in range(7)], Limits(batch=5, batch_characters=30))]
    assert sizes == [3, 3, 1]
    assert [len(batch) for batch in batches([document("x") for _ in range(7)], Limits(batch=5))] == [5, 2]


def test_every_part_is_scanned(loaded: DetectorSet) -> None:
    found = next(scan([document("hello", metadata={"subject": f"about {SSN}"})], loaded)).findings
    assert ("US_SSN", "metadata.subject", 6, 17) in {(finding.entity, finding.part, finding.start, finding.end) for finding in found}


@pytest.mark.parametrize("offset", [0, 500_000, 1_000_000], ids=["head", "middle", "tail"])
def test_one_number_in_a_megabyte_is_found(loaded: DetectorSet, offset: int) -> None:
    filler = "The weather was fine and nobody minded the walk. " * 21_000
    text = filler[:offset] + f" SSN {SSN} " + filler[offset:1_000_000]
    found = next(scan([document(text)], loaded, lambda evidence: frozenset({entity_kind("US_SSN")}) - evidence.settled)).findings
    assert SSN in {text[finding.start : finding.end] for finding in found}


def test_characters_beyond_the_limit_are_a_failure(loaded: DetectorSet) -> None:
    found = next(scan([document("the end is near. " * 10 + SSN)], loaded, limits=Limits(max_characters=100)))
    assert "limit_characters" in found.failures


def test_the_limit_counts_all_parts(loaded: DetectorSet) -> None:
    found = next(scan([document("hello there", metadata={"a": "x" * 50, "b": SSN})], loaded, limits=Limits(max_characters=40)))
    assert "limit_characters" in found.failures


def test_too_many_findings_are_a_failure(loaded: DetectorSet) -> None:
    found = next(scan([document("jane@example.org " * 50)], loaded, limits=Limits(max_findings=20)))
    assert "limit_findings" in found.failures
    assert len(found.findings) == 20


def test_a_detector_stops_counting(loaded: DetectorSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detectors.detector.MOST_FINDINGS", 3)
    text = Normalized(text="x")
    assert collect(text.finding("d", "E", (0, 1), 1.0) for _ in range(9)).failures == {"limit_findings"}


@pytest.mark.parametrize(
    ("problem", "text", "settles"),
    [
        pytest.param(ReadProblem.UNDECODABLE, "some text", True, id="doubtful-text"),
        pytest.param(ReadProblem.PARTIAL_TEXT, "some text", True, id="part-of-the-text"),
        pytest.param(ReadProblem.ENCRYPTED, "", False, id="no-text"),
    ],
)
def test_a_reading_problem_is_a_failure_code(problem: ReadProblem, text: str, *, settles: bool) -> None:
    found = next(scan([document(text, problem=problem)], [Recorder("a", A)]))
    assert str(problem) in found.failures
    assert (A in found.settled) is settles


@pytest.mark.parametrize("text", ["", " \n\t "], ids=["nothing", "blank"])
def test_no_text_is_a_failure(text: str) -> None:
    assert next(scan([document(text)], [Recorder("a", A)])).failures == {"empty_text"}


def test_a_foreign_letter_and_an_opaque_run_are_failures(loaded: DetectorSet) -> None:
    letter = "El paciente refiere dolor desde hace tres d\u00edas y se cita en una semana con los resultados."
    blob = base64.b64encode(bytes(range(128, 256)) * 8).decode()
    assert next(scan([document(letter)], loaded)).failures == {"unsupported_language"}
    assert next(scan([document(f"see this {blob}")], loaded)).failures == {"undecodable_run"}


def test_complete_demand_settles_every_kind(loaded: DetectorSet) -> None:
    assert next(scan([document("hello there")], loaded, COMPLETE)).settled == loaded.kinds


def test_planned_and_complete_agree_on_what_was_asked(loaded: DetectorSet) -> None:
    text = f"Patient: Jane Roe, SSN {SSN}, MRN 00261694. She denies chest pain; follow up in 2 weeks. PRIVILEGED AND CONFIDENTIAL"
    complete = next(scan([document(text)], loaded))
    for kind in sorted(loaded.kinds):
        planned = next(scan([document(text)], loaded, lambda evidence, kind=kind: frozenset({kind}) - evidence.settled))  # type: ignore[misc]
        sort, name = kind.split(":", 1)
        if sort == "marker":
            assert (name in planned.markers) == (name in complete.markers)
        elif sort == "topic":
            assert planned.topics.get(name) == complete.topics.get(name)
        else:
            wanted = {(f.start, f.end) for f in planned.findings if f.entity == name}
            assert wanted <= {(f.start, f.end) for f in complete.findings if f.entity == name}
            assert bool(wanted) == any(f.entity == name for f in complete.findings)


def test_no_connection_and_no_text_in_logs_or_reprs(
    loaded: DetectorSet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a detector tried to open a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    text = f"Patient: {CANARY} a@b.co.uk https://x.co.uk +44 20 7946 0958"
    text += " GB82 WEST 1234 5698 7654 32 card 4539 1488 0343 6467 password=h0rsebattery"
    with caplog.at_level(logging.DEBUG):
        found = next(scan([document(text)], loaded))
    assert found.findings
    assert found.failures == frozenset()
    shown = caplog.text + repr(found) + repr(loaded) + repr(document(text))
    for piece in ("Zebulon", "Quartermaine", "987-12", "h0rse", "WEST"):
        assert piece not in shown


ADVERSARIAL = {
    "digits": "1234567890" * 20_000,
    "quotes": "\"'" * 100_000,
    "addresses": "a@" * 100_000,
    "dots": "1." * 100_000,
    "names": "John " * 40_000,
    "labels": "account number is my " * 10_000,
    "footers": "confidential may be " * 5_000,
    "marks": "e\u0301" * 50_000,
    "mixed-scripts": "a\u0431" * 50_000,
    "assignments": "password='" * 20_000,
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("text", ADVERSARIAL.values(), ids=ADVERSARIAL.keys())
def test_hostile_text_is_answered_in_full(loaded: DetectorSet, text: str) -> None:
    found = next(scan([document(text)], loaded))
    assert found.settled == loaded.kinds
    assert not any(code.startswith("detector_error") for code in found.failures)
