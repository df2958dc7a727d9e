"""Evidence in numbers, as a `decided` or `lookback` entry states it: how often, how sure, by what; never where, never the text."""

from __future__ import annotations

from collections import Counter

from detectors.document import LLM, Evidence
from sinks.ledger.entry import EvidenceCount


def evidence_counts(evidence: Evidence) -> tuple[EvidenceCount, ...]:
    """Evidence in numbers: entities, topics, markers, declared and judged classes, failures, without offsets or text."""
    counts = Counter((finding.entity, finding.detector) for finding in evidence.findings) if evidence.findings else {}
    best: dict[tuple[str, str], float] = {}
    for finding in evidence.findings:
        key = (finding.entity, finding.detector)
        best[key] = max(best.get(key, 0.0), finding.score)
    found = [EvidenceCount(entity=entity, count=count, max_score=best[entity, by], detector=by) for (entity, by), count in counts.items()]
    found += [
        EvidenceCount(entity=f"topic:{name}", count=1, max_score=score, detector=name) for name, score in evidence.topics.items() if score
    ]
    found += [EvidenceCount(entity=f"marker:{name}", count=1, max_score=1.0, detector=name) for name in evidence.markers]
    found += [EvidenceCount(entity=f"declared:{name}", count=1, max_score=1.0, detector="declared") for name in evidence.declared]
    found += [EvidenceCount(entity=f"{LLM}:{one.data_class}", count=1, max_score=1.0, detector=one.model) for one in evidence.judged]
    found += [EvidenceCount(entity=f"failure:{code}", count=1, max_score=1.0, detector="scan") for code in evidence.failures]
    return tuple(sorted(found, key=lambda line: (line.entity, line.detector)))
