"""Files of labelled documents → outcomes: read, scan, decide, and keep what can be counted. The clock and the files are here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from detectors import load
from detectors.document import Document
from flows.deciding import decide_documents
from flows.errors import JobError
from flows.evaluating import Evaluation, measure
from flows.evaluation_outcome import Outcome, judge
from flows.labelled_records import LabelledRecord, check_files, read_records
from flows.scanner import Scanner
from flows.scanning import demand_of
from policies.load import DEFAULT_POLICY, load_policy
from policies.model import BUILT_IN_CLASSES
from policies.policy import Policy

BATCH_DOCUMENTS = 1_000
BATCH_CHARACTERS = 20_000_000
"""So much is in memory at once, unless one document is larger."""
WARM_UP = Document(
    record_id="warm-up",
    text="Ms Ada Example wrote on 3 May 2024 from ada@example.org, 203.0.113.77, and asked us to ring +44 20 7946 0958 about her card, "
    "4539 1488 0343 6467, her account GB82 WEST 1234 5698 7654 32, routing 021000021, ITIN 912-78-1234, and what the doctor (NPI "
    "1234567893, DEA AB1234563) had said of her knee. NHS number 943 476 5919, "
    "NI number AB 12 34 56 C, Medicare 1EG4-TE5-MK73; password = 'Quarry7'.",
    source="warm-up",
)
"""Scanned before the clock starts: models, libraries and name lists load with the first text that needs them, which is no property of the
documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRun:
    """What was counted, under which rules, and every outcome behind it."""

    evaluation: Evaluation
    outcomes: tuple[Outcome, ...]
    policy: Policy
    detectors_hash: str
    planned: bool


def evaluate_files(paths: Sequence[Path], policy_path: Path | None = None, *, planned: bool = False) -> EvaluationRun:
    """Measure every record of the files; complete evidence unless `planned`.

    Raises JobError at a line that is not a record or has a label that is no class of the policy, at a file without any record, and at one
    that is no regular file or named twice.
    """
    _check_paths(paths)
    policy = load_policy(policy_path or DEFAULT_POLICY)
    check_files(paths, known=frozenset({*policy.classes, *BUILT_IN_CLASSES}))
    for path in paths:
        if next(read_records(path), None) is None:
            raise JobError(f"{path}: expected at least one record, found none; nothing can be measured on it")
    detectors = load(ner=policy.ner, participants=policy.participants)
    demand = demand_of(policy, planned=planned)
    outcomes: list[Outcome] = []
    seconds = 0.0
    # One process, so that words/s say what detection costs, not how many cores there are.
    with Scanner(detectors, demand, ner=policy.ner, participants=policy.participants, processes=1, warm_up=(WARM_UP,)) as scanner:
        list(scanner.scan([WARM_UP]))
        for batch in _batches(record for path in paths for record in read_records(path)):
            began = time.perf_counter()
            found = _outcomes(batch, scanner, policy, detectors.hash, complete=not planned)
            seconds += time.perf_counter() - began
            outcomes += found
    return EvaluationRun(
        evaluation=measure(outcomes, seconds=seconds, provided=detectors.kinds, complete=not planned),
        outcomes=tuple(outcomes),
        policy=policy,
        detectors_hash=detectors.hash,
        planned=planned,
    )


def _check_paths(paths: Sequence[Path]) -> None:
    """Files are read twice, so a pipe will not do; a file that is named twice would count twice."""
    seen: set[Path] = set()
    for path in paths:
        if path.exists() and not path.is_file():
            raise JobError(f"{path}: expected a regular file of JSON lines, found something else; name the files one by one")
        if path.resolve() in seen:
            raise JobError(f"{path}: expected every file once, found it twice; its records would count twice")
        seen.add(path.resolve())


def _outcomes(batch: Sequence[LabelledRecord], scanner: Scanner, policy: Policy, detectors_hash: str, *, complete: bool) -> list[Outcome]:
    # The record's place is its id here: ids may repeat from file to file, and two records with one id would share their classes.
    documents = [Document(record_id=record.place, text=record.text, source=record.source) for record in batch]
    evidence = list(scanner.scan(documents))
    decisions = decide_documents(documents, evidence, policy, detectors_hash)
    return [
        judge(record, found, decision, policy, complete=complete)
        for record, found, decision in zip(batch, evidence, decisions, strict=True)
    ]


def _batches(records: Iterable[LabelledRecord]) -> Iterator[list[LabelledRecord]]:
    batch: list[LabelledRecord] = []
    characters = 0
    for record in records:
        if batch and (len(batch) == BATCH_DOCUMENTS or characters + len(record.text) > BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(record)
        characters += len(record.text)
    if batch:
        yield batch
