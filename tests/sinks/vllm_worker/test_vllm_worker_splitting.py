"""Splitting: whole cover, budgets, borders, whatever the text and however its tokens are counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.lanes.vllm_worker.splitting import UnsplittableError, split

AROUND = 3  # tokens of the template


def by_character(text: str) -> int:
    return AROUND + len(text)


def by_word(text: str) -> int:
    """Few tokens for words, three for every other character."""
    return AROUND + len(text.split()) + 3 * sum(not character.isalnum() and not character.isspace() for character in text)


def uneven(text: str) -> int:
    """A shorter piece may have more tokens than a longer one, as with byte-pair encodings."""
    return AROUND + len(text) - (3 if text.endswith("a") and len(text) > 3 else 0)


def chunks(text: str, budget: int) -> list[str]:
    return [text[start:end] for start, end in split(text, by_character, budget + AROUND)]


@pytest.mark.parametrize("count", [by_character, by_word, uneven], ids=lambda count: count.__name__)
@given(
    text=st.one_of(
        st.text(max_size=400), st.text(alphabet="ab .\n!,。\u0301\u200d\r#", max_size=400), st.text(alphabet="aé文", min_size=200)
    ),
    budget=st.integers(min_value=12, max_value=90),
)
def test_chunks_cover_the_text_and_fit(count: object, text: str, budget: int) -> None:
    assert callable(count)
    found = split(text, count, budget)
    assert "".join(text[start:end] for start, end in found) == text
    assert [start for start, _ in found] == [0, *(end for _, end in found)][: len(found)]
    assert all(start < end for start, end in found)
    assert max((count(text[start:end]) for start, end in found), default=0) <= budget


@pytest.mark.parametrize(
    ("text", "budget", "expected"),
    [
        pytest.param("", 10, [], id="nothing"),
        pytest.param("One piece.", 10, ["One piece."], id="fits"),
        pytest.param(
            "Ferry one. Two.\n\nBridge. More here.", 26, ["Ferry one. Two.\n\n", "Bridge. More here."], id="section before sentence"
        ),
        pytest.param("Ferry one. Bridge two, three and four", 18, ["Ferry one. ", "Bridge two, ", "three and four"], id="sentence, clause"),
        pytest.param("alpha beta\ngamma delta epsilon", 20, ["alpha beta\n", "gamma delta epsilon"], id="line before word"),
        pytest.param("# A\ntext text text\n# B\ntext text", 28, ["# A\ntext text text\n", "# B\ntext text"], id="before a heading"),
        pytest.param("橋は閉鎖中。渡し船は毎時出ます。", 10, ["橋は閉鎖中。", "渡し船は毎時出ます。"], id="CJK sentences"),
        pytest.param("x" * 25, 10, ["x" * 10, "x" * 10, "x" * 5], id="giant line"),
        pytest.param("xxxxe\u0301yyyy", 5, ["xxxx", "e\u0301yyy", "y"], id="not between a letter and its accent"),
    ],
)
def test_borders(text: str, budget: int, expected: list[str]) -> None:
    assert chunks(text, budget) == expected


def test_a_budget_that_no_character_fits_is_told() -> None:
    with pytest.raises(UnsplittableError, match="shorten the template"):
        split("text", by_character, AROUND)


def test_a_long_text_is_counted_a_few_times_only() -> None:
    counted = 0

    def count(piece: str) -> int:
        nonlocal counted
        counted += len(piece)
        return len(piece) // 4

    text = "The ferry crosses the river every hour. " * 20_000
    found = split(text, count, 2_000)
    assert len(found) < 2 * len(text) / 8_000
    assert counted < 12 * len(text)
