"""Bank accounts: routing numbers (ABA check digit, American Bankers Association key 37 1) and account numbers by label."""

from detectors.detector import Detector
from detectors.pattern import digits_of, labelled_detector
from detectors.presidio import PresidioDetector, predefined

ROUTING_LABELS = ("routing|routing number|routing no|routing transit number|aba|aba number|rtn|bank routing",)
BANK_LABELS = (
    "bank account|bank account number|checking|checking account|checking account number|savings|savings account|savings account number",
    "deposit account|money market account|direct deposit",
)
ACCOUNT_LABELS = (
    "account number|account no|account num|account id|account|accounts|acct|acct no|acct number|a c no|a c|ac no|acc no|acc number",
    "brokerage account|customer number|customer id|customer no|client number|client id|statement for",
)
ACCOUNT = r"(?:[A-Z]{1,4}[- ]?)?(?:[xX*\u2022]{2,12}[- ]?)?\d(?:[- ]?[\dxX*]){3,22}"
SHORTEST = 6
MASKED_SHORTEST = 4


def account_like(value: str) -> bool:
    """Six digits or more, or a masked number with its last four; years and dates have fewer or are not masked."""
    count = len(digits_of(value))
    return count >= SHORTEST or (count >= MASKED_SHORTEST and any(character in "xX*\u2022" for character in value))


def detectors() -> tuple[Detector, ...]:
    """Routing numbers by check digit with context, or by label; account numbers by label."""
    return (
        PresidioDetector(
            name="aba_routing_number",
            recognizer=predefined("AbaRoutingRecognizer"),
            entities={"ABA_ROUTING_NUMBER": "ABA_ROUTING_NUMBER"},
            candidates=r"(?<![\w-])[0-3678]\d{3}-?\d{4}-?\d(?![\w-])",
            digits=9,
            shapes=("0000-", "00000"),
            context=("routing", "aba", "rtn", "bank", "wire", "ach", "transit"),
            needs_context=True,
        ),
        labelled_detector("ABA_ROUTING_NUMBER", ROUTING_LABELS, r"\d{4}-?\d{4}-?\d"),
        labelled_detector("US_BANK_NUMBER", BANK_LABELS, ACCOUNT, verify=account_like),
        labelled_detector("ACCOUNT_NUMBER", ACCOUNT_LABELS, ACCOUNT, verify=account_like),
    )
