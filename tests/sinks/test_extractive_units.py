from __future__ import annotations

import pytest

from sinks.extraction.units import MAX_EXCERPT_CHARS, MAX_UNITS, count_tokens, cut_to_tokens, excerpt, join_units, split_units, words


def texts(text: str) -> list[str]:
    return [unit.text for unit in split_units(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("One came. Two went! Did three?", ["One came.", "Two went!", "Did three?"], id="sentences"),
        pytest.param(
            "Dr. Ines Calder met J. Ortega at Acme Inc. yesterday. He left.",
            ["Dr. Ines Calder met J. Ortega at Acme Inc. yesterday.", "He left."],
            id="titles",
        ),
        pytest.param("Total: 4.5 million. Next.", ["Total: 4.5 million.", "Next."], id="decimal point"),
        pytest.param("Name: Ines\nBalance: $5\n", ["Name: Ines", "Balance: $5"], id="form lines"),
        pytest.param("a | b\n---|---\n1 | 2", ["a | b", "1 | 2"], id="table without its rule"),
        pytest.param("¿Qué tal? Él vino. Ella no.", ["¿Qué tal?", "Él vino.", "Ella no."], id="Spanish"),
        pytest.param("今日は雨です。明日は晴れです。", ["今日は雨です。", "明日は晴れです。"], id="Japanese"),
        pytest.param(
            "The committee looked at the plan for the coming year and\nfound it good. It was adopted.\n- first point\n- second point",
            [
                "The committee looked at the plan for the coming year and found it good.",
                "It was adopted.",
                "- first point",
                "- second point",
            ],
            id="wrapped paragraph, then a list",
        ),
        pytest.param(
            "def total(amounts: list[int], discount: int = 0) -> int:\n    return sum(amounts) - discount",
            ["def total(amounts: list[int], discount: int = 0) -> int:", "return sum(amounts) - discount"],
            id="code is not a paragraph",
        ),
        pytest.param("*** --- ***", ["*** --- ***"], id="nothing but signs"),
        pytest.param(" \n\t ", [], id="white space"),
    ],
)
def test_splits(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_units_of_a_line_are_joined_on_a_line() -> None:
    assert join_units(split_units("One came. Two went.\nName: Ines")) == "One came. Two went.\nName: Ines"


def test_a_long_text_gives_a_fixed_amount_of_work_and_keeps_head_and_tail() -> None:
    text = "The first line opens.\n" + "\n".join(f"Line {number} follows." for number in range(200_000)) + "\nThe last line closes."
    found = texts(text)
    assert len(excerpt(text)) <= MAX_EXCERPT_CHARS + 20
    assert len(found) == MAX_UNITS
    assert (found[0], found[-1]) == ("The first line opens.", "The last line closes.")
    numbers = [int(line.split()[1]) for line in found[1:-1] if line.startswith("Line ")]
    assert numbers == sorted(numbers)
    assert any(60_000 < number < 140_000 for number in numbers)  # the middle is there too


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(" " * 300_000 + "x", id="spaces"),
        pytest.param("\n" * 300_000 + "x", id="blank lines"),
        pytest.param("." * 300_000, id="full stops"),
        pytest.param("a" * 300_000, id="one word"),
        pytest.param("a@" * 150_000, id="at signs"),
        pytest.param("a-1" * 100_000, id="hyphens"),
    ],
)
def test_hostile_texts_end(text: str) -> None:
    assert texts(text)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        pytest.param("short", 10, "short", id="fits"),
        pytest.param("three little words", 3, "three", id="at a word"),
        pytest.param("unbreakable", 2, "unbrea", id="inside a word"),
        pytest.param("ééé", 1, "é", id="inside a character"),
        pytest.param("😀", 1, "😀", id="never empty"),
    ],
)
def test_cut(text: str, limit: int, expected: str) -> None:
    assert cut_to_tokens(text, limit) == expected


def test_tokens_are_bytes_by_three_rounded_up() -> None:
    assert [count_tokens(text) for text in ("", "a", "abc", "abcd", "é", "日本")] == [0, 1, 1, 2, 1, 2]


def test_words_split_identifiers_and_ideographs() -> None:
    assert words("Total_amount of 日本, 3rd!") == ["total", "amount", "of", "日", "本", "3rd"]
