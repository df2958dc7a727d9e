"""Words that put one particular person into view, and words of people who talk to one another."""

from detectors.phrases import listed

ONE_PERSON = listed(
    "he she him his her hers he's she's he'd she'd he'll she'll himself herself my mine me myself i'm i've i'd i'll "
    "mr mrs ms miss mx mum mom mother father dad son daughter wife husband partner sister brother aunt uncle nephew niece grandson "
    "granddaughter grandmother grandfather grandma grandpa "
    "patient pt client inmate resident claimant student pupil employee member subscriber enrollee baby infant toddler newborn widow "
    "widower caller lady gentleman"
)
"""Singular and particular. "Patients", "they" and "people" are not here: research speaks of them. "Your" is not: leaflets do."""

TALKING = listed(
    "i i'd i'll i'm i've me my we we'd we'll we're we've us our ours you you'd you'll you're you've your yours let's client client's "
    "counsel's legal's"
)
"""The two sides of a conversation: who asks and who advises."""

CONSUMER = ONE_PERSON | listed(
    "your yours you you're you've customer borrower applicant cardholder debtor guarantor policyholder payee landlord executor "
    "insured taxpayer "
    "member employee holder depositor policyholder's applicant's employee's"
)
"""Somebody in the singular is spoken of or to, as company reports and price lists do not."""
