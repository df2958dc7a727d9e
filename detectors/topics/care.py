"""Care of one person: what tells a note about a patient from an article about a disease.

Nothing here is about medicine as such. The signs are one person in the singular, under somebody's care, now: ages, complaints,
orders, appointments, form headings, the voice of a consultation, the words of a health plan to its member.
"""

from detectors.detector import Detector
from detectors.topics import health
from detectors.topics.clinical_words import CLINICAL, beside, by_ending
from detectors.topics.persons import ONE_PERSON
from detectors.topics.scorer import Nearness, topic_detector

TERMS = {
    # one person under care
    "the patient|this patient|patient is|patient was|patient has|patient had|pt is|pt was|pt has": 0.2,
    "# year old|# years old|# yo|# y o|# yr old|# month old|# week old|# year old male|# year old female": 0.25,
    "year old woman|year old man|year old female|year old male|year old gentleman|year old lady|year old girl|year old boy|year old white|"
    "year old caucasian|year old african|year old hispanic": 0.2,
    "presents with|presented with|presents to|presents for|presented to|presents today|comes in for|comes in today|came in|"
    "comes in|here today|here for|seen today|returns for": 0.35,
    "he denies|she denies|patient denies|denies any|denies": 0.4,
    "he reports|she reports|patient reports|he states|she states|patient states|he complains|she complains|complains of|"
    "complaining of|c o": 0.4,
    "she has had|he has had|she was|he was|she is|he is|she has|he has|his|her": 0.1,
    "mr|mrs|ms": 0.1,
    "was admitted|admitted to|admitted with|admission|readmitted|discharged|discharge|discharge summary|discharged home|"
    "transferred to": 0.25,
    "follow up|followup|return to clinic|return visit|recheck|return in # weeks|in # weeks|in # months|next visit": 0.2,
    # headings of a note
    "chief complaint|reason for visit|reason for consultation|reason for referral|hpi|history of present illness|present illness": 0.5,
    "past medical history|past surgical history|family history|social history|medical history|pmh|psh|fhx": 0.4,
    "review of systems|ros|physical examination|physical exam|vital signs|vitals|general appearance|heent": 0.4,
    "assessment and plan|assessment|impression and plan|plan of care|treatment plan|disposition|hospital course|impression": 0.25,
    "preoperative diagnosis|postoperative diagnosis|preoperative diagnoses|postoperative diagnoses|procedure performed|"
    "title of operation|operation performed|"
    "estimated blood loss|operative findings|operative report|procedure in detail|description of procedure|drains|complications none": 0.5,
    "current medications|medications|allergies|immunizations|nkda|no known drug allergies|no known allergies": 0.3,
    "date of service|date of admission|date of discharge|attending physician|referring physician|"
    "primary care physician|pcp|dictated by": 0.35,
    "alert and oriented|well developed|well nourished|no acute distress|in no distress|within normal limits|unremarkable|"
    "noncontributory|non contributory": 0.4,
    "was prepped|prepped and draped|was taken to the operating room|tolerated the procedure|general anesthesia|sterile fashion|"
    "was placed in": 0.45,
    "gravida|para|g # p #|lmp|last menstrual": 0.35,
    # orders
    "continue|start|stop|increase|refill|refills|refilled|prescribe|prescribed|titrate": 0.1,
    "# mg daily|mg daily|mg po|po bid|po bid|tid|qhs|prn|q # h|once daily|twice daily|twice a day|three times a day|mg twice": 0.3,
    "takes|taking|is on|on her|on his|uses": 0.1,
    "does not smoke|smokes|drinks|lives with|lives alone|is married|retired|exercises|wears|pack a day|drinks alcohol|alcohol use": 0.25,
    "referral|referred to|refer to|consult|consultation|ordered": 0.15,
    # the voice of a consultation
    "doctor|dr": 0.1,
    "how are you feeling|how do you feel|when did you|any pain|does it hurt|are you taking|do you have any|have you had|"
    "have you ever|do you smoke|"
    "any allergies|any other symptoms|how long have you|what brings you|any family history|are you allergic|medical problems|"
    "medical conditions": 0.4,
    "my pain|my back|my chest|my head|my stomach|my knee|my leg|my doctor|my blood pressure|my medication|my medications|"
    "my symptoms|my surgery|i feel|it hurts|hurts": 0.3,
    "my condition|my diagnosis|my treatment|my therapist|my prescription|i was diagnosed|i've been diagnosed|diagnosed with|"
    "my mother had|my father had": 0.35,
    # to or about a patient or member
    "your appointment|your visit|your doctor|your test|your test results|your results|your lab|your biopsy|your surgery|"
    "your prescription|your medication|"
    "your medications|your treatment|your symptoms|your blood|your health plan|your care|your mri|your scan|your procedure|"
    "your condition": 0.45,
    "test results|lab results|results of your|biopsy results|blood work|pathology report|specimen": 0.25,
    "mrn|medical record number|dob|date of birth|member id|patient name|patient id|insurance|subscriber|health plan": 0.25,
    "explanation of benefits|services rendered|dates of service|diagnosis code|prior authorization|"
    "medical necessity|amount billed|copay|denied|appeal": 0.2,
    "short term disability|fmla|medical leave|unable to work|return to work|work restrictions|light duty|doctor's note": 0.35,
    "his wife|her husband|the family|next of kin|emergency contact|caregiver|her son|his son|her daughter|his daughter|mother|father": 0.1,
    "normal sinus rhythm|regular rate|clear to auscultation|soft nontender|nontender|pupils equal|gait|reflexes|range of motion": 0.35,
    "counseling|therapy session|session|coping|mood|affect|suicidal ideation|insight": 0.15,
    "left|right|bilateral": 0.08,
    # shorthand of people at work around somebody
    "seen by|seen in the|reviewed by the|handed over to|handed over|handover|handed to|last known well|stroke alert|phoned prescriber|"
    "phoned to|read back|critical result|findings phoned|result called|rang gp|rang the doctor|rang district nurse|"
    "family meeting|next of kin aware|obs hourly|crisis team|flagged|prescriber changed": 0.3,
    "was seen|attended for|attended with|attends for|came off|put on|started on|started her on|started him on|commenced on|"
    "taken off|weaned|switched to|stopped her|stopped his|stepped down": 0.25,
    "# f|# m|#f|#m|f #|m #|#y|#yo|#y o|y o|inmate|claimant|the client|client is|client was|home visit|day #|# weeks|at # weeks|"
    "born # |gestation": 0.15,
    "collected him|collected her|mum|mom|grandson|granddaughter|carer|roommate|on her own|on his own|carries|walking frame|"
    "wheelchair": 0.15,
    "refused her|refused his|tolerated|consented|understands the|agreed to|regrets|withdrew|attending well|missed visit|did not "
    "attend|dna": 0.15,
    "ate|slept|washed and dressed|woke|drinking|eating|walked to|transfers with|settled|comfortable|tearful|cried|vomited": 0.15,
    "care plan|safety plan|treatment plan|session #|progress notes|intake|thought record|homework": 0.15,
    "please see|thank you for seeing|would see|grateful if you|dear colleague|many thanks for referring|kindly review|asked to see": 0.25,
    "your mother|your father|your son|your daughter|your baby|your child|your eggs|your teeth|your tooth|your eyes|your operation|"
    "your dose|your tablets|your scan|your bloods|your next visit": 0.35,
    "off sick|signed off|unable to work|round of|before they operate|her oncologist|his oncologist|her doctor|his doctor|her surgeon|"
    "his surgeon|his therapist|her therapist|her consultant|his consultant|her midwife|his gp|her gp|my gp|my surgeon|my therapist|"
    "my consultant|my tablets|my dose|my operation|my stitches|my scan|my bloods": 0.35,
    "accession|acc|specimen|ordering clinician|impression|findings|comparison none|exam": 0.15,
    "child's name|health form|consent form|camp health|school nurse|school health|incident form|intake form|referral form": 0.2,
    "chest went tight|went tight|sprayed under|until review|until reviewed|wants the|book a fitting|please book|need to be seen|"
    "temperature of #|a temperature|red and hot|hot and swollen|jab|callback|call back|told to give|told by phone|repeat urgently": 0.25,
    "his brother's|her brother's|suicide|does not want to wake|making herself sick|making himself sick|eating is worse|self harm|"
    "begged|on the truck|off the truck|before work|drinking before|won't eat|not eating|not sleeping": 0.25,
    "dialysis|line in her|line in his|new line|picc|sweating|grey|clammy|drooling|stridor|swallowed|bitten|stung|"
    "choking|fell off|fell down": 0.25,
    "insured|procedure|requested date|failed|conservative treatment|prior auth|preauth|surgeon": 0.12,
    "mdt|case #|grade #|nodes|er negative|er positive|her2 positive|neoadjuvant|adjuvant|tumour board|tumor board|wants to keep": 0.3,
    "baby of|mother told|father of a|mother of a|# year old girl|# year old boy|month old|in both ears|behind the ear": 0.3,
    "subject #|initials|overnight stay|follow up #|sequelae|rechallenge|outcome recovered": 0.15,
}

CLINICAL_ENOUGH = 0.2
"""Health terms below this are everyday words: beside a person they say nothing."""


def detector() -> Detector:
    """The care topic."""
    clinical = beside({term: weight for term, weight in health.TERMS.items() if weight >= CLINICAL_ENOUGH}, CLINICAL)
    return topic_detector("care", TERMS, near=Nearness(terms=clinical, words=ONE_PERSON), endings=(by_ending, 0.0))
