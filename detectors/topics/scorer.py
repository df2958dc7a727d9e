"""How much a text is about a topic: weighted terms that a person can read, added up so that no single one decides.

Each term has a weight below 1: the chance, in the author's judgement, that a text with this term alone is on the topic. Distinct
terms within a window combine as independent hints do, `1 - (1-w1)(1-w2)…`: it grows with every new term and never passes 1. A
term counts once per window however often it is repeated. The score of a text is the *maximum* over all windows of `WINDOW` words,
wherever they begin (so head and tail count alike, and one page in a thousand is enough). Nothing subtracts (invariant 9).

Two refinements. *Near a person*: a topic may say whose presence makes its terms personal ("she", "my", "Mr"): every term with such a
word within `NEARBY` words counts once more. *Short texts*: three terms in forty words say more than three in four hundred.
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

WINDOW = 250
"""Words: about half a page. Short enough that a paragraph in a long report stands out, long enough for a whole letter."""
WEAK = -math.log1p(-0.2)
MOST_WEAK = -math.log1p(-0.3)
"""Terms under 0.2 are ordinary words: all of them together count as one term of 0.3, so that long talk alone proves nothing."""
NEARBY = 12
NEAR = "@"
"""Marks a term that stands near a person, beside the term itself."""
SHORT = 120
STEEPEST = 1.5
FEWEST = 3
"""A short text is weighed up only when it has this many distinct terms."""

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
        self._strengths = {term: -math.log1p(-weight) for term, weight in terms.items()}
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
        best = self._best(weighed)
        if len(text.words) < SHORT and len({term for _, term in weighed}) >= FEWEST:
            best *= min(STEEPEST, (SHORT / max(1, len(text.words))) ** 0.4)
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

    def _strength(self, term: str) -> float:
        if term.startswith(NEAR):
            return 0.0
        known = self._strengths.get(term)
        return known if known is not None else -math.log1p(-(self._endings[1] if self._endings else 0.0))

    def _best(self, hits: list[tuple[int, str]]) -> float:
        """The highest strength of any window, by sliding over the hits once."""
        inside: Counter[str] = Counter()
        totals = [0.0, 0.0, 0.0]  # strong, weak, near a person
        most_near = -math.log1p(-self._near.most) if self._near else 0.0
        each_near = -math.log1p(-self._near.weight) if self._near else 0.0
        kinds: dict[str, tuple[int, float]] = {}
        best, tail = 0.0, 0
        for position, term in hits:
            if term not in kinds:
                strength = self._strength(term)
                kinds[term] = (2, each_near) if term.startswith(NEAR) else (0 if strength >= WEAK else 1, strength)
            if not inside[term]:
                kind, strength = kinds[term]
                totals[kind] += strength
            inside[term] += 1
            while hits[tail][0] <= position - WINDOW:
                leaving = hits[tail][1]
                inside[leaving] -= 1
                if not inside[leaving]:
                    kind, strength = kinds[leaving]
                    totals[kind] -= strength
                tail += 1
            best = max(best, totals[0] + min(totals[1], MOST_WEAK) + min(totals[2], most_near))
        return best


def _by_ending(text: Normalized, term_of: Endings) -> Iterator[tuple[int, int, str]]:
    for word in text.vocabulary:
        term = term_of(word)
        if term is not None:
            for index in text.places[word]:
                yield index, index + 1, term
