"""United Kingdom: NHS numbers (mod-11 check digit, with context) and National Insurance numbers."""

from detectors.detector import Detector
from detectors.presidio import PresidioDetector, predefined


def detectors() -> tuple[Detector, ...]:
    """Presidio's two recognizers on upper-case candidates."""
    return (
        PresidioDetector(
            name="uk_nhs",
            recognizer=predefined("NhsRecognizer"),
            entities={"UK_NHS": "UK_NHS"},
            candidates=r"(?<![\w-])\d{3}[- ]?\d{3}[- ]?\d{4}(?![\w-])",
            digits=10,
            shapes=("000 000", "000-000", "000000"),
            context=("nhs", "health", "patient", "gp", "hospital"),
            needs_context=True,
        ),
        PresidioDetector(
            name="uk_nino",
            recognizer=predefined("UkNinoRecognizer"),
            entities={"UK_NINO": "UK_NINO"},
            candidates=r"(?<![\w-])[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?![\w-])",
            digits=6,
        ),
    )
