"""National numbers of other countries, and the rest of Safe Harbor's list. All numbers are the publishers' own specimens or invented."""

from __future__ import annotations

import pytest

import detectors
from detectors.document import Document
from detectors.scan import scan

FOUND = [
    ("NATIONAL_ID", "Her SIN is 130692544.", "130692544"),
    ("NATIONAL_ID", "Canadian social insurance number 130 692 544", "130 692 544"),
    ("NATIONAL_ID", "Tax file number (TFN): 876 543 210", "876 543 210"),
    ("NATIONAL_ID", "Medicare card 2123 45670 1", "2123 45670 1"),
    ("NATIONAL_ID", "Aadhaar 2123 4567 8901", "2123 4567 8901"),
    ("NATIONAL_ID", "PAN: ABCPD1234E", "ABCPD1234E"),
    ("NATIONAL_ID", "NRIC S1234567D", "S1234567D"),
    ("NATIONAL_ID", "DNI 12345678Z", "12345678Z"),
    ("NATIONAL_ID", "NIE X1234567L", "X1234567L"),
    ("NATIONAL_ID", "codice fiscale RSSMRA85T10A562S", "RSSMRA85T10A562S"),
    ("NATIONAL_ID", "PESEL 44051401359", "44051401359"),
    ("NATIONAL_ID", "hetu 131052-308T", "131052-308T"),
    ("NATIONAL_ID", "driving licence MORGA657054SM9IJ", "MORGA657054SM9IJ"),
    ("LICENSE_PLATE", "License plate: 7KLM 482", "7KLM 482"),
    ("LICENSE_PLATE", "Vehicle registration AB12 CDE", "AB12 CDE"),
    ("CERTIFICATE_NUMBER", "Birth certificate number 145-1988-02231", "145-1988-02231"),
    ("CERTIFICATE_NUMBER", "Alien registration number A 208 331 774", "A 208 331 774"),
    ("BIOMETRIC_ID", "Fingerprint ID FP-20931-7", "FP-20931-7"),
    ("UNIQUE_CODE", "Participant ID: HK-0093-2217", "HK-0093-2217"),
    ("UNIQUE_CODE", "student id 40219883", "40219883"),
    ("AGE_OVER_89", "She is a 93-year-old widow.", "93-year-old"),
    ("AGE_OVER_89", "Patient aged 101, lives alone", "aged 101"),
    ("AGE_OVER_89", "97F found on the floor", "97F"),
    ("AGE_OVER_89", "a ninety-four year old man", "ninety-four year old"),
    ("CRYPTO_WALLET", "send it to 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2 today", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"),
]
NOT_FOUND = [
    ("NATIONAL_ID", "Her SIN is 130 692 545.", "check digit"),
    ("NATIONAL_ID", "Order 130 692 544 was shipped.", "no context"),
    ("NATIONAL_ID", "Invoice 44051401359", "no context for eleven digits"),
    ("NATIONAL_ID", "the PAN is ABCDE1234F", "no holder letter"),
    ("LICENSE_PLATE", "The number plate was clean and the tag number missing.", "no value"),
    ("LICENSE_PLATE", "license plate readers at 14 gates", "no plate"),
    ("CERTIFICATE_NUMBER", "The birth certificate was lost.", "no number"),
    ("BIOMETRIC_ID", "The fingerprint ID reader is broken.", "no number"),
    ("UNIQUE_CODE", "Study ID cards of 12 people", "too short"),
    ("AGE_OVER_89", "She is 61 years old; 95 percent agreed, page 97 of 101.", "other numbers"),
    ("AGE_OVER_89", "It took 95 years, on route 96 M and at age 19.", "years and routes"),
    ("CRYPTO_WALLET", "id 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3", "checksum"),
]


def values(entity: str, text: str) -> list[str]:
    (evidence,) = scan([Document(record_id="r", text=text, source="s")], detectors.load())
    return [text[finding.start : finding.end] for finding in evidence.findings if finding.entity == entity]


@pytest.mark.parametrize(("entity", "text", "value"), FOUND, ids=[f"{entity}-{number}" for number, (entity, *_) in enumerate(FOUND)])
def test_found(entity: str, text: str, value: str) -> None:
    assert value in values(entity, text)


@pytest.mark.parametrize(("entity", "text", "why"), NOT_FOUND, ids=[f"{entity} {why}" for entity, _, why in NOT_FOUND])
def test_not_found(entity: str, text: str, why: str) -> None:
    assert values(entity, text) == [], why
