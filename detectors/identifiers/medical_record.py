"""Medical record, health-plan and Medicare numbers (45 CFR 164.514(b)(2)(i)(H),(I))."""

from detectors.detector import Detector
from detectors.pattern import digits_of, labelled_detector
from detectors.presidio import PresidioDetector, predefined

RECORD_LABELS = (
    "mrn|mr|mr number|mr no|medical record|medical record number|medical record no|med rec|med rec no|med rec number",
    "record number|record no",
    "chart|chart number|chart no|patient id|patient number|patient no|patient identifier|hospital number|hospital no|unit number",
    "encounter|encounter number|visit number|accession|accession number|accession no|specimen number|specimen id|csn|hospital id",
    "case number",
    "prescription number|rx|rx number|rx no|referral number|authorization number|prior authorization|account number mrn",
)
PLAN_LABELS = (
    "member id|member number|member no|member|subscriber id|subscriber number|subscriber|health plan id|health plan number|health plan",
    "insurance id|insurance number|insurance policy|group number|group no|medicaid id|medicaid number|medicaid|medicare number",
    "medicare id|medicare",
    "beneficiary id|beneficiary number|hicn|payer id|plan id|id card number|enrollee id",
)
NUMBER = r"(?:[A-Z]{1,5}[- ]?)?\d[\dA-Z]{1,14}(?:-[\dA-Z]{1,10}){0,3}"
PLAN_NUMBER = r"(?:[A-Z0-9]{1,6}[- ]?)?\d[\dA-Z]{3,14}(?:-[\dA-Z]{1,10}){0,3}"
SHORTEST = 5


def _long(value: str) -> bool:
    return len(digits_of(value)) >= SHORTEST


def detectors() -> tuple[Detector, ...]:
    """Record and plan numbers by label; the Medicare beneficiary identifier by its shape (CMS, 11 positions)."""
    return (
        labelled_detector("MEDICAL_RECORD_NUMBER", RECORD_LABELS, NUMBER, verify=_long),
        labelled_detector("HEALTH_PLAN_NUMBER", PLAN_LABELS, PLAN_NUMBER, verify=_long),
        PresidioDetector(
            name="us_mbi",
            recognizer=predefined("UsMbiRecognizer"),
            entities={"US_MBI": "US_MBI"},
            candidates=r"(?<![\w-])\d[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}(?![\w-])",
            digits=5,
            context=("medicare", "mbi", "beneficiary", "member", "patient", "insurance", "id", "cms"),
        ),
    )
