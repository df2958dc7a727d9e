"""What the topic scorers know of a source they have not seen: each author and corpus is left out once, and scored by a model of the rest.

The figure that counts is the worst source's, not the average. `missed`: of the documents about a topic, those that score below the
threshold; `raised`: of the others, those that reach it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from detectors.normalize import normalize
from detectors.training.documents import Labelled
from detectors.training.frames import TOPICS
from detectors.training.topics import train
from detectors.training.vectors import Vectors

THRESHOLD = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """How one left-out source came out under one topic."""

    source: str
    topic: str
    about: int
    missed: int
    others: int
    raised: int


def leave_one_out(
    documents: Sequence[Labelled], vectors: Vectors, *, only: Sequence[str] = (), threshold: float = THRESHOLD
) -> Iterator[Held]:
    """Every source in turn, or `only` some: as many trainings as sources, of some three minutes each."""
    by_source: defaultdict[str, list[Labelled]] = defaultdict(list)
    for document in documents:
        by_source[document.source].append(document)
    for source, held in sorted(by_source.items()):
        if only and source not in only:
            continue
        model = train([document for document in documents if document.source != source], vectors)
        scores = np.stack([model.scores(normalize(document.text).words) for document in held])
        for column, topic in enumerate(TOPICS):
            known = [
                (document.about[topic], score >= threshold)
                for document, score in zip(held, scores[:, column], strict=True)
                if topic in document.about
            ]
            about = [reached for label, reached in known if label]
            others = [reached for label, reached in known if not label]
            yield Held(source=source, topic=topic, about=len(about), missed=len(about) - sum(about), others=len(others), raised=sum(others))
