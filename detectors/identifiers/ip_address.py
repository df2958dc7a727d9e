"""IP addresses (45 CFR 164.514(b)(2)(i)(O)): Presidio's recognizer, on dotted or coloned candidates only."""

from detectors.detector import Detector
from detectors.presidio import PresidioDetector, predefined

CANDIDATES = r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{1,4}:[0-9A-Fa-f:]{3,34}[0-9A-Fa-f])(?![\w:]|\.\d)"


def detector() -> Detector:
    """IPv4 and IPv6. Loopback and the unspecified address name no one; clock times (12:30:45) are not IPv6."""
    return PresidioDetector(
        name="ip_address",
        recognizer=predefined("IpRecognizer"),
        entities={"IP_ADDRESS": "IP_ADDRESS"},
        candidates=CANDIDATES,
        shapes=("0.0", ":"),
        refuse=lambda value: value.startswith("127.") or value == "0.0.0.0" or (":" in value and len(value) < 9),  # noqa: S104, PLR2004
    )
