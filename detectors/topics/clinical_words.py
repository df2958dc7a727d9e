"""Clinical vocabulary shared by the topics of health and of care: what only medicine talks about.

Medical words are built, so endings find most of them (Greek and Latin roots; international nonproprietary name stems, WHO): the lists
hold what has no ending of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from detectors.phrases import listed

CLINICAL = {
    # what one feels and what others see
    "nausea|vomiting|vomited|threw up|thrown up|throwing up|diarrhea|diarrhoea|constipated|constipation|bloating|heartburn": 0.25,
    "dizzy|dizziness|fainted|lightheaded|vertigo|unsteady on|passed out": 0.2,
    "fever|feverish|febrile|afebrile|temp #|shivering|chills|night sweats|sweats": 0.25,
    "cough|coughing|wheeze|wheezing|wheezy|breathless|shortness of breath|short of breath|sob|dyspnea|dyspnoea|sputum|phlegm": 0.25,
    "rash|itchy|itching|hives|blister|blisters|eczema|psoriasis|shingles|wart|pimple|acne": 0.2,
    "swelling|swollen|oedema|edema|bruise|bruising|bruised|lump|sore|sores|pus|oozing|weeping wound|stitches|wound|scab|pressure sore": 0.2,
    "bleeding|bled|blood in|haemorrhage|hemorrhage|clot|clots|clotting|blood thinner|anticoagulant": 0.25,
    "numb|numbness|tingling|facial droop|slurred|slurring|tremor|spasm|cramp|stiff": 0.2,
    "insomnia|sleepless|sleeping badly|slept badly|nightmares|panic attack|panic attacks|low mood|tearful|hopeless|self harm|cutting": 0.25,
    "seizure|seizures|convulsion|convulsions|epileptic|absence seizure|postictal": 0.25,
    "pain|painful|ache|aching|hurts|sore throat|stabbing|throbbing|burning sensation": 0.15,
    "contusion|laceration|lacerations|abrasion|burns|concussion|whiplash|amputated|amputation|lost three fingers|crush injury": 0.2,
    # what it is called
    "stroke|tia|heart attack|infarct|infarction|stemi|nstemi|aneurysm|afib|a fib|tachycardic|bradycardic|murmur|palpitations": 0.3,
    "tumour|tumor|nodule|polyp|polyps|cyst|lesion|metastases|mets|remission|relapse|relapsed|biopsied": 0.25,
    "flu|influenza|covid|measles|mumps|chickenpox|tuberculosis|malaria|sepsis|septic|mrsa|strep|uti|thrush|hpv|hep c|hep b|lyme": 0.2,
    "asthmatic|asthma|copd|emphysema|pneumonia|pleural|apnoea|apnea|inhaler|puffer|nebuliser|nebulizer|epipen|spirometry": 0.25,
    "ulcer|crohn's|colitis|ibs|coeliac|celiac|hernia|haemorrhoids|hemorrhoids|stool test|stool|bowel|ascites|jaundice|jaundiced": 0.25,
    "fracture|fractured|broken hip|broken wrist|broken leg|broken arm|broken rib|sprain|sprained|dislocated|slipped disc": 0.2,
    "prolapse|protrusion|herniation|sciatica|scoliosis|stenosis|spinal|rotator cuff|meniscus|acl|gout|rheumatoid": 0.25,
    "audiogram|hearing aid|hearing aids|tinnitus|khz|eardrum|grommets|deaf|ears|cochlear|vertigo": 0.2,
    "beta blocker|blockers|nitro|gtn|ace inhibitor|angina|bypass surgery|pacemaker|defibrillator|stress test|chest tight|cholesterol": 0.25,
    "ductal|lobular|er negative|er positive|her2|nodes|grade #|neoadjuvant|oncology|mastectomy|lumpectomy|psa|gleason|colposcopy": 0.25,
    "eating disorder|making herself sick|drinking problem|self harm|suicide|suicidal|crisis line|psych ward|sectioned|detained": 0.25,
    "button battery|poison|poisoning|poison control|stridor|drooling|choking|swallowed a|bitten by|rabies|tetanus|"
    "yellow fever|malaria": 0.2,
    "heel prick|newborn screen|paeds|pediatrics|paediatrics|nicu|jaundice|tongue tie|growth chart|centile|failure to thrive": 0.25,
    "cortisone|injections|arthroplasty|knee replacement|hip replacement|physical therapy|meniscus|splint|cast|orthotic|brace": 0.2,
    "autism|autistic|adhd|dyslexia|down's|down syndrome|cerebral palsy|spina bifida|learning disability|special needs": 0.2,
    "schizophrenia|psychosis|psychotic|bipolar|hearing voices|suicidal|suicide|overdose|overdosed|phq|phq #|gad #|anorexia|bulimia|"
    "ptsd": 0.3,
    "withdrawing|detox|relapse group|sober|drank|alcohol|heroin|methadone|cocaine|opioid|cows #|audit c|smoker": 0.15,
    "pregnant|pregnancy|weeks pregnant|trimester|antenatal|postnatal|postpartum|lochia|breastfeeding|miscarried|miscarriage|midwife": 0.25,
    "ivf|embryo|embryos|blastocyst|fertilised|fertilized|egg retrieval|eggs|ovulation|fertility|sperm|hysterectomy|menopause|hrt": 0.2,
    "cataract|glaucoma|retina|retinal|cornea|visual acuity|vision|iop|cupping|visual fields|squint|eye clinic|eye drops": 0.2,
    "abscess|molar|root canal|gum|gums|dentures|wisdom tooth|tooth|extraction|periodontal": 0.15,
    "mutation|brca|brca#|genetic testing|pathogenic|hereditary|karyotype|amniocentesis": 0.2,
    "allergic|allergy|allergies|peanuts|anaphylaxis|bee stings|intolerance": 0.2,
    "obese|obesity|overweight|bmi|diabetic|sugar was|sugars|blood sugar|bgl|hba1c|a1c|fasting glucose|hypo|hypos|insulin pump": 0.2,
    "dementia|alzheimer's|parkinson's|ms flare|multiple sclerosis|huntington's|als|disoriented|forgetful|memory clinic": 0.25,
    # what is looked at and measured
    "bp|blood pressure|pulse|heart rate|hr #|rr #|spo|sats|oxygen|gcs|gcs #|vitals": 0.25,
    "potassium|sodium|creatinine|lactate|troponin|crp|wbc|haemoglobin|hemoglobin|platelets|inr|egfr|psa|tsh|ferritin|bilirubin": 0.3,
    "urine|urinalysis|blood test|blood tests|bloods|blood work|cultures|swab|specimen|hemolysed|hemolyzed|antibody|antibodies": 0.25,
    "x ray|x rays|xray|ct|mri|ultrasound|scan|scans|pet ct|ecg|ekg|eeg|doppler|dexa|axial|sagittal|hypodense|echocardiogram": 0.2,
    "ventilator|intubated|extubated|trach|peep|fio|norad|pressors|rass|rass #|icu|itu|hdu|sedated|picc|ng tube": 0.3,
    "cannula|iv|infusion|catheter|foley|stoma|feeding tube|dialysis|transfusion|chemo|chemotherapy|radiotherapy|radiation": 0.25,
    # what is done and given
    "surgery|surgeon|surgical|keyhole|stent|bypass|graft|hip replacement|knee replacement": 0.2,
    "removed from|sent for histology|histology|pathology|biopsy|margins clear|excised|drained|lanced|dressing|dressings|plaster cast": 0.25,
    "tablet|tablets|pill|pills|capsule|capsules|dose|doses|ointment|cream|injection|injected|jab|shot|vaccine": 0.15,
    "# mg|mg|mcg|ml|# units|po bid|prn|tid|qid|qhs|tds|nocte|twice a day|three times a day|mg daily": 0.2,
    "antibiotic|antibiotics|painkiller|painkillers|steroid|steroids|antidepressant|antidepressants|sedative|diuretic|water tablet": 0.25,
    "chemo round|physio|physiotherapy|counselling|counseling|cbt|occupational therapy|speech therapy|palliative|hospice": 0.2,
    "insulin|metformin|aspirin|ibuprofen|paracetamol|acetaminophen|tylenol|warfarin|heparin|digoxin|lithium|steroid drops|statin": 0.25,
    "tramadol|codeine|morphine|oxycodone|fentanyl|gabapentin|pregabalin|sertraline|fluoxetine|mirtazapine|venlafaxine|quetiapine": 0.3,
    "levothyroxine|salbutamol|albuterol|montelukast|furosemide|clopidogrel|apixaban|rivaroxaban|tamoxifen|disulfiram|naloxone": 0.3,
    "epinephrine|adrenaline|hydrocortisone|progesterone|semaglutide|ozempic|viagra|botox|contraceptive": 0.2,
    # who and where
    "inpatient|outpatient|pt|pts|mrn|hospital number|medical record|medical records|nhs number|chart": 0.2,
    "ward|bedside|emergency room|resus|operating theatre|operating room|recovery room|crisis team|on call|night shift|handover": 0.15,
    "gp|g p|oncologist|cardiologist|neurologist|gastroenterologist|urologist|dermatologist|psychiatrist": 0.25,
    "psychologist|therapist|counsellor|district nurse|practice nurse|rn|np|paramedic|ambulance|embryology": 0.2,
    "hospital|clinic|surgery hours|nursing home|care home|pharmacy|pharmacist|prescriber|prescription|prescriptions|refill": 0.15,
    "readmitted|discharged home|checkup|second opinion": 0.15,
    "diagnosed|diagnosis|prognosis|symptom|symptoms|side effect|side effects|adverse event|adverse reaction|recovering": 0.2,
    "phantom pain|grip is|range of motion|light duty|no lifting|off sick|sick note|fit note|signed off|walking frame|crutches": 0.25,
}

ENDINGS = {
    # procedures and diseases
    "ectomy": "surgery by ending", "ostomy": "surgery by ending", "otomy": "surgery by ending", "plasty": "surgery by ending",
    "oscopy": "examination by ending", "graphy": "", "ograms": "", "centesis": "examination by ending", "pexy": "surgery by ending",
    "itis": "inflammation by ending", "osis": "disease by ending", "emia": "blood by ending", "aemia": "blood by ending",
    "uria": "blood by ending", "algia": "pain by ending", "pathy": "disease by ending", "pathic": "", "megaly": "disease by ending",
    "carcinoma": "tumour by ending", "sarcoma": "tumour by ending", "oma": "tumour by ending", "omas": "tumour by ending",
    "plegia": "nerve by ending", "paresis": "nerve by ending", "phasia": "nerve by ending", "rrhea": "disease by ending",
    "rrhoea": "disease by ending", "trophy": "", "sclerosis": "disease by ending", "cardiac": "heart by ending",
    "cardial": "heart by ending", "ologist": "", "iatrist": "doctor by ending", "iatric": "",
    # medicines: stems of international nonproprietary names
    "cillin": "antibiotic by ending", "mycin": "antibiotic by ending", "oxacin": "antibiotic by ending", "cycline": "antibiotic by ending",
    "azole": "medicine by ending", "prazole": "medicine by ending", "statin": "medicine by ending", "pril": "medicine by ending",
    "sartan": "medicine by ending", "olol": "medicine by ending", "dipine": "medicine by ending", "semide": "medicine by ending",
    "thiazide": "medicine by ending", "gliptin": "medicine by ending", "gliflozin": "medicine by ending", "glutide": "medicine by ending",
    "formin": "medicine by ending", "parin": "medicine by ending", "xaban": "medicine by ending", "mab": "antibody by ending",
    "tinib": "medicine by ending", "ciclib": "medicine by ending", "platin": "medicine by ending", "taxel": "medicine by ending",
    "vir": "antiviral by ending", "clovir": "antiviral by ending", "azepam": "sedative by ending", "zolam": "sedative by ending",
    "oxetine": "antidepressant by ending", "triptyline": "antidepressant by ending", "azapine": "sedative by ending",
    "peridol": "sedative by ending", "triptan": "medicine by ending", "setron": "medicine by ending", "caine": "anaesthetic by ending",
    "codone": "opioid by ending", "morphone": "opioid by ending", "sone": "steroid by ending", "solone": "steroid by ending",
    "terol": "medicine by ending", "lukast": "medicine by ending", "dronate": "medicine by ending", "tadine": "medicine by ending",
    "tirizine": "medicine by ending", "gabalin": "medicine by ending", "racetam": "medicine by ending",
}  # fmt: skip
"""Ending → term; an empty term is an ending that ordinary words share (photography, apologist)."""
LENGTHS = tuple(sorted({len(ending) for ending in ENDINGS}, reverse=True))
SHORTEST_STEM = 3
# Ordinary words that happen to end so.
ORDINARY = listed(
    "diagnosis diagnoses empathy sympathy apathy antipathy telepathy diploma diplomas aroma aromas oklahoma tacoma sonoma paloma mahoma "
    "hypnosis osmosis metamorphosis symbiosis academia bohemia macadamia cholesterol dichotomy"
)


@lru_cache(maxsize=65_536)
def by_ending(word: str) -> str | None:
    """The clinical term that a word's ending stands for, longest ending first."""
    if word in ORDINARY:
        return None
    for length in LENGTHS:
        if len(word) >= length + SHORTEST_STEM and (term := ENDINGS.get(word[-length:])) is not None:
            return term or None
    return None


def beside(known: Mapping[str, float], more: Mapping[str, float]) -> dict[str, float]:
    """`known`, and what `more` has beyond it: a word counts once."""
    taken = {alternative for term in known for alternative in term.split("|")}
    fresh = {"|".join(word for word in term.split("|") if word not in taken): weight for term, weight in more.items()}
    return {**known, **{term: weight for term, weight in fresh.items() if term}}
