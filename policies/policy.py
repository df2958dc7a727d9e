"""A loaded policy: classes with their conditions, the route table, and what identifies it.

The route table is first match: the first route that names *any* class a record carries decides. Two things hold whatever the table says:

- A class that no route names is held, even when the record carries another class that has a route (invariant 1). So one
  unknown or new class can never ride along to the cloud.
- `UNSCANNABLE` never goes to the cloud: the cloud lane is struck from whatever route it falls under (invariant 1).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from detectors.document import EvidenceKind
from detectors.ner_choice import NerChoice
from detectors.participants import NOBODY, Participants
from policies.facts import Fact
from policies.model import BUILT_IN_CLASSES, UNSCANNABLE, Lane
from policies.overrides import LoweringRules
from policies.rules import NO_KINDS, Condition

HELD = -1
"""The rank of a class that no route names: before every route."""

DEFAULT_RULE = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRule:
    """When a data class is raised, and why it exists in law.

    condition is None for `UNSCANNABLE` and `CLEAN`, which follow from the scan itself. covered_by: classes beside which this one is
    not listed (PII beside PHI); routing looks at it all the same. line: where it stands in the policy file.
    """

    name: str
    basis: str
    condition: Condition | None
    covered_by: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of the table: the classes it is for, the lanes it permits, what a cloud endpoint must then vouch for."""

    when: frozenset[str]
    lanes: tuple[Lane, ...]
    cloud_requires: Mapping[str, Fact] = field(default_factory=dict)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the table says of a set of classes: lanes permitted, requirements, deciding rule, and the reason when no lane is left."""

    lanes: tuple[Lane, ...]
    cloud_requires: Mapping[str, Fact]
    rule: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The whole policy. Picklable: it travels to scan workers inside the demand.

    classes: by name, in the file's order. ranks: the first route that names a class. hash: SHA-256, hex, over the policy file with
    the registry and price files it is used with. ner: the named-entity model that the policy asks for, if any. participants: who is
    counsel, by the policy's own directory. isolation: `netns` where model engines inside must run without a network interface. lowering:
    which classes a person may lower, and who approves; None: never.
    """

    version: str
    classes: Mapping[str, ClassRule]
    routes: tuple[Route, ...]
    hash: str = ""
    evidence: Literal["planned", "complete"] = "planned"
    ner: NerChoice | None = None
    participants: Participants = NOBODY
    isolation: Literal["none", "netns"] = "none"
    lowering: LoweringRules | None = None
    file: str = field(default="", compare=False)
    source: str = field(default="", repr=False)
    ranks: Mapping[str, int] = field(init=False, repr=False, compare=False)
    kinds: frozenset[EvidenceKind] = field(init=False, repr=False, compare=False)
    conditions: tuple[tuple[str, Condition], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ranks: dict[str, int] = {}
        for index, route in enumerate(self.routes):
            for name in route.when:
                ranks.setdefault(name, index)
        conditions = tuple((name, rule.condition) for name, rule in self.classes.items() if rule.condition is not None)
        object.__setattr__(self, "ranks", ranks)
        object.__setattr__(self, "conditions", conditions)
        object.__setattr__(self, "kinds", NO_KINDS.union(*(condition.kinds for _, condition in conditions)))

    def rank(self, data_class: str) -> int:
        """The index of the first route that names the class; HELD when none does."""
        return self.ranks.get(data_class, HELD)

    def knows(self, data_class: str) -> bool:
        """Whether the class is built in or declared by this policy."""
        return data_class in self.classes or data_class in BUILT_IN_CLASSES


def verdict(policy: Policy, data_classes: Collection[str]) -> Verdict:
    """Look a non-empty set of classes up in the route table."""
    index = min(policy.rank(name) for name in data_classes)
    if index == HELD:
        unknown = any(not policy.knows(name) for name in data_classes)
        return Verdict(lanes=(), cloud_requires={}, rule=DEFAULT_RULE, reason="unknown_class" if unknown else "no_rule")
    route = policy.routes[index]
    lanes = route.lanes
    if UNSCANNABLE in data_classes and Lane.CLOUD in lanes:
        lanes = tuple(lane for lane in lanes if lane is not Lane.CLOUD)
    requires = route.cloud_requires if Lane.CLOUD in lanes else {}
    return Verdict(lanes=lanes, cloud_requires=requires, rule=f"routes[{index}]", reason="" if lanes else "unscannable")
