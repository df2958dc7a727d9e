"""One social security number in the disguises that a file format, a mail program or a clever sender puts on it."""

from __future__ import annotations

import base64

import pytest

from detectors import load
from detectors.document import Document
from detectors.scan import scan

PLAIN = "Social security number 536-22-8145 belongs to Goran Castellan."
PACKED = base64.b64encode(PLAIN.encode()).decode()
DISGUISES = {
    "plain": PLAIN,
    "base64 behind an equals sign": f"https://harbour.test/form?payload={PACKED}",
    "quoted-printable": PLAIN.replace("-", "=2D"),
    "a quoted-printable soft break": PLAIN.replace("22-", "22=\n-"),
    "named entities": PLAIN.replace("-", "&ndash;"),
    "one numeric entity": PLAIN.replace("536-", "536&#45;"),
    "entities without semicolons": "".join(f"&#{ord(character)}" for character in PLAIN),
    "slashes": PLAIN.replace("-", "/"),
    "pipes": PLAIN.replace("-", " | "),
    "brackets": PLAIN.replace("536-22-8145", "(536)(22)(8145)"),
    "bold in HTML": PLAIN.replace("-22-", "-<b>22</b>-"),
    "bold in Markdown": PLAIN.replace("-22-", "-**22**-"),
    "a line separator": PLAIN.replace("536-", "536-\u2028"),
    "struck through": "".join(character + "\u0336" if character.isdigit() else character for character in PLAIN),
    "boxed": "".join(character + "\ufe0f\u20e3" if character.isdigit() else character for character in PLAIN),
    "blank Braille cells": PLAIN.replace("536", "5\u28003\u28006"),
}
ORDINARY = {
    "a table of years": "Social spending | 2019 | 2020 | 2021 rose in 536 of 22 districts; 8145 people were asked.",
    "a part number": "Order 536/22/8145-77 of the harbour's security gates.",
    "ampersands": "Fish & chips, R&D; AT&T; bread &amp; butter.",
    "assignments": "width=20 height=30 depth=40",
}


def entities(text: str) -> set[str]:
    (evidence,) = scan([Document(record_id="r", text=text, source="s")], load())
    return {finding.entity for finding in evidence.findings}


@pytest.mark.parametrize("text", DISGUISES.values(), ids=DISGUISES)
def test_found_in_every_disguise(text: str) -> None:
    assert "US_SSN" in entities(text)


@pytest.mark.parametrize("text", ORDINARY.values(), ids=ORDINARY)
def test_not_seen_where_there_is_none(text: str) -> None:
    assert "US_SSN" not in entities(text)
