"""Which sentences could hold a name: conservative where there are capitals, generous where there are none."""

from __future__ import annotations

from itertools import pairwise

import pytest

from detectors.name_sentences import name_spans, name_stretches
from detectors.normalized import Normalized

PLAIN = "It was late. We went home and nothing else happened that day. "


def kept(text: str) -> str:
    return "".join(text[start:end] for start, end in name_spans(text))


@pytest.mark.parametrize(
    "sentence",
    [
        pytest.param("Then Zebulon Quartermaine came in.", id="capitals no list knows"),
        pytest.param("Zebulon came in.", id="first word, not everyday"),
        pytest.param("Lucasta said that it hurts.", id="first word alone"),
        pytest.param("It was O.J. Quartermaine who called.", id="initials"),
        pytest.param("Seen by Dr. Okonkwo today.", id="title with a full stop"),
        pytest.param("Signed: QUARTERMAINE", id="capitals only"),
        pytest.param("It was \u00c9lodie again.", id="accented capital"),
        pytest.param("It was \u0141ukasz again.", id="other Latin capital"),
        pytest.param("so jennifer called about it.", id="known given name in small letters"),
        pytest.param("We met Grant there.", id="name that is a word"),
        pytest.param("Then M\u2019Bala rang.", id="apostrophe"),
    ],
)
def test_a_sentence_with_a_name_is_kept(sentence: str) -> None:
    text = PLAIN + sentence + " " + PLAIN
    assert sentence in kept(text)


@pytest.mark.parametrize(
    "sentence",
    [
        pytest.param("The blood pressure was normal on Monday.", id="weekday"),
        pytest.param("He was given an MRI and sent home.", id="abbreviation"),
        pytest.param("Please send the report by 4 pm.", id="everyday first word"),
        pytest.param("I think I will wait.", id="I"),
        pytest.param("Happened once before.", id="first word that stands in small letters elsewhere"),
    ],
)
def test_a_sentence_without_one_is_not(sentence: str) -> None:
    text = PLAIN + sentence + " " + PLAIN
    assert kept(text) == ""


def test_a_name_over_a_line_break_stays_in_one_piece() -> None:
    assert name_spans("it was Zebulon\nQuartermaine again\nand nothing else.\n") == [(0, 34)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("saw maria at the desk\nfeels better\nno pain\n", "maria", id="small letters, listed name"),
        pytest.param("pt told nurse ok\nfeels better\nno pain\n", "nurse", id="small letters, role"),
        pytest.param("PATIENT ZEBULON QUARTERMAINE\nPAIN IN THE BACK\n", "QUARTERMAINE", id="capitals, unlisted name"),
    ],
)
def test_without_case_roles_and_lists_decide(text: str, expected: str) -> None:
    assert expected in kept(text)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "...", "12 34"], ids=["nothing", "blank", "lines", "stops", "numbers"])
def test_what_has_no_words_has_no_names(text: str) -> None:
    assert name_spans(text) == []


def test_spans_are_in_order_apart_and_inside() -> None:
    text = (PLAIN + "Then Zebulon came. ") * 50
    spans = name_spans(text)
    assert len(spans) == 50
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(one[1] < other[0] for one, other in pairwise(spans))
    assert name_stretches(Normalized(text=text)) == spans
