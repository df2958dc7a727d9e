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
