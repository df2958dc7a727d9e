"""How much a text is about a topic: weighted terms that a person can read, added up so that no single one decides.

Each term has a weight below 1: the chance, in the author's judgement, that a text with this term alone is on the topic. Distinct
terms within a window combine as independent hints do, `1 - (1-w1)(1-w2)…`: it grows with every new term and never passes 1. A
term counts once per window however often it is repeated. The score of a text is the *maximum* over all windows of `WINDOW` words,
wherever they begin (so head and tail count alike, and one page in a thousand is enough). Nothing subtracts (invariant 9).

Two refinements. *Near a person*: a topic may say whose presence makes its terms personal ("she", "my", "Mr"): every term with such a
word within `NEARBY` words counts once more. *Density*: terms in sixty words in a row say more than the same in twice as many; so windows
of two sizes are tried, and text around a passage can never lower its score.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from detectors.detector import NOTHING, EachText, topic_kind
from detectors.document import Evidence
from detectors.normalized import Normalized
from detectors.phrases import Phrases

WINDOW = 120
"""Words: a long paragraph or a short letter; longer windows let the pieces of a digest add up."""
DENSE = 60
DENSITY = 1.35
"""A window of so many words weighs so much more: a paragraph, or a short message."""
WEAK = -math.log1p(-0.2)
MOST_WEAK = -math.log1p(-0.2)
"""Terms under 0.2 are ordinary words: all of them together count as one term of 0.2, so that long talk alone proves nothing."""
NEARBY = 12
STRONG, FAINT, BESIDE = range(3)
FEWEST = 3
"""Fewer terms than this are no dense passage."""
NEAR = "@"
"""Marks a term that stands near a person, beside the term itself."""
Endings = Callable[[str], str | None]
"""The term that a word stands for by its ending ("appendectomy"), if any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearness:
    """Terms near one of `words` count once more with `weight`, together at most as one term of `most`."""

    terms: Mapping[str, float] = field(repr=False)
    words: frozenset[str] = field(repr=False)
    weight: float = 0.18
    most: float = 0.65


def topic_detector(
    topic: str, terms: Mapping[str, float], *, near: Nearness | None = None, endings: tuple[Endings, float] | None = None, cost: int = 3
) -> EachText:
    """A scorer for one topic."""
    scorer = _Scorer(terms, near, endings)

    def look(text: Normalized) -> Evidence:
        score = scorer.score(text)
        return Evidence(topics={topic: score}) if score else NOTHING

    return EachText(name=f"topic_{topic}", provides=frozenset({topic_kind(topic)}), look=look, cost=cost)


class _Scorer:
    def __init__(self, terms: Mapping[str, float], near: Nearness | None, endings: tuple[Endings, float] | None) -> None:
        strengths = {term: -math.log1p(-weight) for term, weight in terms.items()}
        self._sorts = {term: (STRONG if strength >= WEAK else FAINT, strength) for term, strength in strengths.items()}
        self._most_near = -math.log1p(-near.most) if near else 0.0
        self._each_near = -math.log1p(-near.weight) if near else 0.0
        self._by_ending = -math.log1p(-endings[1]) if endings else 0.0
        self._near = near
        self._endings = endings
        extra = near.terms if near is not None else {}
        self._phrases = Phrases.of({**extra, **terms})
        self._own = frozenset(terms)
        self._nearing = frozenset(extra)

    def score(self, text: Normalized) -> float:
        """0 to 1, over all windows."""
        hits = list(self._phrases.positions(text))
        if self._endings is not None:
            hits += _by_ending(text, self._endings[0])
        if not hits:
            return 0.0
        found = sorted((first, term) for first, _, term in hits)
        weighed = [(first, term) for first, term in found if self._is_own(term)] + list(self._near_hits(text, found))
        if not weighed:
            return 0.0
        weighed.sort()
        best = max(self._best(weighed, WINDOW, 1.0), self._best(weighed, DENSE, DENSITY))
        return round(-math.expm1(-best), 4)

    def _is_own(self, term: str) -> bool:
        return term in self._own or (self._endings is not None and self._endings[1] > 0 and term not in self._nearing)

    def _near_hits(self, text: Normalized, found: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        if self._near is None:
            return
        people = sorted(index for word in self._near.words & text.vocabulary for index in text.places[word])
        if not people:
            return
        for first, term in found:
            if term in self._own and term not in self._nearing:
                continue
            place = bisect_left(people, first - NEARBY)
            if place < len(people) and people[place] <= first + NEARBY:
                yield first, NEAR + term

    def _sort(self, term: str) -> tuple[int, float]:
        known = self._sorts.get(term)
        if known is None:
            known = (BESIDE, self._each_near) if term.startswith(NEAR) else (STRONG, self._by_ending)
        return known

    def _best(self, hits: list[tuple[int, str]], window: int, density: float) -> float:
        """The highest strength of any window, by sliding over the hits once."""
        inside: Counter[str] = Counter()
        sums, counts = [0.0, 0.0, 0.0], [0, 0, 0]  # strong terms, weak ones, terms near a person
        best, tail = 0.0, 0
        for position, term in hits:
            while hits[tail][0] <= position - window:
                leaving = hits[tail][1]
                inside[leaving] -= 1
                if not inside[leaving]:
                    sort, strength = self._sort(leaving)
                    sums[sort] -= strength
                    counts[sort] -= 1
                tail += 1
            inside[term] += 1
            if inside[term] == 1:
                sort, strength = self._sort(term)
                sums[sort] += strength
                counts[sort] += 1
                dense = density if counts[STRONG] + counts[BESIDE] >= FEWEST else 1.0
                best = max(best, dense * (sums[STRONG] + min(sums[BESIDE], self._most_near)) + min(sums[FAINT], MOST_WEAK))
        return best


def _by_ending(text: Normalized, term_of: Endings) -> Iterator[tuple[int, int, str]]:
    for word in text.vocabulary:
        term = term_of(word)
        if term is not None:
            for index in text.places[word]:
                yield index, index + 1, term
