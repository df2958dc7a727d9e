"""One detector against its labelled examples: what it found, what it missed, what it raised without cause, and how fast. No text in it."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectors import load
from detectors.detector import BELIEVED, Detector
from detectors.document import Document, Evidence, Finding
from detectors.normalize import normalize
from detectors.scan import COMPLETE, DETECTOR_ERROR, scan
from flows.detector_examples import EXAMPLES, Example, Expectation, example_files, read_examples
from flows.errors import JobError
from policies.load import DEFAULT_POLICY, load_policy

PAGE_WORDS = 1_000
"""The examples are joined and repeated to pages of so many words: single sentences would time the calls, not the detector."""
SPEED_WORDS = 50_000
"""So many words are looked at: enough to time, short enough to wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleResult:
    """How one example came out. lost: expected, not found. alarms: found, not expected, with part and offsets where it has any."""

    example: Example
    lost: tuple[str, ...]
    alarms: tuple[str, ...]
    failed: bool

    @property
    def as_expected(self) -> bool:
        """Whether the detector did exactly what the example asks for."""
        return not self.lost and not self.alarms and not self.failed

    @property
    def as_recorded(self) -> bool:
        """Whether it came out as the file says it does: as expected, or as a known shortfall. A detector that raises is no such thing."""
        return not self.failed and self.as_expected is not self.example.missed

    @property
    def near_miss(self) -> bool:
        """Whether nothing is to be found here."""
        return not self.example.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorResult:
    """One detector on all its examples. expected, found: pieces of evidence. seconds: for `words` words, already normalised."""

    name: str
    results: tuple[ExampleResult, ...]
    expected: int
    found: int
    words: int
    seconds: float

    @property
    def recall(self) -> float | None:
        """Found of expected; None where nothing is expected."""
        return self.found / self.expected if self.expected else None

    @property
    def near_misses(self) -> int:
        """Examples in which nothing is to be found."""
        return sum(one.near_miss for one in self.results)

    @property
    def false_alarms(self) -> int:
        """Near misses in which something was found."""
        return sum(one.near_miss and bool(one.alarms) for one in self.results)

    @property
    def words_per_s(self) -> float:
        """This detector alone, without reading and normalising."""
        return self.words / self.seconds if self.seconds else 0.0

    @property
    def as_recorded(self) -> bool:
        """Whether every example came out as the file says."""
        return all(one.as_recorded for one in self.results)


