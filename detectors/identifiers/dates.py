"""Dates (45 CFR 164.514(b)(2)(i)(C)). A date of birth behind its label identifies; any other date is weak and only supports."""

from detectors.detector import Detector
from detectors.pattern import labelled_detector, pattern_detector
from detectors.phrases import listed

MONTH = (
    "Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?"
)
SHAPES = ("0/0", "0-0", "0.0")
NUMERIC = r"\d{1,2}[/.-]\d{1,2}[/.-](?:\d{4}|\d{2})|\d{4}[/.-]\d{1,2}[/.-]\d{1,2}"
NAMED = rf"(?i:(?:{MONTH})\.?[ -]\d{{1,2}}(?:st|nd|rd|th)?,?[ -]?\d{{2,4}}|\d{{1,2}}(?:st|nd|rd|th)?[ -](?:{MONTH})\.?,?[ -]\d{{2,4}})"
DATE = rf"(?:{NUMERIC}|{NAMED})"
MONTHS = listed(
    "jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august september october november december"
)
BIRTH_LABELS = ("dob|d o b|date of birth|birth date|birthdate|birthday|born|born on|db|date of birth dob",)


def detectors() -> tuple[Detector, ...]:
    """Births by label; any full date."""
    return (
        labelled_detector("DATE_OF_BIRTH", BIRTH_LABELS, rf"{DATE}|(?:0?[1-9]|1[0-2])/(?:19|20)\d{{2}}|\d{{8}}"),
        pattern_detector("DATE_TIME", rf"(?<![\w/.-])(?:{NUMERIC})(?![\w/-])", name="date_numeric", score=0.6, digits=4, shapes=SHAPES),
        pattern_detector("DATE_TIME", rf"\b(?:{NAMED})(?!\w)", name="date_named", score=0.6, words=MONTHS),
    )
