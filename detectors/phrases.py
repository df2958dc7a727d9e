"""Finds phrases in the words of a text: one dictionary look-up per distinct word for all of them, no regular expressions.

A phrase is written as a person would read it; `|` separates alternatives with one meaning, `#` stands for any number:
`"year old|years old"`, `"# mg"`. Punctuation between words does not matter: `attorney-client` is `attorney client`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from detectors.normalized import NUMBER, WORD, Normalized

Rest = tuple[tuple[str, ...], str]
"""The words after the second, and the term."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What may follow a first word: terms it is by itself, and by the second word what comes after."""

    alone: tuple[str, ...]
    seconds: Mapping[str, tuple[Rest, ...]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases by their first word. number: its own in the register of all that were ever made."""

    openings: Mapping[str, Opening] = field(repr=False)
    number: int

    @classmethod
    def of(cls, terms: Iterable[str]) -> Phrases:
        """Index the terms; each keeps its spelling as its name. The same terms give the same object."""
        return _indexed(tuple(terms))

    def positions(self, text: Normalized) -> Iterator[tuple[int, int, str]]:
        """First word, word after the last, and term, of every occurrence, in order of the first word."""
        wanted = _wanted(text).get(self.number)
        if not wanted:
            return
        words, places = text.words, text.places
        last = len(words)
        for index in places[wanted[0]] if len(wanted) == 1 else sorted(index for word in wanted for index in places[word]):
            opening = self.openings[words[index]]
            for term in opening.alone:
                yield index, index + 1, term
            if opening.seconds and index + 1 < last:
                for rest, term in opening.seconds.get(words[index + 1], ()):
                    end = index + 2 + len(rest)
                    if not rest or tuple(words[index + 2 : end]) == rest:
                        yield index, end, term

    def spans(self, text: Normalized) -> Iterator[tuple[int, int, str]]:
        """Start and end character and term of every occurrence."""
        for first, end, term in self.positions(text):
            yield text.spans[first][0], text.spans[end - 1][1], term

    def any(self, text: Normalized) -> bool:
        """Whether one of them occurs."""
        return next(self.positions(text), None) is not None


_REGISTER: dict[str, list[int]] = {}
"""First word → numbers of the `Phrases` that begin with it: a text's distinct words are looked up once, for all of them."""
_COUNT = [0]


@cache
def _indexed(terms: tuple[str, ...]) -> Phrases:
    alone: dict[str, list[str]] = {}
    seconds: dict[str, dict[str, list[Rest]]] = {}
    for term in terms:
        for alternative in term.split("|"):
            first, *rest = split(alternative)
            if not rest:
                alone.setdefault(first, []).append(term)
            else:
                seconds.setdefault(first, {}).setdefault(rest[0], []).append((tuple(rest[1:]), term))
    openings = {
        word: Opening(tuple(alone.get(word, ())), {second: tuple(rests) for second, rests in seconds.get(word, {}).items()})
        for word in alone.keys() | seconds.keys()
    }
    _COUNT[0] += 1
    for word in openings:
        _REGISTER.setdefault(word, []).append(_COUNT[0])
    return Phrases(openings, _COUNT[0])


def _wanted(text: Normalized) -> Mapping[int, list[str]]:
    """For each `Phrases`, by number, the first words of it that the text has. Looked up once per text."""
    known: tuple[int, dict[int, list[str]]] = text.shared.get(__name__, (0, {}))
    count, wanted = known
    if count != _COUNT[0]:
        wanted = {}
        for word in _REGISTER.keys() & text.vocabulary:
            for number in _REGISTER[word]:
                wanted.setdefault(number, []).append(word)
        text.shared[__name__] = (_COUNT[0], wanted)
    return wanted


def split(phrase: str) -> list[str]:
    """A phrase's words, with `#` for a number."""
    return [NUMBER if word == NUMBER or word.isdigit() else word for word in WORD.findall(phrase.lower().replace(NUMBER, " 0 "))]


def listed(words: str) -> frozenset[str]:
    """A set of words written in a row, as word lists are read best."""
    return frozenset(words.split())
