"""What became of one labelled document, and in which ways it went wrong. Pure: record, evidence and decision in; no text out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from detectors.document import Evidence
from flows.labelled_records import HEADLINE, LabelledRecord, Tier
from flows.span_matching import SpanTally, tally_spans
from policies.facts import satisfies
from policies.model import Decision, Lane
from policies.policy import Policy, verdict


class Miss(StrEnum):
    """The ways in which a document can go wrong."""

    LEAK = "leak"
    WITHOUT_REQUIREMENT = "without_requirement"
    OVER_BLOCK = "over_block"
    WRONG_CLASS = "wrong_class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One document, decided. Without its text and offsets.

    permitted: of its labels, those that the policy lets go to the cloud. unguarded: of these, those with which the cloud would have got
    it without what their route requires. spans: None where they are not measured.
    """

    file: str
    line: int
    record_id: str
    source: str
    tier: Tier
    lang: str
    english: bool
    label_quality: str
    cluster: str
    kind: str | None
    labels: frozenset[str]
    permitted: frozenset[str] = frozenset()
    unguarded: frozenset[str] = frozenset()
    words: int
    lanes: tuple[Lane, ...]
    data_classes: tuple[str, ...]
    rule: str
    entities: Mapping[str, int] = field(default_factory=dict)
    topics: Mapping[str, float] = field(default_factory=dict)
    markers: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    spans: SpanTally | None = None

    @property
    def to_cloud(self) -> bool:
        """Whether the cloud is permitted."""
        return Lane.CLOUD in self.lanes

    @property
    def restricted(self) -> frozenset[str]:
        """Its labels that the policy keeps inside."""
        return self.labels - self.permitted

    @property
    def headline(self) -> bool:
        """Whether its label is sure enough to be counted."""
        return self.tier in HEADLINE

    @property
    def clean(self) -> bool:
        """Whether it is clean, so that keeping it inside is over-blocking."""
        return not self.labels and self.english and self.tier is not Tier.SPANS_ONLY

    def missed(self, data_class: str) -> bool:
        """Whether the class was not seen, but the document stayed inside for another reason."""
        return not self.to_cloud and data_class not in self.data_classes


def judge(record: LabelledRecord, evidence: Evidence, decision: Decision, policy: Policy, *, complete: bool) -> Outcome:
    """What became of one record. Spans are measured with complete evidence only: a planned scan stops before it has looked for all."""
    permitted = frozenset(label for label in record.labels if Lane.CLOUD in verdict(policy, [label]).lanes)
    annotated = record.tier is Tier.SPANS_ONLY or bool(record.spans)
    return Outcome(
        file=record.file,
        line=record.line,
        record_id=record.record_id,
        source=record.source,
        tier=record.tier,
        lang=record.lang,
        english=record.english,
        label_quality=record.label_quality,
        cluster=record.cluster,
        kind=record.kind,
        labels=record.labels,
        permitted=permitted,
        unguarded=frozenset(label for label in permitted if _unguarded(label, decision, policy)),
        words=len(record.text.split()),
        lanes=decision.lanes,
        data_classes=decision.data_classes,
        rule=decision.reason or decision.rule,
        entities=Counter(finding.entity for finding in evidence.findings),
        topics={name: score for name, score in sorted(evidence.topics.items()) if score >= SHOWN_TOPIC},
        markers=tuple(sorted(evidence.markers)),
        failures=tuple(sorted(evidence.failures)),
        spans=tally_spans(record.spans, evidence.findings) if annotated and complete else None,
    )


def _unguarded(label: str, decision: Decision, policy: Policy) -> bool:
    """Whether the cloud may have it without a fact that the label's own route requires. A stricter requirement is as good."""
    required = verdict(policy, [label]).cloud_requires
    met = all(satisfies(decision.cloud_requires.get(fact), value) for fact, value in required.items())
    return Lane.CLOUD in decision.lanes and not met


SHOWN_TOPIC = 0.05
"""A topic scored lower than this explains nothing; it is left out of the summary of a miss."""


def misses(outcomes: Iterable[Outcome]) -> list[tuple[Miss, str, Outcome]]:
    """Every miss of the headline tiers: what, the class concerned (none for over-blocking), which document; leaks first."""
    found: list[tuple[Miss, str, Outcome]] = []
    for outcome in outcomes:
        if not outcome.headline:
            continue
        if outcome.clean and not outcome.to_cloud:
            found.append((Miss.OVER_BLOCK, "", outcome))
        for name in sorted(outcome.labels):
            if outcome.to_cloud and name in outcome.restricted:
                found.append((Miss.LEAK, name, outcome))
            elif name in outcome.unguarded:
                found.append((Miss.WITHOUT_REQUIREMENT, name, outcome))
            elif outcome.missed(name):
                found.append((Miss.WRONG_CLASS, name, outcome))
    order = list(Miss)
    return sorted(found, key=lambda one: (order.index(one[0]), one[1], one[2].source))
