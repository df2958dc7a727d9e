"""Payment card numbers: Luhn-valid anywhere (Presidio), or any 12 to 19 digits behind a label.

The numbers that card schemes and processors publish for tests pass the Luhn check and belong to no one.
"""

from detectors.detector import Detector
from detectors.pattern import digits_of, labelled_detector, luhn
from detectors.presidio import PresidioDetector, predefined

PUBLISHED_TEST_CARDS = frozenset(
    {
        "4111111111111111", "4242424242424242", "4012888888881881", "4222222222222", "4000056655665556", "4000000000000002",
        "5555555555554444", "5105105105105100", "5200828282828210", "2223003122003222", "5454545454545454",
        "378282246310005", "371449635398431", "378734493671000", "6011111111111117", "6011000990139424", "6011000000000012",
        "30569309025904", "38520000023237", "3530111333300000", "3566002020360505", "6200000000000005",
    }
)  # fmt: skip
LABELS = (
    "card number|card no|card|credit card|credit card number|debit card|debit card number|visa|mastercard|amex|american express",
    "cc number|cc|pan|cardnumber|card num",
)
CANDIDATES = r"(?<![\w-])(?<!\d\.)\d(?:[ -]?\d){12,18}(?![\w-])"
MASKED = r"(?:[xX*#\u2022]{4}[ -]?){1,3}\d{4}"
SHORTEST, LONGEST = 12, 19


def published(value: str) -> bool:
    """Whether this is a published test number, or one digit over and over."""
    digits = digits_of(value)
    return digits in PUBLISHED_TEST_CARDS or len(set(digits)) == 1


def _card(value: str) -> bool:
    return SHORTEST <= len(digits_of(value)) <= LONGEST and not published(value)


def detectors() -> tuple[Detector, ...]:
    """Valid anywhere; labelled whatever its check digit; labelled and masked."""
    return (
        PresidioDetector(
            name="credit_card",
            recognizer=predefined("CreditCardRecognizer"),
            entities={"CREDIT_CARD": "CREDIT_CARD"},
            candidates=CANDIDATES,
            digits=13,
            refuse=lambda value: published(value) or not luhn(digits_of(value)),
        ),
        labelled_detector("CREDIT_CARD", LABELS, r"\d(?:[ -]?\d){11,18}", score=0.8, verify=_card),
        labelled_detector("CREDIT_CARD", LABELS, MASKED, name="credit_card_masked", score=0.6),
    )
