"""Numbers of health-care providers: National Provider Identifier (45 CFR 162.406) and DEA registration (21 CFR 1301)."""

from detectors.detector import Detector
from detectors.presidio import PresidioDetector, predefined


def detectors() -> tuple[Detector, ...]:
    """The provider identifier (Luhn over 80840 + number, with context); the DEA number (its own check digit)."""
    return (
        PresidioDetector(
            name="us_npi",
            recognizer=predefined("UsNpiRecognizer"),
            entities={"US_NPI": "US_NPI"},
            candidates=r"(?<![\w-])[12]\d{3}[ -]?\d{3}[ -]?\d{3}(?![\w-])",
            digits=10,
            shapes=("0000 000", "0000-000", "0000000"),
            context=("npi", "provider", "prescriber", "physician", "doctor", "dr", "clinic", "md", "referring", "attending", "rendering"),
            needs_context=True,
        ),
        PresidioDetector(
            name="dea_number",
            recognizer=predefined("MedicalLicenseRecognizer"),
            entities={"MEDICAL_LICENSE": "DEA_NUMBER"},
            candidates=r"(?<!\w)[ABFGMPRabfgmpr][A-Za-z9]\d{7}(?!\w)",
            digits=7,
            shapes=("0000000",),
        ),
    )
