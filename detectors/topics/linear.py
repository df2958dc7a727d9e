"""Linear scorers over words, word pairs and the beginnings and endings of words; trained by `make model`.

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
from io import BytesIO
from itertools import pairwise, repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.errors import ConfigurationError
from detectors.topics.trained import MODEL, SETTINGS, TERMS, model_digest

WINDOWS = (60, 120, 240)
"""Words: a paragraph, a short letter, a page; a shorter text is one window. Windows of thirty were tried: cut out of its surroundings, an
illness in a newspaper reads like one in a chart, and twice as much public text was kept inside for no sensitive text more."""
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
    # For speed: the rows of words met so far and of all pairs, each in one matrix, and which row is whose.
    _remembered: dict[str, int] = field(init=False, repr=False, default_factory=dict)
    _rows: NDArray[np.float32] = field(init=False, repr=False)
    _pair_numbers: dict[tuple[str, str], int] = field(init=False, repr=False)
    _pair_rows: NDArray[np.float32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        width = len(self.topics)
        object.__setattr__(self, "_rows", np.zeros((REMEMBERED, width), dtype=np.float32))
        object.__setattr__(self, "_pair_numbers", {pair: number for number, pair in enumerate(self.pairs)})
        object.__setattr__(self, "_pair_rows", np.array([*self.pairs.values()], dtype=np.float32).reshape(-1, width))

    def scores(self, words: list[str]) -> Row:
        """One probability per topic, the maximum over all windows; zeros for a text without words."""
        if not words:
            return np.zeros(len(self.topics), dtype=np.float32)
        sums = self._sums(words)
        best = np.full(len(self.topics), -np.inf)
        for size in WINDOWS:
            best = np.maximum(best, _odds(sums, size)[1].max(axis=0))
            if len(words) <= size:
                break
        return (1.0 / (1.0 + np.exp(-(best + self.bias)))).astype(np.float32)

    def odds(self, words: list[str]) -> NDArray[np.float64]:
        """Log odds per topic of one stretch of words, taken as a whole."""
        odds: NDArray[np.float64] = _odds(self._sums(words), len(words))[1][0] + self.bias
        return odds

    def highest_window(self, words: list[str], column: int) -> tuple[int, int]:
        """First word and the word after the last of the window by which a text's score of one topic comes about."""
        sums = self._sums(words)
        found: list[tuple[float, int, int]] = []
        for size in WINDOWS:
            starts, odds = _odds(sums, size)
            place = int(odds[:, column].argmax())
            found.append((float(odds[place, column]), int(starts[place]), min(int(starts[place]) + size, len(words))))
        return max(found)[1:]

    def _sums(self, words: list[str]) -> NDArray[np.float64]:
        """Weights summed up from the start, with a row of zeros before it."""
        weights = self._weights(words)
        return np.vstack([np.zeros((1, weights.shape[1])), np.cumsum(weights, axis=0, dtype=np.float64)])

    def _weights(self, words: list[str]) -> NDArray[np.float32]:
        weights = self._word_weights(words)
        numbers = np.fromiter(map(self._pair_numbers.get, pairwise(words), repeat(-1)), dtype=np.intp, count=len(words) - 1)
        places = np.flatnonzero(numbers >= 0)
        weights[places] += self._pair_rows[numbers[places]]
        return weights

    def _word_weights(self, words: list[str]) -> NDArray[np.float32]:
        known = self._remembered
        new = {*words}.difference(known)
        if new and len(known) + len(new) > REMEMBERED:
            known.clear()
            new = {*words}
        if len(new) > REMEMBERED:  # a text with more different words than are ever remembered
            return np.stack([self._word(word) for word in words])
        for word in new:
            self._rows[len(known)] = self._word(word)
            known[word] = len(known)
        weights: NDArray[np.float32] = self._rows[np.fromiter(map(known.__getitem__, words), dtype=np.intp, count=len(words))]
        return weights

    def _word(self, word: str) -> Row:
        row = np.zeros(len(self.topics), dtype=np.float32)
        for part in parts(word):
            found = self.words.get(part)
            if found is not None:
                row = row + found
        return row


def parts(word: str) -> tuple[str, ...]:
    """The terms that a word stands for by itself."""
    if len(word) < LONG:
        return (word,)
    return word, PREFIX + word[:5], word[-4:] + SUFFIX


def _odds(sums: NDArray[np.float64], size: int) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Starts and log odds, without the bias, of the windows of a size: sums over the root of the length. The last ends with the text."""
    length = len(sums) - 1
    size = min(size, length)
    starts = np.arange(0, length - size + 1, max(1, size // STEPS))
    if starts[-1] != length - size:
        starts = np.append(starts, length - size)
    return starts, (sums[starts + size] - sums[starts]) / np.sqrt(size + FLOOR)


@cache
def load_topics(folder: Path = MODEL, digest: str | None = None) -> TopicModel:
    """The bundled model. digest: what `model_digest` said of its files when they were hashed.

    Raises:
        ConfigurationError: the files have changed since, or are not of one model.
    """
    content, table = ((folder / name).read_bytes() for name in (SETTINGS, TERMS))
    if digest not in {None, model_digest(content, table)}:
        raise ConfigurationError(f"{folder}: the topics model has changed since the run began; start the run again")
    settings = json.loads(content)
    topics = tuple(settings["topics"])
    words: dict[str, Row] = {}
    pairs: dict[tuple[str, str], Row] = {}
    with gzip.open(BytesIO(table), "rt", encoding="utf-8") as lines:
        header = tuple(next(lines, "").rstrip("\n").split("\t")[1:])
        if header != topics:
            raise ConfigurationError(
                f"{folder / TERMS}: expected the topics of {SETTINGS} in its first line, {', '.join(topics)}; found {', '.join(header)}"
            )
        for line in lines:
            term, *weights = line.rstrip("\n").split("\t")
            row = np.array([float(weight or 0) for weight in weights], dtype=np.float32)
            first, space, second = term.partition(" ")
            if space:
                pairs[first, second] = row
            else:
                words[term] = row
    return TopicModel(topics=topics, bias=np.array(settings["bias"], dtype=np.float32), words=words, pairs=pairs)
