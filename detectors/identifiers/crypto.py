"""Addresses of crypto-currency wallets: Presidio's recognizer, with the checksums of Base58Check and Bech32."""

from detectors.detector import Detector
from detectors.presidio import PresidioDetector, predefined


def detector() -> Detector:
    """Bitcoin addresses of all three forms."""
    return PresidioDetector(
        name="crypto_wallet",
        recognizer=predefined("CryptoRecognizer"),
        entities={"CRYPTO": "CRYPTO_WALLET"},
        candidates=r"(?<![A-Za-z0-9])(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25,59}(?![A-Za-z0-9])",
    )
