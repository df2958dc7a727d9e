"""Evidence → decision.

- Evidence that leaves the outcome open is not decided in the record's favour: it is UNSCANNABLE (invariant 1).
- Any failure makes the record UNSCANNABLE; a record without readable text is held (invariant 1).
- A family is only as clean as its worst member: every member gets the union of the classes.
- What a model inside says is added last: it raises classes, and neither settles nor lowers anything else (invariant 9).
- Only what an approver signed for this very text is taken out again (`policies/overrides.py`); what others of the family carry is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from detectors.document import Evidence, ReadProblem
from policies.demand import standing, undecided_kinds
from policies.model import CLASS_NAME, CLEAN, UNSCANNABLE, Decision, Lowered
from policies.overrides import NEVER_LOWERED
from policies.policy import Policy, verdict
from policies.rules import Truth, view

UNREADABLE_RULE = "unreadable"


def decide(record_id: str, evidence: Evidence, policy: Policy, detectors_hash: str, *, lowered: Sequence[Lowered] = ()) -> Decision:
    """Where a scanned record may go. Deterministic; reads nothing but its arguments. lowered: of `overrides.in_force`, for this text."""
    seen = view(evidence)
    truths = standing(policy, evidence, seen)
    unknown = None in truths.values()
    if unknown and undecided_kinds(policy, seen, truths):
        truths[UNSCANNABLE] = True  # the scan stopped before the outcome was settled
        truths[CLEAN] = False
    # With anything still unknown nothing is taken out: the scan may have stopped because of the very class that would go.
    return conclude(record_id, truths, evidence, policy, detectors_hash, partial=unknown, lowered=() if unknown else lowered)


def conclude(
    record_id: str,
    found: Mapping[str, Truth],
    evidence: Evidence,
    policy: Policy,
    detectors_hash: str,
    *,
    partial: bool,
    lowered: Sequence[Lowered] = (),
) -> Decision:
    """The decision that follows from classes whose truth is known, from what a model inside said, and from what an approver signed."""
    truths = dict(found)
    for name in sorted({one.data_class for one in evidence.judged} - {CLEAN}):
        truths[name if CLASS_NAME.fullmatch(name) else UNSCANNABLE] = True
        truths[CLEAN] = False
    applied = tuple(one for one in lowered if truths.get(one.data_class) and one.data_class not in NEVER_LOWERED)
    out = {one.data_class for one in applied}
    raised = [name for name, truth in truths.items() if truth and name not in out] or [CLEAN]
    route = verdict(policy, raised)
    return Decision(
        record_id=record_id,
        data_classes=listed(raised, policy),
        lanes=route.lanes,
        rule=route.rule,
        policy_hash=policy.hash,
        detectors_hash=detectors_hash,
        cloud_requires=route.cloud_requires,
        partial=partial,
        reason=route.reason,
        lowered=applied,
    )


def decide_unreadable(record_id: str, problem: ReadProblem, policy: Policy, detectors_hash: str) -> Decision:
    """The decision for a record without readable text: no class, no lane, held for the problem's code."""
    return Decision(
        record_id=record_id,
        data_classes=(),
        lanes=(),
        rule=UNREADABLE_RULE,
        policy_hash=policy.hash,
        detectors_hash=detectors_hash,
        reason=problem.value,
    )


def decide_family(decisions: Sequence[Decision], policy: Policy) -> list[Decision]:
    """Give every member of a family the classes of all; a member that could not be read makes its siblings UNSCANNABLE.

    Members without readable text stay held for their own reason, and carry the classes of their siblings as inherited.
    """
    return [_with_siblings(decision, [other for other in decisions if other is not decision], policy) for decision in decisions]


def _with_siblings(decision: Decision, siblings: Sequence[Decision], policy: Policy) -> Decision:
    own = set(decision.data_classes)
    others = {name for sibling in siblings for name in (sibling.data_classes if _readable(sibling) else (UNSCANNABLE,))}
    inherited = others - own - {CLEAN}
    if not inherited:
        return decision
    classes = _in_order((own | inherited) - {CLEAN}, policy)
    shared = replace(
        decision,
        data_classes=classes,
        inherited=tuple(name for name in classes if name in inherited),
        partial=any(member.partial for member in (decision, *siblings)),
    )
    if not _readable(decision):
        return shared
    found = verdict(policy, classes)
    return replace(shared, lanes=found.lanes, rule=found.rule, cloud_requires=found.cloud_requires, reason=found.reason)


def _readable(decision: Decision) -> bool:
    return decision.rule != UNREADABLE_RULE


def listed(raised: Sequence[str], policy: Policy) -> tuple[str, ...]:
    """The classes to record: those beside which another covers them are left out; the route has been decided with them."""
    rules = policy.classes
    return tuple(name for name in raised if name not in rules or not any(other in raised for other in rules[name].covered_by))


def _in_order(classes: set[str], policy: Policy) -> tuple[str, ...]:
    """The policy's order, then UNSCANNABLE, then other classes by name."""
    known = [*(name for name in policy.classes if name != UNSCANNABLE), UNSCANNABLE]
    return tuple(name for name in [*known, *sorted(classes - set(known))] if name in classes)
