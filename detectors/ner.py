"""Named entities by an installed spaCy pipeline, where one is configured. With `presidio.py`, the only place that imports spaCy.

Long texts go through in overlapping windows; an exception is passed on (Presidio's own wrapper would return nothing).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from detectors.detector import collect, entity_kind
from detectors.document import Evidence, EvidenceKind, Finding
from detectors.errors import ConfigurationError
from detectors.normalized import Normalized

LABELS = {"PERSON": "PERSON", "PER": "PERSON", "GPE": "LOCATION", "LOC": "LOCATION", "FAC": "LOCATION", "ORG": "ORGANIZATION"}
WINDOW = 8_000
OVERLAP = 200
BATCH = 32


class NamedEntityDetector:
    """PERSON, LOCATION and ORGANIZATION from a spaCy pipeline: a package name or a path."""

    name = "named_entities"
    version = "1"
    cost = 100
    provides: frozenset[EvidenceKind] = frozenset(entity_kind(entity) for entity in LABELS.values())

    def __init__(self, pipeline: str) -> None:
        self.pipeline = pipeline
        self._path = _location(pipeline)

    @property
    def digest(self) -> str:
        """SHA-256 over every file of the pipeline, hex: part of the detector-set hash."""
        digest = hashlib.sha256()
        for path in sorted(path for path in self._path.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            digest.update(str(path.relative_to(self._path)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    @cached_property
    def _nlp(self) -> Any:
        spacy = importlib.import_module("spacy")
        nlp = spacy.load(self.pipeline)
        if "ner" not in nlp.pipe_names and "entity_ruler" not in nlp.pipe_names:
            raise ConfigurationError(
                f"the spaCy pipeline {self.pipeline!r} names no entities; expected a component `ner`, found {nlp.pipe_names}"
            )
        return nlp

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        """All windows of all texts in one batch."""
        windows = [
            (index, start) for index, text in enumerate(texts) for start in range(0, max(1, len(text.text) - OVERLAP), WINDOW - OVERLAP)
        ]
        documents = self._nlp.pipe((texts[index].text[start : start + WINDOW] for index, start in windows), batch_size=BATCH)
        found: list[dict[tuple[int, int, str], Finding]] = [{} for _ in texts]
        for (index, start), document in zip(windows, documents, strict=True):
            for key, finding in self._findings(texts[index], start, document):
                found[index].setdefault(key, finding)
        return [collect(findings.values()) for findings in found]

    def _findings(self, text: Normalized, start: int, document: Any) -> Iterator[tuple[tuple[int, int, str], Finding]]:
        for entity in document.ents:
            kind = LABELS.get(entity.label_)
            if kind:
                span = (start + entity.start_char, start + entity.end_char)
                yield (*span, kind), text.finding(self.name, kind, span, 0.8)


def _location(pipeline: str) -> Path:
    """Where the pipeline lies. It is never fetched."""
    path = Path(pipeline)
    if path.is_dir() and (path / "config.cfg").is_file():
        return path
    found = importlib.util.find_spec(pipeline) if pipeline.isidentifier() else None
    if found is None or found.origin is None:
        raise ConfigurationError(
            f"the spaCy pipeline {pipeline!r} is not installed; install it into this environment, give the path of a folder "
            "with config.cfg, or leave `ner` out: names are then found by role context and the census lists"
        )
    return Path(found.origin).parent
