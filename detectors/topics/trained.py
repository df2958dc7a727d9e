"""Five topics, all scored in one look by the bundled model: health, care of an individual, personal finance, legal advice, secrecy."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from detectors.detector import NOTHING, EachText, topic_kind
from detectors.document import Evidence
from detectors.normalized import Normalized

MODEL = Path(__file__).parent.parent / "models" / "topics"
TERMS, SETTINGS = "terms.tsv.gz", "settings.json"
FAINTEST = 0.01
"""Below this a topic is as good as absent; leaving it out keeps evidence short."""


def detectors() -> tuple[EachText, ...]:
    """One detector a topic; the first that is asked about a text scores all five."""
    settings, terms = ((MODEL / name).read_bytes() for name in (SETTINGS, TERMS))
    digest = model_digest(settings, terms)
    return tuple(_detector(topic, column, digest) for column, topic in enumerate(json.loads(settings)["topics"]))


def model_digest(settings: bytes, terms: bytes) -> str:
    """SHA-256 of the model's two files, hex. Part of the detectors' version; what is loaded later must be what was hashed."""
    return hashlib.sha256(hashlib.sha256(settings).digest() + hashlib.sha256(terms).digest()).hexdigest()


def _detector(topic: str, column: int, digest: str) -> EachText:
    def look(text: Normalized) -> Evidence:
        scores = text.shared.get(__name__)
        if scores is None:
            from detectors.topics.linear import load_topics  # noqa: PLC0415 - numpy and the table load with the first text

            scores = text.shared[__name__] = load_topics(MODEL, digest).scores(text.words)
        score = round(float(scores[column]), 4)
        return Evidence(topics={topic: score}) if score >= FAINTEST else NOTHING

    return EachText(name=f"topic_{topic}", provides=frozenset({topic_kind(topic)}), look=look, cost=2, version=f"1-{digest[:16]}")
