"""Finds phrases in the words of a text: one dictionary look-up per distinct word for all of them, no regular expressions.

A phrase is written as a person would read it; `|` separates alternatives with one meaning, `#` stands for any number:
`"year old|years old"`, `"# mg"`. Punctuation between words does not matter: `attorney-client` is `attorney client`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from detectors.normalized import NUMBER, WORD, Normalized

Hit = tuple[int, int, str]
"""First word, word after the last, and term."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases that are looked for together. number: their own in the register of all that were ever made."""

    number: int

    @classmethod
    def of(cls, terms: Iterable[str]) -> Phrases:
        """Index the terms; each keeps its spelling as its name. The same terms give the same object."""
        return _indexed(tuple(terms))

    def positions(self, text: Normalized) -> Sequence[Hit]:
        """First word, word after the last, and term, of every occurrence, in order of the first word."""
        return occurring(text).get(self.number, ())

    def spans(self, text: Normalized) -> Iterator[tuple[int, int, str]]:
        """Start and end character and term of every occurrence."""
        for first, end, term in self.positions(text):
            yield text.spans[first][0], text.spans[end - 1][1], term

    def any(self, text: Normalized) -> bool:
        """Whether one of them occurs."""
        return self.number in occurring(text)


@dataclass(slots=True)
class _Opening:
    """What begins with a word: terms that are this word alone, and by the second word what comes after; each with its `Phrases`."""

    alone: list[tuple[int, str]] = field(default_factory=list)
    seconds: dict[str, list[tuple[int, list[str], str]]] = field(default_factory=dict)


_OPENINGS: dict[str, _Opening] = {}
"""The phrases of all `Phrases` by their first word, so that a text's words are walked once for all of them."""
_COUNT = [0]


@cache
def _indexed(terms: tuple[str, ...]) -> Phrases:
    _COUNT[0] += 1
    for term in terms:
        for alternative in term.split("|"):
            first, *rest = split(alternative)
            opening = _OPENINGS.setdefault(first, _Opening())
            if rest:
                opening.seconds.setdefault(rest[0], []).append((_COUNT[0], rest[1:], term))
            else:
                opening.alone.append((_COUNT[0], term))
    return Phrases(_COUNT[0])


def occurring(text: Normalized) -> Mapping[int, Sequence[Hit]]:
    """Every occurrence of every phrase, by the number of its `Phrases`. Looked for once per text."""
    known: tuple[int, dict[int, list[Hit]]] | None = text.shared.get(__name__)
    if known is None or known[0] != _COUNT[0]:
        known = text.shared[__name__] = (_COUNT[0], _found(text.words))
    return known[1]


def _found(words: list[str]) -> dict[int, list[Hit]]:
    found: dict[int, list[Hit]] = {}
    if not words:
        return found
    for index, (word, following) in enumerate(zip(words, [*words[1:], ""], strict=True)):
        opening = _OPENINGS.get(word)
        if opening is None:
            continue
        for number, term in opening.alone:
            found.setdefault(number, []).append((index, index + 1, term))
        for number, rest, term in opening.seconds.get(following, ()):
            end = index + 2 + len(rest)
            if not rest or words[index + 2 : end] == rest:
                found.setdefault(number, []).append((index, end, term))
    return found


def split(phrase: str) -> list[str]:
    """A phrase's words, with `#` for a number."""
    return [NUMBER if word == NUMBER or word.isdigit() else word for word in WORD.findall(phrase.lower().replace(NUMBER, " 0 "))]


def listed(words: str) -> frozenset[str]:
    """A set of words written in a row, as word lists are read best."""
    return frozenset(words.split())
