"""The bare fact of being a customer (12 CFR 1016.3(q)(2)(i)(C)): "our member", "your loan", a borrower or cardholder."""

from detectors.detector import Detector
from detectors.markers.marker import phrase_marker, question_marker
from detectors.markers.persons import CONSUMER

RELATION = (
    "our customer|our customers|our member|our members|our borrower|our client|our clients|our policyholder|our cardholder|our depositor",
    "valued customer|valued member|valued client|dear customer|dear member|dear borrower|dear cardholder|dear policyholder",
    "dear account holder|dear client",
    "your account|your loan|your mortgage|your policy|your card|your credit card|your debit card|your application|your balance",
    "your payment|your deposit|your statement|your portfolio",
    "my account|my loan|my mortgage|my credit card|my card|my bank account|my statement|my policy|my balance|my payment",
    "customer of|client of ours|customer since|member since|banks with us|banked with us|account with us|loan with us",
    "policy with us|insured with us|customer number|customer id",
    "borrower|co borrower|mortgagor|cardholder|account holder|accountholder|policyholder|policy holder|loan applicant|applicant",
    "depositor|debtor",
)


def detectors() -> tuple[Detector, ...]:
    """customer_relation; consumer: somebody in the singular is spoken of or to, as company reports and price lists do not."""
    return (
        phrase_marker("customer_relation", RELATION),
        question_marker("consumer", lambda text: not text.vocabulary.isdisjoint(CONSUMER), cost=1),
    )
