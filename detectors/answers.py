"""Whether what a detector answered can be believed in form. A score that is no number is lost in a comparison, and would lower a class."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from math import isfinite

from detectors.detector import NOTHING
from detectors.document import Evidence, Finding


def check_answer(detector: str, answer: object) -> None:
    """Raise ValueError, or TypeError where not even a type is right, for an answer that is no sound evidence."""
    if answer is not NOTHING and not (isinstance(answer, Evidence) and _sound(answer)):
        raise ValueError(f"detector {detector}: expected Evidence with finite scores and named entities, topics and markers")


def _sound(answer: Evidence) -> bool:
    names = (answer.markers, answer.declared, answer.failures, answer.settled)
    return (
        isinstance(answer.findings, tuple)
        and all(isinstance(finding, Finding) and _finding(finding) for finding in answer.findings)
        and isinstance(answer.topics, Mapping)
        and all(isinstance(topic, str) and isfinite(score) for topic, score in answer.topics.items())
        and all(isinstance(held, AbstractSet) and all(isinstance(name, str) for name in held) for held in names)
    )


def _finding(finding: Finding) -> bool:
    return (
        isinstance(finding.entity, str)
        and isinstance(finding.part, str)
        and isinstance(finding.start, int)
        and isinstance(finding.end, int)
        and isfinite(finding.score)
    )
