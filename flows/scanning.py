"""`waybill scan`: the verdict on files, without a ledger, a lane or a trace. One object a document; never text."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from detectors import load
from detectors.document import Demand, Document, Evidence, Finding
from flows.deciding import decide_documents
from flows.errors import JobError
from flows.explaining import Explainer
from flows.job import Job
from flows.scanner import Scanner
from flows.sources import list_batches, read_batch
from policies.demand import demand_for
from policies.load import DEFAULT_POLICY, load_policy
from policies.model import Decision
from policies.policy import Policy
from sinks.ledger.keys import Keys

# Scanned record ids are printed beside their source names, so their key protects nothing: a fixed one makes two scans agree.
SCAN_KEYS = Keys(b"waybill scan: ids are shown beside their names")


def demand_of(policy: Policy, *, planned: bool) -> Demand:
    """Everything; or, when `planned`, what a planned night asks for, also under a policy whose own nights are complete."""
    return demand_for(replace(policy, evidence="planned")) if planned else demand_for(policy, complete=True)


def scan_paths(
    paths: Sequence[Path],
    policy_path: Path | None,
    *,
    planned: bool = False,
    explain: bool = False,
    unsafe_show_text: bool = False,
) -> Iterator[dict[str, Any]]:
    """The verdict on every document under `paths`. Complete evidence unless `planned`, so that all its classes are named.

    explain: say which conditions held and what made them true. unsafe_show_text: with the text that was matched (breaks invariant 5).
    """
    policy = load_policy(policy_path or DEFAULT_POLICY)
    detectors = load(ner=policy.ner, participants=policy.participants)
    demand = demand_of(policy, planned=planned)
    explainer = Explainer(policy, detectors, show_text=unsafe_show_text) if explain else None
    with Scanner(detectors, demand, ner=policy.ner, participants=policy.participants).start() as scanner:
        for documents in (batch for path in paths for batch in _read(path)):
            evidence = list(scanner.scan(documents))
            decisions = decide_documents(documents, evidence, policy, detectors.hash)
            for document, found, decision in zip(documents, evidence, decisions, strict=True):
                told = _verdict(document, found, decision)
                yield told | ({"explanation": explainer.tree(document, found, decision)} if explainer else {})


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
        "lanes": list(decision.lanes),
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
