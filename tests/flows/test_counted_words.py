"""One of a kind has no s behind it."""

from __future__ import annotations

import pytest

from flows.counted_words import counted


@pytest.mark.parametrize(
    ("count", "words", "said"),
    [
        (0, ("job",), "0 jobs"),
        (1, ("hand-over",), "1 hand-over"),
        (1_204, ("night",), "1,204 nights"),
        (1, ("class", "classes"), "1 class"),
        (2, ("record is", "records are"), "2 records are"),
    ],
    ids=["none", "one", "many", "irregular", "with-verb"],
)
def test_counted(count: int, words: tuple[str, ...], said: str) -> None:
    assert counted(count, *words) == said
