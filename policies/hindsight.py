"""What a policy would have decided of a record of the past, from the counts that are kept of its evidence; None where they cannot tell.

Invariants kept here:
- Nothing is guessed. A count does not say which questions were never asked, nor how good any but the best finding was: where either could
  change lanes, rule, requirements or classes, there is no answer.
- What is known is used. A class whose condition is word for word that of the policy which decided then is as true as it was then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from detectors.detector import BELIEVED
from detectors.document import LLM, Evidence, EvidenceKind, Finding, Judgement
from policies.decide import UNREADABLE_RULE, conclude
from policies.demand import standing, undecided_kinds
from policies.model import CLEAN, Decision
from policies.policy import Policy
from policies.rules import view
from policies.thresholds import Thresholds

_KINDS = ("topic", "marker", "declared", "failure", str(LLM))


class Counted(Protocol):
    """One line of counted evidence: an entity with its count and best score, or `topic:`, `marker:`, `declared:`, `llm:`, `failure:`."""

    @property
    def entity(self) -> str:
        """What was found."""
        ...

    @property
    def count(self) -> int:
        """How often."""
        ...

    @property
    def max_score(self) -> float:
        """The best of the scores."""
        ...

    @property
    def detector(self) -> str:
        """By what."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """A record as it was decided then. settled: the questions that are known to have been answered, whatever the answer.

    policy: which decided then; None where its text cannot be read any more. data_classes, partial: as decided.
    """

    record_id: str
    counts: tuple[Counted, ...]
    settled: frozenset[EvidenceKind]
    policy: Policy | None
    data_classes: tuple[str, ...]
    partial: bool


def decide_in_hindsight(scanned: Scanned, policy: Policy, detectors_hash: str = "") -> Decision | None:
    """What the policy decides of the record by itself, without its family."""
    most = Thresholds.of(policy).most
    best = _decided(scanned, _evidence(scanned, most, others=1.0), policy, detectors_hash)
    if most == 1 or best is None:  # no rule asks for more than the best finding
        return best
    least = _decided(scanned, _evidence(scanned, most, others=0.0), policy, detectors_hash)
    return best if best == least else None


def _decided(scanned: Scanned, evidence: Evidence, policy: Policy, detectors_hash: str) -> Decision | None:
    seen = view(evidence)
    truths = standing(policy, evidence, seen)
    truths |= {name: False for name in _false_then(scanned, policy) if truths[name] is None}
    raised = any(truth for name, truth in truths.items() if name != CLEAN)
    truths[CLEAN] = False if raised else None if None in [truth for name, truth in truths.items() if name != CLEAN] else True
    if undecided_kinds(policy, seen, truths):
        return None
    return conclude(scanned.record_id, truths, evidence, policy, detectors_hash, partial=None in truths.values())


def _false_then(scanned: Scanned, policy: Policy) -> Iterable[str]:
    """The classes with an unchanged condition that were false then: a decision that is not partial lists all that were true."""
    then = scanned.policy
    if then is None or scanned.partial:
        return ()
    conditions = dict(then.conditions)
    return [
        name
        for name, condition in policy.conditions
        if conditions.get(name) == condition
        and name not in scanned.data_classes
        and not set(then.classes[name].covered_by) & set(scanned.data_classes)
    ]


def _evidence(scanned: Scanned, most: int, *, others: float) -> Evidence:
    """Evidence again, without places. others: where between BELIEVED and the best score all but the best finding are taken to be."""
    named: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    topics: dict[str, float] = {}
    findings: list[Finding] = []
    judged: set[Judgement] = set()
    for line in scanned.counts:
        kind, colon, name = line.entity.partition(":")
        if not colon or kind not in named:
            least = min(BELIEVED, line.max_score)
            rest = least + (line.max_score - least) * others
            scores = [line.max_score, *[rest] * (min(line.count, most) - 1)]
            findings += [Finding(detector=line.detector, entity=line.entity, start=0, end=0, score=score) for score in scores]
        elif kind == "topic":
            topics[name] = max(topics.get(name, 0.0), line.max_score)
        elif kind == LLM:
            judged.add(Judgement(data_class=name, model=line.detector))
        else:
            named[kind].add(name)
    return Evidence(
        findings=tuple(findings),
        topics=topics,
        markers=frozenset(named["marker"]),
        declared=frozenset(named["declared"]),
        failures=frozenset(named["failure"]),
        settled=scanned.settled,
        judged=frozenset(judged),
    )


__all__ = ["UNREADABLE_RULE", "Counted", "Scanned", "decide_in_hindsight"]
