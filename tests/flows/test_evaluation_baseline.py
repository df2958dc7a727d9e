"""Detection on the committed evaluation set must not get worse than its committed baseline; planned evidence leaks and keeps the same."""

import json

import pytest

from benchmarks.baseline import BASELINE, Counts, counts

COMMITTED: Counts = json.loads(BASELINE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def counted() -> Counts:
    return counts()


@pytest.mark.parametrize(("part", "name"), [(part, name) for part, entries in COMMITTED.items() for name in entries])
def test_no_count_is_worse_than_the_baseline(counted: Counts, part: str, name: str) -> None:
    assert counted[part][name]["k"] <= COMMITTED[part][name]["k"]


def test_the_set_has_not_shrunk(counted: Counts) -> None:
    sizes = [
        {part: {name: entry["n"] for name, entry in entries.items()} for part, entries in both.items()} for both in (counted, COMMITTED)
    ]
    assert sizes[0] == sizes[1]


def test_nothing_in_another_language_leaves(counted: Counts) -> None:
    assert {language: entry["k"] for language, entry in counted["not_english"].items() if entry["k"]} == {}


def test_planned_evidence_counts_the_same(counted: Counts) -> None:
    assert counts(planned=True) == counted
