"""`waybill scan`: the verdict on files, without a ledger, a lane or a trace. One object a document; never text."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from detectors import load
from detectors.document import Document, Evidence, Finding
from detectors.scan import scan
from flows.deciding import decide_documents
from flows.errors import JobError
from flows.job import Job
from flows.sources import list_batches, read_batch
from policies.demand import demand_for
from policies.load import DEFAULT_POLICY, load_policy
from policies.model import Decision
from sinks.ledger.keys import Keys

# Scanned record ids are printed beside their source names, so their key protects nothing: a fixed one makes two scans agree.
SCAN_KEYS = Keys(b"waybill scan: ids are shown beside their names")


def scan_paths(paths: Sequence[Path], policy_path: Path | None, *, planned: bool = False) -> Iterator[dict[str, Any]]:
    """The verdict on every document under `paths`. Complete evidence unless `planned`, so that all its classes are named."""
    policy = load_policy(policy_path or DEFAULT_POLICY)
    detectors = load(ner=policy.ner)
    demand = demand_for(policy, complete=not planned)
    for path in paths:
        for documents in _read(path):
            evidence = list(scan(documents, detectors, demand))
            decisions = decide_documents(documents, evidence, policy, detectors.hash)
            for document, found, decision in zip(documents, evidence, decisions, strict=True):
                yield _verdict(document, found, decision)


def _read(path: Path) -> Iterator[list[Document]]:
    if not path.exists():
        raise JobError(f"{path}: expected a file or folder that exists")
    with tempfile.TemporaryDirectory() as nowhere:  # a job needs places to write to; a scan writes nothing there
        given = {
            "name": "scan",
            "source": {"path": str(path.absolute()), "ids": "file"},
            "task": {"kind": "summarize"},
            "output": f"{nowhere}/results",
            "ledger": f"{nowhere}/ledger",
        }
        job = Job.model_validate(given, context={"folder": Path.cwd()})
        for batch in list_batches(job):
            yield read_batch(batch, job, SCAN_KEYS)


def _verdict(document: Document, evidence: Evidence, decision: Decision) -> dict[str, Any]:
    return {
        "record_id": document.record_id,
        "source": document.source,
        "source_id": document.source_id,
        "data_classes": list(decision.data_classes),
        "lane": decision.lanes[0] if decision.lanes else "held",
        "rule": decision.rule,
        "reason": decision.reason or None,
        "findings": [_finding(finding) for finding in evidence.findings],
        "topics": {name: round(score, 4) for name, score in evidence.topics.items()},
        "markers": sorted(evidence.markers),
        "declared": sorted(evidence.declared),
        "failures": sorted(evidence.failures),
        "partial": decision.partial,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "detector": finding.detector,
        "entity": finding.entity,
        "part": finding.part,
        "start": finding.start,
        "end": finding.end,
        "score": round(finding.score, 4),
    }
