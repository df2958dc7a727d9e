"""The rest of Safe Harbor's list (45 CFR 164.514(b)(2)(i)): old age (C), certificates (K), plates (L), biometrics (P), other codes (R).

None of the numbers has a shape of its own, so each stands behind its label. They identify somebody only in a text about a person: policies
ask for them together with care or finance, never alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from detectors.detector import Detector, EachText, collect, entity_kind
from detectors.document import Finding
from detectors.normalized import Normalized
from detectors.pattern import digits_of, labelled_detector
from detectors.screen import Screen

PLATE_LABELS = (
    "license plate|licence plate|license plate number|licence plate number|plate number|plate no|number plate|registration plate",
    "tag number|vehicle registration|vehicle registration number|registration mark",
)
PLATE = r"[A-Z0-9]{1,4}[- ]?[A-Z0-9]{2,4}(?:[- ]?[A-Z0-9]{1,4})?"
CERTIFICATE_LABELS = (
    "certification number|certification no|birth certificate|birth certificate number|death certificate|death certificate number",
    "marriage certificate|marriage certificate number|registration number|registration no|gmc number|nmc pin|bar number|bar no",
    "professional license|nursing license|medical license|medical license number|pilot certificate|commission number|naturalization number",
    "alien number|alien registration number|uscis number|permit number|voter id|voter registration number",
)
BIOMETRIC_LABELS = (
    "fingerprint id|fingerprint number|fingerprint no|voiceprint id|voice print id|retina scan id|iris scan id|iris code|biometric id",
    "biometric template|face template id|palm print id|dna profile number|dna profile|dna sample number",
)
CODE_LABELS = (
    "study id|study number|subject id|subject number|subject no|participant id|participant number|participant no|donor id|donor number",
    "trial id|enrollment number|enrolment number|case id|resident id|resident number|inmate number|inmate id|prisoner number|student id",
    "student number|employee id|employee number|employee no|personnel number|badge number|service number|unique identifier|tissue number",
    "bed number id|household id|caregiver id|patient code|patient uuid|patient guid",
)
CODE = r"[A-Z0-9]{1,8}(?:[-/ ]?[A-Z0-9]{1,12}){0,5}"
FEWEST_DIGITS = 4
PLATE_SHORTEST, PLATE_LONGEST = 4, 9

OLD = r"(?:9\d|1[01]\d)"
NINETY = r"ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?"
AGE = re.compile(
    rf"(?i)(?<![\w.$/-])(?:{OLD}|{NINETY})[ -]?(?:years?[ -]?old|year[ -]old|y/?o\b|y\.o\.|yrs?[ -]old|years of age)"
    rf"|\b(?:aged?|age:|age of)[ ]{{0,2}}(?:{OLD}|{NINETY})(?![\w%]|[.,]\d)|(?<![\w.$/-]){OLD}[MF](?![\w'-])"
)
# `OLD` and "ninety" by their first character, so that only these are tried.
AGE_NUMBER = re.compile(r"[91nN](?:(?<=9)(?<!\d9)\d(?!\d)|(?<=1)(?<!\d1)[01]\d(?!\d)|(?<=[nN])(?i:inety))")
BEFORE_AGE, AFTER_AGE = 10, 40
"""Characters around its number that a match can reach, and those that it looks at beyond: "age of  ", "-nine years of age"."""
AGE_SCORE = 0.7
AGE_NEEDLES = ("9", "10", "11", "inety", "INETY")


def old_ages(text: Normalized) -> Iterator[Finding]:
    """Matches of `AGE`, looked for only around its numbers: most texts have none, and the pattern is slow at every letter."""
    last = 0
    for number in AGE_NUMBER.finditer(text.text):
        if number.start() < last:
            continue
        start, end = max(last, number.start() - BEFORE_AGE), number.end() + AFTER_AGE
        match = AGE.search(text.text, start, end)
        if match is not None and match.start() <= number.start():  # one that begins later has a number of its own
            last = match.end()
            yield text.finding("age_over_89", "AGE_OVER_89", match.span(), AGE_SCORE)


def _coded(value: str) -> bool:
    return len(digits_of(value)) >= FEWEST_DIGITS


def _plate(value: str) -> bool:
    """Letters and digits both, as many as go on a plate."""
    letters = re.sub(r"[- ]", "", value)
    return PLATE_SHORTEST <= len(letters) <= PLATE_LONGEST and any(map(str.isdigit, letters)) and any(map(str.isalpha, letters))


def detectors() -> tuple[Detector, ...]:
    """LICENSE_PLATE, CERTIFICATE_NUMBER, BIOMETRIC_ID, UNIQUE_CODE, AGE_OVER_89."""
    return (
        labelled_detector("LICENSE_PLATE", PLATE_LABELS, PLATE, verify=_plate),
        labelled_detector("CERTIFICATE_NUMBER", CERTIFICATE_LABELS, CODE, verify=_coded),
        labelled_detector("BIOMETRIC_ID", BIOMETRIC_LABELS, CODE, verify=_coded),
        labelled_detector("UNIQUE_CODE", CODE_LABELS, CODE, verify=_coded),
        EachText(
            name="age_over_89",
            provides=frozenset({entity_kind("AGE_OVER_89")}),
            look=lambda text: collect(old_ages(text)),
            cost=2,
            screen=Screen(needles=AGE_NEEDLES),
        ),
    )
