"""US individual taxpayer identification numbers (26 CFR 301.6109-1(d)(3)): Presidio's ranges, formatted or with context."""

from detectors.detector import Detector
from detectors.presidio import PresidioDetector, predefined


def detector() -> Detector:
    """Nine digits that begin with 9, in the issued ranges."""
    return PresidioDetector(
        name="us_itin",
        recognizer=predefined("UsItinRecognizer"),
        entities={"US_ITIN": "US_ITIN"},
        candidates=r"(?<![\w-])9\d{2}[- ]?\d{2}[- ]?\d{4}(?![\w-])",
        digits=9,
        shapes=("000 00", "000-00", "00000"),
        context=("itin", "taxpayer", "tin", "tax", "individual", "irs"),
    )
