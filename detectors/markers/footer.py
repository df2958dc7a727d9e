"""Disclaimer footers: "this e-mail may contain privileged information … intended recipient". They are no evidence of privilege.

A footer cancels only the phrase that stands in it (invariant 9): the same phrase as a heading, or anywhere else, still counts.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from detectors.detector import Detector
from detectors.lines import is_heading, paragraph_around
from detectors.markers.marker import question_marker
from detectors.normalized import Normalized
from detectors.phrases import listed

FOOTER = re.compile(
    r"intended recipient|intended (?:only|solely) for|if you (?:have received|are not|received) th|received this (?:e-?mail"
    r"|message|transmission|communication|fax)"
    r"|notify the sender|disclosure, copying|unauthori[sz]ed (?:use|review|disclosure|dissemination)|may (?:contain|be|also be"
    r"|include)[a-z, /]{0,60}(?:privileged|confidential)"
    r"|(?:addressee|recipient)\(?s?\)? (?:only|named)|confidentiality (?:notice|note)|delete (?:this|the) (?:e-?mail|message)"
)
# Every alternative above has one of these words.
SIGNS = listed(
    "intended received not sender disclosure unauthorized unauthorised contain be also include addressee addressees recipient recipients "
    "confidentiality delete"
)
PRIVILEGE = re.compile(r"privileg|work product")


def in_footer(text: Normalized, start: int, end: int) -> bool:
    """Whether the phrase is part of a disclaimer. A heading never is."""
    return _near_footer(text, start) and not is_heading(text, start, end)


def detector() -> Detector:
    """Raised by a footer that speaks of privilege. Informative: no policy should lower anything by it."""

    def raised(text: Normalized) -> bool:
        return bool(_footers(text)) and any(_near_footer(text, match.start()) for match in PRIVILEGE.finditer(text.lowered))

    return question_marker("privilege_disclaimer", raised)


def _near_footer(text: Normalized, position: int) -> bool:
    """Whether a disclaimer's words stand in the paragraph of this position."""
    footers = _footers(text)
    if not footers:
        return False
    low, high = paragraph_around(text.lowered, position)
    place = bisect_left(footers, low)
    return place < len(footers) and footers[place] < high


def _footers(text: Normalized) -> list[int]:
    """Where a disclaimer's words stand. Looked for once per text."""
    found: list[int] | None = text.shared.get(__name__)
    if found is None:
        found = [match.start() for match in FOOTER.finditer(text.lowered)] if not SIGNS.isdisjoint(text.vocabulary) else []
        text.shared[__name__] = found
    return found
