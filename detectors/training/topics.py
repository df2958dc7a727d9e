"""Trains the topic scorers: logistic regressions over the terms of windows, one per topic, written as a table of terms.

Windows of the sizes that are used at night are cut from every document. A passage of a sensitive document need not be sensitive itself,
so after a first round only the windows that look most like it stay examples of the topic (multiple-instance learning: Andrews,
Tsochantaridis and Hofmann, 2002). A term is kept if several independent origins use it: what one template says teaches one template.
What a word is like (`vectors.py`) is a feature beside the word itself; in the end those weights are added to the words', so that a disease
that no frame names weighs like the diseases that frames do name.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import names
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from detectors import identifiers
from detectors.normalize import normalize
from detectors.topics.linear import FLOOR, WINDOWS, TopicModel, parts
from detectors.topics.trained import SETTINGS, TERMS
from detectors.training.documents import Labelled
from detectors.training.frames import TOPICS
from detectors.training.vectors import Vectors

ORIGINS = 3
"""Fewer origins than this use a term: it is a name, or one author's habit."""
MOST_TERMS = 60_000
STRENGTH = 3.0
"""Inverse regularisation of the regression."""
SMALL = 0.03
"""Weights below this are written as nothing."""
LESSER = 0.5
"""Of a word known by its likeness alone; there are a hundred thousand, and most say little."""
LIKENESS = 1.0
"""How much a word's vector counts beside the word itself."""
PER_DOCUMENT = 5
"""Windows of a document in the first round: the whole, and some by chance."""
NEAR_BEST = 1.0
"""Log odds below a document's best window at which a window of it is still an example of its topic."""

