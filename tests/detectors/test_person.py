import pytest

from detectors.identifiers.person import detector
from detectors.normalize import normalize


def names(text: str, part: str = "text") -> set[str]:
    return {text[finding.start : finding.end] for finding in detector().detect([normalize(text, part)])[0].findings}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("We met Sarah Goodman. Then left.", "Sarah Goodman", id="given-and-surname"),
        pytest.param("Kevin B. Rollins spoke", "Kevin B. Rollins", id="initial"),
        pytest.param("SMITH, JOHN   MR# 1", "SMITH, JOHN", id="capitals-surname-first"),
        pytest.param("NOTE BY ROBERT MARTINEZ TODAY", "ROBERT MARTINEZ", id="capitals"),
        pytest.param("then robert martinez called about it", "robert martinez", id="lower-case"),
        pytest.param("seen by Dr. Okonkwo today", "Okonkwo", id="title"),
        pytest.param("Dear Mr. Okonkwo,", "Okonkwo", id="salutation"),
        pytest.param("Hi Gladys, your results are in", "Gladys", id="greeting"),
        pytest.param("Patient: Oluwaseun Adebayo\nAge 40", "Oluwaseun Adebayo", id="role-unknown-name"),
        pytest.param("Borrower: Tomasz Wisniewski", "Tomasz Wisniewski", id="borrower"),
        pytest.param("patient: robert martinez, seen today", "robert martinez", id="role-lower-case"),
        pytest.param("Best regards,\n\nPriya Raghunathan\n", "Priya Raghunathan", id="signature"),
        pytest.param("Dictated by: Brown, MD", "Brown", id="letters-behind"),
        pytest.param("My name is Shira Abramson", "Shira Abramson", id="introduction"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert name in names(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Crohn's disease, Hodgkin lymphoma and Parkinson's", id="eponyms"),
        pytest.param("Morgan Stanley and Johnson & Johnson rose", id="companies"),
        pytest.param("will price go long in may", id="words-that-are-names"),
        pytest.param("Patient: Hello Doctor, it hurts", id="dialogue"),
        pytest.param("Dear Customer, Dear Sir or Madam,", id="no-one-in-particular"),
        pytest.param("University College Hospital, Santa Fe, New York", id="places"),
        pytest.param("PAST MEDICAL HISTORY: LONG TERM CARE", id="headings"),
        pytest.param("The mean age was 61 years in both groups.", id="prose"),
    ],
)
def test_not_names(text: str) -> None:
    assert names(text) == set()


def test_a_name_field_of_a_table_row() -> None:
    assert names("omar diaz", "metadata.customer_name") == {"omar diaz"}
    assert names("Harbor Products", "metadata.product_name") == set()
