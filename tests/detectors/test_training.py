"""The training data says what it claims: frames are well formed, names are where their spans say, and training learns what is taught."""

import random
from pathlib import Path

import numpy as np
import pytest
import spacy

from detectors.normalize import normalize
from detectors.topics.linear import TopicModel, load_topics
from detectors.training.documents import Labelled, from_frames
from detectors.training.entities import Example, as_document, filled
from detectors.training.frames import TOPICS, Frame, fill, read_frames
from detectors.training.noise import NOISES
from detectors.training.topics import mean, name_lists, train, write
from detectors.training.vectors import Vectors

FRAMES = read_frames()


def frame(text: str, *about: str, name: str = "try-1") -> Frame:
    return Frame(name=name, source="try", kind="letter", about=frozenset(about), text=text)


def test_every_frame_can_be_filled_and_leaves_no_slot() -> None:
    assert len(FRAMES) > 2_000
    left = [one.name for one in FRAMES if "[[" in (text := fill(one, random.Random(1)).text) or "{p1" in text]
    assert left == []


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_has_several_authors_and_clean_look_alikes(topic: str) -> None:
    authors = {one.name.split("-")[0] for one in FRAMES if topic in one.about}
    assert len(authors) >= 3
    assert sum(not one.about for one in FRAMES) > 500


def test_names_lie_where_their_spans_say() -> None:
    made = fill(frame("Dear {p1.last}, [[our|the]] bill for {p1} of {co1}, {city}: ${amount}"), random.Random(7))
    parts = {label: made.text[start:end] for start, end, label in made.names}
    assert set(parts) == {"PERSON", "ORG", "LOC"}
    assert parts["PERSON"].split()[-1] in made.text.split(",")[0]
    assert "$$" not in made.text


def test_the_same_seed_gives_the_same_document() -> None:
    assert fill(FRAMES[0], random.Random(3)) == fill(FRAMES[0], random.Random(3)) != fill(FRAMES[0], random.Random(4))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("{nobody}", "unknown slot nobody", id="slot"),
        pytest.param("{p1.nickname}", "unknown form", id="form"),
        pytest.param("[[a|[[b|c]]", "not closed", id="nested"),
    ],
)
def test_a_malformed_frame_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "bad.yaml").write_text(f"- {{id: bad-7, kind: letter, about: [], text: '{text}'}}\n")
    with pytest.raises(ValueError, match=f"bad.yaml: bad-7.*{complaint}"):
        read_frames(tmp_path)


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.__name__)
def test_noise_keeps_the_length(noise: object) -> None:
    text = fill(FRAMES[1], random.Random(2)).text
    assert len(noise(text, random.Random(5))) == len(text)  # type: ignore[operator]


def test_a_name_that_an_author_wrote_is_neither_taught_nor_denied() -> None:
    made = next(filled([frame("{p1} met Mr Wendell Ashgrove at noon.")], copies=1, chance=random.Random(0)))
    document = as_document(spacy.blank("en"), made)
    assert [entity.label_ for entity in document.ents] == ["PERSON"]
    iob = {token.text: token.ent_iob_ for token in document}
    assert iob["Ashgrove"] == "" and iob["noon"] == "O"  # noqa: PT018 - one statement about one document


def test_a_span_across_a_token_is_missing_rather_than_wrong() -> None:
    document = as_document(spacy.blank("en"), Example(text="O'Neil2 called", names=((0, 6, "PERSON"),)))
    assert not document.ents


def documents() -> list[Labelled]:
    chance = random.Random(0)
    taught = [
        frame(f"the gizmo {word} was fixed by {{p1}} {{date}}", "health", name=f"a-{word}") for word in ("alpha", "beta", "gamma", "delta")
    ]
    others = [frame(f"the lorry {word} was parked by {{p1}} {{date}}", name=f"b-{word}") for word in ("alpha", "beta", "gamma", "delta")]
    rest = [frame(f"{topic} {{p1}} {number}", topic, name=f"c-{topic}-{number}") for topic in TOPICS[1:] for number in range(4)]
    return list(from_frames([*taught, *others, *rest], copies=4, chance=chance))


def test_training_learns_what_is_taught_and_what_is_alike(tmp_path: Path) -> None:
    vectors = Vectors(rows={"gizmo": 0, "gadget": 1, "lorry": 2}, values=np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32))
    model = train(documents(), vectors)
    write(model, tmp_path)
    learned = load_topics(tmp_path)
    health = [float(learned.scores(normalize(text).words)[0]) for text in ("the gizmo", "the gadget", "the lorry")]
    assert health[0] > health[1] > health[2]
    write(model, tmp_path / "again")
    assert (tmp_path / "terms.tsv.gz").read_bytes() == (tmp_path / "again" / "terms.tsv.gz").read_bytes()


MODELS = Path(__file__).parents[2] / "detectors" / "models"


def test_the_mean_of_models_has_the_mean_of_their_odds() -> None:
    rows = {"wharf": [1.0, 0, 0, 0, 0.5], "ledge": [0, 2.0, 0, 0, 0]}
    one, other = (
        TopicModel(topics=TOPICS, bias=np.full(5, bias, dtype=np.float32), words={word: np.array(row, dtype=np.float32)}, pairs={})
        for bias, (word, row) in zip((-1.0, -3.0), rows.items(), strict=True)
    )
    both = mean([one, other])
    assert np.allclose(both.odds(["wharf", "ledge"]), (one.odds(["wharf", "ledge"]) + other.odds(["wharf", "ledge"])) / 2)


def test_the_shipped_models_say_nothing_of_where_they_were_made() -> None:
    texts = [path.read_text(encoding="utf-8") for path in MODELS.rglob("*") if path.suffix in {".json", ".cfg", ".md"}]
    assert len(texts) >= 5
    assert [text[:60] for text in texts if any(place in text for place in ("/tm" + "p", "/home", "/root"))] == []


def test_the_table_of_terms_holds_no_full_names() -> None:
    """Mail of one firm is one origin, so that its people's names are no terms; and what is a name by the census is none either."""
    given, family = name_lists()
    assert "aisha" in given
    assert [pair for pair in load_topics().pairs if pair[0] in given and pair[1] in family] == []
