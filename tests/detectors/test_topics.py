import pytest

from detectors.normalize import normalize
from detectors.topics import business_secrecy, care, health, legal_advice, personal_finance
from detectors.topics.scorer import WINDOW, topic_detector

NOTE = (
    "The patient is a 61-year-old woman who presents with chest pain. She denies shortness of breath. Past medical history: hypertension, "
    "diabetes. Medications: metformin 500 mg bid, lisinopril 10 mg daily. Vital signs stable. Assessment and plan: admit for observation."
)
ABSTRACT = (
    "We studied 412 patients with hypertension in a randomized trial of lisinopril. The primary outcome was systolic blood pressure at "
    "twelve weeks. Treatment reduced myocardial infarction. These results suggest that early therapy benefits patients with diabetes."
)
STATEMENT = "Account statement. Opening balance $1,204.10. Payment received. Your account number is below. Credit card minimum payment due."
MARKETS = "The index rose two percent as technology shares gained. Analysts expect the central bank to hold rates. Oil fell a dollar."
ADVICE = "In our opinion your exposure is small. We advise you to settle before the deposition; my advice is to admit nothing in writing."
JUDGMENT = "The appellant filed notice in time. The order below is affirmed. Costs are awarded to the respondent. It is so ordered."
ROADMAP = "Company confidential roadmap: the prototype ships in Q3 at a unit cost of 40. Do not forward. We undercut the competitor."
RELEASE = "The company today announced its new product, available in stores from Monday. Customers can order online."


def score(module: object, text: str) -> float:
    found = module.detector().detect([normalize(text)])[0]  # type: ignore[attr-defined]
    return max(found.topics.values(), default=0.0)


@pytest.mark.parametrize(
    ("module", "positive", "negative"),
    [
        pytest.param(health, NOTE, MARKETS, id="health"),
        pytest.param(health, ABSTRACT, RELEASE, id="health-published"),
        pytest.param(care, NOTE, ABSTRACT, id="care-not-research"),
        pytest.param(personal_finance, STATEMENT, MARKETS, id="personal-finance-not-markets"),
        pytest.param(legal_advice, ADVICE, JUDGMENT, id="advice-not-judgment"),
        pytest.param(business_secrecy, ROADMAP, RELEASE, id="secrecy-not-release"),
    ],
)
def test_topics_tell_apart(module: object, positive: str, negative: str) -> None:
    assert score(module, positive) >= 0.5
    assert score(module, negative) < 0.5


@pytest.mark.parametrize("place", ["head", "middle", "tail"])
def test_one_note_in_a_long_text_is_enough(place: str) -> None:
    filler = (MARKETS + " ") * 400
    text = {"head": NOTE + filler, "middle": filler + NOTE + filler, "tail": filler + NOTE}[place]
    assert score(care, text) >= 0.5


def test_research_around_it_cancels_nothing() -> None:
    assert score(care, ABSTRACT + " " + NOTE + " " + ABSTRACT) >= score(care, NOTE)


def test_terms_count_once_and_combine_as_independent_hints() -> None:
    scorer = topic_detector("t", {"alpha": 0.5, "beta|gamma": 0.5})
    scores = [
        evidence.topics.get("t", 0.0)
        for evidence in scorer.detect([normalize(t) for t in ("alpha", "alpha alpha", "alpha gamma beta", "x")])
    ]
    assert scores == [0.5, 0.5, 0.75, 0.0]


def test_distant_terms_do_not_combine() -> None:
    scorer = topic_detector("t", {"alpha": 0.5, "beta": 0.5})
    text = "alpha " + "word " * WINDOW + "beta"
    assert scorer.detect([normalize(text)])[0].topics == {"t": 0.5}


def test_ordinary_words_together_prove_nothing() -> None:
    scorer = topic_detector("t", dict.fromkeys(("a1", "b1", "c1", "d1", "e1", "f1", "g1", "h1"), 0.15))
    assert scorer.detect([normalize("a1 b1 c1 d1 e1 f1 g1 h1")])[0].topics == {"t": 0.2}
