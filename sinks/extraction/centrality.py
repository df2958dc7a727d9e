"""LexRank scores of sentences: sumy's algorithm, with its two slow steps done by numpy.

Source: Erkan and Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text Summarization" (JAIR 22, 2004).
sumy adds up over Python sets, in an order that differs between processes; here terms have a fixed order, so scores do not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
from sumy.summarizers.lex_rank import LexRankSummarizer
from sumy.utils import get_stop_words

from sinks.extraction.units import words

SUMY_VERSION = version("sumy")
_LANGUAGES = ("english", "spanish", "french", "german", "italian", "portuguese")
_STOP_WORDS: Mapping[str, frozenset[str]] = {name: get_stop_words(name) for name in _LANGUAGES}
_DIGITS = 9  # scores are rounded, so that the last bits of a linear algebra library decide no order


class _Words:
    """sumy's tokenizer interface over our own words: sumy's needs data that would have to be downloaded."""

    def to_words(self, text: str) -> tuple[str, ...]:
        return tuple(words(text))


class VectorLexRank(LexRankSummarizer):  # type: ignore[misc]  # sumy publishes no types
    """sumy's LexRank with the document frequencies and the similarity matrix computed in one pass each."""

    @staticmethod
    def _compute_idf(sentences: Sequence[Sequence[str]]) -> dict[str, float]:
        frequency = Counter(term for sentence in sentences for term in dict.fromkeys(sentence))
        return {term: math.log(len(sentences) / (1 + count)) for term, count in frequency.items()}

    def _create_matrix(
        self,
        sentences: Sequence[Sequence[str]],
        threshold: float,
        tf_metrics: Sequence[Mapping[str, float]],
        idf_metrics: Mapping[str, float],
    ) -> npt.NDArray[np.float64]:
        column = {term: index for index, term in enumerate(idf_metrics)}
        vectors = np.zeros((len(sentences), max(1, len(column))))
        for row, metrics in enumerate(tf_metrics):
            for term, frequency in metrics.items():
                vectors[row, column[term]] = frequency * idf_metrics[term]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        links = (vectors @ vectors.T > threshold).astype(np.float64)
        # A sentence is like itself even when no word of it tells: without this a row of zeros divides by zero.
        np.fill_diagonal(links, 1.0)
        return np.asarray(links / links.sum(axis=1, keepdims=True))


def rank(texts: Sequence[str]) -> list[float]:
    """One score per text, higher is more central; equal texts have equal scores."""
    if not texts:
        return []
    tokenizer = _Words()
    document = ObjectDocumentModel([Paragraph([Sentence(text, tokenizer) for text in texts])])
    summarizer = VectorLexRank()
    summarizer.stop_words = _stop_words(texts)
    scores: dict[Sentence, float] = {}

    def keep_all(infos: Sequence[object]) -> Sequence[object]:
        scores.update({info.sentence: float(info.rating) for info in infos})  # type: ignore[attr-defined]
        return infos

    summarizer(document, keep_all)
    return [round(scores[sentence], _DIGITS) for sentence in document.sentences]


def _stop_words(texts: Sequence[str]) -> frozenset[str]:
    """The stop words of the language that most words of the texts belong to; English when in doubt."""
    counts = Counter(word for text in texts for word in words(text))
    shares = {name: sum(counts[word] for word in stop_words & counts.keys()) for name, stop_words in _STOP_WORDS.items()}
    return _STOP_WORDS[max(_LANGUAGES, key=lambda name: shares[name])]
