"""What a frame's slots are filled with: one cast of invented people, firms, places and numbers per document.

Names come from Faker's locales that write in Latin letters, and from short lists of romanised names for the cultures whose names Faker
writes in their own script. Numbers have the right shape and, where the kind has one, the right check digit.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from dataclasses import dataclass, field

from detectors.training import numbers, people

Span = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Filled:
    """A slot's text and the names in it, by offset into it."""

    text: str = field(repr=False)
    names: tuple[Span, ...] = ()


def _named(text: str, label: str) -> Filled:
    return Filled(text, ((0, len(text), label),))


class Cast:
    """Everything one document speaks of: `{p1}` is the same person throughout."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._people: dict[str, people.Person] = {}
        self._fixed: dict[str, Filled] = {}

    def fill(self, slot: str) -> Filled:
        """The slot's value; the same slot gives the same value.

        Raises:
            KeyError: nobody knows this slot.
        """
        name, _, form = slot.partition(".")
        if len(name) == 2 and name[0] == "p" and name[1] in string.digits:
            return _person(self._people.setdefault(name, people.person(self._chance)), form)
        if name not in self._fixed:
            self._fixed[name] = self._make(name.rstrip(string.digits))
        if form not in FORMS:
            raise KeyError(f"unknown form {slot}")
        return _in_form(self._fixed[name], FORMS[form])

    def _make(self, name: str) -> Filled:
        if name in NAMED:
            make, label = NAMED[name]
            return _named(make(self._chance), label)
        if name in NUMBERS:
            return Filled(NUMBERS[name](self._chance))
        raise KeyError(f"unknown slot {name}")


FORMS: dict[str, Callable[[str], str]] = {
    "": str,
    "short": lambda text: text.split()[0].rstrip(","),
    "upper": str.upper,
    "lower": str.lower,
}
"""How a firm, a place or a number can be written."""


def _in_form(filled: Filled, form: Callable[[str], str]) -> Filled:
    text = form(filled.text)
    return Filled(text, tuple((0, len(text), label) for _, _, label in filled.names))


def _person(person: people.Person, form: str) -> Filled:
    texts: dict[str, str] = {
        "": f"{person.first} {person.last}",
        "first": person.first,
        "last": person.last,
        "short": f"{person.first[0]}. {person.last}",
        "sort": f"{person.last}, {person.first}",
        "upper": f"{person.first} {person.last}".upper(),
        "lower": f"{person.first} {person.last}".lower(),
        "initials": f"{person.first[0]}{person.last[0]}",
    }
    if form not in texts:
        raise KeyError(f"unknown form of a person: {form}")
    return Filled(texts[form]) if form == "initials" else _named(texts[form], "PERSON")


NAMED: dict[str, tuple[Callable[[random.Random], str], str]] = {
    "co": (people.company, "ORG"),
    "hospital": (people.hospital, "ORG"),
    "bank": (people.bank, "ORG"),
    "lawfirm": (people.law_firm, "ORG"),
    "agency": (people.agency, "ORG"),
    "school": (people.school, "ORG"),
    "city": (people.city, "LOC"),
    "state": (people.state, "LOC"),
    "county": (people.county, "LOC"),
    "country": (people.country, "LOC"),
}
NUMBERS: dict[str, Callable[[random.Random], str]] = numbers.MAKERS
