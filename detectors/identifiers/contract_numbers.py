"""Loan and policy numbers: no check digit, so a label is required (12 CFR 1016.3(q)(1): information resulting from a transaction)."""

from detectors.detector import Detector
from detectors.pattern import digits_of, labelled_detector

LOAN_LABELS = (
    "loan number|loan no|loan num|loan id|loan account|loan account number|loan|mortgage number|mortgage no|mortgage account",
    "mortgage loan number",
    "application number|application no|application id|note number|lease number|case file number",
)
POLICY_LABELS = (
    "policy number|policy no|policy id|policy|certificate number|certificate no|claim number|claim no|claim id|claim|contract number",
)
NUMBER = r"(?:[A-Z]{1,6}[-/ ]?)?\d[\dA-Z]{0,8}(?:[-/ ]?[\dA-Z]{1,12}){0,4}"
SHORTEST = 5


def _long(value: str) -> bool:
    return len(digits_of(value)) >= SHORTEST


def detectors() -> tuple[Detector, ...]:
    """One per kind of contract."""
    return (
        labelled_detector("LOAN_NUMBER", LOAN_LABELS, NUMBER, verify=_long),
        labelled_detector("POLICY_NUMBER", POLICY_LABELS, NUMBER, verify=_long),
    )
