"""Sensitivity labels that a file or a mail system states: Microsoft Purview (MSIP), `Sensitivity:`, `Classification:`."""

from __future__ import annotations

import re

from detectors.detector import Detector
from detectors.markers.marker import question_marker
from detectors.normalized import Normalized

LABEL_NAMES = frozenset({"sensitivity", "classification", "msip", "label", "labels", "confidentiality", "protective", "marking"})
RESTRICTED = re.compile(
    r"(?i)confidential|restricted|secret|internal|private|personal|sensitive|privileged|proprietary|protected|do not forward|encrypt"
)
NEGATED = re.compile(r"(?i)\b(?:non|not|un)[- ]?(?:confidential|restricted|sensitive|classified)\b")
HEADER_LINE = re.compile(
    r"(?mi)^[ \t]{0,4}(?:x-)?(?:sensitivity|classification|msip_labels?[\w-]{0,80}|protective[- ]marking"
    r"|x-label)[ \t]{0,3}[:=]([^\n]{1,200})"
)


def detector() -> Detector:
    """sensitivity_label."""
    return question_marker("sensitivity_label", _labelled)


def _labelled(text: Normalized) -> bool:
    if text.label:
        return not LABEL_NAMES.isdisjoint(text.label) and _restricted(text.text)
    return any(_restricted(match.group(1)) for match in HEADER_LINE.finditer(text.text))


def _restricted(value: str) -> bool:
    return RESTRICTED.search(NEGATED.sub("", value)) is not None
