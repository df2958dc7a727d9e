"""Spans that were marked against spans that were found, by kind of identifier.

- A marked span is found when a finding of its kind overlaps it; that is enough to keep a document inside, which is what detection is for.
- A finding is right when it overlaps a marked span of its kind. It is only judged in a source that marks this kind anywhere: who marked
  persons and places did not look for account numbers. Overlapping findings count once.
- A type that is no identifier of ours, or that no installed detector provides, is not measured, and is reported as that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from detectors.detector import entity_kind
from detectors.document import EvidenceKind, Finding
from flows.labelled_records import LabelledSpan

KINDS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    kind: (frozenset(types.split()), frozenset(entities.split()))
    for kind, types, entities in (
        # kind                   what corpora call it                  entities of ours that may answer for it
        ("PERSON", "PERSON PER NAME", "PERSON"),
        ("STREET_ADDRESS", "STREET_ADDRESS ADDRESS", "STREET_ADDRESS"),
        ("ZIP", "ZIP ZIP_CODE", "ZIP"),
        ("LOCATION", "LOCATION LOC GPE", "LOCATION"),
        ("ORGANIZATION", "ORGANIZATION ORG FACILITY", "ORGANIZATION"),
        ("PHONE_NUMBER", "PHONE_NUMBER PHONE FAX", "PHONE_NUMBER"),
        ("EMAIL_ADDRESS", "EMAIL_ADDRESS EMAIL", "EMAIL_ADDRESS"),
        ("URL", "URL DOMAIN_NAME", "URL"),
        ("IP_ADDRESS", "IP_ADDRESS", "IP_ADDRESS"),
        ("DATE_TIME", "DATE_TIME DATE", "DATE_TIME DATE_OF_BIRTH"),
        ("DATE_OF_BIRTH", "DATE_OF_BIRTH DOB", "DATE_OF_BIRTH"),
        ("AGE", "AGE", "AGE"),
        ("US_SSN", "US_SSN SSN", "US_SSN"),
        ("US_ITIN", "US_ITIN", "US_ITIN"),
        ("US_PASSPORT", "US_PASSPORT", "US_PASSPORT"),
        ("US_DRIVER_LICENSE", "US_DRIVER_LICENSE", "US_DRIVER_LICENSE"),
        ("MEDICAL_RECORD_NUMBER", "MEDICAL_RECORD_NUMBER MRN", "MEDICAL_RECORD_NUMBER"),
        ("HEALTH_PLAN_NUMBER", "HEALTH_PLAN_NUMBER HEALTH_PLAN_ID", "HEALTH_PLAN_NUMBER US_MBI POLICY_NUMBER"),
        ("ACCOUNT_NUMBER", "ACCOUNT_NUMBER ACCOUNT", "ACCOUNT_NUMBER US_BANK_NUMBER"),
        ("LOAN_NUMBER", "LOAN_NUMBER LOAN_NO", "LOAN_NUMBER"),
        ("ABA_ROUTING_NUMBER", "ABA_ROUTING_NUMBER ROUTING", "ABA_ROUTING_NUMBER"),
        ("CREDIT_CARD", "CREDIT_CARD CARD", "CREDIT_CARD"),
        ("IBAN_CODE", "IBAN_CODE IBAN", "IBAN_CODE"),
    )
}
"""Types that are not here (a title, an income, a balance, a nationality) are no identifiers of ours."""

KIND_OF_TYPE: Mapping[str, str] = {name: kind for kind, (types, _) in KINDS.items() for name in types}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanCounts:
    """marked: spans of a kind. found: those that a finding of the kind overlaps. anything: those that any finding overlaps.

    reported: findings of the kind, overlapping ones as one. right: those that overlap a marked span of the kind.
    """

    marked: int = 0
    found: int = 0
    anything: int = 0
    reported: int = 0
    right: int = 0

    def __add__(self, other: SpanCounts) -> SpanCounts:
        return SpanCounts(**{one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)})

    @property
    def recall(self) -> float | None:
        """Found of marked; None where nothing was marked."""
        return self.found / self.marked if self.marked else None

    @property
    def recall_any(self) -> float | None:
        """Marked spans found at all, as whatever."""
        return self.anything / self.marked if self.marked else None

    @property
    def precision(self) -> float | None:
        """Right of reported; None where nothing was reported."""
        return self.right / self.reported if self.reported else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanTally:
    """One document: counts by kind, and the marked spans by the type of its corpus."""

    counts: Mapping[str, SpanCounts]
    types: Mapping[str, int]


def tally_spans(marked: Sequence[LabelledSpan], findings: Iterable[Finding]) -> SpanTally:
    """Match one document's spans. Findings in metadata are left out: corpora mark the text."""
    theirs: dict[str, list[tuple[int, int]]] = {}
    for span in marked:
        if span.type in KIND_OF_TYPE:
            theirs.setdefault(KIND_OF_TYPE[span.type], []).append((span.start, span.end))
    places: dict[str, set[tuple[int, int]]] = {}
    for finding in findings:
        if finding.part == "text":
            places.setdefault(finding.entity, set()).add((finding.start, finding.end))
    everywhere = set().union(*places.values())
    counts: dict[str, SpanCounts] = {}
    for kind, (_, entities) in KINDS.items():
        spans = theirs.get(kind, [])
        ours = _joined(set().union(*(places.get(entity, ()) for entity in entities)))
        if spans or ours:
            counts[kind] = SpanCounts(
                marked=len(spans),
                found=sum(_overlaps(span, ours) for span in spans),
                anything=sum(_overlaps(span, everywhere) for span in spans),
                reported=len(ours),
                right=sum(_overlaps(place, spans) for place in ours),
            )
    return SpanTally(counts=counts, types=Counter(span.type for span in marked))


def _joined(places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The places with overlapping ones made one: two detectors that see one number have found one thing."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _overlaps(span: tuple[int, int], others: Iterable[tuple[int, int]]) -> bool:
    return any(start < span[1] and span[0] < end for start, end in others)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanScores:
    """Counts by kind over all documents; how many spans of each corpus type are not measured."""

    kinds: Mapping[str, SpanCounts]
    not_measured: Mapping[str, int]


def score_spans(tallies: Iterable[tuple[str, SpanTally]], provided: frozenset[EvidenceKind]) -> SpanScores:
    """(source, tally) of every document → the whole. provided: what the installed detectors can find."""
    types: Counter[str] = Counter()
    marking: dict[str, set[str]] = {}
    by_source: dict[tuple[str, str], SpanCounts] = {}
    for source, tally in tallies:
        types.update(tally.types)
        marking.setdefault(source, set()).update(KIND_OF_TYPE[name] for name in tally.types if name in KIND_OF_TYPE)
        for kind, counts in tally.counts.items():
            by_source[source, kind] = by_source.get((source, kind), SpanCounts()) + counts
    kinds: dict[str, SpanCounts] = {}
    for (source, kind), counts in by_source.items():
        if kind in marking[source] and _provided(kind, provided):
            kinds[kind] = kinds.get(kind, SpanCounts()) + counts
    missing = {name: count for name, count in sorted(types.items()) if not _provided(KIND_OF_TYPE.get(name), provided)}
    return SpanScores(kinds=dict(sorted(kinds.items())), not_measured=missing)


def _provided(kind: str | None, provided: frozenset[EvidenceKind]) -> bool:
    return kind is not None and any(entity_kind(entity) in provided for entity in KINDS[kind][1])
