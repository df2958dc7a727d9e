import pytest

from detectors.language import unsupported
from detectors.normalize import normalize

ENGLISH = "The patient was seen in clinic today and has been doing well since the last visit. "
SPANISH = (
    "El paciente refiere dolor tor\u00e1cico desde hace tres d\u00edas. Niega fiebre o tos. Antecedentes de diabetes e hipertensi\u00f3n. "
    "Se indica electrocardiograma y se cita en una semana con los resultados de la anal\u00edtica."
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SPANISH, id="spanish"),
        pytest.param(SPANISH.upper(), id="spanish-capitals"),
        pytest.param("Paciente con dolor abdominal, ingresado en urgencias.", id="spanish-one-sentence"),
        pytest.param("Le patient se plaint de douleurs abdominales depuis trois jours.", id="french"),
        pytest.param("Die Patientin klagt \u00fcber starke Kopfschmerzen und wurde aufgenommen.", id="german"),
        pytest.param("Il paziente riferisce dolore toracico da due giorni e non ha febbre.", id="italian"),
        pytest.param("O paciente refere dor no peito h\u00e1 dois dias, sem febre.", id="portuguese"),
        pytest.param("De pati\u00ebnt klaagt over pijn op de borst en heeft geen koorts.", id="dutch"),
        pytest.param("Pacjent skar\u017cy si\u0119 na b\u00f3l w klatce piersiowej od dw\u00f3ch dni.", id="polish"),
        pytest.param("\u043f\u0430\u0446\u0438\u0435\u043d\u0442 \u0436\u0430\u043b\u0443\u0435\u0442\u0441\u044f", id="russian"),
        pytest.param("\u60a3\u8005\u306f\u80f8\u75db\u3092\u8a34\u3048\u3066\u3044\u308b\u3002", id="japanese"),
        pytest.param(ENGLISH * 100 + "\n\n" + SPANISH + "\n\n" + ENGLISH * 100, id="one-paragraph-among-many"),
        pytest.param(ENGLISH * 100 + SPANISH, id="tail"),
    ],
)
def test_other_languages_are_not_supported(text: str) -> None:
    assert unsupported(normalize(text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(ENGLISH, id="prose"),
        pytest.param(ENGLISH.upper() * 5, id="capitals"),
        pytest.param(
            "John Smith, Maria Garcia, Jose Hernandez, Ana de la Cruz, Luis Fernandez, Pedro Martinez, Carlos Lopez, Diego Ruiz", id="names"
        ),
        pytest.param("Los Angeles, San Diego, Las Vegas, El Paso, La Jolla", id="places"),
        pytest.param("HTN, DM2, s/p CABG x3, ASA 81 mg qd, lisinopril 10 mg po qd, metoprolol 25 bid, NKDA, BP 120/80", id="terse-note"),
        pytest.param("name,amount,ssn\nGarcia,1,2\nMueller,3,4", id="table"),
        pytest.param("for i in range(10):\n    print(os.path.join(a, b))\nclass Foo(Bar):\n    x = None", id="code"),
        pytest.param("MRN 12345", id="short"),
        pytest.param("The caf\u00e9 in S\u00e3o Paulo, M\u00fcller & S\u00f6hne GmbH", id="borrowed-words"),
        pytest.param("The \u03b1-blocker lowered TNF-\u03b1 and \u03b2-amyloid by 12 \u03bcg", id="greek-letters"),
        pytest.param("", id="empty"),
    ],
)
def test_english_and_shapes_pass(text: str) -> None:
    assert not unsupported(normalize(text))


