"""Driver's licences and passports: state formats overlap with everything, so a label is required."""

from detectors.detector import Detector
from detectors.pattern import digits_of, labelled_detector

LICENCE_LABELS = (
    "driver license|drivers license|driver's license|driver licence|driving licence|driver's licence|drivers license number",
    "driver license number",
    "driver's license number|dl|dl number|dl no|dln|license number|licence number|license no|operator license|state id",
)
PASSPORT_LABELS = ("passport|passport number|passport no|passport id|passport card",)
LICENCE = r"[A-Z]{0,3}[- ]?\d[\dA-Z]{2,8}(?:[- ]?[\dA-Z]{2,6}){0,3}"
PASSPORT = r"[A-Z]{0,2}\d{6,9}"
SHORTEST = 4


def detectors() -> tuple[Detector, ...]:
    """One per document."""
    return (
        labelled_detector("US_DRIVER_LICENSE", LICENCE_LABELS, LICENCE, verify=lambda value: len(digits_of(value)) >= SHORTEST),
        labelled_detector("US_PASSPORT", PASSPORT_LABELS, PASSPORT),
    )
