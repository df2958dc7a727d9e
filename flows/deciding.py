"""Evidence → one decision a document; the members of a family share their classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from detectors.document import Document, Evidence, ReadProblem
from policies.decide import decide, decide_family, decide_unreadable
from policies.model import Decision, Lowered
from policies.policy import Policy


def decide_documents(
    documents: Sequence[Document],
    evidence: Sequence[Evidence],
    policy: Policy,
    detectors_hash: str,
    *,
    lowered: Mapping[str, Sequence[Lowered]] = MappingProxyType({}),
) -> list[Decision]:
    """Decisions in the order of the documents. A document without readable text is held for what is wrong with it.

    lowered: by record id, what an approver lets be taken out of it (`flows.overriding.lowered_classes`).
    """
    families: dict[str, list[int]] = defaultdict(list)
    decisions: list[Decision] = []
    for place, (document, found) in enumerate(zip(documents, evidence, strict=True)):
        families[document.family or document.record_id].append(place)
        if document.readable:
            taken_out = lowered.get(document.record_id, ())
            decisions.append(decide(document.record_id, found, policy, detectors_hash, lowered=taken_out))
        else:
            decisions.append(decide_unreadable(document.record_id, document.problem or ReadProblem.EMPTY, policy, detectors_hash))
    for members in families.values():
        if len(members) > 1:
            for place, decision in zip(members, decide_family([decisions[place] for place in members], policy), strict=True):
                decisions[place] = decision
    return decisions
