"""A person's money: accounts, loans, cards, income, taxes, insurance, as a consumer's institution writes or hears of them.

"Nonpublic personal information" (15 USC 6809(4); 12 CFR 1016.3(q)) is what a consumer gives to obtain a product, what a
transaction produces, or the bare fact of being a customer. Company figures and markets are another subject and have no terms here.
"""

from detectors.detector import Detector
from detectors.topics.scorer import topic_detector

TERMS = {
    # accounts and cards
    "account number|account no|acct|acct no|account ending|account statement|account holder|account balance": 0.45,
    "your account|my account|the account|this account|his account|her account|customer's account|client's account|joint account|"
    "an account|account": 0.25,
    "bank account|checking account|savings account|checking|savings|deposit account|money market": 0.4,
    "routing number|routing|iban|swift|sort code|aba|wire transfer|ach|direct deposit|money transfer|bank transfer|transfer": 0.3,
    "credit card|debit card|card number|card ending|cardholder|card|visa|mastercard|amex|cvv|card expires|card declined": 0.35,
    "statement period|closing balance|opening balance|available balance|current balance|balance due|new balance|minimum payment|"
    "payment due|account statement|statement|balance": 0.3,
    "withdrawal|withdrawals|deposit|deposits|overdraft|overdrawn|insufficient funds|atm|cash advance|chargeback|"
    "unauthorized charge|disputed|dispute|transactions|transaction": 0.25,
    "pin|online banking|branch|teller|bank statement|bank": 0.1,
    # loans
    "loan number|loan no|loan application|loan amount|your loan|my loan|personal loan|auto loan|student loan|home equity|heloc|"
    "mortgage|refinance|loan": 0.35,
    "borrower|co borrower|applicant|co applicant|guarantor|debtor|mortgagor": 0.35,
    "apr|annual percentage rate|interest rate|principal|escrow|amortization|monthly payment|term months|down payment|"
    "closing disclosure": 0.25,
    "past due|delinquent|delinquency|collections|collection agency|debt|owed|balance owed|garnishment|foreclosure|bankruptcy|"
    "repossession|charge off|hardship": 0.3,
    "credit score|fico|credit report|credit bureau|credit history|equifax|experian|transunion|creditworthiness|credit limit|"
    "underwriting|adverse action|denied": 0.4,
    # income, tax, wealth
    "annual income|monthly income|gross income|net income|household income|income|salary|wages|payroll|pay stub|paystub|"
    "earnings statement|net pay|gross pay|employer": 0.25,
    "w #|w2|# form|form #|tax return|irs|taxpayer|withholding|itin|refund|adjusted gross|agi|dependents|filing status|deductions": 0.25,
    "# k|#k|#(k)|ira|roth|pension|annuity|brokerage|brokerage account|portfolio|retirement account|net worth|assets|beneficiary|"
    "estate|trust account": 0.25,
    "ssn|social security number|social security|date of birth|dob|tin|tax id": 0.3,
    # insurance
    "policy number|policyholder|policy holder|insured|premium|claim number|coverage|deductible|life insurance|auto insurance|"
    "homeowners": 0.2,
    # being a customer
    "dear customer|dear valued customer|our customer|valued customer|customer since|member since|customer number|customer id|"
    "client number|as a customer|as our client": 0.3,
    "credit union|savings bank|lender|loan officer|loan servicing|customer service|financial advisor|wealth management|"
    "mortgage company|servicer": 0.25,
    "payment|payments|paid|autopay|bill pay|invoice|fee|fees|charged|charge|charges": 0.1,
    "owes|owed|owe|borrowed|lend|lent|repay|repayment|installment|instalment": 0.2,
    "application|approved|approval|eligible|qualify|qualified|verification|verify": 0.1,
    "usd|dollars|eur|gbp": 0.05,
}


def detector() -> Detector:
    """The personal-finance topic."""
    return topic_detector("personal_finance", TERMS)
