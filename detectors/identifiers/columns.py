"""Identifiers in table columns: the header is the label, so bare digits below `ssn` or `account_no` are what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from detectors.detector import Detector, EachText, collect, entity_kind
from detectors.document import Evidence, Finding
from detectors.identifiers.dates import DATE
from detectors.normalized import Normalized
from detectors.phrases import listed
from detectors.tables import Table, tables

NAME = "table_columns"
NUMBER = r"[A-Za-z]{0,6}[- ]?[\dxX*]{2,}[\dA-Za-z -]{1,20}"
COLUMNS: tuple[tuple[str, frozenset[str], re.Pattern[str]], ...] = tuple(
    (entity, frozenset(words.split()), re.compile(rf"\s*[\"']?(?P<value>{value})[\"']?\s*$"))
    for entity, words, value in (
        ("US_SSN", "ssn ss# socialsecurity social", r"\d{3}-?\d{2}-?\d{4}"),
        ("MEDICAL_RECORD_NUMBER", "mrn mr# chart patientid medicalrecord", NUMBER),
        ("HEALTH_PLAN_NUMBER", "memberid subscriberid medicaid medicare hicn", NUMBER),
        ("CREDIT_CARD", "card cardnumber creditcard pan", r"[\dxX*]{4}[ -]?[\dxX*]{4}[ -]?[\dxX*]{4}[ -]?[\dxX*]{1,7}"),
        ("LOAN_NUMBER", "loan loannumber mortgage", NUMBER),
        ("ABA_ROUTING_NUMBER", "routing aba rtn", r"\d{9}"),
        ("ACCOUNT_NUMBER", "account acct accountnumber accountno customerid", NUMBER),
        ("POLICY_NUMBER", "policy policynumber claim", NUMBER),
        ("DATE_OF_BIRTH", "dob birthdate birth dateofbirth birthday", DATE),
        ("PHONE_NUMBER", "phone telephone mobile cell fax", r"\+?[\d(][\d ().-]{6,18}"),
        (
            "PERSON",
            "name patient customer borrower applicant member employee client insured cardholder firstname lastname fullname surname",
            r"[A-Z][\w'.,-]*(?: [A-Z][\w'.,-]*){0,4}",
        ),
    )
)
NOT_A_PERSON = listed(
    "company product file item vendor supplier event country city brand host project department class team store plan bank id no "
    "number type"
)
DIGITS = 4


def detector() -> Detector:
    """All columns at once."""
    return EachText(name=NAME, provides=frozenset(entity_kind(entity) for entity, _, _ in COLUMNS), look=_look, cost=2)


def _look(text: Normalized) -> Evidence:
    labels = frozenset(word for _, words, _ in COLUMNS for word in words)
    if text.vocabulary.isdisjoint(labels | {"ss", "mr"}):
        return collect(())
    return collect(finding for table in tables(text) for finding in _findings(text, table))


def _findings(text: Normalized, table: Table) -> Iterator[Finding]:
    for column, name in enumerate(table.header):
        for entity, words, value in COLUMNS:
            if not words & {*name, "".join(name)} or (entity == "PERSON" and NOT_A_PERSON & set(name)):
                continue
            for row in table.rows:
                match = value.match(text.text, *row[column])
                if match and (entity == "PERSON" or sum(letter.isdigit() for letter in match.group()) >= DIGITS):
                    yield text.finding(NAME, entity, match.span("value"), 0.85)
            break
