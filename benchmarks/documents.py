"""What detection is measured on: the committed evaluation set and the bundled inbox, or a folder of labelled JSONL files."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from detectors.document import Document
from flows.job import load_job
from flows.labelled_records import read_records
from flows.scanning import SCAN_KEYS
from flows.sources import list_batches, read_batch

ROOT = Path(__file__).parents[1]
EVALUATION = ROOT / "tests" / "evaluation"
INBOX = ROOT / "examples" / "nightly.yaml"


def documents(corpora: Path | None) -> list[Document]:
    """All of them, readable ones only; the same ones in the same order every time."""
    files = sorted((corpora or EVALUATION).rglob("*.jsonl"))
    found = [Document(record_id=record.place, text=record.text, source=path.stem) for path in files for record in read_records(path)]
    if corpora is None:
        job = load_job(INBOX)
        found += [replace_source(document) for batch in list_batches(job) for document in read_batch(batch, job, SCAN_KEYS)]
    return [document for document in found if document.readable]


def replace_source(document: Document) -> Document:
    """A document of the inbox, as one of the mix."""
    return Document(record_id=document.record_id, text=document.text, source="inbox", metadata=document.metadata, problem=document.problem)


def sample(found: Sequence[Document], words: int) -> list[Document]:
    """Documents of about so many words together, drawn from all alike."""
    drawn = random.Random(0).sample(list(found), len(found))  # noqa: S311 - a draw, not a secret
    taken: list[Document] = []
    for document in drawn:
        if words <= 0:
            break
        taken.append(document)
        words -= words_of(document)
    return taken


def words_of(document: Document) -> int:
    """Words between blanks, over all parts."""
    return sum(len(value.split()) for value in document.parts.values())


def mix(chosen: Sequence[Document]) -> str:
    """How many words come from where, in words."""
    counts: Counter[str] = Counter()
    for document in chosen:
        counts[document.source] += words_of(document)
    total = counts.total()
    return ", ".join(f"{source} {100 * count / total:.0f} %" for source, count in counts.most_common())
