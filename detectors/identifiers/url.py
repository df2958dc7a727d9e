"""Web addresses (45 CFR 164.514(b)(2)(i)(N)). Weak: most URLs name a company, so policies use them as support only."""

from detectors.detector import Detector
from detectors.pattern import pattern_detector

ADDRESS = r"\b(?:https?://|www\.)[^\s<>\"'()]{3,2000}"


def detector() -> Detector:
    """Addresses with a scheme or `www.`."""
    return pattern_detector("URL", ADDRESS, score=0.6, needles=("://", "www."), cost=1)
