"""Named entities by a model: the bundled spaCy pipeline, an installed one, or a transformer (`ner_transformers.py`).

Long texts go through in overlapping windows, all windows of a batch together; an exception is passed on (invariant 1). Which stretches
of a text are worth a model's while is a question of its own: `stretches` answers it, and by default the whole text is.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from detectors.detector import collect, entity_kind
from detectors.document import Evidence, EvidenceKind, Finding
from detectors.errors import ConfigurationError
from detectors.ner_choice import BUNDLED, BUNDLED_PATH
from detectors.normalized import Normalized

LABELS = {
    "PERSON": "PERSON",
    "PER": "PERSON",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
    "LOCATION": "LOCATION",
    "ORG": "ORGANIZATION",
    "ORGANIZATION": "ORGANIZATION",
}
NAMING = ("ner", "entity_ruler")
"""The components of a spaCy pipeline that name entities."""
NO_NAMES = frozenset(
    [
        "doctor",
        "patient",
        "nurse",
        "dr",
        "mr",
        "mrs",
        "ms",
        "mum",
        "mom",
        "dad",
        "mother",
        "father",
        "interviewer",
        "speaker",
        "agent",
        "caller",
        "customer",
        "member",
    ]
)
"""What speaks in a transcript is written like a name and is none."""
WINDOW = 8_000
OVERLAP = 200
BATCH = 32
NAME = "named_entities"

Stretches = Callable[[Normalized], Iterable[tuple[int, int]]]
"""Start and end of what a model should see of a text, in order."""
Window = tuple[int, int, int]
"""Which text, and start and end in it."""


def whole(text: Normalized) -> Iterable[tuple[int, int]]:
    """The whole text."""
    return ((0, len(text.text)),)


class NamedEntityDetector:
    """PERSON, LOCATION and ORGANIZATION from a spaCy pipeline: `bundled`, a package name or a path."""

    name = NAME
    version = "2"
    cost = 100
    provides: frozenset[EvidenceKind] = frozenset(entity_kind(entity) for entity in LABELS.values())

    def __init__(self, pipeline: str, stretches: Stretches = whole) -> None:
        self.pipeline = pipeline
        self._path = pipeline_path(pipeline)
        self._stretches = stretches
        described = _described_labels(self._path)
        if described is not None:
            _check_labels(pipeline, described)

    @property
    def digest(self) -> str:
        """SHA-256 over every file of the pipeline, hex: part of the detector-set hash."""
        return folder_digest(self._path)

    @cached_property
    def _nlp(self) -> Any:
        spacy = importlib.import_module("spacy")
        nlp = spacy.load(self.pipeline if self._path.name == self.pipeline else self._path)
        if not any(name in nlp.pipe_names for name in NAMING):
            raise ConfigurationError(
                f"the spaCy pipeline {self.pipeline!r} names no entities; expected a component `ner`, found {nlp.pipe_names}"
            )
        _check_labels(self.pipeline, {label for name in NAMING if name in nlp.pipe_names for label in nlp.get_pipe(name).labels})
        return nlp

    def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
        """All windows of all texts in one batch."""
        windows = list(windows_of(texts, self._stretches))
        documents = self._nlp.pipe((texts[index].text[start:end] for index, start, end in windows), batch_size=BATCH)
        named = [[(entity.start_char, entity.end_char, entity.label_, 0.8) for entity in document.ents] for document in documents]
        return gathered(texts, windows, named)


def windows_of(texts: Sequence[Normalized], stretches: Stretches) -> Iterator[Window]:
    """The stretches of every text, the long ones in windows that overlap and cover head and tail."""
    for index, text in enumerate(texts):
        for start, end in stretches(text):
            for first in range(start, max(start + 1, end - OVERLAP), WINDOW - OVERLAP):
                yield index, first, min(first + WINDOW, end)


def gathered(
    texts: Sequence[Normalized], windows: Sequence[Window], named: Iterable[Iterable[tuple[int, int, str, float]]]
) -> list[Evidence]:
    """One evidence per text from what was named in its windows; what two windows share counts once."""
    found: list[dict[tuple[int, int, str], Finding]] = [{} for _ in texts]
    for (index, first, _), entities in zip(windows, named, strict=True):
        for start, end, label, score in entities:
            kind = LABELS.get(label)
            if kind and texts[index].text[first + start : first + end].lower() not in NO_NAMES:
                finding = texts[index].finding(NAME, kind, (first + start, first + end), score)
                found[index].setdefault((first + start, first + end, kind), finding)
    return [collect(findings.values()) for findings in found]


def _described_labels(folder: Path) -> set[str] | None:
    """The labels of a pipeline by its meta.json, without loading it; None where the file does not tell."""
    try:
        labels = json.loads((folder / "meta.json").read_bytes())["labels"]
        told = [labels[name] for name in NAMING if name in labels]
        return {label for of_one in told for label in of_one} if told else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # the loaded pipeline is asked instead


def _check_labels(pipeline: str, labels: Iterable[str]) -> None:
    if not any(LABELS.get(label) == "PERSON" for label in labels):
        people = ", ".join(label for label, entity in LABELS.items() if entity == "PERSON")
        raise ConfigurationError(
            f"the spaCy pipeline {pipeline!r} names no people; expected one of the labels {people}, "
            f"found {', '.join(sorted(labels)) or 'none'}; choose another pipeline, or say `ner: none`"
        )


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of every file of a model's folder, hex."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").digest()
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + content)
    return digest.hexdigest()


def pipeline_path(pipeline: str) -> Path:
    """Where a spaCy pipeline lies. It is never fetched.

    Raises:
        ConfigurationError: it is not here.
    """
    path = BUNDLED_PATH if pipeline == BUNDLED else Path(pipeline)
    if path.is_dir() and (path / "config.cfg").is_file():
        return path
    if pipeline == BUNDLED:
        raise ConfigurationError(
            "`ner: bundled` asks for this package's own pipeline, which is not here; run `make model`, or say `ner: none`"
        )
    found = importlib.util.find_spec(pipeline) if pipeline.isidentifier() else None
    if found is None or found.origin is None:
        raise ConfigurationError(
            f"the spaCy pipeline {pipeline!r} is not installed; install it into this environment, give the path of a folder "
            "with config.cfg, or say `ner: none`: names are then found by role context and the census lists"
        )
    return Path(found.origin).parent
