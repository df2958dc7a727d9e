"""Sensitivity labels that a file or a mail system states: Microsoft Purview (MSIP), `Sensitivity:`, `Classification:`, keywords."""

from __future__ import annotations

import re

from detectors.detector import Detector
from detectors.labels import KEYWORD_FIELDS, LABEL_WORDS, MARKING, SEPARATORS, purview_labels, restricted
from detectors.markers.marker import question_marker
from detectors.normalized import Normalized

HEADER_LINE = re.compile(
    r"(?mi)^[ \t>]{0,6}(?:x-)?(?:sensitivity|classification|protective[- ]marking|x-label)[ \t]{0,3}[:=]([^\n]{1,200})"
)
"""A label's line in the headers of a message that stands in a text."""
PURVIEW = "msip_label"


def detector() -> Detector:
    """sensitivity_label."""
    return question_marker("sensitivity_label", _labelled)


def _labelled(text: Normalized) -> bool:
    if PURVIEW in text.lowered and any(map(restricted, purview_labels(text.text))):
        return True
    if text.label:
        return _field(text)
    return any(restricted(match.group(1)) for match in HEADER_LINE.finditer(text.text))


def _field(text: Normalized) -> bool:
    """A metadata field: its name says that it is a label, or it is a list of keywords with a marking among them."""
    if "_".join(text.label) in KEYWORD_FIELDS:
        return any(MARKING.fullmatch(word) for word in SEPARATORS.split(text.text))
    if LABEL_WORDS.isdisjoint(text.label) or PURVIEW in text.lowered:
        return False
    # Of a Purview label kept as one property each, only the name says anything.
    return restricted(text.text) and ("msip" not in text.label or text.label[-1] in {"name", "labels", "label"})
