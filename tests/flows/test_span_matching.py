"""Marked spans against found ones."""

from __future__ import annotations

import pytest

from detectors.detector import entity_kind
from detectors.document import Finding
from flows.labelled_records import LabelledSpan
from flows.span_matching import KIND_OF_TYPE, KINDS, SpanCounts, SpanTally, score_spans, tally_spans

PERSON_ONLY = frozenset({entity_kind("PERSON"), entity_kind("US_SSN")})


def span(start: int, end: int, name: str) -> LabelledSpan:
    return LabelledSpan(start=start, end=end, type=name)


def finding(start: int, end: int, entity: str, part: str = "text") -> Finding:
    return Finding(detector="d", entity=entity, start=start, end=end, score=0.9, part=part)


BOTH = SpanCounts(marked=1, found=1, anything=1, reported=1, right=1)
CASES = {
    "overlap": ([span(0, 5, "NAME")], [finding(3, 9, "PERSON")], "PERSON", BOTH),
    "beside": ([span(0, 5, "PER")], [finding(5, 9, "PERSON")], "PERSON", SpanCounts(marked=1, reported=1)),
    "as something else": ([span(0, 5, "SSN")], [finding(0, 5, "PHONE_NUMBER")], "US_SSN", SpanCounts(marked=1, anything=1)),
    "false alarm": ([], [finding(0, 5, "PERSON")], "PERSON", SpanCounts(reported=1)),
    "two findings of one place": ([span(0, 9, "NAME")], [finding(0, 5, "PERSON"), finding(2, 9, "PERSON")], "PERSON", BOTH),
    "metadata": ([span(0, 5, "NAME")], [finding(0, 5, "PERSON", "metadata.from")], "PERSON", SpanCounts(marked=1)),
    "several entities answer": ([span(0, 5, "DATE")], [finding(0, 5, "DATE_OF_BIRTH")], "DATE_TIME", BOTH),
}


@pytest.mark.parametrize(("marked", "found", "kind", "counts"), CASES.values(), ids=CASES.keys())
def test_one_document(marked: list[LabelledSpan], found: list[Finding], kind: str, counts: SpanCounts) -> None:
    assert tally_spans(marked, found).counts[kind] == counts


def test_precision_is_judged_only_where_the_source_marks_the_kind() -> None:
    forms = tally_spans([span(0, 5, "NAME")], [finding(0, 5, "PERSON"), finding(6, 9, "US_SSN")])
    more_forms = tally_spans([], [finding(0, 5, "PERSON")])
    numbers = tally_spans([span(6, 9, "SSN")], [finding(0, 5, "PERSON"), finding(6, 9, "US_SSN")])
    scores = score_spans([("forms", forms), ("forms", more_forms), ("numbers", numbers)], PERSON_ONLY)
    assert scores.kinds["PERSON"] == SpanCounts(marked=1, found=1, anything=1, reported=2, right=1)
    assert scores.kinds["PERSON"].precision == 0.5
    assert scores.kinds["US_SSN"] == SpanCounts(marked=1, found=1, anything=1, reported=1, right=1)


def test_what_nobody_looks_for_is_reported_as_not_measured() -> None:
    tally = tally_spans([span(0, 5, "INCOME"), span(0, 5, "GPE"), span(6, 9, "GPE")], [])
    scores = score_spans([("s", tally)], PERSON_ONLY)
    assert (dict(scores.kinds), scores.not_measured) == ({}, {"GPE": 2, "INCOME": 1})


def test_nothing_to_divide_by_is_no_figure() -> None:
    assert (SpanCounts().recall, SpanCounts().recall_any, SpanCounts().precision) == (None, None, None)
    assert score_spans([("s", SpanTally(counts={}, types={}))], PERSON_ONLY).kinds == {}


def test_each_corpus_type_means_one_kind() -> None:
    assert len(KIND_OF_TYPE) == sum(len(types) for types, _ in KINDS.values())
