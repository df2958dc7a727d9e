"""US Social Security numbers: formatted, behind a label, or masked but for the last four.

The Social Security Administration never issues area 000, 666 or 9xx, group 00 or serial 0000 (SSA POMS RM 10201.035). A number
behind a label is believed whatever its digits: typing errors and invalid numbers are common in real documents.
"""

from detectors.detector import Detector
from detectors.pattern import digits_of, labelled_detector, pattern_detector

FORMATTED = r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"
# Whatever stands between the groups, markup included: a slash, a pipe, brackets, a tag.
BETWEEN = r"(?:[\W_]|</?[A-Za-z]{1,8}>){1,8}"
SPREAD = rf"(?<![\w.-])\d{{3}}{BETWEEN}\d{{2}}{BETWEEN}\d{{4}}(?![\w-]|\.\d)"
MASKED = r"(?<![\w*])(?:[xX]{3}|\*{3}|#{3})[- ](?:[xX]{2}|\*{2}|#{2})[- ]\d{4}(?!\d)"
CONTEXT = ("ssn", "ssns", "social", "security", "sin", "ss", "soc", "taxpayer", "tin")
LABELS = (
    "ssn|ss no|ss number|soc sec|soc sec no|social security|social security number|social security no|social",
    "taxpayer identification number|taxpayer id|tax id|tin|tax identification number",
)
NINE = r"\d(?:[-. ]{0,3}\d){8}"
SERIAL_DIGITS = 9


def issued(value: str) -> bool:
    """Whether the SSA could have issued these nine digits."""
    digits = digits_of(value)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in {"000", "666"} and area[0] != "9" and group != "00" and serial != "0000"


def detectors() -> tuple[Detector, ...]:
    """Formatted, spread out with context, labelled, masked."""
    return (
        pattern_detector("US_SSN", FORMATTED, name="us_ssn", score=0.85, digits=9, shapes=("000-00-0000",), verify=issued),
        pattern_detector("US_SSN", SPREAD, name="us_ssn_spread", score=0.3, digits=9, verify=issued, context=CONTEXT),
        labelled_detector("US_SSN", LABELS, NINE, verify=lambda value: len(digits_of(value)) == SERIAL_DIGITS),
        pattern_detector("US_SSN", MASKED, name="us_ssn_masked", score=0.6, digits=4, shapes=("-0000", " 0000")),
    )
