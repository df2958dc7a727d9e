"""Medicine and the body, published or private: "health information" in the sense of 45 CFR 160.103, whoever it is about.

Words that medicine shares with ordinary life (pain, treatment, heart) weigh little; words that only medicine uses weigh more.
"""

from detectors.detector import Detector
from detectors.topics.clinical_words import CLINICAL, beside, by_ending
from detectors.topics.scorer import topic_detector

TERMS = {
    # the vocabulary of examination and disease
    "diagnosis|diagnoses|diagnosed|diagnostic|dx": 0.3,
    "prognosis|etiology|pathogenesis|comorbidities|comorbidity": 0.35,
    "symptom|symptoms|symptomatic|asymptomatic": 0.25,
    "disease|diseases|disorder|disorders|syndrome": 0.2,
    "infection|infections|infected|infectious|sepsis|abscess|cellulitis|pneumonia|bronchitis|sinusitis|uti": 0.25,
    "fever|febrile|afebrile|chills|nausea|vomiting|diarrhea|constipation|dizziness|fatigue|dyspnea|shortness of breath|wheezing": 0.3,
    "pain|painful|ache|soreness|tenderness|cramps": 0.15,
    "headache|headaches|migraine|migraines|seizure|seizures|epilepsy|stroke|dementia|parkinson's|alzheimer's": 0.25,
    "cancer|tumor|tumors|tumour|carcinoma|lymphoma|leukemia|melanoma|metastasis|metastatic|malignancy|malignant|benign|oncology|"
    "oncologist": 0.3,
    "diabetes|diabetic|insulin|glucose|a1c|hba1c|hypoglycemia|hyperglycemia": 0.3,
    "hypertension|hypertensive|hypotension|blood pressure|bp # #|htn": 0.35,
    "cardiac|cardiology|cardiologist|coronary|myocardial|angina|arrhythmia|atrial|ventricular|murmur|heart attack|heart failure|"
    "chest pain": 0.35,
    "asthma|copd|pulmonary|respiratory|bronchodilator|inhaler|lungs|lung": 0.25,
    "renal|kidney|kidneys|dialysis|hepatic|hepatitis|liver|cirrhosis|pancreatitis|gallbladder|bowel|colon|gastric|"
    "gastrointestinal|reflux": 0.25,
    "fracture|fractures|fractured|sprain|dislocation|tendon|ligament|arthritis|osteoarthritis|vertebral|lumbar|cervical|spine|"
    "femur|tibia": 0.25,
    "lesion|lesions|edema|erythema|hemorrhage|bleeding|thrombosis|dvt|embolism|ischemia|anemia|ulcer|wound|rash|dermatitis|"
    "swelling|lump": 0.25,
    "pregnant|pregnancy|prenatal|gestation|obstetric|gynecology|menopause|fetal|cesarean|miscarriage|fertility|ivf|contraception": 0.25,
    "depression|depressed|anxiety|bipolar|schizophrenia|psychiatric|psychiatrist|psychotherapy|suicidal|adhd|ptsd|"
    "substance abuse|mental health": 0.3,
    "hiv|aids|hepatitis c|std|sti|gonorrhea|chlamydia|syphilis|herpes|covid|influenza|vaccine|vaccination|immunization|immunizations": 0.25,
    "allergy|allergies|allergic|anaphylaxis|nkda": 0.25,
    # what is done
    "surgery|surgical|surgeon|operative|preoperative|postoperative|incision|anesthesia|suture|sutures|laparoscopic|biopsy|"
    "resection|excision": 0.3,
    "x ray|xray|ct scan|mri|ultrasound|radiograph|radiology|mammogram|echocardiogram|ekg|ecg|endoscopy|colonoscopy|angiography|"
    "catheter|catheterization": 0.3,
    "lab|labs|laboratory|blood test|blood tests|urinalysis|hemoglobin|hematocrit|wbc|platelet|platelets|creatinine|cholesterol|"
    "ldl|triglycerides|tsh|potassium|sodium": 0.25,
    "chemotherapy|radiation therapy|radiotherapy|transplant|transfusion|intubated|ventilator|icu|intensive care": 0.3,
    "therapy|treatment|treated|rehabilitation|physical therapy": 0.1,
    "medication|medications|meds|dose|dosage|prescribed|prescription|prescriptions|antibiotic|antibiotics|tablet|tablets|capsule|"
    "pills": 0.25,
    "# mg|# mcg|# ml|# units|mg po|mg daily|po bid|tid|qid|prn|iv|subcutaneous|intravenous|# milligrams": 0.25,
    "lisinopril|metformin|atorvastatin|amlodipine|omeprazole|aspirin|ibuprofen|acetaminophen|tylenol|prednisone|albuterol|"
    "warfarin|coumadin|lipitor|"
    "amoxicillin|sertraline|gabapentin|hydrocodone|oxycodone|morphine|fentanyl|lorazepam|zoloft|prozac|plavix|lasix|"
    "levothyroxine|synthroid|heparin|"
    "losartan|simvastatin|metoprolol|furosemide|fluoxetine|citalopram|escitalopram|tramadol|vancomycin|ceftriaxone|azithromycin|"
    "methotrexate|tamoxifen": 0.35,
    # people and places
    "patient|patients|pt|inpatient|outpatient": 0.25,
    "physician|physicians|clinician|doctor|doctors|nurse|nurses|pediatrician|therapist|dentist|dermatologist|neurologist|"
    "urologist|gynecologist|practitioner": 0.15,
    "hospital|hospitals|clinic|emergency room|emergency department|ward|infirmary|medical center|hospice|pharmacy|health center|"
    "nursing home": 0.15,
    "clinical|clinically|medical|medicine|health|healthcare": 0.1,
    "abdomen|abdominal|thorax|thoracic|pelvis|pelvic|bilateral|bilaterally|anterior|posterior|proximal|distal|lateral|medial|"
    "extremities|extremity": 0.25,
    "heent|cranial|auscultation|palpation|vital signs|vitals|ros|review of systems|physical examination|physical exam": 0.4,
    "past medical history|medical history|family history|social history|surgical history|history of present illness|"
    "chief complaint|hpi|pmh": 0.45,
    "icd #|icd|cpt|cpt code|diagnosis code|procedure code|explanation of benefits|eob|copay|deductible|prior authorization|"
    "medicare|medicaid": 0.2,
    "overdose|addiction|alcoholism|rehab|detox|smoker|tobacco|pack years": 0.2,
    "disability|disabled|handicap|wheelchair|hearing loss|visual acuity|cataract|glaucoma|retina": 0.15,
    "test results|lab results|biopsy results|blood work|bloodwork|sleep apnea|insomnia|obesity|obese|bmi|weight loss": 0.25,
    "sick leave|fmla|medical leave|sick|illness|ill|flu|injury|injured|injuries": 0.1,
}


def detector() -> Detector:
    """The health topic."""
    return topic_detector("health", beside(TERMS, CLINICAL), endings=(by_ending, 0.25))
