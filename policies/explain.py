"""Why a class holds: the branches of its condition that are true, down to the evidence that makes them true.

Every branch that holds is told, not only the first: taking one away would leave the others. Nothing is decided here;
`policies/decide.py` does that, and a class it raises is always explained by at least one branch, a
declaration, a second look or a failure.
"""

from __future__ import annotations

from dataclasses import dataclass

from detectors.document import Evidence, Finding
from policies.model import CLASS_NAME, CLEAN, UNSCANNABLE
from policies.policy import Policy
from policies.rules import AllOf, AnyOf, ClassDeclared, Condition, EntityFound, MarkerFound, TopicIs, View, view


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One true condition. path: where it stands in the class, `any[0].all[1]`; empty for the whole. says: it in words.

    members: the true ones of a group. Of a leaf: the findings that count, the topic's score, the markers that were found.
    """

    path: str
    condition: Condition
    says: str
    members: tuple[Held, ...] = ()
    findings: tuple[Finding, ...] = ()
    score: float | None = None
    markers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassReason:
    """Why one class holds. line: in the policy file, 0 for a class that it does not name. failures: codes behind UNSCANNABLE.

    judged: the models inside that say so (the second look). covered_by: classes beside which it is not listed.
    """

    data_class: str
    basis: str = ""
    line: int = 0
    held: Held | None = None
    declared: bool = False
    judged: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    covered_by: tuple[str, ...] = ()


def explain(policy: Policy, evidence: Evidence) -> tuple[ClassReason, ...]:
    """The reason for every class that holds, in the policy's order; CLEAN is what is left and has none."""
    seen = view(evidence)
    held = {name: found for name, condition in policy.conditions if (found := why(condition, seen)) is not None}
    declared = {name for name in evidence.declared if name != CLEAN and CLASS_NAME.fullmatch(name)}
    failures = tuple(sorted(evidence.failures)) + tuple("declared_name" for _ in {*evidence.declared} - declared - {CLEAN})
    judged = {
        name: tuple(sorted(one.model for one in evidence.judged if one.data_class == name))
        for name in {one.data_class for one in evidence.judged} - {CLEAN}
    }
    failures += tuple("judged_name" for name in judged if not CLASS_NAME.fullmatch(name))
    raised = {*held, *declared, *filter(CLASS_NAME.fullmatch, judged), *([UNSCANNABLE] if failures else [])}
    order = [*policy.classes, *sorted(raised - policy.classes.keys())]
    return tuple(
        ClassReason(
            data_class=name,
            basis=rule.basis if (rule := policy.classes.get(name)) else "",
            line=rule.line if rule else 0,
            held=held.get(name),
            declared=name in declared,
            judged=judged.get(name, ()),
            failures=failures if name == UNSCANNABLE else (),
            covered_by=tuple(other for other in rule.covered_by if other in raised) if rule else (),
        )
        for name in order
        if name in raised
    )


def why(condition: Condition, seen: View, path: str = "") -> Held | None:
    """The true part of a condition; None when it is not true."""
    if condition.holds(seen) is not True:
        return None
    if isinstance(condition, (AllOf, AnyOf)):
        word = "all" if isinstance(condition, AllOf) else "any"
        steps = [f"{path}.{word}[{index}]".removeprefix(".") for index in range(len(condition.conditions))]
        members = tuple(held for step, one in zip(steps, condition.conditions, strict=True) if (held := why(one, seen, step)) is not None)
        return Held(path=path, condition=condition, says=says(condition), members=members)
    return Held(
        path=path,
        condition=condition,
        says=says(condition),
        findings=_findings(condition, seen),
        score=seen.topics.get(condition.topic) if isinstance(condition, TopicIs) else None,
        markers=tuple(sorted(condition.markers & seen.markers)) if isinstance(condition, MarkerFound) else (),
    )


def says(condition: Condition) -> str:
    """A condition in a few words, as the policy file has it."""
    if isinstance(condition, TopicIs):
        return f"topic {condition.topic} at least {condition.at_least:g}"
    if isinstance(condition, EntityFound):
        names = ", ".join(sorted(condition.entities))
        return f"entity {names}" if len(condition.entities) == condition.count == 1 else f"{_number(condition.count)} of entity {names}"
    if isinstance(condition, MarkerFound):
        return f"marker {' or '.join(sorted(condition.markers))}"
    if isinstance(condition, ClassDeclared):
        return f"declared {condition.data_class}"
    return "all of" if isinstance(condition, AllOf) else "any of"


def _number(count: int) -> str:
    return "any" if count == 1 else f"at least {count}"


def _findings(condition: Condition, seen: View) -> tuple[Finding, ...]:
    if not isinstance(condition, EntityFound):
        return ()
    return tuple(one for one in seen.findings if one.entity in condition.entities and not one.score < condition.at_least_score)
