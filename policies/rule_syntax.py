"""The YAML form of a condition.

    {topic: health, at_least: 0.5}
    {entity: US_SSN, at_least_score: 0.5, count: 2}      at_least_score and count may be left out
    {any_entity: [PERSON, US_SSN], at_least_score: 0.5}
    {marker: privilege_header}      {any_marker: [privilege_header, work_product]}
    {declared: PHI}
    {all: [condition, …]}           {any: [condition, …]}

There is no `not`: see `policies/rules.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from policies.model import CLASS_NAME
from policies.rules import DEFAULT_SCORE, AllOf, AnyOf, ClassDeclared, Condition, EntityFound, MarkerFound, TopicIs
from policies.yaml_value import YamlValue

ENTITY = r"[A-Z][A-Z0-9_]*"
WORD = r"[a-z][a-z0-9_]*"
MAX_DEPTH = 8
"""A rule nested deeper than this is one that no reader can check."""

Keys = dict[str, YamlValue]


def _topic(keys: Keys, _depth: int) -> Condition:
    return TopicIs(keys["topic"].text("a topic in lower case", pattern=WORD), keys["at_least"].share("a number above 0 and at most 1"))


def _entity(keys: Keys, _depth: int) -> Condition:
    name = keys["entity"].text("an entity in capitals", pattern=ENTITY)
    count = keys["count"].whole("a whole number of at least 1", at_least=1) if "count" in keys else 1
    return EntityFound(frozenset([name]), _at_least_score(keys), count)


def _any_entity(keys: Keys, _depth: int) -> Condition:
    return EntityFound(frozenset(keys["any_entity"].names("entity in capitals", pattern=ENTITY)), _at_least_score(keys))


def _marker(keys: Keys, _depth: int) -> Condition:
    return MarkerFound(frozenset([keys["marker"].text("a marker in lower case", pattern=WORD)]))


def _any_marker(keys: Keys, _depth: int) -> Condition:
    return MarkerFound(frozenset(keys["any_marker"].names("marker in lower case", pattern=WORD)))


def _declared(keys: Keys, _depth: int) -> Condition:
    return ClassDeclared(keys["declared"].text("a data class in capitals", pattern=CLASS_NAME.pattern))


def _all(keys: Keys, depth: int) -> Condition:
    return AllOf(tuple(parse_condition(item, depth + 1) for item in keys["all"].items("a list of at least one condition")))


def _any(keys: Keys, depth: int) -> Condition:
    return AnyOf(tuple(parse_condition(item, depth + 1) for item in keys["any"].items("a list of at least one condition")))


FORMS: Mapping[str, tuple[Callable[[Keys, int], Condition], tuple[str, ...], tuple[str, ...]]] = {
    "topic": (_topic, ("topic", "at_least"), ()),
    "entity": (_entity, ("entity",), ("at_least_score", "count")),
    "any_entity": (_any_entity, ("any_entity",), ("at_least_score",)),
    "marker": (_marker, ("marker",), ()),
    "any_marker": (_any_marker, ("any_marker",), ()),
    "declared": (_declared, ("declared",), ()),
    "all": (_all, ("all",), ()),
    "any": (_any, ("any",), ()),
}
"""Each form of a condition by the key that names it: reader, mandatory keys, optional keys."""

CONDITION_KEYS = tuple(dict.fromkeys(key for _, required, optional in FORMS.values() for key in (*required, *optional)))


def parse_condition(value: YamlValue, depth: int = 0, *, beside: tuple[str, ...] = ()) -> Condition:
    """Read one condition. `beside` are keys of the surrounding table that are not part of it."""
    if depth > MAX_DEPTH:
        value.fail(f"at most {MAX_DEPTH} levels of conditions")
    present = [name for name in FORMS if name in value.mapping("a condition")]
    if len(present) != 1:
        named = " and ".join(present) or "none"
        value.fail(f"a condition with exactly one of {', '.join(FORMS)} (it has {named})")
    reader, required, optional = FORMS[present[0]]
    return reader(value.table(required=required, optional=(*optional, *beside)), depth)


def _at_least_score(keys: Keys) -> float:
    return keys["at_least_score"].share("a number above 0 and at most 1") if "at_least_score" in keys else DEFAULT_SCORE
