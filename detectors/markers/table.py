"""Tables whose header names people, money or health; a list of customers is nonpublic personal information (12 CFR 1016.3(p)(1)(ii))."""

from __future__ import annotations

from detectors.detector import NOTHING, Detector, EachText, marker_kind
from detectors.document import Evidence
from detectors.normalized import Normalized
from detectors.phrases import listed
from detectors.tables import tables

PERSON = listed(
    "patient customer client borrower applicant member insured employee subscriber cardholder payee beneficiary surname lastname "
    "firstname fullname dob email phone ssn "
    "policyholder debtor guarantor holder"
)
NAME_PARTS = frozenset(("name", "first", "last", "full", "given", "family", "middle", "contact", "initial"))
NOT_A_PERSON = listed(
    "company product file item vendor supplier event country city brand host table column field project department class team store"
)
FINANCE = listed(
    "balance account acct loan income salary wage wages pay payment mortgage credit debit score apr limit card iban routing "
    "premium owed due arrears deposit withdrawal debt "
    "ssn itin tax networth payroll principal delinquent policy transaction transactions amount"
)
HEALTH = listed(
    "diagnosis diagnoses icd icd10 dx mrn medication medications drug dose dosage procedure cpt allergy allergies symptom "
    "symptoms condition treatment lab result test "
    "physician doctor provider admission discharge admitted discharged ward bp glucose a1c hba1c hemoglobin prescription rx npi "
    "insurance complaint"
)
MARKERS = ("person_table", "finance_table", "health_table")


def detector() -> Detector:
    """person_table, finance_table, health_table: from table headers, and from the names of metadata columns."""
    return EachText(name="marker_tables", provides=frozenset(marker_kind(marker) for marker in MARKERS), look=_look, cost=2)


def _look(text: Normalized) -> Evidence:
    markers = set(_of(text.label)) if text.label else set()
    if not text.vocabulary.isdisjoint(PERSON | NAME_PARTS | FINANCE | HEALTH):
        for table in tables(text):
            for name in table.header:
                markers.update(_of(name))
    return Evidence(markers=frozenset(markers)) if markers else NOTHING


def _of(name: tuple[str, ...]) -> list[str]:
    words = set(name)
    person = bool(words & PERSON) or ("name" in words and not words & NOT_A_PERSON and words <= NAME_PARTS)
    return [
        marker
        for marker, found in (("person_table", person), ("finance_table", words & FINANCE), ("health_table", words & HEALTH))
        if found
    ]
