"""Planned against complete evidence on real documents: the same permitted lanes, deciding rule and requirements for every one.

The property test of `tests/policies/test_demand.py` proves it for random policies and detectors; this shows it with the real ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from detectors.detector import DetectorSet
from detectors.document import Document
from detectors.scan import scan
from flows.deciding import decide_documents
from policies.demand import demand_for
from policies.model import Decision
from policies.policy import Policy


def differing(documents: Sequence[Document], policy: Policy, detectors: DetectorSet) -> Iterator[str]:
    """The ids of the documents that planned and complete evidence decide differently. There should be none."""
    planned = list(scan(documents, detectors, demand_for(replace(policy, evidence="planned"))))
    complete = list(scan(documents, detectors, demand_for(policy, complete=True)))
    decided = decide_documents(documents, planned, policy, detectors.hash)
    expected = decide_documents(documents, complete, policy, detectors.hash)
    return (one.record_id for one, other in zip(decided, expected, strict=True) if outcome(one) != outcome(other))


def outcome(decision: Decision) -> tuple[object, ...]:
    """What planned evidence must not change; its list of classes may be shorter."""
    return decision.lanes, decision.rule, dict(decision.cloud_requires), decision.reason
