"""A screen may let too much through, never too little: held against every built-in detector."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

import detectors
from detectors.detector import NOTHING, Detector, DetectorSet
from detectors.normalize import normalize
from detectors.normalized import Normalized
from detectors.phrases import Phrases
from detectors.screen import Screen, screen_of

SHAPES = (
    "SSN 123-45-6789, 987 65 4321 and xxx-xx-1234; ITIN 912-70-1234 or 912701234; NPI 1245319599, 1245 319 599 for Dr Roe",
    "card 4539 1488 0343 6467 or 4539148803436467; routing 0210-0002-1 and 021000021 at the bank; IBAN GB82 WEST 1234 5698 7654 32",
    "call (415) 555-0132, 415.555.0132, 415-555-0132 x12, 415 555 0132 or +44 20 7946 0958; fax 0044 20 7946 0958",
    "born 4/5/1961, 1961-04-05, 4.5.61 and 4-5-61, on May 4, 1961; DOB: 04/05/1961. NHS number 943 476 5919, 943-476-5919, 9434765919",
    "10.20.30.40 and 2001:db8:85a3::8a2e:370:7334; 00:1A:2B:3C:4D:5E; Springfield, IL 62704-1234; 12 North Oak Street; PO Box 12",
    "VIN 1HGCM82633A004352, (01)00844588003288(17)141120, MBI 1EG4-TE5-MK73 of the member, NINO AB 12 34 56 C, DEA AB1234563 there",
    "Patient: Jane Roe. PRIVILEGED AND CONFIDENTIAL. Board minutes: present, resolved. my home, call me. Dear customer, your loan",
)


@cache
def loaded() -> DetectorSet:
    return detectors.load()


@cache
def texts() -> tuple[Normalized, ...]:
    folder = Path(__file__).parents[2] / "examples" / "inbox"
    files = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.suffix in {".txt", ".md", ".csv", ".eml"}
    ]
    assert len(files) > 3
    pieces = [piece for text in [*files, *SHAPES] for piece in (text, *text.split("\n"), *text.split(". "))]
    fields = [normalize(text, "metadata.account_number") for text in ("12345678", "Jane Roe", "123-45-6789")]
    return (*(normalize(piece) for piece in dict.fromkeys(pieces) if piece.strip()), *fields)


SCREENED = [detector for detector in loaded().detectors if screen_of(detector) is not None]


@pytest.mark.parametrize("detector", SCREENED, ids=lambda detector: detector.name)
def test_what_a_detector_finds_passes_its_screen(detector: Detector) -> None:
    screen = screen_of(detector)
    assert screen is not None
    kept_out = [text for text in texts() if not screen.passes(text)]
    assert [found for found in detector.detect(kept_out) if found is not NOTHING] == []


def test_most_detectors_are_screened_and_most_find_something() -> None:
    finding = [detector.name for detector in SCREENED if any(found is not NOTHING for found in detector.detect(texts()))]
    assert len(SCREENED) > len(loaded().detectors) / 2
    assert len(finding) > len(SCREENED) / 2


LOAN = Phrases.of(("loan number",))


@pytest.mark.parametrize(
    ("screen", "passing", "failing"),
    [
        pytest.param(Screen(digits=4), "room 1234", "room 123", id="digits"),
        pytest.param(Screen(shapes=("00-00",)), "by 12-34", "by 12-3", id="shapes"),
        pytest.param(Screen(needles=("@",)), "a@b", "a at b", id="needles"),
        pytest.param(Screen(words=frozenset({"box"})), "a BOX", "a boxer", id="words"),
        pytest.param(Screen(phrases=LOAN), "Loan-number", "number of the loan", id="phrases"),
        pytest.param(Screen(digits=1, needles=("@",)), "1@", "one@", id="all of them"),
    ],
)
def test_a_screen_looks_for_what_it_says(screen: Screen, passing: str, failing: str) -> None:
    assert screen.passes(Normalized(text=passing))
    assert not screen.passes(Normalized(text=failing))


def test_a_field_is_not_kept_out_for_lack_of_a_label() -> None:
    screen = Screen(phrases=LOAN, unless_labelled=True)
    assert screen.passes(Normalized(text="12345", part="metadata.loan_number"))
    assert not screen.passes(Normalized(text="12345"))


def test_a_detector_from_elsewhere_has_no_screen() -> None:
    assert screen_of(object()) is None
