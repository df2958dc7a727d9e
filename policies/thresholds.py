"""What a policy can tell apart: evidence, reduced to which of the policy's thresholds it reaches.

Two pieces of evidence that reduce to the same `Seen` make every condition of the policy say the same. `policies/demand.py` relies on it to
remember answers; `tests/policies/test_thresholds.py` proves it on random policies.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from detectors.detector import topic_kind
from detectors.document import Evidence, EvidenceKind
from policies.policy import Policy
from policies.rules import AllOf, AnyOf, Condition, EntityFound, TopicIs

Steps = tuple[float, ...]
"""Thresholds, ascending."""
Levels = tuple[tuple[str, int], ...]
Seen = tuple[Levels, Levels, frozenset[str], frozenset[str], bool, frozenset[EvidenceKind]]
"""Entities with counts by level, topics with levels, markers, declared classes, whether anything failed, settled kinds."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The thresholds of a policy: topic scores, finding scores, and the highest number of findings that any rule asks for."""

    topics: Mapping[str, Steps] = field(repr=False)
    scores: Steps
    most: int
    kinds: frozenset[EvidenceKind] = field(repr=False)

    @classmethod
    def of(cls, policy: Policy) -> Thresholds:
        """Every threshold in the policy's rules."""
        topics: dict[str, set[float]] = {}
        scores: set[float] = set()
        most = 1
        for leaf in (leaf for _, condition in policy.conditions for leaf in _leaves(condition)):
            if isinstance(leaf, TopicIs):
                topics.setdefault(leaf.topic, set()).add(leaf.at_least)
            elif isinstance(leaf, EntityFound):
                scores.add(leaf.at_least_score)
                most = max(most, leaf.count)
        return cls({topic: tuple(sorted(steps)) for topic, steps in topics.items()}, tuple(sorted(scores)), most, policy.kinds)

    def seen(self, evidence: Evidence) -> Seen:
        """What the policy sees of this evidence. A score that is not a number reaches every threshold, as in `policies/rules.py`."""
        counts = Counter((finding.entity, _level(self.scores, finding.score)) for finding in evidence.findings)
        entities = sorted((f"{entity}:{level}", min(count, self.most)) for (entity, level), count in counts.items())
        topics = sorted((topic, _level(self.topics[topic], score)) for topic, score in evidence.topics.items() if topic in self.topics)
        return tuple(entities), tuple(topics), evidence.markers, evidence.declared, bool(evidence.failures), evidence.settled & self.kinds

    def near(self, evidence: Evidence, within: float) -> bool:
        """Whether a topic reaches a limit of the policy, or lies less than `within` below one; a topic that nobody scored may."""
        return any(
            topic_kind(topic) not in evidence.settled or not evidence.topics.get(topic, 0.0) <= steps[0] - within
            for topic, steps in self.topics.items()
        )


def _level(steps: Steps, score: float) -> int:
    """How many of the thresholds the score reaches."""
    return bisect_right(steps, score) if score == score else len(steps)  # noqa: PLR0124 - only NaN differs from itself


def _leaves(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, AllOf | AnyOf):
        for member in condition.conditions:
            yield from _leaves(member)
    else:
        yield condition