Key = TypeVar("Key", str, tuple[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Words of one stretch, and the number of its document."""

    words: list[str] = field(repr=False)
    document: int


def train(documents: Sequence[Labelled], vectors: Vectors, *, seed: int = 0) -> TopicModel:
    """A model of all topics from labelled documents."""
    chance = random.Random(seed)
    texts = [normalize(one.text).words for one in documents]
    windows = [window for number, words in enumerate(texts) for window in _by_chance(number, words, chance)]
    first = _fit(documents, windows, vectors, None)
    windows += [window for number, words in enumerate(texts) for window in _highest(number, words, first)]
    odds = np.stack([first.odds(window.words) for window in windows])
    return _fit(documents, windows, vectors, odds)


def _fit(documents: Sequence[Labelled], windows: Sequence[_Window], vectors: Vectors, odds: NDArray[np.float64] | None) -> TopicModel:
    """One round. odds: of every window and topic by the round before; with them, only the best windows are examples of a topic."""
    vocabulary = _vocabulary(windows, documents)
    lengths = np.sqrt([[len(window.words) + FLOOR] for window in windows])
    dense = LIKENESS * vectors.sums([window.words for window in windows]) / lengths
    matrix = hstack([_matrix(windows, vocabulary), csr_matrix(dense.astype(np.float32))], format="csr")
    weights = _source_weights(windows, documents)
    numbers = np.array([window.document for window in windows])
    abouts = [documents[window.document].about for window in windows]
    columns, biases = [], []
    for column, topic in enumerate(TOPICS):
        near = None if odds is None else _near_best(odds[:, column], numbers)
        own, bias = _topic(topic, matrix, abouts, weights, near)
        columns.append(own)
        biases.append(bias)
    own, likeness = np.split(np.stack(columns, axis=1), [len(vocabulary)])
    alike = LIKENESS * vectors.values @ likeness
    return _model(vocabulary, own, {word: alike[number] for word, number in vectors.rows.items()}, np.array(biases))


def terms_of(words: Sequence[str]) -> Iterable[str]:
    """The terms of a stretch of words."""
    for word in words:
        yield from parts(word)
    for first, second in pairwise(words):
        yield f"{first} {second}"


def _by_chance(number: int, words: list[str], chance: random.Random) -> list[_Window]:
    if not words:
        return []
    stretches = [words[: WINDOWS[-1]]]
    for _ in range(PER_DOCUMENT - 1):
        size = chance.choice(WINDOWS)
        if size < len(words):
            start = chance.choice([0, len(words) - size, chance.randrange(len(words) - size + 1)])
            stretches.append(words[start : start + size])
    return [_Window(words=stretch, document=number) for stretch in stretches]


def _highest(number: int, words: list[str], model: TopicModel) -> list[_Window]:
    """For each topic the window that a night would judge the document by: of clean documents, these are the ones to learn from."""
    if len(words) <= WINDOWS[0]:
        return []
    stretches = {model.highest_window(words, column) for column in range(len(TOPICS))}
    return [_Window(words=words[start:end], document=number) for start, end in sorted(stretches)]


def _vocabulary(windows: Sequence[_Window], documents: Sequence[Labelled]) -> dict[str, int]:
    origins: defaultdict[str, set[str]] = defaultdict(set)
    for window in windows:
        origin = documents[window.document].origin
        for term in set(terms_of(window.words)):
            origins[term].add(origin)
    counts = Counter({term: len(used) for term, used in origins.items() if len(used) >= ORIGINS})
    return {term: number for number, (term, _) in enumerate(counts.most_common(MOST_TERMS))}


def _matrix(windows: Sequence[_Window], vocabulary: dict[str, int]) -> csr_matrix:
    values: list[float] = []
    columns: list[int] = []
    starts = [0]
    for window in windows:
        counts = Counter(vocabulary[term] for term in terms_of(window.words) if term in vocabulary)
        columns += counts.keys()
        length = np.sqrt(len(window.words) + FLOOR)
        values += [count / length for count in counts.values()]
        starts.append(len(columns))
    return csr_matrix((values, columns, starts), shape=(len(windows), len(vocabulary)), dtype=np.float32)


def _source_weights(windows: Sequence[_Window], documents: Sequence[Labelled]) -> NDArray[np.float64]:
    """A source with four times the windows has twice the say, and so within a source has an origin."""
    sources = Counter(documents[window.document].source for window in windows)
    origins = Counter(documents[window.document].origin for window in windows)
    per_source: defaultdict[str, float] = defaultdict(float)
    raw = []
    for window in windows:
        one = documents[window.document]
        raw.append(origins[one.origin] ** -0.5)
        per_source[one.source] += raw[-1]
    values = [
        value / per_source[source] * sources[source] ** 0.5
        for value, source in zip(raw, (documents[window.document].source for window in windows), strict=True)
    ]
    weights = np.array(values)
    scaled: NDArray[np.float64] = weights / weights.mean()
    return scaled


def _topic(
    topic: str, matrix: Any, abouts: Sequence[Mapping[str, bool]], weights: NDArray[np.float64], near: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float64], float]:
    """Weights and bias of one topic. abouts: by window. Half as much weight lies on its examples as on the others."""
    labels = np.array([about.get(topic, False) for about in abouts])
    use = np.array([topic in about for about in abouts])
    if near is not None:
        use &= ~labels | near
    balanced = weights.copy()
    balanced[use & labels] *= balanced[use & ~labels].sum() / balanced[use & labels].sum() / 2
    model = LogisticRegression(C=STRENGTH, solver="liblinear", max_iter=200)
    model.fit(matrix[use], labels[use], sample_weight=balanced[use])
    return model.coef_[0], float(model.intercept_[0])


def _near_best(odds: NDArray[np.float64], numbers: NDArray[np.int_]) -> NDArray[np.bool_]:
    best = np.full(numbers.max() + 1, -np.inf)
    np.maximum.at(best, numbers, odds)
    near: NDArray[np.bool_] = odds >= best[numbers] - NEAR_BEST
    return near


def _model(
    vocabulary: Mapping[str, int], weights: NDArray[np.float64], folded: Mapping[str, NDArray[np.float64]], bias: NDArray[np.float64]
) -> TopicModel:
    nothing = np.zeros(len(TOPICS))
    rows: dict[str, NDArray[np.float64]] = {term: weights[number] + folded.get(term, nothing) for term, number in vocabulary.items()}
    rows |= {word: row for word, row in folded.items() if word not in vocabulary and np.abs(row).max() >= LESSER}
    kept = {
        term: np.where(np.abs(row) < SMALL, 0, row).round(2).astype(np.float32) for term, row in rows.items() if np.abs(row).max() >= SMALL
    }
    pairs = {(first, second): row for term, row in kept.items() for first, space, second in [term.partition(" ")] if space}
    words = {term: row for term, row in kept.items() if " " not in term}
    return TopicModel(topics=TOPICS, bias=bias.astype(np.float32), words=words, pairs=pairs)


def mean(models: Sequence[TopicModel]) -> TopicModel:
    """One model whose odds are the mean of theirs: what each learned from the chance of its own fillings and windows mostly cancels out."""
    bias = np.stack([model.bias for model in models]).mean(axis=0)
    words, pairs = _mean_rows([model.words for model in models]), _mean_rows([model.pairs for model in models])
    given, family = name_lists()
    unnamed = {pair: row for pair, row in pairs.items() if pair[0] not in given or pair[1] not in family}
    return TopicModel(topics=TOPICS, bias=bias, words=words, pairs=unnamed)


def name_lists() -> tuple[frozenset[str], frozenset[str]]:
    """Given and family names (US census) that are hardly another word: one behind the other is somebody, and no sign of a topic."""
    data, ambiguous = Path(names.__file__).parent, Path(identifiers.__file__).with_name("ambiguous_names.txt")
    given, family = (
        {line.split()[0].lower() for file in files for line in (data / file).read_text(encoding="ascii").splitlines()}
        for files in (("dist.female.first", "dist.male.first"), ("dist.all.last",))
    )
    words = set(ambiguous.read_text(encoding="utf-8").lower().split())
    return frozenset(given - words), frozenset(family - words - given)


def _mean_rows(tables: Sequence[Mapping[Key, NDArray[np.float32]]]) -> dict[Key, NDArray[np.float32]]:
    nothing = np.zeros(len(TOPICS), dtype=np.float32)
    kept: dict[Key, NDArray[np.float32]] = {}
    for key in sorted(set().union(*tables)):
        row = np.mean([table.get(key, nothing) for table in tables], axis=0, dtype=np.float64)
        if np.abs(row).max() >= SMALL:
            kept[key] = np.where(np.abs(row) < SMALL, 0, row).round(2).astype(np.float32)
    return kept


def write(model: TopicModel, folder: Path) -> None:
    """The table of terms, strongest first, and the settings. The same model gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {**model.words, **{f"{first} {second}": row for (first, second), row in model.pairs.items()}}
    ordered = sorted(rows.items(), key=lambda item: (-float(np.abs(item[1]).max()), item[0]))
    lines = ["\t".join(["term", *model.topics])]
    lines += ["\t".join([term, *(f"{weight:.2f}" if weight else "" for weight in row)]) for term, row in ordered]
    with gzip.GzipFile(folder / TERMS, "wb", mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())
    settings = {"topics": list(model.topics), "bias": [round(float(value), 4) for value in model.bias], "terms": len(rows)}
    (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
