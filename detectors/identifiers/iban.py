"""International bank account numbers (ISO 13616): Presidio's country formats and mod-97, upper case only."""

from detectors.detector import Detector
from detectors.pattern import labelled_detector
from detectors.presidio import PresidioDetector, predefined

CANDIDATES = r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
LABELLED = r"(?i:[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{2,4}){3,8})"


def detectors() -> tuple[Detector, ...]:
    """Valid anywhere; behind its label whatever its check digits."""
    return (
        PresidioDetector(name="iban", recognizer=predefined("IbanRecognizer"), entities={"IBAN_CODE": "IBAN_CODE"}, candidates=CANDIDATES),
        labelled_detector("IBAN_CODE", ("iban|international bank account number",), LABELLED),
    )
