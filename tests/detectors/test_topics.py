import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from detectors.document import Document
from detectors.errors import ConfigurationError
from detectors.normalize import normalize
from detectors.scan import scan
from detectors.topics import trained
from detectors.topics.linear import WINDOWS, TopicModel, load_topics, parts
from detectors.topics.trained import detectors

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


TOPICS = {detector.name.removeprefix("topic_"): detector for detector in detectors()}


def score(topic: str, text: str) -> float:
    return TOPICS[topic].detect([normalize(text)])[0].topics.get(topic, 0.0)


@pytest.mark.parametrize(
    ("topic", "positive", "negative"),
    [
        pytest.param("health", NOTE, MARKETS, id="health"),
        pytest.param("health", ABSTRACT, RELEASE, id="health-published"),
        pytest.param("care", NOTE, ABSTRACT, id="care-not-research"),
        pytest.param("personal_finance", STATEMENT, MARKETS, id="personal-finance-not-markets"),
        pytest.param("legal_advice", ADVICE, JUDGMENT, id="advice-not-judgment"),
        pytest.param("business_secrecy", ROADMAP, RELEASE, id="secrecy-not-release"),
    ],
)
def test_topics_tell_apart(topic: str, positive: str, negative: str) -> None:
    assert score(topic, positive) >= 0.5
    assert score(topic, negative) < 0.5


@pytest.mark.parametrize("place", ["head", "middle", "tail"])
def test_one_note_in_a_long_text_is_enough(place: str) -> None:
    filler = (MARKETS + " ") * 400
    text = {"head": NOTE + filler, "middle": filler + NOTE + filler, "tail": filler + NOTE}[place]
    assert score("care", text) >= 0.5


def test_research_around_it_cancels_nothing() -> None:
    assert score("care", ABSTRACT + " " + NOTE + " " + ABSTRACT) >= 0.5


def model(words: dict[str, float], pairs: dict[tuple[str, str], float] | None = None) -> TopicModel:
    return TopicModel(
        topics=("t",),
        bias=np.zeros(1, dtype=np.float32),
        words={word: np.array([weight], dtype=np.float32) for word, weight in words.items()},
        pairs={pair: np.array([weight], dtype=np.float32) for pair, weight in (pairs or {}).items()},
    )


def test_words_pairs_and_parts_are_weighed() -> None:
    weighed = model({"alpha": 1.0, "^nephr": 2.0, "ctomy$": 0.0, "tomy$": 3.0}, {("alpha", "beta"): 4.0})
    assert weighed.odds(["alpha"])[0] == pytest.approx(1 / np.sqrt(13))
    assert weighed.odds(["alpha", "beta"])[0] == pytest.approx(5 / np.sqrt(14))
    assert weighed.odds(["nephrectomy"])[0] == pytest.approx(5 / np.sqrt(13))
    assert parts("nephrectomy") == ("nephrectomy", "^nephr", "tomy$")
    assert parts("alpha") == ("alpha",)


def test_the_highest_window_counts_wherever_it_stands() -> None:
    weighed = model({"good": 1.0, "bad": -5.0})
    for before, after in ((0, 900), (450, 450), (900, 0)):
        words = ["bad"] * before + ["good"] * WINDOWS[1] + ["bad"] * after
        assert weighed.highest_window(words, 0)[0] >= before - WINDOWS[1]
        assert weighed.scores(words)[0] > 0.5


def test_a_text_without_words_is_about_nothing() -> None:
    assert model({"good": 1.0}).scores([]).tolist() == [0.0]
    assert score("care", "...") == 0.0


def test_the_table_is_for_people_too() -> None:
    bundled = load_topics()
    care = bundled.topics.index("care")
    assert bundled.words["patient"][care] > 0 > bundled.words["patients"][care]
    assert bundled.topics == tuple(TOPICS)


def small_model(folder: Path, topics: list[str]) -> Path:
    (folder / "settings.json").write_text(json.dumps({"topics": topics, "bias": [0.0] * len(topics)}))
    (folder / "terms.tsv.gz").write_bytes(gzip.compress(b"term\thealth\tcare\npatient\t1\t2\n"))
    return folder


def test_columns_must_be_the_topics(tmp_path: Path) -> None:
    assert load_topics(small_model(tmp_path, ["health", "care"])).topics == ("health", "care")
    load_topics.cache_clear()
    with pytest.raises(ConfigurationError, match="in its first line, care, health; found health, care"):
        load_topics(small_model(tmp_path, ["care", "health"]))


def test_a_model_that_changed_after_it_was_hashed_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "MODEL", small_model(tmp_path, ["health", "care"]))
    document = Document(record_id="r", text="the patient", source="s")
    before = trained.detectors()
    (evidence,) = scan([document], before)
    assert not evidence.failures
    load_topics.cache_clear()
    (tmp_path / "settings.json").write_text(json.dumps({"topics": ["health", "care"], "bias": [-9.0, -9.0]}))
    (evidence,) = scan([document], before)
    assert evidence.failures == {"detector_error:topic_care", "detector_error:topic_health"}
    assert {detector.version for detector in trained.detectors()}.isdisjoint(detector.version for detector in before)
