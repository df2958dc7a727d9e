"""The values that a text offers for one field, the likeliest first. Whether one fits the schema is judged by the caller."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

from sinks.extraction import values
from sinks.extraction.fields import Field
from sinks.extraction.labels import MAX_ITEMS, labelled, listed, mentioned, nearby
from sinks.extraction.summary import says_little, summarize
from sinks.extraction.units import split_units, words

_YES = re.compile(r"(?:yes|true|y|sí|si|x|\[x\]|checked|required|enclosed|attached)\b", re.IGNORECASE)
_NO = re.compile(r"(?:no|false|n|none|not|\[ ?\]|unchecked|n/a)(?:\b|$)", re.IGNORECASE)
_NEGATED = re.compile(r"(?:\bno|\bnot|\bnever|\bwithout|n't|\bnor|\bsin)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
_MONEY_WORDS = (
    "amount",
    "balance",
    "price",
    "cost",
    "fee",
    "payment",
    "salary",
    "income",
    "premium",
    "sum",
    "loan",
    "total",
    "revenue",
    "usd",
)
_DATE_WORDS = ("date", "dob", "deadline", "born", "birthday")
_FREE_TEXT_WORDS = ("summary", "description", "abstract", "overview", "gist", "synopsis", "point")
_REFERENCE_WORDS = ("number", "no", "id", "code", "reference", "mrn", "ssn", "account")
_PERSON_WORDS = ("name", "patient", "customer", "client", "borrower", "applicant", "recipient", "physician", "doctor", "person", "debtor")
_CATCH_ALL = frozenset({"other", "unknown", "none", "unspecified", "misc", "general"})
_NAME_LIKE = re.compile(r"[A-ZÀ-Þ][^.!?,:;\d]{1,60}(?:\.[^.!?,:;\d]{1,40})?(?:, ?[A-Z][A-Z.]{1,6})?$")
_NAMED_NEXT = re.compile(
    r"\s{0,3}(?:(?:is|was|named|,|\()\s{0,2})?(?P<name>[A-ZÀ-Þ][\w'\u2019-]{1,40}(?: [A-ZÀ-Þ][\w'\u2019.-]{0,40}){1,3})"
)
_BIRTH_DATE = re.compile(r"\b(?:date of birth|birth date|d\.?o\.?b\.?|born)\b[^\n;|]{0,30}", re.IGNORECASE)
_FREE_TEXT_TOKENS = 120
_HEADING_UNITS = 5
_CLOSE_PHRASES = 3
_HEAD_CHARS = 400


def candidates(field: Field, text: str) -> Iterator[Any]:
    """Values for the field: of an enum its members, else whatever its types admit."""
    if field.choices:
        yield from _choices(field, text)
        return
    if "boolean" in field.types:
        yield from _booleans(field, text)
    if "integer" in field.types:
        yield from (int(number) for number in _numbers(field, text) if number.is_integer())
    if "number" in field.types:
        yield from (int(number) if number.is_integer() else number for number in _numbers(field, text))
    if "array" in field.types and field.items is not None:
        yield from _arrays(field, field.items, text)
    if "string" in field.types:
        yield from _strings(field, text)


def _choices(field: Field, text: str) -> Iterator[Any]:
    """Enum members: one stated under the label, then the one named earliest and most often, then a catch-all member."""
    spoken = {_spoken(choice): choice for choice in field.choices if choice is not None}
    for phrase in field.phrases:
        for value in labelled(text, phrase):
            yield from (choice for name, choice in spoken.items() if name and mentioned(value, name))
    if len(field.choices) == 1:
        yield field.choices[0]
    scores = {name: _weight(text, name) for name in spoken if name}
    for name in sorted(scores, key=lambda name: -scores[name]):
        if scores[name]:
            yield spoken[name]
    yield from (choice for name, choice in spoken.items() if name in _CATCH_ALL)


def _weight(text: str, name: str) -> int:
    """How much a text speaks of an enum member: each mention once, ten times near the beginning; else half of its words."""
    mentions = text.lower().count(name)
    if mentions and mentioned(text, name):
        return 2 * mentions + (20 if mentioned(text[:_HEAD_CHARS], name) else 0)
    parts = [part for part in name.split() if len(part) > 3]  # noqa: PLR2004 - "of", "and" tell nothing
    return int(len(parts) > 1 and all(mentioned(text, part) for part in parts))


def _booleans(field: Field, text: str) -> Iterator[bool]:
    """A stated yes or no; else whether the text mentions it, and then not as something that is absent."""
    for phrase in field.phrases:
        for value in labelled(text, phrase):
            if _NO.match(value):
                yield False
            elif _YES.match(value):
                yield True
    for phrase in field.phrases[:1]:
        if (mention := mentioned(text, phrase)) is not None:
            yield not _NEGATED.search(text[max(0, mention.start() - 40) : mention.start()])


def _numbers(field: Field, text: str) -> Iterator[float]:
    """Numbers under the label, then after a mention; for a plain `amount`, at last, the first sum of money."""
    for phrase in field.phrases:
        yield from chain.from_iterable(values.numbers(value) for value in labelled(text, phrase))
    for phrase in field.phrases:
        yield from chain.from_iterable(islice(values.numbers(rest), 1) for rest in nearby(text, phrase))
    if field.speaks_of(*_MONEY_WORDS) and " " not in field.phrases[0]:
        yield from values.numbers(text, money_only=True)


def _dates(field: Field, text: str) -> Iterator[str]:
    """Dates under the label, then after a mention; for a plain `date`, at last, the first of the text."""
    if not field.speaks_of("birth", "dob", "born", "birthday"):
        text = _BIRTH_DATE.sub(" ", text)
    for phrase in field.phrases:
        yield from chain.from_iterable(values.dates(value) for value in labelled(text, phrase))
    for phrase in field.phrases:
        yield from chain.from_iterable(values.dates(rest) for rest in nearby(text, phrase))
    if len(field.phrases[0].split()) == 1 or field.phrases[0].startswith(
        ("document", "letter", "statement", "meeting", "report", "invoice")
    ):
        yield from values.dates(text)


def _strings(field: Field, text: str) -> Iterator[str]:
    """Strings by what the field is: a date, an address, free text, a name, a reference, or just what its label says."""
    if field.format == "date" or (not field.format and field.speaks_of(*_DATE_WORDS)):
        yield from _dates(field, text)
    elif field.format in {"email", "idn-email"} or field.speaks_of("email"):
        yield from _shaped(field, text, values.emails)
    elif field.format in {"uri", "url"} or field.speaks_of("url", "website", "link"):
        yield from _shaped(field, text, values.urls)
    elif field.speaks_of("phone", "telephone", "fax", "mobile"):
        yield from _shaped(field, text, values.phones)
    if field.format in {"", "idn-email"}:
        yield from (_fit(field, value) for value in _plain_strings(field, text))


def _plain_strings(field: Field, text: str) -> Iterator[str]:
    if field.speaks_of(*_FREE_TEXT_WORDS):
        yield summarize(text, max_tokens=_FREE_TEXT_TOKENS)
    person = field.speaks_of(*_PERSON_WORDS)
    for phrase in field.phrases:
        yield from (value for value in labelled(text, phrase) if not person or _NAME_LIKE.match(value))
    if field.speaks_of(*_REFERENCE_WORDS):
        for phrase in field.phrases:
            yield from chain.from_iterable(islice(values.codes(rest), 1) for rest in nearby(text, phrase))
    if person:
        yield from _persons(field, text)
    if field.speaks_of("title", "subject", "heading", "topic"):
        yield from (unit.text for unit in split_units(text)[:_HEADING_UNITS] if not says_little(unit))


def _persons(field: Field, text: str) -> Iterator[str]:
    """Whom the letter speaks to, a name right after a mention, and, where any person will do, a name after a title."""
    if not field.speaks_of("physician", "doctor"):
        yield from values.addressed_names(text)
    for phrase in field.phrases[:_CLOSE_PHRASES]:
        yield from (match["name"] for rest in nearby(text, phrase) if (match := _NAMED_NEXT.match(rest)))
    if field.speaks_of("physician", "doctor", "person", "patient"):
        yield from values.titled_names(text)


def _shaped(field: Field, text: str, find: Any) -> Iterator[str]:
    """Values of one shape: under the label first, then anywhere."""
    for phrase in field.phrases:
        yield from chain.from_iterable(find(value) for value in labelled(text, phrase))
    yield from find(text)


def _arrays(field: Field, item: Field, text: str) -> Iterator[list[Any]]:
    """A labelled list; else every value of the item's shape; else, where a list is required, an empty one."""
    if "string" in item.types and not item.choices:
        for phrase in field.phrases:
            for items in listed(text, phrase):
                yield [_fit(item, value) for value in dict.fromkeys(items)]
    if item.choices:
        named = [choice for choice in item.choices if isinstance(choice, str) and _weight(text, _spoken(choice))]
        yield from [named] if named else []
    found = list(dict.fromkeys(islice(_every(field, item, text), MAX_ITEMS)))
    if found or (field.required and not field.nullable):
        yield found


def _every(field: Field, item: Field, text: str) -> Iterator[Any]:
    """All values in the text that have the shape the items ask for."""
    if item.format == "date" or field.speaks_of("dates"):
        yield from values.dates(text)
    elif item.format == "email" or field.speaks_of("emails"):
        yield from values.emails(text)
    elif field.speaks_of("phones"):
        yield from values.phones(text)
    elif field.speaks_of("urls", "links"):
        yield from values.urls(text)
    elif field.speaks_of("amounts", "prices", "payments") and "number" in item.types:
        yield from values.numbers(text, money_only=True)
    elif field.speaks_of("people", "persons", "names"):
        yield from values.titled_names(text)


def _fit(field: Field, value: str) -> str:
    """A value within the field's maxLength, cut between words where possible."""
    value = value.strip()
    if field.max_length is None or len(value) <= field.max_length:
        return value
    return value[: field.max_length].rsplit(" ", 1)[0].rstrip() or value[: field.max_length]


def _spoken(choice: Any) -> str:
    """`LOAN_APPLICATION` → `loan application`."""
    return " ".join(words(str(choice)))
