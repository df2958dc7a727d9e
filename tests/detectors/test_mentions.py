import pytest

from detectors.identifiers.person import detector
from detectors.normalize import normalize


def names(text: str) -> set[str]:
    return {text[finding.start : finding.end] for finding in detector().detect([normalize(text)])[0].findings}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("Our operator Zorvina Brightwelder looked away.", "Zorvina Brightwelder", id="role"),
        pytest.param("an inmate, surname Quillock, was seen", "Quillock", id="surname"),
        pytest.param("Zorvina Brightwelder, 62, seen in the clinic", "Zorvina Brightwelder", id="age"),
        pytest.param("Zorvina Brightwelder attended for her scan.", "Zorvina Brightwelder", id="doing"),
        pytest.param("Thank you for seeing Zorvina Lindqvist-Hale today", "Zorvina Lindqvist-Hale", id="double-surname"),
        pytest.param("Bronwen is six months dry.", "Bronwen", id="given-name-alone"),
        pytest.param("**Client:** Saoirse Mbeki-Tolliver\n", "Saoirse Mbeki-Tolliver", id="markdown-label"),
        pytest.param("- **Patient:** Zorvina Brightwelder\n", "Zorvina Brightwelder", id="markdown-list"),
        pytest.param("Therapist: L. Kowalski-Reyes, licensed", "L. Kowalski-Reyes", id="initial"),
        pytest.param("I met Oluwaseun Brightwelder there.", "Oluwaseun Brightwelder", id="given-name-beyond-the-census"),
    ],
)
def test_names_by_the_company_they_keep(text: str, name: str) -> None:
    assert name in names(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Patient Information Leaflet, 12, page", id="heading"),
        pytest.param("The meeting is on Tuesday, November, 12, as agreed.", id="date"),
        pytest.param("Parking at Lake Magnus was full.", id="place"),
        pytest.param("The Springs of the valley", id="plural-noun"),
        pytest.param("our client portal is down", id="thing"),
    ],
)
def test_not_names(text: str) -> None:
    assert names(text) == set()


def test_a_name_ends_with_its_sentence() -> None:
    assert names("We saw Sarah Goodman. Then Peter left.") >= {"Sarah Goodman"}
