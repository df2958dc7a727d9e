"""What detection and policy did with labelled documents, counted. Pure: outcomes in, counts out; no text.

- Leak: a document of a class that the policy keeps inside, for which the cloud is a permitted lane. Over-block: a clean one for which it
  is not, held ones included.
- A class that the policy lets go to the cloud (PII) does not leak by going there. What its route requires of the cloud must have been
  required, though; documents for which it was not are in `without_requirement`.
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
from dataclasses import dataclass

from detectors.document import EvidenceKind
from flows.confidence_bounds import upper_bound
from flows.evaluation_outcome import Outcome
from flows.labelled_records import Tier
from flows.span_matching import SpanScores, score_spans


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
    without_requirement: Mapping[str, Rate]
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
        leak={name: _class_leak(found) for name, found in _by_class(headline, _restricted).items()},
        over_block={name: _over_block(found) for name, found in _grouped(clean, lambda one: one.source).items()},
        hard_negatives=_rates([one for one in clean if one.tier is Tier.HARD_NEGATIVE], lambda one: one.kind or one.source, _kept),
        without_requirement={name: _without(found, name) for name, found in _by_class(headline, _permitted).items()},
        wrong_class={name: _wrong(found, name) for name, found in _by_class(headline, _labels).items()},
        not_english=_rates([one for one in outcomes if not one.english], lambda one: one.lang, _sent),
        tiers={name: _tier(found) for name, found in _grouped(outcomes, lambda one: str(one.tier)).items()},
        files={
            name: _tier([one for one in found if one.headline], found) for name, found in _grouped(outcomes, lambda one: one.file).items()
        },
        spans=score_spans(tallies, provided) if complete else None,
    )


Hit = Callable[[Outcome], bool]


def _restricted(outcome: Outcome) -> frozenset[str]:
    return outcome.restricted


def _permitted(outcome: Outcome) -> frozenset[str]:
    return outcome.permitted


def _labels(outcome: Outcome) -> frozenset[str]:
    return outcome.labels


def _without(outcomes: Sequence[Outcome], data_class: str) -> Rate:
    return _rate(outcomes, lambda one: data_class in one.unguarded)


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
        leak={name: _rate(found, _sent) for name, found in _by_class(counted, _restricted).items()},
        over_block=_rate(clean, _kept) if clean else None,
    )


def _by_class(outcomes: Iterable[Outcome], labels: Callable[[Outcome], frozenset[str]]) -> dict[str, list[Outcome]]:
    """By those labels; a document with two is counted under both."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        for name in labels(outcome):
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
