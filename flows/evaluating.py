"""What detection and policy did with labelled documents, counted. Pure: records, evidence and decisions in, counts out; no text.

- Leak: a document of a class for which the cloud is a permitted lane. Over-block: a clean one for which it is not, held ones included.
- Only the tiers core and hard_negative are counted in `leak` and `over_block`; the others stand apart in `tiers`.
- A cluster is a template: documents of one source with the same `meta.template`. A document without one is a cluster by itself. A
  cluster counts once however many documents it has, and as a leak when any of them leaks; the clustered bound is that of clusters.
- Documents in another language than English count as leaks like any other, and are counted by language in `not_english`. They are
  left out of over-blocking: a language that the detectors do not read stays inside by design.
- Kept inside under another class than its own is no leak; it is counted in `wrong_class`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from detectors.document import Evidence, EvidenceKind
from flows.confidence_bounds import upper_bound
from flows.labelled_records import HEADLINE, LabelledRecord, Tier
from flows.span_matching import SpanScores, SpanTally, score_spans, tally_spans
from policies.model import Decision, Lane


class Miss(StrEnum):
    """The ways in which a document can go wrong."""

    LEAK = "leak"
    OVER_BLOCK = "over_block"
    WRONG_CLASS = "wrong_class"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One document, decided. Without its text and offsets. spans: None where its spans are not measured."""

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


def judge(record: LabelledRecord, evidence: Evidence, decision: Decision, *, complete: bool) -> Outcome:
    """What became of one record. Spans are measured with complete evidence only: a planned scan stops before it has looked for all."""
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


SHOWN_TOPIC = 0.05
"""A topic scored lower than this explains nothing; it is left out of the summary of a miss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """k of n, and the same over clusters."""

    k: int
    n: int
    clusters_hit: int
    clusters: int

    @property
    def rate(self) -> float:
        """k/n; 0 of nothing is 0."""
        return self.k / self.n if self.n else 0.0

    @property
    def upper95(self) -> float:
        """The one-sided 95% bound, taking every document as independent."""
        return upper_bound(self.k, self.n)

    @property
    def upper95_clustered(self) -> float:
        """The one-sided 95% bound on the share of templates with at least one hit."""
        return upper_bound(self.clusters_hit, self.clusters)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLeak:
    """One class: over all, by source, and by how its labels came about."""

    total: Rate
    sources: Mapping[str, Rate]
    label_qualities: Mapping[str, Rate]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverBlock:
    """The clean documents of one source: over all, by hard-negative kind, and which classes kept them inside."""

    total: Rate
    kinds: Mapping[str, Rate]
    classes: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TierCount:
    """One tier, or one file: leak by class, and over-blocking where it has clean documents. words, documents: all of it."""

    documents: int
    words: int
    leak: Mapping[str, Rate]
    over_block: Rate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The whole. seconds: scan and decision.

    hard_negatives: over-blocking by kind over all sources; a hard negative without a kind is under its source.
    """

    documents: int
    words: int
    seconds: float
    leak: Mapping[str, ClassLeak]
    over_block: Mapping[str, OverBlock]
    hard_negatives: Mapping[str, Rate]
    wrong_class: Mapping[str, Rate]
    not_english: Mapping[str, Rate]
    tiers: Mapping[str, TierCount]
    files: Mapping[str, TierCount]
    spans: SpanScores | None


