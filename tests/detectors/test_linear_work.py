"""Twice the text is twice the work, whatever somebody writes to make it more: counted in calls, not in seconds.

What a regular expression does inside one call shows in time only; `make bench-detect` prints that ratio for the same texts.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable
from functools import cache
from types import FrameType

import pytest

import detectors
from benchmarks.crafted import CRAFTED
from detectors.composing import MOST_MARKS, normalized
from detectors.detector import DetectorSet
from detectors.document import Document
from detectors.scan import scan

SIZE = 8_000
MOST = 2.6
FEW = 20_000
"""Calls: below it, what every document costs hides what its length does."""


@cache
def loaded() -> DetectorSet:
    found = detectors.load()
    list(scan([Document(record_id="warm", text=make(400), source="s") for make in CRAFTED.values()], found))
    return found


def calls(text: str) -> int:
    """How many functions, of Python and of C, a scan of the text calls."""
    count = 0

    def counting(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    given = Document(record_id="r", text=text, source="s")
    found, before = loaded(), sys.getprofile()
    sys.setprofile(counting)
    try:
        (evidence,) = scan([given], found)
    finally:
        sys.setprofile(before)
    assert not any(code.startswith("detector_error") for code in evidence.failures)
    return count


@pytest.mark.parametrize("make", CRAFTED.values(), ids=CRAFTED.keys())
def test_twice_the_text_is_twice_the_work(make: Callable[[int], str]) -> None:
    once, twice = calls(make(SIZE)), calls(make(2 * SIZE))
    assert twice <= max(MOST * once, FEW)


def test_the_count_would_show_it() -> None:
    def quadratic(size: int) -> int:
        count = 0

        def counting(*_: object) -> None:
            nonlocal count
            count += 1

        before = sys.getprofile()
        sys.setprofile(counting)
        try:
            for start in range(size):
                for _ in range(start):
                    abs(start)
        finally:
            sys.setprofile(before)
        return count

    assert quadratic(200) > MOST * quadratic(100)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC"])
def test_stacked_marks_are_put_in_order_in_short_pieces(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = 0
    plain = unicodedata.normalize

    def recording(wanted: str, text: str) -> str:
        nonlocal longest
        longest = max(longest, sum(unicodedata.combining(character) > 0 for character in text))
        return plain(wanted, text)  # type: ignore[arg-type]  # one of the forms above

    monkeypatch.setattr(unicodedata, "normalize", recording)
    stacked = normalized(form, "e" + "\u0301\u0327" * 500)  # type: ignore[arg-type]  # one of the forms above
    assert longest == MOST_MARKS
    assert stacked.count("\u0301") + stacked.count("\u0327") >= 990


def test_ordinary_text_is_normalised_as_ever() -> None:
    text = "Zo\u0065\u0308 \ufb01nds e\u0301 and \u1112\u1161\u11ab; " * 20
    assert normalized("NFKC", text) == unicodedata.normalize("NFKC", text)
