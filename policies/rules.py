"""Conditions over evidence: three-valued, monotone, picklable.

- A condition is True, False, or None for *unknown*: not true yet, and a kind of evidence that could make it true is not settled.
- Conditions are monotone: there is no `not`, so more evidence can turn unknown into true but never true into anything else. A footer,
  a licence header or a model's verdict therefore cannot lower what other evidence raised (invariant 9).
- An empty `all` or `any` is an error, never silently true or false (invariant 1).
- A score that is not a number counts as the highest (invariant 1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from detectors.document import Evidence, EvidenceKind, Finding
from policies.errors import RuleError

Truth = bool | None
"""True, False, or None: not known yet."""

DEFAULT_SCORE = 0.5
"""Findings below this score support a reader's judgement but no rule, unless the rule says otherwise."""

NO_KINDS: frozenset[EvidenceKind] = frozenset()


@dataclass(frozen=True, slots=True)
class View:
    """Evidence, indexed once for all the rules of a policy: the best score by entity beside the evidence itself."""

    best: Mapping[str, float]
    findings: tuple[Finding, ...]
    topics: Mapping[str, float]
    markers: frozenset[str]
    declared: frozenset[str]
    settled: frozenset[EvidenceKind]


def view(evidence: Evidence) -> View:
    """Index evidence for evaluation."""
    best: dict[str, float] = {}
    for finding in evidence.findings:
        score = finding.score
        if score <= best.get(finding.entity, -1.0):
            continue
        best[finding.entity] = min(1.0, score)  # in this order, so that NaN gives 1
    return View(best, evidence.findings, evidence.topics, evidence.markers, evidence.declared, evidence.settled)


class Condition(Protocol):
    """One node of a rule."""

    @property
    def kinds(self) -> frozenset[EvidenceKind]:
        """Every kind of evidence that this condition looks at."""
        ...

    def holds(self, seen: View) -> Truth:
        """Whether the condition is true, false or unknown for what has been seen."""
        ...

    def open_kinds(self, seen: View) -> frozenset[EvidenceKind]:
        """The kinds that could still change `holds`; empty unless it is unknown."""
        ...


@dataclass(frozen=True, slots=True)
class Predicate(ABC):
    """What the leaves share: unknown means that the predicate is not true and one of its kinds is not settled."""

    kinds: frozenset[EvidenceKind] = field(init=False, repr=False, compare=False)

    @abstractmethod
    def seen_in(self, seen: View) -> bool:
        """Whether what has been seen already makes the predicate true."""

    def holds(self, seen: View) -> Truth:
        """See `Condition.holds`."""
        if self.seen_in(seen):
            return True
        return False if self.kinds <= seen.settled else None

    def open_kinds(self, seen: View) -> frozenset[EvidenceKind]:
        """See `Condition.open_kinds`."""
        return NO_KINDS if self.seen_in(seen) else self.kinds - seen.settled


def _set_kinds(predicate: Predicate, prefix: str, names: Iterable[str]) -> None:
    object.__setattr__(predicate, "kinds", frozenset(EvidenceKind(f"{prefix}:{name}") for name in names))


@dataclass(frozen=True, slots=True)
class TopicIs(Predicate):
    """`{topic: health, at_least: 0.5}`."""

    topic: str
    at_least: float

    def __post_init__(self) -> None:
        _demand_share("at_least", self.at_least)
        _set_kinds(self, "topic", [self.topic])

    def seen_in(self, seen: View) -> bool:
        """A topic that was never scored counts as 0; one that is not a number counts as 1."""
        return not seen.topics.get(self.topic, 0.0) < self.at_least


