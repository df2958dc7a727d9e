"""How much a text is about a topic: weighted terms that a person can read, added up so that no single one decides.

Each term has a weight below 1: the chance, in the author's judgement, that a text with this term alone is on the topic. Distinct
terms within a window combine as independent hints do, `1 - (1-w1)(1-w2)…`: it grows with every new term and never passes 1. A
term counts once per window however often it is repeated. The score of a text is the *maximum* over all windows of `WINDOW` words,
wherever they begin (so head and tail count alike, and one page in a thousand is enough). Nothing subtracts (invariant 9).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from detectors.detector import NOTHING, EachText, topic_kind
from detectors.document import Evidence
from detectors.normalized import Normalized
from detectors.phrases import Phrases

WINDOW = 400
"""Words: about a page. Short enough that a paragraph in a long report stands out, long enough for a whole letter."""
WEAK = -math.log1p(-0.2)
MOST_WEAK = -math.log1p(-0.3)
"""Terms under 0.2 are ordinary words: all of them together count as one term of 0.3, so that long talk alone proves nothing."""


def topic_detector(topic: str, terms: Mapping[str, float], *, cost: int = 3) -> EachText:
    """A scorer for one topic."""
    phrases = Phrases.of(terms)
    strengths = {term: -math.log1p(-weight) for term, weight in terms.items()}

    def look(text: Normalized) -> Evidence:
        hits = [(first, term) for first, _, term in phrases.positions(text)]
        if not hits:
            return NOTHING
        return Evidence(topics={topic: round(_best(hits, strengths), 4)})

    return EachText(name=f"topic_{topic}", provides=frozenset({topic_kind(topic)}), look=look, cost=cost)


def _best(hits: list[tuple[int, str]], strengths: Mapping[str, float]) -> float:
    """The highest score of any window, by sliding over the hits once."""
    inside: Counter[str] = Counter()
    strong = weak = best = 0.0
    tail = 0
    for position, term in hits:
        if not inside[term]:
            strong, weak = (strong, weak + strengths[term]) if strengths[term] < WEAK else (strong + strengths[term], weak)
        inside[term] += 1
        while hits[tail][0] <= position - WINDOW:
            leaving = hits[tail][1]
            inside[leaving] -= 1
            if not inside[leaving]:
                strong, weak = (strong, weak - strengths[leaving]) if strengths[leaving] < WEAK else (strong - strengths[leaving], weak)
            tail += 1
        best = max(best, strong + min(weak, MOST_WEAK))
    return -math.expm1(-best)
