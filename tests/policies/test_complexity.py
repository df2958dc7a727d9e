"""Counts over a text, and the rules that make a score of them: each with a hit and a near-miss, and the table in the documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.strategies.complexity import LOOKED_AT, RULES, VALUES, Features, Shape, complexity, judge

PAGE = Path(__file__).parents[2] / "docs" / "routing.md"
PLAIN = "The harbour council met on Monday. It is to repave the promenade. Visitors reach the island by the morning ferry. "
GERMAN = "Der Hafenrat tagte am Montag. Er wird die Promenade neu pflastern. Besucher erreichen die Insel mit der Fähre. "
DEEP = {"properties": {"a": {"properties": {"b": {"properties": {"c": {"type": "string"}}}}}}}


def fields(count: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"field_{number}": {"type": "string"} for number in range(count)}}


def of(text: str, *, task: str = "summarize", schema: Any = None, constants_chars: int = 0) -> Features:
    return Features.of({"text": text}, task=task, schema=schema, constants_chars=constants_chars)


def padded(tokens: int) -> Features:
    text = PLAIN * 1_000
    return of(text[: 4 * tokens])


CASES: dict[str, tuple[Features, Features]] = {
    "long": (padded(2_000), padded(1_999)),
    "very_long": (padded(8_000), padded(7_999)),
    "open_task": (of(PLAIN, task="translate"), of(PLAIN, task="extract")),
    "wide_schema": (of(PLAIN, task="extract", schema=fields(10)), of(PLAIN, task="extract", schema=fields(9))),
    "very_wide_schema": (of(PLAIN, task="extract", schema=fields(30)), of(PLAIN, task="extract", schema=fields(29))),
    "deep_schema": (of(PLAIN, task="extract", schema=DEEP), of(PLAIN, task="extract", schema=DEEP["properties"]["a"])),
    "tables": (of("| berth | boat |\n" * 5), of("| berth | boat |\n" * 4)),
    "lists": (of("- a new berth\n" * 10), of("- a new berth\n" * 9 + "-a hyphen\n")),
    "code": (of("for (i = 0; i < n; i++) { total[i] = 0; }"), of(PLAIN + "total[i] = 0;")),
    "numbers": (of("Berth 12: 4,210 boats; berth 14: 918."), of(PLAIN + " In 2026.")),
    "formulas": (of("x^2 + y^2 = z^2 for every such x"), of(PLAIN + "x = 2")),
    "long_sentences": (of(("the boats and " * 12 + "sail on. ") * 2), of(("the boats and " * 7 + "sail on. ") * 3)),
    "other_script": (of("Совет гавани собрался в понедельник."), of(PLAIN + "Совет")),
    "other_language": (of(GERMAN * 3), of(PLAIN * 3)),
}


@pytest.mark.parametrize("code", [rule.code for rule in RULES])
def test_every_rule_has_a_hit_and_a_near_miss(code: str) -> None:
    hit, miss = CASES[code]
    assert code in judge(hit).reasons
    assert code not in judge(miss).reasons


def test_a_plain_letter_is_simple_and_a_long_form_of_many_fields_is_not() -> None:
    assert judge(of(PLAIN * 5)).score == 0
    filled_in = "".join(f"| {number} | {number * 37} | berth |\n" for number in range(3_000))
    hard = judge(of(filled_in, task="extract", schema=fields(30)))
    assert hard.score > 2 / 3
    assert {"very_long", "very_wide_schema", "tables", "numbers"} <= set(hard.reasons)


def test_the_score_is_the_sum_of_the_points_of_its_reasons_and_one_at_the_most() -> None:
    everything = Features(
        characters=10**6, words=50, sentence_words=50, list_items=99, table_rows=99, code=1, digits=1, symbols=1, other_script=1,
        task="prove", schema_fields=99, schema_depth=9,
    )  # fmt: skip
    assert judge(everything).score == 1
    some = judge(of("for (i = 0; i < n; i++) { total[i] = 0; }", task="translate"))
    assert some.score == pytest.approx(sum(rule.points for rule in RULES if rule.code in some.reasons))


@given(st.text(max_size=400), st.sampled_from(["summarize", "extract", "other"]), st.integers(0, 10**6))
def test_any_text_has_a_score_and_nothing_of_it_is_kept(text: str, task: str, constants: int) -> None:
    features = of(text, task=task, constants_chars=constants)
    found = judge(features)
    assert 0 <= found.score <= 1
    assert complexity(features) == found.score
    assert features == of(text, task=task, constants_chars=constants)
    assert all(0 <= getattr(features, name) <= 4 for name in ("code", "digits", "symbols", "english", "other_script"))
    assert set(features.values) == set(VALUES)
    assert all(value >= 0 for value in features.values.values())


def test_lone_surrogates_and_nothing_at_all_are_counted_too() -> None:
    assert of("\ud800 boats").characters == 7
    assert judge(Features.of({}, task="summarize", schema=None, constants_chars=0)).score == 0


def test_a_long_text_costs_no_more_to_look_at_and_is_still_counted_in_full() -> None:
    short, long = of("1" * LOOKED_AT), of("1" * LOOKED_AT + "a" * 10**6)
    assert long.digits == short.digits == 1
    assert long.characters == LOOKED_AT + 10**6
    assert long.payload_bytes == long.characters


def test_all_parts_are_counted_and_the_constants_belong_to_the_payload() -> None:
    features = Features.of({"text": "näh", "metadata.title": "ab"}, task="extract", schema=None, constants_chars=100)
    assert (features.characters, features.constants_chars, features.tokens) == (5, 100, 26)
    assert features.payload_bytes == 107  # ä has two bytes, and something stands between parts


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (None, Shape(0, 0)),
        ({"type": "object"}, Shape(0, 0)),
        (fields(3), Shape(3, 1)),
        (DEEP, Shape(3, 3)),
        ({"properties": {"rows": {"type": "array", "items": fields(4)}}}, Shape(5, 2)),
        ({"anyOf": [fields(2), DEEP]}, Shape(5, 3)),
        ({"properties": {"odd": True, "list": []}}, Shape(2, 1)),
    ],
    ids=["none", "empty", "flat", "deep", "items", "any-of", "not-tables"],
)
def test_the_shape_of_a_schema(schema: Any, expected: Shape) -> None:
    assert Shape.of(schema) == expected
    shaped = of(PLAIN, task="extract", schema=expected)
    assert (shaped.schema_fields, shaped.schema_depth) == (expected.fields, expected.depth)


def test_a_schema_without_end_has_the_deepest_shape() -> None:
    endless: dict[str, Any] = {"properties": {}}
    endless["properties"]["again"] = endless
    assert Shape.of(endless) == Shape(32, 32)


def test_the_documents_hold_the_very_rules() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (0\.\d\d) \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert rows == [(rule.code, f"{rule.points:.2f}", rule.words) for rule in RULES]