@dataclass(frozen=True, slots=True)
class EntityFound(Predicate):
    """`{entity: US_SSN}` or `{any_entity: [US_SSN, PERSON]}`: at least `count` findings of these entities, each scored well enough."""

    entities: frozenset[str]
    at_least_score: float = DEFAULT_SCORE
    count: int = 1

    def __post_init__(self) -> None:
        _demand_names("entity", self.entities)
        _demand_share("at_least_score", self.at_least_score)
        if self.count < 1:
            raise RuleError(f"count: expected 1 or more, found {self.count}")
        _set_kinds(self, "entity", self.entities)

    def seen_in(self, seen: View) -> bool:
        """Whether enough findings reach the score."""
        if self.entities.isdisjoint(seen.best):
            return False
        if self.count == 1:
            return any(seen.best[entity] >= self.at_least_score for entity in self.entities.intersection(seen.best))
        return sum(finding.entity in self.entities and not finding.score < self.at_least_score for finding in seen.findings) >= self.count


@dataclass(frozen=True, slots=True)
class MarkerFound(Predicate):
    """`{marker: board_material}` or `{any_marker: [board_material, roadmap]}`."""

    markers: frozenset[str]

    def __post_init__(self) -> None:
        _demand_names("marker", self.markers)
        _set_kinds(self, "marker", self.markers)

    def seen_in(self, seen: View) -> bool:
        """Whether any of the markers was found."""
        return not self.markers.isdisjoint(seen.markers)


@dataclass(frozen=True, slots=True)
class ClassDeclared(Predicate):
    """`{declared: PHI}`: the file or the job states this class. Known from the start, so never unknown."""

    data_class: str

    def __post_init__(self) -> None:
        _set_kinds(self, "declared", [])

    def seen_in(self, seen: View) -> bool:
        """Whether the class was declared."""
        return self.data_class in seen.declared


@dataclass(frozen=True, slots=True)
class AllOf:
    """True when every condition is; false as soon as one is."""

    conditions: tuple[Condition, ...]
    kinds: frozenset[EvidenceKind] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _join_kinds(self, "all")

    def holds(self, seen: View) -> Truth:
        """See `Condition.holds`."""
        known = True
        for condition in self.conditions:
            truth = condition.holds(seen)
            if truth is False:
                return False
            known = known and truth is True
        return True if known else None

    def open_kinds(self, seen: View) -> frozenset[EvidenceKind]:
        """See `Condition.open_kinds`."""
        return _open_kinds(self, seen, settles=False)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True as soon as one condition is; false when every one is."""

    conditions: tuple[Condition, ...]
    kinds: frozenset[EvidenceKind] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _join_kinds(self, "any")

    def holds(self, seen: View) -> Truth:
        """See `Condition.holds`."""
        known = True
        for condition in self.conditions:
            truth = condition.holds(seen)
            if truth:
                return True
            known = known and truth is False
        return False if known else None

    def open_kinds(self, seen: View) -> frozenset[EvidenceKind]:
        """See `Condition.open_kinds`."""
        return _open_kinds(self, seen, settles=True)


def _open_kinds(group: AllOf | AnyOf, seen: View, *, settles: bool) -> frozenset[EvidenceKind]:
    """The open kinds of the members; none once a decided member `settles` the group, whatever the others turn out to be."""
    found = NO_KINDS
    for condition in group.conditions:
        kinds = condition.open_kinds(seen)
        if not kinds and condition.holds(seen) is settles:
            return NO_KINDS
        found |= kinds
    return found


def _join_kinds(group: AllOf | AnyOf, name: str) -> None:
    if not group.conditions:
        raise RuleError(f"{name}: expected at least one condition, found none; an empty rule decides nothing")
    object.__setattr__(group, "kinds", NO_KINDS.union(*(condition.kinds for condition in group.conditions)))


def _demand_share(name: str, value: float) -> None:
    if not 0.0 < value <= 1.0:
        raise RuleError(f"{name}: expected a number above 0 and at most 1, found {value}")


def _demand_names(name: str, names: frozenset[str]) -> None:
    if not names:
        raise RuleError(f"{name}: expected at least one name, found none; an empty rule decides nothing")
