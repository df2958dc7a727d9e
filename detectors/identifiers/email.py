"""E-mail addresses (45 CFR 164.514(b)(2)(i)(F)). Our own pattern: each part is bounded, so `a@a@a@…` stays linear."""

from detectors.detector import Detector
from detectors.pattern import pattern_detector

ADDRESS = r"(?<![A-Za-z0-9._%+'-])[A-Za-z0-9][A-Za-z0-9._%+'-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])"


def detector() -> Detector:
    """Addresses with a top-level domain."""
    return pattern_detector("EMAIL_ADDRESS", ADDRESS, score=0.95, needles=("@",))
