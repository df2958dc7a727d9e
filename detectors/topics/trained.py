"""Five topics at once: linear scorers over words, word pairs and the beginnings and endings of words, trained by `make model`.

A text's words are weighed once and summed up from the start, so that windows of every size cost the same; the highest window counts, never
the mean, and windows reach from the first word to the last. The weights lie in `detectors/models/topics/` as a table that a person can
read: one term a line, one column a topic. Scores are probabilities of a logistic regression; what they are worth is in the model card.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.detector import NOTHING, EachText, topic_kind
from detectors.document import Evidence
from detectors.normalized import Normalized

MODEL = Path(__file__).parent.parent / "models" / "topics"
TERMS, SETTINGS = "terms.tsv.gz", "settings.json"
WINDOWS = (30, 60, 120, 240)
"""Words: a message, a paragraph, a short letter, a page. Shorter texts are one window."""
STEPS = 4
"""Windows of a size begin this many to a window: a passage is then never cut by more than an eighth at either end of its best window."""
FLOOR = 12
"""Words that are added to a window's length, so that three words cannot be certain of anything."""
PREFIX, SUFFIX = "^", "$"
LONG = 7
"""Letters from which on a word's beginning and ending say something of their own: `nephr…`, `…mycin`."""
REMEMBERED = 50_000

Row = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicModel:
    """topics: in the order of the columns. terms: weights by term, `a b` for a pair of words, `^nephr` and `mycin$` for parts."""

    topics: tuple[str, ...]
    bias: Row = field(repr=False)
    words: Mapping[str, Row] = field(repr=False)
    pairs: Mapping[tuple[str, str], Row] = field(repr=False)

    def scores(self, words: list[str]) -> Row:
        """One probability per topic, the maximum over all windows; zeros for a text without words."""
        if not words:
            return np.zeros(len(self.topics), dtype=np.float32)
        weights = self._weights(words)
        sums = np.vstack([np.zeros((1, weights.shape[1]), dtype=np.float64), np.cumsum(weights, axis=0, dtype=np.float64)])
        best = np.full(len(self.topics), -np.inf)
        for size in WINDOWS:
            best = np.maximum(best, _highest(sums, size))
            if len(words) <= size:
                break
        return (1.0 / (1.0 + np.exp(-(best + self.bias)))).astype(np.float32)

    def _weights(self, words: list[str]) -> NDArray[np.float32]:
        numbers: dict[str, int] = {}
        places = [numbers.setdefault(word, len(numbers)) for word in words]
        weights = np.stack([self._word(word) for word in numbers])[places]
        pairs = self.pairs
        for place, pair in enumerate(pairwise(words)):
            found = pairs.get(pair)
            if found is not None:
                weights[place] += found
        return weights

    def _word(self, word: str) -> Row:
        known = _REMEMBERED.get(word)
        if known is None:
            known = np.zeros(len(self.topics), dtype=np.float32)
            for part in parts(word):
                found = self.words.get(part)
                if found is not None:
                    known = known + found
            if len(_REMEMBERED) >= REMEMBERED:
                _REMEMBERED.clear()
            _REMEMBERED[word] = known
        return known


_REMEMBERED: dict[str, Row] = {}
"""Weights of whole words, by word; there is one model in a process."""


def parts(word: str) -> tuple[str, ...]:
    """The terms that a word stands for by itself."""
    if len(word) < LONG:
        return (word,)
    return word, PREFIX + word[:5], word[-4:] + SUFFIX


def _highest(sums: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The highest sum of any window of this size, over the root of its length; the last one ends with the text."""
    length = len(sums) - 1
    size = min(size, length)
    starts = np.unique(np.append(np.arange(0, length - size + 1, max(1, size // STEPS)), length - size))
    highest: NDArray[np.float64] = (sums[starts + size] - sums[starts]).max(axis=0) / np.sqrt(size + FLOOR)
    return highest


@cache
def load_topics(folder: Path = MODEL) -> TopicModel:
    """The bundled model."""
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    topics = tuple(settings["topics"])
    words: dict[str, Row] = {}
    pairs: dict[tuple[str, str], Row] = {}
    with gzip.open(folder / TERMS, "rt", encoding="utf-8") as lines:
        next(lines)
        for line in lines:
            term, *weights = line.rstrip("\n").split("\t")
            row = np.array([float(weight or 0) for weight in weights], dtype=np.float32)
            first, space, second = term.partition(" ")
            if space:
                pairs[first, second] = row
            else:
                words[term] = row
    return TopicModel(topics=topics, bias=np.array(settings["bias"], dtype=np.float32), words=words, pairs=pairs)


def detector() -> EachText:
    """All five topics in one look."""
    topics = tuple(json.loads((MODEL / SETTINGS).read_text(encoding="utf-8"))["topics"])

    def look(text: Normalized) -> Evidence:
        scores = load_topics().scores(text.words)
        found = {topic: round(float(score), 4) for topic, score in zip(topics, scores, strict=True) if score >= FAINTEST}
        return Evidence(topics=found) if found else NOTHING

    return EachText(name="topics", provides=frozenset(map(topic_kind, topics)), look=look, cost=2)


FAINTEST = 0.01
"""Below this a topic is as good as absent; leaving it out keeps evidence short."""