def measure(outcomes: Sequence[Outcome], *, seconds: float, provided: frozenset[EvidenceKind], complete: bool) -> Evaluation:
    """Count. provided: the kinds of evidence that the detectors of this run give."""
    headline = [outcome for outcome in outcomes if outcome.headline]
    clean = [outcome for outcome in headline if outcome.clean]
    tallies = [(outcome.source, outcome.spans) for outcome in outcomes if outcome.spans is not None]
    return Evaluation(
        documents=len(outcomes),
        words=sum(outcome.words for outcome in outcomes),
        seconds=seconds,
        leak={name: _class_leak(found) for name, found in _by_class(headline).items()},
        over_block={name: _over_block(found) for name, found in _grouped(clean, lambda one: one.source).items()},
        hard_negatives=_rates([one for one in clean if one.tier is Tier.HARD_NEGATIVE], lambda one: one.kind or one.source, _kept),
        wrong_class={name: _wrong(found, name) for name, found in _by_class(headline).items()},
        not_english=_rates([one for one in outcomes if not one.english], lambda one: one.lang, _sent),
        tiers={name: _tier(found) for name, found in _grouped(outcomes, lambda one: str(one.tier)).items()},
        files={
            name: _tier([one for one in found if one.headline], found) for name, found in _grouped(outcomes, lambda one: one.file).items()
        },
        spans=score_spans(tallies, provided) if complete else None,
    )


def misses(outcomes: Iterable[Outcome]) -> list[tuple[Miss, str, Outcome]]:
    """Every miss of the headline tiers: what, the class concerned (none for over-blocking), which document; leaks first."""
    found: list[tuple[Miss, str, Outcome]] = []
    for outcome in outcomes:
        if not outcome.headline:
            continue
        if outcome.clean and not outcome.to_cloud:
            found.append((Miss.OVER_BLOCK, "", outcome))
        for name in sorted(outcome.labels):
            if outcome.to_cloud:
                found.append((Miss.LEAK, name, outcome))
            elif outcome.missed(name):
                found.append((Miss.WRONG_CLASS, name, outcome))
    order = list(Miss)
    return sorted(found, key=lambda one: (order.index(one[0]), one[1], one[2].source))


Hit = Callable[[Outcome], bool]


def _wrong(outcomes: Sequence[Outcome], data_class: str) -> Rate:
    return _rate(outcomes, lambda one: one.missed(data_class))


def _sent(outcome: Outcome) -> bool:
    return outcome.to_cloud


def _kept(outcome: Outcome) -> bool:
    return not outcome.to_cloud


def _class_leak(outcomes: Sequence[Outcome]) -> ClassLeak:
    return ClassLeak(
        total=_rate(outcomes, _sent),
        sources=_rates(outcomes, lambda one: one.source, _sent),
        label_qualities=_rates(outcomes, lambda one: one.label_quality, _sent),
    )


def _over_block(outcomes: Sequence[Outcome]) -> OverBlock:
    hard = [one for one in outcomes if one.tier is Tier.HARD_NEGATIVE]
    classes = Counter(name for one in outcomes if not one.to_cloud for name in one.data_classes or (one.rule,))
    return OverBlock(total=_rate(outcomes, _kept), kinds=_rates(hard, lambda one: one.kind or one.source, _kept), classes=classes)


def _tier(counted: Sequence[Outcome], everything: Sequence[Outcome] | None = None) -> TierCount:
    of = counted if everything is None else everything
    clean = [one for one in counted if one.clean]
    return TierCount(
        documents=len(of),
        words=sum(one.words for one in of),
        leak={name: _rate(found, _sent) for name, found in _by_class(counted).items()},
        over_block=_rate(clean, _kept) if clean else None,
    )


def _by_class(outcomes: Iterable[Outcome]) -> dict[str, list[Outcome]]:
    """By label; a document with two is counted under both."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        for name in outcome.labels:
            groups.setdefault(name, []).append(outcome)
    return dict(sorted(groups.items()))


def _grouped(outcomes: Iterable[Outcome], key: Callable[[Outcome], str]) -> dict[str, list[Outcome]]:
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return dict(sorted(groups.items()))


def _rates(outcomes: Iterable[Outcome], key: Callable[[Outcome], str], hit: Hit) -> dict[str, Rate]:
    return {name: _rate(found, hit) for name, found in _grouped(outcomes, key).items()}


def _rate(outcomes: Sequence[Outcome], hit: Hit) -> Rate:
    hits = [one for one in outcomes if hit(one)]
    return Rate(
        k=len(hits), n=len(outcomes), clusters_hit=len({one.cluster for one in hits}), clusters=len({one.cluster for one in outcomes})
    )
