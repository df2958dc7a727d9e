"""A person's money: accounts, loans, cards, income, taxes, insurance, as a consumer's institution writes or hears of them.

"Nonpublic personal information" (15 USC 6809(4); 12 CFR 1016.3(q)) is what a consumer gives to obtain a product, what a
transaction produces, or the bare fact of being a customer. Company figures and markets are another subject and have no terms here.
"""

from detectors.detector import Detector
from detectors.phrases import listed
from detectors.topics.persons import ONE_PERSON
from detectors.topics.scorer import Nearness, topic_detector

TERMS = {
    # accounts and cards
    "account number|account no|acct no|account ending|account statement|account holder|account balance|acct": 0.4,
    "your account|your accounts|my account|her account|his account|their account|current account|customer's account|client's account|"
    "joint account|the account in|youth saver|account": 0.25,
    "bank account|checking account|savings account|checking|savings|deposit account|money market|passbook|certificate of deposit": 0.35,
    "routing number|routing|iban|swift|sort code|aba|wire transfer|direct deposit|money transfer|bank transfer|wired|standing order|"
    "direct debit": 0.3,
    "credit card|debit card|card number|card ending|cardholder|visa|mastercard|amex|cvv|card expires|card declined|her card|his card|"
    "my card|your card|the card": 0.3,
    "statement period|closing balance|opening balance|available balance|current balance|new balance|minimum payment|payment due|"
    "balance due|outstanding balance|balance outstanding|your balance|my balance|her balance|his balance": 0.35,
    "balance|statement|outstanding on|bill|next bill": 0.15,
    "withdrawal|withdrawals|overdraft|overdrawn|insufficient funds|atm|cash advance|chargeback|unauthorized charge|provisional credit|"
    "disputed charge|cash machine|bounced|withdrew": 0.3,
    "deposit|deposits|transactions|transaction|disputed|dispute|disputes|purchases|refunded|refund": 0.15,
    "pin|online banking|branch|teller|bank statement|bank": 0.1,
    # loans
    "loan number|loan no|loan application|your loan|my loan|personal loan|auto loan|student loan|student debt|car loan|car loans|"
    "home equity|heloc|boat loan|payday loan|loan officer": 0.4,
    "loan|loan amount|mortgage|refinance|financing|financed|pre approval|preapproval|30 year|#-year|deed of trust": 0.25,
    "borrower|co borrower|applicant|co applicant|guarantor|personal guarantee|debtor|mortgagor|executor": 0.3,
    "apr|annual percentage rate|escrow|amortization|monthly payment|term months|down payment|closing disclosure|first instalment|"
    "late charge|late charges|late fee": 0.3,
    "interest rate|principal": 0.12,
    "past due|overdue|delinquent|delinquency|collection agency|balance owed|garnishment|foreclosure|repossession|charge off|"
    "days behind|days late|behind on|in arrears|arrears|hardship|laid off|can manage|final notice|still owing": 0.3,
    "debt|bankruptcy|judgment for|lien|credit line|line of credit": 0.15,
    "credit score|fico|credit report|credit bureau|bureau #|credit history|equifax|experian|transunion|creditworthiness|"
    "pull my credit|pull your credit|credit check|adverse action": 0.45,
    "credit limit|underwriting|denied|credit committee|overdraft limit": 0.2,
    # income, tax, wealth
    "annual income|monthly income|gross income|household income|your income|my income|his income|her income|stated income|pay stub|"
    "paystub|pay slip|earnings statement|net pay|gross pay|take home|take home pay|regular # h|overtime": 0.35,
    "income|salary|wages|payroll|employer|earns|earning|earned|makes # a year|pension goes|her salary|his salary|my salary": 0.2,
    "w # form|w2|w # s|tax return|your return|my return|form #|irs|taxpayer|fed w|fica|med #|withholding|withheld|adjusted gross|agi|"
    "dependents|dependent|filing status|e file|state refund|you owe|tax transcript": 0.3,
    "# k plan|#k|401 k|#(k)|ira|roth|pension|annuity|brokerage account|retirement account|net worth|transfer value|scheme administration|"
    "beneficiary|family trust|trust account|estate of|risk appetite|annual review": 0.25,
    "brokerage|portfolio|assets|estate|trust|retire|retirement|shares in": 0.12,
    "ssn|social security number|social security|date of birth|dob|tin|tax id|last four|mother's maiden name": 0.3,
    # insurance
    "policy number|policyholder|policy holder|insured|claim number|life insurance|auto insurance|homeowners|at fault accident|excess|"
    "full cover|your insurer|no claims": 0.25,
    "premium|coverage|deductible|quote for": 0.15,
    # being a customer
    "dear customer|dear valued customer|our customer|valued customer|customer since|member since|customer number|customer id|"
    "client number|as a customer|as our client|with us since|sent money with you|address we hold": 0.3,
    "credit union|savings bank|lender|loan servicing|financial advisor|financial aid|wealth management|welcome packs|opened this week|"
    "mortgage company|servicer": 0.25,
    "payment|payments|paid|autopay|bill pay|invoice|fee|fees|charged|charge|charges|a month|per month|a year": 0.1,
    "owes|owe|i owe|owed|borrowed|lend|lent|repay|repayment|installment|instalment|rent at|my landlord|her landlord|his landlord": 0.2,
    "application|approved|approval|eligible|qualify|qualified|verification|verify": 0.1,
    "usd|dollars|eur|gbp": 0.05,
    # words people use about somebody's money
    "on the cards|maxed out|store card|co signer|cosigner|cosigned|combined gross|bonus|pay down|paying off|"
    "paid off|can't pay|can't afford|"
    "cannot pay|cannot afford|behind with|behind on|months behind|days overdue|put on hold|payment plan|offer a plan|debt to income": 0.3,
    "garnish|garnished|writ|disposable pay|withhold # percent|creditor|creditors|levy|child support|alimony|bailiff|repossess|evicted|"
    "eviction|default judgment|insolvent|insolvency|debt collector|disability checks|benefits stopped|food stamps": 0.3,
    "my accounts|both of my accounts|close my account|close the account|new bank|my bank|her bank|his bank|"
    "their bank|my savings|her savings|"
    "his savings|our savings|life savings|my pension|her pension|his pension|my wages|her wages|his wages|my debts": 0.35,
    "margin loan|sell all of|shares of|his shares|her shares|my shares|proceeds|cost basis|capital gains|warned about the tax|inherits|"
    "inherited|inheritance|probate|heir|heirs|will leaves|trustee|power of attorney|dividend paid to": 0.2,
    "pawn|pawned|advanced #|redeemed|ticket #|advance on|cash loan|wire #|remittance|money order|western union|cashier's check|"
    "checks returned|returned check|bad check": 0.25,
    "adjusted gross|family contribution|financial need|need based|full grant|tuition paid|scholarship|parents' income|fafsa|stipend": 0.25,
    "with us since|payments late|late on the|claims for|claimed for|paid #|settled for|water claim|theft claim|home and auto|rate class|"
    "surcharge|at fault": 0.15,
    "co pay|pays # a month|paid weekly|paid monthly|hourly|per hour|gross|net|commission|severance|raise|pay rise|salary band": 0.12,
    "ceiling|afford|budget|bungalow|down on the house|appraisal|equity in|second mortgage|lien on|closing date|pre qualified": 0.15,
}

CONSUMER = ONE_PERSON | listed(
    "your yours you you're you've customer borrower applicant cardholder debtor guarantor policyholder payee landlord executor "
    "insured taxpayer "
    "member employee holder depositor policyholder's applicant's employee's"
)
MONEY_ENOUGH = 0.15
"""Terms below this are everyday words: beside a person they say nothing."""


def detector() -> Detector:
    """The personal-finance topic."""
    money = {term: weight for term, weight in TERMS.items() if weight >= MONEY_ENOUGH}
    return topic_detector("personal_finance", TERMS, near=Nearness(terms=money, words=CONSUMER, weight=0.12, most=0.5))
