"""Disclaimer footers: "this e-mail may contain privileged information … intended recipient". They are no evidence of privilege.

A footer cancels only the phrase that stands in it (invariant 9): the same phrase as a heading, or anywhere else, still counts.
"""

from __future__ import annotations

import re

from detectors.detector import Detector
from detectors.lines import is_heading, paragraph_of
from detectors.markers.marker import question_marker
from detectors.normalized import Normalized

FOOTER = re.compile(
    r"intended recipient|intended (?:only|solely) for|if you (?:have received|are not|received) th|received this (?:e-?mail"
    r"|message|transmission|communication|fax)"
    r"|notify the sender|disclosure, copying|unauthori[sz]ed (?:use|review|disclosure|dissemination)|may (?:contain|be|also be"
    r"|include)[a-z, /]{0,60}(?:privileged|confidential)"
    r"|(?:addressee|recipient)\(?s?\)? (?:only|named)|confidentiality (?:notice|note)|delete (?:this|the) (?:e-?mail|message)"
)
PRIVILEGE = re.compile(r"privileg|work product")


def in_footer(text: Normalized, start: int, end: int) -> bool:
    """Whether the phrase is part of a disclaimer. A heading never is."""
    return not is_heading(text, start, end) and FOOTER.search(paragraph_of(text.lowered, start)) is not None


def detector() -> Detector:
    """Raised by a footer that speaks of privilege. Informative: no policy should lower anything by it."""

    def raised(text: Normalized) -> bool:
        return any(FOOTER.search(paragraph_of(text.lowered, match.start())) for match in PRIVILEGE.finditer(text.lowered))

    return question_marker("privilege_disclaimer", raised)
