"""How complex a request looks: counts over its text, taken in microseconds, and rules that a person can read.

- Pure, and the same for the same text: counts of characters, no clock, no language library, no model.
- At most LOOKED_AT characters are looked at for structure, so a long document costs no more than a page; its length is counted in full.
- A score decides between places that are permitted anyway. It never says where a record may go.

The rules and their points are the table in `docs/routing.md`; a test compares the two. They were set by hand, and are no measurement.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LOOKED_AT = 8_192
"""Characters of the beginning that structure is counted in."""
CHARACTERS_PER_TOKEN = 4
DEEPEST = 32
"""A schema that refers to itself, or is nested deeper than anybody reads, counts as this deep."""

_DIGITS = b"0123456789"
_SYMBOLS = b"+*/=^<>%$\\~"
_CODE = b"{}[]();=<>_`"
_ITEM = re.compile(r"\n[ \t]{0,8}(?:[-*•‣–]|\(?(?:\d{1,3}|[A-Za-z])[.)])[ \t]")
_ENGLISH = frozenset({"the", "of", "and", "to", "in", "is", "for", "that"})
_SENTENCE_ENDS = (". ", "? ", "! ", "。")
"""In a text whose line ends are spaces."""
_KNOWN_TASKS = frozenset({"summarize", "extract"})


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a JSON Schema: how many fields it has in all, and how deep they are nested. Made once per job."""

    fields: int = 0
    depth: int = 0

    @classmethod
    def of(cls, schema: Mapping[str, Any] | None) -> Shape:
        """Count the named properties at every level; `$ref` is not followed."""
        return cls(*_shape(schema, 0)) if schema else cls()


