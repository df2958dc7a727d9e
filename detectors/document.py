"""What is scanned and what scanning found: Document, Finding, Evidence.

Invariants kept here:
- Text never shows in a `repr` (invariant 5): an object that reaches a log or a traceback carries ids, offsets and counts only.
- Evidence only grows: `Evidence.merge` unions, never removes (invariant 9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

EvidenceKind = NewType("EvidenceKind", str)
"""One question a detector can answer: `entity:US_SSN`, `topic:health`, `marker:privilege_header`."""

LLM = EvidenceKind("llm")
"""The question that no detector answers: what a model inside says of the whole document (the second look)."""


class ReadProblem(StrEnum):
    """Why an input could not be read in full. The value is the reason code in results and ledger."""

    # No readable text: the document is HELD.
    EMPTY = "empty_text"
    NO_TEXT_LAYER = "no_text_layer"
    ENCRYPTED = "encrypted"
    CORRUPT = "corrupt"
    ARCHIVE_BOMB = "archive_bomb"
    VANISHED = "vanished"
    CHANGED = "changed_while_read"
    UNREADABLE = "unreadable"
    UNSUPPORTED_FORMAT = "unsupported_format"
    # There is text, but it is incomplete or doubtful: the document is UNSCANNABLE.
    UNDECODABLE = "undecodable_bytes"
    TOO_LARGE = "too_large"
    PARTIAL_TEXT = "partial_text"


UNSCANNABLE_PROBLEMS = frozenset({ReadProblem.UNDECODABLE, ReadProblem.TOO_LARGE, ReadProblem.PARTIAL_TEXT})
"""Problems that leave some text to work on locally; every other problem means that there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One input record.

    `parts` are the strings a prompt may use, by slot name: `text`, then `metadata.NAME`. All of them are scanned,
    so that whatever a template can send has been looked at (invariant 2).
    """

    record_id: str
    text: str = field(repr=False)
    source: str = field(repr=False)
    source_id: str | None = field(default=None, repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    family: str = ""
    declared: frozenset[str] = frozenset()
    problem: ReadProblem | None = None

    @property
    def parts(self) -> dict[str, str]:
        """Every sendable string of the record, by slot name; empty metadata values are left out."""
        return {"text": self.text} | {f"metadata.{name}": value for name, value in self.metadata.items() if value}

    @property
    def readable(self) -> bool:
        """Whether there is any text to work on."""
        return bool(self.text) and (self.problem is None or self.problem in UNSCANNABLE_PROBLEMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One identifier found. `start` and `end` are offsets into the original text of `part`; never the text itself."""

    detector: str
    entity: str
    start: int
    end: int
    score: float
    part: str = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Evidence of the kind `llm`: a model inside says that the document is of this data class, and which model."""

    data_class: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a document so far.

    topics: score 0..1 by topic, the maximum over windows. markers: marker names found. declared: data classes that the
    file or the job states. failures: reason codes of detectors, limits or languages that failed; any one makes the
    document UNSCANNABLE. settled: the questions answered so far, whatever the answer. judged: what a model inside says of it.
    """

    findings: tuple[Finding, ...] = ()
    topics: Mapping[str, float] = field(default_factory=dict)
    markers: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()
    failures: frozenset[str] = frozenset()
    settled: frozenset[EvidenceKind] = frozenset()
    judged: frozenset[Judgement] = frozenset()

    def merge(self, other: Evidence) -> Evidence:
        """The union of both; a topic keeps its higher score."""
        topics = {name: max(self.topics.get(name, 0.0), other.topics.get(name, 0.0)) for name in {*self.topics, *other.topics}}
        return Evidence(
            findings=self.findings + other.findings,
            topics=topics,
            markers=self.markers | other.markers,
            declared=self.declared | other.declared,
            failures=self.failures | other.failures,
            settled=self.settled | other.settled,
            judged=self.judged | other.judged,
        )


Demand = Callable[[Evidence], frozenset[EvidenceKind]]
"""Which questions are still worth asking, given what is known; the empty set stops the scan. Must be picklable."""