def try_detectors(names: Sequence[str] = (), examples: Path | None = None, *, policy_path: Path | None = None) -> Iterator[DetectorResult]:
    """Each named detector on its bundled examples, or on the file `examples`; with no name, all that have bundled ones.

    The detectors are the built-in ones, those that the policy asks for (the bundled policy when none is given), and those of plug-ins.
    Raises JobError for an unknown name and for a detector without examples.
    """
    policy = load_policy(policy_path or DEFAULT_POLICY)
    installed = {detector.name: detector for detector in load(ner=policy.ner, participants=policy.participants).detectors}
    files = example_files()
    for name in names or [name for name in installed if name in files]:
        if name not in installed:
            close = difflib.get_close_matches(name, installed, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise JobError(f"{name}: expected an installed detector; `waybill detectors list` names them{hint}")
        file = examples or files.get(name)
        if file is None:
            raise JobError(f"{name}: expected {EXAMPLES}/FAMILY/{name}.yaml, found none; write it, or name a file with --examples")
        yield try_detector(installed[name], read_examples(file, installed[name]))


def try_detector(detector: Detector, examples: Sequence[Example], *, timed: bool = True) -> DetectorResult:
    """Run the detector over its examples, each for itself, then, when `timed`, over pages of them for its speed."""
    evidence = scan([example.document for example in examples], [detector], COMPLETE)
    results = tuple(_result(example, found) for example, found in zip(examples, evidence, strict=True))
    expected = sum(len(example.expected) for example in examples)
    words, seconds = _speed(detector, [example.document for example in examples]) if timed else (0, 0.0)
    lost = sum(len(one.lost) for one in results)
    return DetectorResult(name=detector.name, results=results, expected=expected, found=expected - lost, words=words, seconds=seconds)


def _result(example: Example, evidence: Evidence) -> ExampleResult:
    lost = tuple(one.name for one in example.expected if not _found(one, example.document, evidence))
    failed = any(code.startswith(DETECTOR_ERROR) for code in evidence.failures)
    return ExampleResult(example=example, lost=lost, alarms=tuple(_alarms(example, evidence)), failed=failed)


def _found(expected: Expectation, document: Document, evidence: Evidence) -> bool:
    if expected.kind == "marker":
        return expected.name in evidence.markers
    if expected.kind == "topic":
        return evidence.topics.get(expected.name, 0.0) >= expected.at_least
    findings = [finding for finding in evidence.findings if finding.entity == expected.name]
    return any(expected.value in {None, _at(document, finding)} for finding in findings)


def _alarms(example: Example, evidence: Evidence) -> list[str]:
    """What nobody expected; a second finding of an expected entity counts unless it touches a place that is told."""
    expected = {one.name for one in example.expected}
    alarms = [name for name in sorted(evidence.markers) if name not in expected]
    alarms += [name for name, score in sorted(evidence.topics.items()) if name not in expected and score >= BELIEVED]
    for finding in evidence.findings:
        values = [one.value for one in example.expected if one.name == finding.entity]
        told = None not in values
        if not values or (told and not any(_touches(example.document, finding, value or "") for value in values)):
            alarms.append(f"{finding.entity} at {finding.part} {finding.start}-{finding.end}")
    return alarms


def _touches(document: Document, finding: Finding, value: str) -> bool:
    text = document.parts[finding.part]
    place = text.find(value)
    while place >= 0:
        if place < finding.end and finding.start < place + len(value):
            return True
        place = text.find(value, place + 1)
    return False


def _at(document: Document, finding: Finding) -> str:
    return document.parts[finding.part][finding.start : finding.end]


def _speed(detector: Detector, documents: Sequence[Document]) -> tuple[int, float]:
    """Words looked at, and seconds, on pages made of all the examples. Normalised anew: nothing is there yet that detectors share."""
    joined = "\n\n".join(value for document in documents for value in document.parts.values())
    words = len(joined.split())
    page = "\n\n".join([joined] * max(1, PAGE_WORDS // max(1, words)))
    pages = max(1, SPEED_WORDS // len(page.split()))
    texts = [normalize(page, "text") for _ in range(pages)]
    try:
        detector.detect([normalize(joined, "text")])  # models load with the first text
        began = time.perf_counter()
        detector.detect(texts)
        return len(page.split()) * pages, time.perf_counter() - began
    except Exception:  # noqa: BLE001 - the results above already say that it fails; there is no speed to tell
        return 0, 0.0


def as_json(result: DetectorResult) -> dict[str, Any]:
    """One object; examples by line, never by text."""
    return {
        "name": result.name,
        "expected": result.expected,
        "found": result.found,
        "recall": result.recall,
        "near_misses": result.near_misses,
        "false_alarms": result.false_alarms,
        "words_per_s": round(result.words_per_s, 1),
        "as_recorded": result.as_recorded,
        "examples": [
            {
                "line": one.example.line,
                "near_miss": one.near_miss,
                "missed": list(one.lost),
                "alarms": list(one.alarms),
                "failed": one.failed,
                "known": one.example.missed,
                "as_recorded": one.as_recorded,
            }
            for one in result.results
        ],
    }


def lines(result: DetectorResult) -> list[str]:
    """What a person reads: three figures, then each example that is not as expected."""
    recall = (
        "no hits among the examples" if result.recall is None else f"{result.found} of {result.expected} found, recall {result.recall:.0%}"
    )
    said = [
        result.name,
        f"  hits         {recall}",
        f"  near misses  {result.false_alarms} of {result.near_misses} raised a false alarm",
        f"  speed        {result.words_per_s:,.0f} words/s alone, on pages of such examples, already normalised",
    ]
    return said + [f"  line {one.example.line}: {_said(one)}" for one in result.results if not (one.as_expected and one.as_recorded)]


def _said(one: ExampleResult) -> str:
    if one.as_expected:
        return "comes out as expected although it is marked `missed: true`; remove the mark"
    parts = [f"missed {', '.join(one.lost)}"] if one.lost else []
    parts += [f"false alarm {', '.join(one.alarms)}"] if one.alarms else []
    parts += ["the detector failed"] if one.failed else []
    return "; ".join(parts) + (" (known)" if one.example.missed and not one.failed else "")
