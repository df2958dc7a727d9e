"""Finds phrases in the words of a text: one dictionary look-up per distinct word, no regular expressions.

A phrase is written as a person would read it; `|` separates alternatives with one meaning, `#` stands for any number:
`"year old|years old"`, `"# mg"`. Punctuation between words does not matter: `attorney-client` is `attorney client`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from detectors.normalized import NUMBER, WORD, Normalized


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases by their first word: the remaining words and the term they stand for."""

    by_first_word: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]] = field(repr=False)

    @classmethod
    def of(cls, terms: Iterable[str]) -> Phrases:
        """Index the terms; each keeps its spelling as its name."""
        index: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for term in terms:
            for alternative in term.split("|"):
                first, *rest = split(alternative)
                index.setdefault(first, []).append((tuple(rest), term))
        return cls({first: tuple(entries) for first, entries in index.items()})

    def positions(self, text: Normalized) -> Iterator[tuple[int, int, str]]:
        """First word, word after the last, and term, of every occurrence, in order of the first word."""
        wanted = self.by_first_word.keys() & text.vocabulary
        if not wanted:
            return
        words, places = text.words, text.places
        for index in places[next(iter(wanted))] if len(wanted) == 1 else sorted(index for word in wanted for index in places[word]):
            for rest, term in self.by_first_word[words[index]]:
                end = index + 1 + len(rest)
                if not rest or tuple(words[index + 1 : end]) == rest:
                    yield index, end, term

    def spans(self, text: Normalized) -> Iterator[tuple[int, int, str]]:
        """Start and end character and term of every occurrence."""
        for first, end, term in self.positions(text):
            yield text.spans[first][0], text.spans[end - 1][1], term

    def any(self, text: Normalized) -> bool:
        """Whether one of them occurs."""
        return next(self.positions(text), None) is not None


def split(phrase: str) -> list[str]:
    """A phrase's words, with `#` for a number."""
    return [NUMBER if word == NUMBER or word.isdigit() else word for word in WORD.findall(phrase.lower().replace(NUMBER, " 0 "))]


def listed(words: str) -> frozenset[str]:
    """A set of words written in a row, as word lists are read best."""
    return frozenset(words.split())
