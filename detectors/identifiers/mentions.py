"""Names that no list knows, by the company they keep: who somebody is, how old, what they do; and single given names in prose.

Each rule starts from a word of the text's vocabulary and looks only beside it, so that a text without such words costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from detectors.identifiers.gazetteer import NOT_SURNAME, Gazetteer
from detectors.normalized import Normalized
from detectors.phrases import listed

CAPITAL = "A-Z\u00c0-\u00d6\u00d8-\u00de\u0100\u0106\u010c\u0141\u015a\u0160\u017b\u017d"
NAME_TOKEN = rf"[{CAPITAL}][a-z\u00df-\u00ff'][\w'-]{{0,30}}"
NAME_AFTER = re.compile(rf"(?:'s name)?[ \t]?(?:,|:|is|was|named|called)?[ \t]{{0,2}}(?P<name>{NAME_TOKEN}(?:[ \t]{NAME_TOKEN}){{0,2}})")
PAIR_BEFORE = re.compile(rf"(?<![\w'-])(?P<name>{NAME_TOKEN}(?:[ \t](?:[{CAPITAL}]\.|{NAME_TOKEN})){{1,3}})[ \t]{{0,2}}[,(]?[ \t]?$")
AGE = re.compile(r"[,(] ?(?:aged? )?[1-9]\d?(?:,|\)|\.(?!\d)| who\b| was\b| is\b| from\b)")
BORN = listed("born b dob")
REACH = 70
PLACE_WORDS = listed("the a an in at near from")
OPENING = re.compile(r"(?:^|[.!?:;\n])$")
"""What stands before the first word of a sentence: its capital says nothing."""
BEFORE_PLACES = listed(
    "lake mount mt fort ft port cape saint st san santa prince princess king queen lord lady pope sir new north south in at"
)
FAMILY = re.compile(rf"\b[Tt]he[ \t](?P<name>[{CAPITAL}][a-z]{{3,20}}s)\b(?!'|[ \t][{CAPITAL}])")
AFTER_NAME = re.compile(
    r"(?:'s)?[ \t-]{1,2}(?:[A-Z]|disease|syndrome|sign|score|test|scale|criteria|classification|procedure|palsy|cells?\b|lung|county|"
    r"and Co|& )"
)

SOMEBODY = listed(
    "patient client operator worker nurse claimant inmate student pupil employee colleague customer borrower applicant tenant driver widow "
    "widower brother sister mother father son daughter husband wife partner friend neighbour neighbor resident caregiver carer therapist "
    "member subscriber cardholder volunteer clerk surname named executor beneficiary child baby boy girl twin mum mom dad uncle aunt "
    "roommate landlord technician welder cashier teacher engineer caller guarantor defendant intern trainee foreman apprentice"
)
"""Written small, before a name: "our operator Lucasta Brightwater"."""
NAMING = frozenset({"surname", "named"})
"""Whatever follows these is a name."""
DOINGS = listed(
    "attended presented complains complained denies lives lived lost strained rang phoned wants hopes picked slipped fell suffered "
    "collapsed "
    "died understands slept cried drank smokes earns owes retired retires injured fainted vomited weighs limps stays sleeps eats drinks "
    "attends misses banks earned borrowed repaid disputes paid signed refused declined dreads weeps walks"
)
"""What people do, and companies hardly ever."""
NEVER = listed(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september october november "
    "december mr mrs ms dr miss the this that these those our your his her their my we you they it he she i no not dear plan project "
    "section chapter table figure exhibit form page room bed ward unit level group team board bank court state city county company inc llc "
    "information summary report letter notice history name id number date services care health medical center support success manager "
    "relations education education's experience satisfaction base list account accounts portal data record records safety assistance"
)

INITIALLED = re.compile(rf"(?<![\w'.-])(?P<name>{NAME_TOKEN})[ \t][{CAPITAL}]\.(?![\w.]|[ \t]{{1,3}}[{CAPITAL}])")
"""A given name and one initial: how small offices keep two people of one name apart ("Randy P.")."""

Span = tuple[tuple[int, int], float]


def mentions(text: Normalized, names: Gazetteer) -> Iterator[Span]:
    """Names in company, and single given names."""
    yield from _introduced(text, names)
    yield from _acting(text, names)
    yield from _aged(text, names)
    yield from _alone(text, names)
    yield from _families(text, names)
    yield from _initialled(text, names)


def _introduced(text: Normalized, names: Gazetteer) -> Iterator[Span]:
    for word in SOMEBODY & text.vocabulary:
        for index in text.places[word]:
            start, end = text.spans[index]
            match = NAME_AFTER.match(text.text, end, min(len(text.text), end + REACH))
            if match and _believed(word, match.group("name"), heading=text.text[start].isupper(), names=names):
                yield match.span("name"), 0.7


def _believed(word: str, name: str, *, heading: bool, names: Gazetteer) -> bool:
    """A capitalised role may be part of a heading ("Patient Relations"), so there the first word must be a known given name."""
    if heading and name.split(maxsplit=1)[0].lower() not in names.strong_given:
        return False
    return (word in NAMING and not NEVER & set(name.lower().split())) or _plausible(name, names)


def _acting(text: Normalized, names: Gazetteer) -> Iterator[Span]:
    for word in DOINGS & text.vocabulary:
        for index in text.places[word]:
            yield from _pair_before(text, text.spans[index][0], names)


def _aged(text: Normalized, names: Gazetteer) -> Iterator[Span]:
    if not text.digit_regions:
        return
    for match in AGE.finditer(text.text):
        yield from _pair_before(text, match.start(), names)
    for word in BORN & text.vocabulary:
        for index in text.places[word]:
            yield from _pair_before(text, text.spans[index][0], names)


def _pair_before(text: Normalized, end: int, names: Gazetteer) -> Iterator[Span]:
    low = max(0, end - REACH)
    match = PAIR_BEFORE.search(text.text[low:end])
    if match and _plausible(match.group("name"), names):
        start, stop = match.span("name")
        yield (low + start, low + stop), 0.65


def _families(text: Normalized, names: Gazetteer) -> Iterator[Span]:
    """The "Vandermeers": a surname in the plural, where the plural is no word or name of its own."""
    if "the" not in text.vocabulary:
        return
    for match in FAMILY.finditer(text.text):
        word = match.group("name").lower()
        if word[:-1] in names.strong_surnames and word[:-1] not in names.given and word not in names.ambiguous:
            yield match.span("name"), 0.55


def _plausible(name: str, names: Gazetteer) -> bool:
    """Not a day, a place or a thing: no word of it is an everyday word, and one name alone must be a known one."""
    words = [word.strip(".").lower().removesuffix("'s") for word in name.split()]
    if NEVER & set(words) or NOT_SURNAME & set(words):
        return False
    if len(words) == 1:
        return words[0] in names.strong_given or words[0] in names.strong_surnames
    return not any(word in names.ambiguous for word in words)


def _alone(text: Normalized, names: Gazetteer) -> Iterator[Span]:
    """A well-known given name on its own in prose: "Bronwen is six months dry". Not a place, a law or a disease."""
    for word in text.vocabulary & names.strong_given:
        for index in text.places[word]:
            start, end = text.spans[index]
            value = text.text[start:end]
            if not (value[0].isupper() and value[1:].islower()) or len(value) < 3:  # noqa: PLR2004 - Al, Jo: too short to trust alone
                continue
            before = text.text[max(0, start - 32) : start]
            previous = before.rsplit(None, 1)[-1:] if before.endswith((" ", "\t")) else []
            opening = (
                previous
                and OPENING.search(before[: -len(previous[0]) - 1].rstrip(" \t"))
                and not names.known(previous[0].lower())
                and previous[0].lower() not in BEFORE_PLACES
            )
            if previous and (previous[0][0].isupper() or previous[0] in PLACE_WORDS) and not opening:
                continue
            if AFTER_NAME.match(text.text, end):
                continue
            yield (start, end), 0.55


def _initialled(text: Normalized, names: Gazetteer) -> Iterator[Span]:
    for match in INITIALLED.finditer(text.text):
        if match.group("name").lower() in names.strong_given:
            yield match.span(), 0.65
