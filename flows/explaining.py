"""Why a document went where it went: class ← condition ← evidence, with offsets. Text only where it is asked for by its unsafe name.

One tree, as `waybill scan --explain --json` prints it; `flows/explanation_text.py` puts it into lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from detectors.detector import DetectorSet, marker_kind, topic_kind
from detectors.document import Document, Evidence, Finding
from flows.locating import Passage, Raised, locate
from policies.explain import ClassReason, Held, explain
from policies.model import CLEAN, Decision
from policies.policy import Policy
from policies.rules import TopicIs

MOST_SHOWN_CHARACTERS = 300
DIGITS = 4
KEPT = 0.9
"""A topic is pointed at where a passage by itself keeps so much of its score: one that barely reaches a low threshold explains little."""


class Explainer:
    """Explains documents under one policy and one set of detectors. show_text: put the matched text beside the offsets."""

    def __init__(self, policy: Policy, detectors: DetectorSet, *, show_text: bool = False) -> None:
        self.policy = policy
        self.detectors = detectors.detectors
        self.show_text = show_text

    def tree(self, document: Document, evidence: Evidence, decision: Decision) -> dict[str, Any]:
        """The explanation of one decision."""
        reasons = explain(self.policy, evidence) if document.readable else ()
        told = [self._reason(reason, document) for reason in reasons]
        explained = {reason.data_class for reason in reasons}
        told += [self._unproven(name, decision) for name in decision.data_classes if name not in explained]
        return {"policy": self.policy.file, "route": self._route(decision), "classes": told}

    def _unproven(self, name: str, decision: Decision) -> dict[str, Any]:
        """A class that no condition raised."""
        if name in decision.inherited:
            return {"class": name, "why": "inherited from another member of the family"}
        if name == CLEAN:
            return {"class": name, "why": "no other class holds"}
        return {"class": name, "why": "the scan ended before the outcome was settled"}

    def _route(self, decision: Decision) -> dict[str, Any]:
        names = {f"routes[{index}]": route for index, route in enumerate(self.policy.routes)}
        route = names.get(decision.rule)
        told: dict[str, Any] = {"rule": decision.rule, "lanes": [str(lane) for lane in decision.lanes], "reason": decision.reason or None}
        return told | ({"line": route.line, "when": sorted(route.when)} if route else {})

    def _reason(self, reason: ClassReason, document: Document) -> dict[str, Any]:
        told: dict[str, Any] = {"class": reason.data_class, "basis": reason.basis, "line": reason.line}
        if reason.covered_by:
            told["covered_by"] = list(reason.covered_by)
        if reason.declared:
            told["why"] = "declared by the file or the job"
        elif reason.judged:
            told["why"] = f"second look by {', '.join(reason.judged)}"
        if reason.failures:
            told["why"] = "could not be judged"
            told["failures"] = list(reason.failures)
        if reason.held is not None:
            told["held"] = self._held(reason.held, document)
        return told

    def _held(self, held: Held, document: Document) -> dict[str, Any]:
        told: dict[str, Any] = {"path": held.path, "says": held.says}
        if held.members:
            return told | {"members": [self._held(member, document) for member in held.members]}
        score = {} if held.score is None else {"score": round(held.score, DIGITS)}
        return told | score | {"evidence": list(self._evidence(held, document))}

    def _evidence(self, held: Held, document: Document) -> Iterator[dict[str, Any]]:
        for finding in sorted(set(held.findings), key=lambda one: (one.part, one.start, one.end)):
            yield self._placed(f"entity:{finding.entity}", finding, document)
        for marker in held.markers:
            for passage in locate(marker_kind(marker), document, self.detectors, _marked(marker)):
                yield self._placed(f"marker:{marker}", passage, document)
        if isinstance(held.condition, TopicIs):
            name, least = held.condition.topic, max(held.condition.at_least, KEPT * (held.score or 0.0))
            for passage in locate(topic_kind(name), document, self.detectors, _scored(name, least)):
                yield self._placed(f"topic:{name}", passage, document)

    def _placed(self, kind: str, place: Finding | Passage, document: Document) -> dict[str, Any]:
        told = {
            "kind": kind,
            "detector": place.detector,
            "part": place.part,
            "start": place.start,
            "end": place.end,
            "score": round(place.score, DIGITS),
        }
        return told | ({"text": document.parts[place.part][place.start : place.end][:MOST_SHOWN_CHARACTERS]} if self.show_text else {})


def _marked(marker: str) -> Raised:
    return lambda found: 1.0 if marker in found.markers else None


def _scored(topic: str, least: float) -> Raised:
    return lambda found: None if (score := found.topics.get(topic, 0.0)) < least else score