def _shape(schema: Any, depth: int) -> tuple[int, int]:
    if not isinstance(schema, Mapping) or depth >= DEEPEST:
        return 0, depth
    properties = schema.get("properties")
    named = list(properties.values()) if isinstance(properties, Mapping) else []
    below = [_shape(one, depth + 1) for one in named]
    inner = [schema.get("items"), *(one for key in ("anyOf", "oneOf", "allOf", "prefixItems") for one in schema.get(key) or ())]
    below += [_shape(one, depth) for one in inner if isinstance(one, Mapping)]
    return len(named) + sum(fields for fields, _ in below), max((deep for _, deep in below), default=depth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What was counted. No text. Shares are 0..1 of the characters looked at; the rest are counts.

    characters: of all parts. payload_bytes: about; the parts in UTF-8 and the template's constants. sentence_words, word_characters: means.
    english: how many of the words are one of eight common English ones. other_script: characters beyond Latin-1.
    findings, finding_kinds: identifiers that the scan found, and how many kinds; 0 where nobody said.
    """

    characters: int = 0
    payload_bytes: int = 0
    words: int = 0
    lines: int = 0
    list_items: int = 0
    table_rows: int = 0
    code: float = 0.0
    digits: float = 0.0
    symbols: float = 0.0
    questions: int = 0
    sentence_words: float = 0.0
    word_characters: float = 0.0
    english: float = 0.0
    other_script: float = 0.0
    task: str = ""
    schema_fields: int = 0
    schema_depth: int = 0
    constants_chars: int = 0
    findings: int = 0
    finding_kinds: int = 0

    @property
    def tokens(self) -> int:
        """An estimate: four characters each, constants included."""
        return (self.characters + self.constants_chars) // CHARACTERS_PER_TOKEN

    @property
    def is_open(self) -> bool:
        """Whether nobody can say from the task's name how hard it is."""
        return self.task not in _KNOWN_TASKS

    @classmethod
    def of(
        cls,
        text_parts: Mapping[str, str],
        *,
        task: str,
        schema: Mapping[str, Any] | Shape | None,
        constants_chars: int,
        findings: int = 0,
        finding_kinds: int = 0,
    ) -> Features:
        """Count. text_parts: the record's own parts by slot. schema: of the task; a Shape, made once, is quicker."""
        shape = schema if isinstance(schema, Shape) else Shape.of(schema)
        parts = text_parts.values()
        characters = sum(map(len, parts))
        text = "\n".join([part[:LOOKED_AT] for part in parts])[:LOOKED_AT]
        data = text.encode("utf-8", "replace")
        looked = max(1, len(text))
        split = text.split()
        words = len(split)
        list_items, table_rows = len(_ITEM.findall("\n" + text)), _table_rows(text)
        spaced = text.replace("\n", " ")
        ends = sum([spaced.count(end) for end in _SENTENCE_ENDS]) + text.count("\n\n") + list_items + table_rows
        sentences = max(1, ends + (not spaced.endswith(_SENTENCE_ENDS)))
        unseen = max(0, characters - len(text))
        return cls(
            characters=characters,
            payload_bytes=len(data) + unseen * len(data) // looked + constants_chars,
            words=words,
            lines=text.count("\n") + 1 if text else 0,
            list_items=list_items,
            table_rows=table_rows,
            code=(len(data) - len(data.translate(None, _CODE))) / looked,
            digits=(len(data) - len(data.translate(None, _DIGITS))) / looked,
            symbols=(len(data) - len(data.translate(None, _SYMBOLS))) / looked,
            questions=text.count("?"),
            sentence_words=words / sentences,
            word_characters=max(0, len(text) - words + 1) / words if words else 0.0,
            english=len([word for word in split if word in _ENGLISH]) / words if words else 0.0,
            other_script=0.0 if text.isascii() else 1 - len(text.encode("latin-1", "ignore")) / looked,
            task=task,
            schema_fields=shape.fields,
            schema_depth=shape.depth,
            constants_chars=constants_chars,
            findings=findings,
            finding_kinds=finding_kinds,
        )

    @property
    def values(self) -> dict[str, float]:
        """The numbers that a router weighs, by name: counts as ln(1 + n), so that a long document is not a thousand times a short one."""
        return {name: value(self) for name, value in VALUES.items()}


def _table_rows(text: str) -> int:
    """Lines of a Markdown table, or with two tabs: estimated from the marks, since no table has fewer than two a row."""
    return (text.count("|") + text.count("\t")) // 3


VALUES: Mapping[str, Callable[[Features], float]] = {
    "characters": lambda one: math.log1p(one.characters),
    "payload_bytes": lambda one: math.log1p(one.payload_bytes),
    "words": lambda one: math.log1p(one.words),
    "lines": lambda one: math.log1p(one.lines),
    "list_items": lambda one: math.log1p(one.list_items),
    "table_rows": lambda one: math.log1p(one.table_rows),
    "code": lambda one: one.code,
    "digits": lambda one: one.digits,
    "symbols": lambda one: one.symbols,
    "questions": lambda one: math.log1p(one.questions),
    "sentence_words": lambda one: math.log1p(one.sentence_words),
    "word_characters": lambda one: one.word_characters,
    "english": lambda one: one.english,
    "other_script": lambda one: one.other_script,
    "task_extract": lambda one: float(one.task == "extract"),
    "schema_fields": lambda one: math.log1p(one.schema_fields),
    "schema_depth": lambda one: float(one.schema_depth),
    "constants_chars": lambda one: math.log1p(one.constants_chars),
    "findings": lambda one: math.log1p(one.findings),
    "finding_kinds": lambda one: math.log1p(one.finding_kinds),
}
"""Every feature that a router may name."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table: its code, the points it adds, when it holds in words, and the same as limits, all of which must be met.

    at_least, below: limits by the name of a count or share of `Features`.
    """

    code: str
    points: float
    words: str
    at_least: Mapping[str, float] = field(default_factory=dict)
    below: Mapping[str, float] = field(default_factory=dict)

    def holds(self, features: Features) -> bool:
        """Whether every limit is met."""
        return all(getattr(features, name) >= limit for name, limit in self.at_least.items()) and all(
            getattr(features, name) < limit for name, limit in self.below.items()
        )


RULES: tuple[Rule, ...] = (
    Rule("long", 0.15, "2,000 tokens or more, template included", {"tokens": 2_000}),
    Rule("very_long", 0.20, "8,000 tokens or more, beside `long`", {"tokens": 8_000}),
    Rule("open_task", 0.25, "the task is neither `summarize` nor `extract`", {"is_open": 1}),
    Rule("wide_schema", 0.15, "the schema has 10 fields or more", {"schema_fields": 10}),
    Rule("very_wide_schema", 0.15, "30 fields or more, beside `wide_schema`", {"schema_fields": 30}),
    Rule("deep_schema", 0.15, "fields are nested three levels deep or more", {"schema_depth": 3}),
    Rule("tables", 0.15, "about 5 table rows or more", {"table_rows": 5}),
    Rule("lists", 0.05, "10 list items or more", {"list_items": 10}),
    Rule("code", 0.15, "at least 6% of the characters are brackets and other signs of code", {"code": 0.06}),
    Rule("numbers", 0.10, "at least 8% of the characters are digits", {"digits": 0.08}),
    Rule("formulas", 0.10, "at least 3% of the characters are signs of arithmetic", {"symbols": 0.03}),
    Rule("long_sentences", 0.15, "40 words or more, 30 or more a sentence", {"words": 40, "sentence_words": 30}),
    Rule("other_script", 0.25, "at least 30% of the characters are beyond Latin-1", {"other_script": 0.3}),
    Rule(
        "other_language",
        0.15,
        "40 words or more, fewer than 4% of them common English ones, and not `other_script`",
        {"words": 40},
        {"english": 0.04, "other_script": 0.3},
    ),
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A score, 0 (simple) to 1, and the codes of the rules that made it."""

    score: float
    reasons: tuple[str, ...]


def judge(features: Features) -> Judgement:
    """Add up the points of the rules that hold, 1 at the most."""
    held = [rule for rule in RULES if rule.holds(features)]
    return Judgement(min(1.0, math.fsum(rule.points for rule in held)), tuple(rule.code for rule in held))


def complexity(features: Features) -> float:
    """The score alone."""
    return judge(features).score
