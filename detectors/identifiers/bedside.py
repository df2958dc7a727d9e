"""How a ward speaks of one patient without a name: by bed, and by initials.

45 CFR 164.514(b)(2)(i)(R), any other unique identifying characteristic or code: on one ward and one day a bed is one person. Initials are
made from the name (HHS, Guidance Regarding Methods for De-identification, question on paragraph (R)). Both say something only in a record
of care, so policies ask for them there and nowhere else.
"""

from detectors.detector import Detector
from detectors.pattern import labelled_detector, pattern_detector
from detectors.phrases import listed

PLACES = "bed bay room rm chair crib cot isolette incubator bassinet cubicle gurney trolley stretcher"
BED = rf"(?i)\b(?:{'|'.join(PLACES.split())})[ \t]?(?:no\.?|number|#)?[ \t]?\d{{1,4}}[a-z]?\b"
PERSONS = ("pt|patient|client|resident|child|student|pupil|baby|mother|mum|mom|father|service user|inmate|veteran|caller|participant",)
TITLES = ("mr|mrs|ms|miss|mx",)
TWO_OR_THREE = r"[A-Z]\.?[ ]?[A-Z]\.?(?:[ ]?[A-Z]\.?)?"
ONE = r"[A-Z]\.?"
ABBREVIATIONS = listed(
    "ID IV IM PO NO OK ED ER OR GP MD DO DR PA NP RN BP HR CT MR MRI TB UK US USA EU IT PR QA PRN NPO DOB MRN ICU NHS HIV AMA DNR CPR "
    "II III PT OT SLP CC PM AM"
)
"""What capitals behind "patient" mean more often than a name."""


def _initials(value: str) -> bool:
    return value.replace(".", "").replace(" ", "") not in ABBREVIATIONS


def detectors() -> tuple[Detector, ...]:
    """BED_NUMBER, and INITIALS behind a role or a title."""
    return (
        pattern_detector("BED_NUMBER", BED, score=0.6, cost=1),
        labelled_detector("INITIALS", PERSONS, TWO_OR_THREE, name="initials_of_role", score=0.6, verify=_initials, reach=12),
        labelled_detector("INITIALS", TITLES, ONE, name="initials_of_title", score=0.6, reach=6),
    )
