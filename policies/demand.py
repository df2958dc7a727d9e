"""Three-valued evaluation of a policy: what is decided, and which evidence could still change the outcome.

A class is True, False, or None while evidence that could raise it is not settled. The outcome (permitted lanes, requirements, deciding
rule) is settled as soon as no unknown class could lead to another route, whatever is still unknown about labels. Because conditions
are monotone, planned and complete evaluation then give the same outcome; `tests/policies/test_demand.py` proves it.

A failure of a detector makes `UNSCANNABLE` true. A detector that was never asked cannot fail, and its answer was not needed. What a model
inside says (`Evidence.judged`) is not looked at here: it settles nothing, and no detector is spared because of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from detectors.detector import EVERYTHING
from detectors.document import Demand, Evidence, EvidenceKind
from policies.model import CLASS_NAME, CLEAN, UNSCANNABLE
from policies.policy import Policy
from policies.rules import NO_KINDS, Truth, View, view
from policies.thresholds import Seen, Thresholds

MOST_REMEMBERED = 20_000
"""Answers kept by a demand. Documents differ, but what a policy can see of them hardly does."""


@dataclass(frozen=True, slots=True)
class PlannedDemand:
    """Asks for what could still change permitted lanes, deciding rule or requirements.

    Evidence is looked at through the policy's own thresholds (`Thresholds`): what looks the same gets the same answer, which is remembered.
    """

    policy: Policy
    _thresholds: Thresholds = field(init=False, repr=False, compare=False)
    _remembered: dict[Seen, frozenset[EvidenceKind]] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_thresholds", Thresholds.of(self.policy))

    def __reduce__(self) -> tuple[type[PlannedDemand], tuple[Policy]]:
        return PlannedDemand, (self.policy,)

    def __call__(self, evidence: Evidence) -> frozenset[EvidenceKind]:
        """The kinds worth asking for; empty when the outcome is settled."""
        if self.policy.kinds <= evidence.settled:
            return NO_KINDS
        seen_as = self._thresholds.seen(evidence)
        known = self._remembered.get(seen_as)
        if known is None:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            seen = view(evidence)
            known = self._remembered[seen_as] = undecided_kinds(self.policy, seen, standing(self.policy, evidence, seen))
        return known


@dataclass(frozen=True, slots=True)
class CompleteDemand:
    """Asks for everything, always, whether or not it still matters: `evidence: complete`."""

    def __call__(self, evidence: Evidence) -> frozenset[EvidenceKind]:  # noqa: ARG002 - a demand is a function of the evidence
        """The one kind that stands for all; the scan ends when nobody is left to ask."""
        return frozenset({EVERYTHING})


def demand_for(policy: Policy, *, complete: bool = False) -> Demand:
    """The demand of a policy; `complete` (or the policy's own `evidence: complete`) asks for everything. Picklable."""
    return CompleteDemand() if complete or policy.evidence == "complete" else PlannedDemand(policy)


def standing(policy: Policy, evidence: Evidence, seen: View) -> dict[str, Truth]:
    """Every class with its truth: the policy's in their order, then UNSCANNABLE, then declared ones, then CLEAN.

    A declared name that is no class name is not believed and makes the document UNSCANNABLE; a declared CLEAN changes nothing, because
    CLEAN is what is left when no class is true (invariant 9).
    """
    truths: dict[str, Truth] = {name: condition.holds(seen) for name, condition in policy.conditions}
    truths[UNSCANNABLE] = bool(evidence.failures)
    if evidence.declared:
        for name in sorted(evidence.declared - {CLEAN}):
            truths[name if CLASS_NAME.fullmatch(name) else UNSCANNABLE] = True
    raised = any(truths.values())
    truths[CLEAN] = False if raised else None if None in truths.values() else True
    return truths


def undecided_kinds(policy: Policy, seen: View, truths: Mapping[str, Truth]) -> frozenset[EvidenceKind]:
    """The kinds behind those unknown classes that could still lead to another route."""
    unknown = {name: policy.rank(name) for name, truth in truths.items() if truth is None and name != CLEAN}
    if not unknown:
        return NO_KINDS
    certain = [policy.rank(name) for name, truth in truths.items() if truth]
    if certain:
        matter = {name for name, rank in unknown.items() if rank < min(certain)}
    else:
        # Nothing is raised yet: should every unknown class turn out false, the record is CLEAN and goes where CLEAN goes.
        matter = {name for name, rank in unknown.items() if rank != policy.rank(CLEAN)}
    return NO_KINDS.union(*(condition.open_kinds(seen) for name, condition in policy.conditions if name in matter))
