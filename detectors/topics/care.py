"""Care of one person: what tells a note about a patient from an article about a disease.

Nothing here is about medicine as such. The signs are one person in the singular, under somebody's care, now: ages, complaints,
orders, appointments, form headings, the voice of a consultation, the words of a health plan to its member.
"""

from detectors.detector import Detector
from detectors.topics.scorer import topic_detector

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
    "date of service|date of admission|date of discharge|attending|attending physician|referring physician|"
    "primary care physician|pcp|dictated by": 0.35,
    "alert and oriented|well developed|well nourished|no acute distress|in no distress|within normal limits|unremarkable|"
    "noncontributory|non contributory": 0.4,
    "was prepped|prepped and draped|was taken to the operating room|tolerated the procedure|general anesthesia|sterile fashion|"
    "was placed in": 0.45,
    "gravida|para|g # p #|lmp|last menstrual": 0.35,
    # orders
    "continue|start|stop|increase|refill|refills|refilled|prescribe|prescribed|titrate": 0.1,
    "# mg daily|mg daily|mg po|po bid|bid|tid|qhs|prn|q # h|once daily|twice daily|twice a day|three times a day|mg twice": 0.3,
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
    "mrn|medical record number|mr|dob|date of birth|member id|patient name|patient id|chart|insurance|subscriber|health plan": 0.25,
    "claim for services|explanation of benefits|services rendered|dates of service|diagnosis code|prior authorization|"
    "medical necessity|amount billed|copay|denied|appeal": 0.2,
    "short term disability|fmla|medical leave|unable to work|return to work|work restrictions|light duty|doctor's note": 0.35,
    "his wife|her husband|the family|next of kin|emergency contact|caregiver|her son|his son|her daughter|his daughter|mother|father": 0.1,
    "normal sinus rhythm|regular rate|clear to auscultation|soft nontender|nontender|pupils equal|gait|reflexes|range of motion": 0.35,
    "counseling|therapy session|session|coping|mood|affect|suicidal ideation|insight": 0.15,
    "left|right|bilateral": 0.08,
}


def detector() -> Detector:
    """The care topic."""
    return topic_detector("care", TERMS)