CLINIC = "The patient was seen in clinic today and has been doing well since the last visit. She denies chest pain. "
PHRASES = {
    "spanish, a few words": "Dolor tor\u00e1cico desde ayer.",
    "spanish, telegraphic": "Px masc 45a, dolor tx 2h, DM2, HTA, niega alergias, ECG normal, tx aspirina",
    "spanish behind an english head": CLINIC * 6 + "Paciente con dolor abdominal y fiebre desde ayer.",
    "spanish before an english tail": "El paciente refiere dolor desde hace tres d\u00edas. " + CLINIC * 6,
    "one spanish sentence in the middle": CLINIC * 8 + "Se le receta metformina al paciente. " + CLINIC * 8,
    "german, a few words": "Verdacht auf Herzinfarkt, station\u00e4re Aufnahme.",
    "french, a few words": "Douleur abdominale depuis hier.",
    "romanised russian": "Patsient zhaluetsya na boli v grudi v techenie trekh dney, kashel sukhoy.",
    "romanised hindi": "Mareez ko teen din se seene mein dard hai aur bukhar bhi hai.",
    "romanised arabic": "Almarid yushtaki min alam fi alsadr mundhu thalathat ayam.",
    "romanised chinese": "Bingren xiongtong san tian, meiyou fashao, kesou.",
    "romanised japanese": "Kanja wa mikka mae kara mune no itami wo uttaete imasu.",
    "turkish": "Hasta \u00fc\u00e7 g\u00fcnd\u00fcr g\u00f6\u011f\u00fcs a\u011fr\u0131s\u0131ndan \u015fikayet\u00e7i.",
    "swahili": "Mgonjwa analalamika maumivu ya kifua kwa siku tatu.",
    "english in a cipher": "Gur cngvrag jnf frra va pyvavp gbqnl naq unf orra qbvat jryy fvapr gur ynfg ivfvg.",
    "english backwards": ("The patient was seen in clinic today and has been doing well since the last visit.")[::-1],
}
NO_PHRASES = {
    "places": "Los Angeles and San Francisco are in California near El Segundo and La Jolla.",
    "names": "Luis de la Cruz met Ana Maria del Rio, Maria van der Berg and Jean de La Fontaine.",
    "a menu": "Cr\u00e8me br\u00fbl\u00e9e, foie gras and coq au vin are on the menu.",
    "a film": "La Casa de las Flores was shown before Das Boot and Il Postino.",
    "drugs": "Metformin lisinopril atorvastatin omeprazole amlodipine gabapentin sertraline furosemide losartan",
    "shorthand": "Dx: DM2, HTN. Rx: metformin 500 mg po bid prn, NPO, q.d.",
}


@pytest.mark.parametrize("text", PHRASES.values(), ids=PHRASES)
def test_a_phrase_is_enough(text: str) -> None:
    assert unsupported(normalize(text))


@pytest.mark.parametrize("text", NO_PHRASES.values(), ids=NO_PHRASES)
def test_borrowed_words_and_names_are_no_phrase(text: str) -> None:
    assert not unsupported(normalize(text))


LETTER = CLINIC * 8
ROWS = {
    "japanese": "\u60a3\u8005\u306f\u80f8\u75db",
    "chinese": "\u60a3\u8005\u80f8\u75db\u4e09\u5929",
    "korean": "\ud658\uc790\uac00 \uac00\uc2b4 \ud1b5\uc99d\uc744 \ud638\uc18c",
    "russian": "\u043f\u0430\u0446\u0438\u0435\u043d\u0442 \u0436\u0430\u043b\u0443\u0435\u0442\u0441\u044f \u043d\u0430 "
    "\u0431\u043e\u043b\u044c",
    "greek": "\u03bf \u03b1\u03c3\u03b8\u03b5\u03bd\u03ae\u03c2 "
    "\u03c0\u03b1\u03c1\u03b1\u03c0\u03bf\u03bd\u03b9\u03ad\u03c4\u03b1\u03b9 \u03b3\u03b9\u03b1 \u03c0\u03cc\u03bd\u03bf",
    "arabic": "\u0627\u0644\u0645\u0631\u064a\u0636 \u064a\u0634\u062a\u0643\u064a \u0645\u0646 \u0623\u0644\u0645",
    "hindi": "\u092e\u0930\u0940\u091c\u093c \u0915\u094b \u0938\u0940\u0928\u0947 \u092e\u0947\u0902 "
    "\u0926\u0930\u094d\u0926 \u0939\u0948",
}
NAMES = {
    "a chinese name": "President Xi (\u4e60\u8fd1\u5e73) arrived.",
    "a russian name with the father's": "Signed by \u0412\u043b\u0430\u0434\u0438\u043c\u0438\u0440 "
    "\u0418\u0432\u0430\u043d\u043e\u0432\u0438\u0447 "
    "\u041f\u0435\u0442\u0440\u043e\u0432 today.",
    "a greek name": "Dr \u0393\u03b9\u03ce\u03c1\u03b3\u03bf\u03c2 "
    "\u03a0\u03b1\u03c0\u03b1\u03b4\u03cc\u03c0\u03bf\u03c5\u03bb\u03bf\u03c2 spoke.",
    "formulas": "with \u03b8 = \u03c6 + \u03c8, \u0394\u03a6 = \u03bb \u03c3 \u03b4 \u03c0 \u03c1 \u03b2 and TNF-\u03b1.",
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_few_words_of_another_script_in_a_long_letter_are_enough(row: str) -> None:
    assert unsupported(normalize(f"{LETTER}{row}. {LETTER}"))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_or_a_formula_in_another_script_passes(name: str) -> None:
    assert not unsupported(normalize(f"{LETTER}{name} {LETTER}"))
