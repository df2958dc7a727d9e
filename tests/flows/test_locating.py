"""Where a marker or a topic comes from."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from detectors.detector import EachText, marker_kind, topic_kind
from detectors.document import Document, Evidence, EvidenceKind
from detectors.normalized import Normalized
from flows.locating import Passage, locate

STAMPED = EachText(
    name="stamp",
    provides=frozenset({marker_kind("stamped")}),
    look=lambda text: Evidence(markers=frozenset({"stamped"} if "STAMP" in text.text else ())),
)
PAIR = EachText(
    name="pair",
    provides=frozenset({marker_kind("stamped")}),
    look=lambda text: Evidence(markers=frozenset({"stamped"} if re.search("salt.*pepper", text.text, re.DOTALL) else ())),
)
SHIPS = EachText(
    name="ships",
    provides=frozenset({topic_kind("ships")}),
    look=lambda text: Evidence(topics={"ships": min(1.0, 0.2 * text.text.count("ship"))}),
)


def marked(found: Evidence) -> float | None:
    return 1.0 if "stamped" in found.markers else None


def shipped(found: Evidence) -> float | None:
    return score if (score := found.topics.get("ships", 0.0)) >= 0.5 else None


def where(text: str, detector: EachText = STAMPED, **metadata: str) -> list[tuple[str, str]]:
    document = Document(record_id="r", text=text, source="s", metadata=metadata)
    passages = locate(marker_kind("stamped"), document, [detector, SHIPS], marked)
    return [(one.part, document.parts[one.part][one.start : one.end]) for one in passages]


FILLER = "Rain fell on the pier.\n"
TEXTS = {
    "one line": ("STAMP", "STAMP"),
    "in the middle": (FILLER * 40 + "  a STAMP here \n" + FILLER * 33, "a STAMP here"),
    "at the head": ("STAMP\n" + FILLER * 100, "STAMP"),
    "at the tail": (FILLER * 100 + "STAMP", "STAMP"),
    "with blank lines": ("\n\n\r\n \nSTAMP\r\n\n\n", "STAMP"),
}


@pytest.mark.parametrize(("text", "passage"), TEXTS.values(), ids=TEXTS.keys())
def test_the_line_is_found(text: str, passage: str) -> None:
    assert where(text) == [("text", passage)]


def test_what_needs_two_lines_keeps_both() -> None:
    text = FILLER * 20 + "salt\n" + FILLER * 3 + "pepper\n" + FILLER * 50
    assert where(text, PAIR) == [("text", "salt\n" + FILLER * 3 + "pepper")]


def test_a_page_without_line_breaks_is_cut() -> None:
    ((_, passage),) = where("rain on the pier " * 400 + "STAMP " + "and more rain " * 300)
    assert "STAMP" in passage
    assert len(passage) <= 200


def test_every_part_that_raises_it_is_told() -> None:
    assert where("a STAMP", subject="STAMP again", sender="none") == [("text", "a STAMP"), ("metadata.subject", "STAMP again")]


def test_a_topic_is_found_with_the_score_of_the_passage() -> None:
    text = FILLER * 30 + "ship ship\nship\n" + FILLER * 30
    document = Document(record_id="r", text=text, source="s")
    (passage,) = locate(topic_kind("ships"), document, [STAMPED, SHIPS], shipped)
    assert (passage.detector, text[passage.start : passage.end]) == ("ships", "ship ship\nship")
    assert passage.score == pytest.approx(0.6)


def test_nothing_raised_is_nowhere() -> None:
    assert where(FILLER) == where("") == []


def test_a_detector_that_fails_on_pieces_points_at_the_whole() -> None:
    class Fussy:
        name = "fussy"
        version = "1"
        cost = 1
        provides: frozenset[EvidenceKind] = frozenset({marker_kind("stamped")})

        def detect(self, texts: Sequence[Normalized]) -> Sequence[Evidence]:
            if len(texts[0].text) < 40:
                raise ValueError
            return [Evidence(markers=frozenset({"stamped"}))]

    document = Document(record_id="r", text="STAMP on the first line of it\nand some rain on the second one", source="s")
    assert list(locate(marker_kind("stamped"), document, [Fussy()], marked)) == [
        Passage(detector="fussy", part="text", start=0, end=len(document.text), score=1.0)
    ]
