"""Silent characters behind every letter of something packed, and that packed again: seen through, in whatever depth."""

from __future__ import annotations

import base64

import pytest

import detectors
from detectors.detector import DetectorSet
from detectors.document import Document
from detectors.scan import scan
from detectors.unpacking import readable

SILENT = {
    "zero-width space": "\u200b",
    "joiner": "\u200d",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "tag": "\U000e0061",
    "two": "\u200b\u200c",
    "variation selector": "\ufe0f",
}
AROUND = "Please see what the clerk has put below, for the meeting on the promenade this spring.\n\n{packed}\n\nRegards, the clerk"


@pytest.fixture(scope="module")
def loaded() -> DetectorSet:
    return detectors.load()


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def silenced(text: str, silent: str) -> str:
    return "".join(letter + silent for letter in text)


@pytest.mark.parametrize("silent", SILENT.values(), ids=SILENT)
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize(
    "secret", ["SSN 536-22-8145", "Ada Example of 12 Kiln Close has the social security number 536-22-8145, she says."]
)
def test_a_number_is_seen_through_silent_letters(loaded: DetectorSet, secret: str, depth: int, silent: str) -> None:
    text = packed(secret)
    for _ in range(depth):
        text = packed(silenced(text, silent))
    (evidence,) = scan([Document(record_id="r", text=AROUND.format(packed=text), source="s")], loaded)
    assert "US_SSN" in {finding.entity for finding in evidence.findings}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_silent_characters_are_text_only_between_others(encoding: str) -> None:
    text = silenced("the promenade", "\u200b")
    assert readable(text.encode(encoding)) == text
    assert readable(("\u200b" * 30).encode(encoding)) is None
    assert readable((text + "\x01\x02\x03").encode(encoding)) is None
