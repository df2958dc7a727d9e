"""International bank account numbers (ISO 13616): Presidio's country formats and mod-97; in small letters, mod-97 and mostly digits."""

from detectors.detector import Detector
from detectors.pattern import labelled_detector, pattern_detector
from detectors.presidio import PresidioDetector, predefined

CANDIDATES = r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
LABELLED = r"(?i:[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{2,4}){3,8})"
# In small letters a sentence has the shape too ("in 42 days they paid …"), so more is asked of it.
SMALL = r"(?<![A-Za-z0-9])[a-z]{2}\d{2}(?:[ -]?(?:\d{4}|[a-z]{4}|[a-z]{2}\d{2}|[a-z]\d{3})){2,7}(?:[ -]?\d{1,3})?(?![A-Za-z0-9])"
SMALL_DIGITS = 12
REMAINDER = 1


def valid(value: str) -> bool:
    """ISO 7064 MOD 97-10, as ISO 13616-1 applies it, over a number of at least twelve digits."""
    letters = [letter for letter in value if letter.isalnum()]
    turned = letters[4:] + letters[:4]
    enough = sum(letter.isdigit() for letter in letters) >= SMALL_DIGITS
    return enough and int("".join(str(int(letter, 36)) for letter in turned)) % 97 == REMAINDER


def detectors() -> tuple[Detector, ...]:
    """Valid anywhere; behind its label whatever its check digits."""
    return (
        PresidioDetector(name="iban", recognizer=predefined("IbanRecognizer"), entities={"IBAN_CODE": "IBAN_CODE"}, candidates=CANDIDATES),
        pattern_detector("IBAN_CODE", SMALL, name="iban_small", score=0.8, digits=SMALL_DIGITS, verify=valid),
        labelled_detector("IBAN_CODE", ("iban|international bank account number",), LABELLED),
    )
