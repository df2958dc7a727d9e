import base64
import html
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.encodings import UNDECODABLE_RUN
from detectors.normalize import INVISIBLE, normalize
from detectors.offsets import Rewrite
from detectors.residue import CONTROL

SSN = "123-45-6789"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("1\u200b23-45-67\u200b89", SSN, id="zero-width"),
        pytest.param("123\u201345\u20116789", SSN, id="dashes"),
        pytest.param("\uff11\uff12\uff13\uff0d\uff14\uff15\uff0d\uff16\uff17\uff18\uff19", SSN, id="full-width"),
        pytest.param("\u0661\u0662\u0663-\u0664\u0665-\u0666\u0667\u0668\u0669", SSN, id="arabic-digits"),
        pytest.param("\U0001d7cf\U0001d7d0\U0001d7d1-45-6789", SSN, id="mathematical-digits"),
        pytest.param("\u0405ocial", "Social", id="cyrillic-in-latin-word"),
        pytest.param("Please read the \u041c\u0415\u041c\u041e today", "Please read the MEMO today", id="look-alike-word"),
        pytest.param("cafe\u0301 \ufb01n", "caf\u00e9 fin", id="combining-and-ligature"),
    ],
)
def test_one_spelling_for_what_looks_the_same(written: str, read: str) -> None:
    assert normalize(written).text == read


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("1 2 3 - 4 5 - 6 7 8 9", [SSN, "123456789"], id="spaced-out"),
        pytest.param("123-45-\n6789", [SSN], id="line-broken"),
        pytest.param("123-45-67=\n89", [SSN], id="quoted-printable-break"),
        pytest.param("one two three dash four five dash six seven eight nine", [SSN], id="spelled"),
        pytest.param("ONE-TWO-THREE-FOUR-FIVE-SIX-SEVEN-EIGHT-NINE", ["123456789"], id="spelled-capitals"),
        pytest.param("one two three four five six seven eight nine, 2", ["1234567892", "123456789, 2", "1, 234567892"], id="spelled-on"),
        pytest.param("on\x1b[123456789mfile", ["on 123456789 file"], id="terminal-sequence"),
        pytest.param("4\x00123", ["4 123"], id="control-character"),
    ],
)
def test_another_reading_comes_after_the_first(written: str, read: list[str]) -> None:
    normalized = normalize(written)
    first = CONTROL.sub("", written)
    assert normalized.text.split("\n\n")[: 1 + len(read)] == [first, *read]
    assert normalized.original(len(first) + 2, len(first) + 2 + len(read[0])) == (0, len(written))


ACCENTED = "M\u00e9d\u00edc\u00e1l r\u00e9c\u00f3rd n\u00famb\u00e9r 4471902"


def test_words_strewn_with_accents_are_read_without_them_as_well() -> None:
    text = f"Please file this. {ACCENTED} is for you."
    found = normalize(text)
    place = found.text.find("Medical record number 4471902")
    assert found.text.startswith(text)
    assert found.original(place, place + 29) == (18, 18 + len(ACCENTED))


def test_words_set_wide_and_strewn_with_accents_are_read() -> None:
    wide = "   ".join(map(" ".join, ACCENTED.split()))
    assert "Medical record number 4471902" in normalize(f"Please file this.\n{wide}\nIt is for you.").text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("his number is OOl-22-8145.", "001-22-8145", id="letters-for-digits-and-nothing-turns"),
        pytest.param("jane roe ssn#536228145", "ssn #536228145", id="label-and-hash"),
        pytest.param("\u00e9 t \u00e9   d e r n i \u00e8 r e", "\u00e9t\u00e9 derni\u00e8re", id="wide-and-accented"),
        pytest.param("d \u00e9 c \u00e9 d \u00e9 \u00e9 s", "d\u00e9c\u00e9d\u00e9\u00e9s", id="wide-and-never-four-plain-letters"),
    ],
)
def test_no_first_look_hides_a_second_reading(written: str, read: str) -> None:
    assert read in normalize(f"please file this.\n{written}\nit is for you.").text


def test_text_set_wide_with_marks_on_every_third_letter_is_reported() -> None:
    letters = "patientjaneroewasadmittedwithchestpainandhasdiabetes"
    wide = " ".join("\u00b7".join(letters[place : place + 3] for place in range(0, len(letters), 3)))
    assert UNDECODABLE_RUN in normalize(f"please file this.\n{wide}\n").failures


PIECES = st.one_of(
    st.text(alphabet="0123456789", min_size=1, max_size=16),
    st.sampled_from(["SSN ", "line", "item=", " five ", "three ", "twenty", " double", "copies", "dash "]),
    st.sampled_from(
        ["-\n", "\n-", "=\n", "-\r\n", "\n", " ", "-", ", ", ".", "=", "&#", ";", "%", "\x1b[", "\x1b[0m", "m", "\x00", "\u200b"]
    ),
)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_no_number_is_taken_away(text: str) -> None:
    read = normalize(text).text
    assert all(number in read for number in re.findall(r"[0-9]+", text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("one or two of three", id="few-digit-words"),
        pytest.param("scores 4 5 6", id="few-digits"),
        pytest.param("\u041f\u0440\u0438\u0432\u0435\u0442, \u043a\u0430\u043a \u0434\u0435\u043b\u0430", id="russian-stays-russian"),
        pytest.param("caf\u00e9 M\u00fcller", id="accents"),
        pytest.param("Her r\u00e9sum\u00e9 and his r\u00e9sum\u00e9, d\u00e9j\u00e0 vu for Jos\u00e9 Garc\u00eda", id="borrowed-accents"),
        pytest.param("Totals\n12-\nitems", id="hyphen-without-digits"),
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert normalize(text).text == text


@given(st.text(max_size=200))
def test_offsets_stay_inside_the_original(text: str) -> None:
    normalized = normalize(text)
    for index in range(len(normalized.text)):
        start, end = normalized.original(index, index + 1)
        assert 0 <= start <= end <= len(text)


@given(
    before=st.text(alphabet="abc \u00e9\u0301\u200b\u0430\n", max_size=40),
    noise=st.lists(st.sampled_from(["", "\u200b", "\u2060", "\ufeff", "\u00ad"]), min_size=11, max_size=11),
    after=st.text(alphabet="xyz \u00fc\ufb01\u200d", max_size=40),
)
def test_a_hidden_number_maps_back_to_where_it_stands(before: str, noise: list[str], after: str) -> None:
    hidden = "".join(mark + character for mark, character in zip(noise, SSN, strict=True))
    text = before + " " + hidden + " " + after
    normalized = normalize(text)
    place = normalized.text.find(SSN)
    assert place >= 0
    start, end = normalized.original(place, place + len(SSN))
    assert INVISIBLE.sub("", text[start:end]) == SSN


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5), st.text(max_size=4)), max_size=5), st.text(min_size=40, max_size=40))
def test_a_rewrite_maps_what_it_kept_character_for_character(edits: list[tuple[int, int, str]], source: str) -> None:
    rewrite, taken, kept = Rewrite(source), 0, []
    for start, length, new in sorted(edits):
        if start >= taken:
            kept.append((taken, start))
            rewrite.replace(start, start + length, new)
            taken = start + length
    text, offsets = rewrite.finish()
    if not rewrite.changed:
        return
    assert offsets.length == len(text)
    for target, (start, end) in zip(offsets.targets, offsets.sources, strict=True):
        if (start, end) in kept:
            assert text[target : target + end - start] == source[start:end]


def test_a_decoded_run_stands_for_the_whole_run() -> None:
    run = base64.b64encode(b"Patient Jane Roe, SSN 123-45-6789").decode()
    text = f"attachment follows {run} end"
    normalized = normalize(text)
    place = normalized.text.find(SSN)
    start, end = normalized.original(place, place + len(SSN))
    assert text[start:end] == run


def as_entities(text: str) -> str:
    return html.escape(text).replace("-", "&#45;")


def as_percent(text: str) -> str:
    return quote(text).replace("-", "%2D")


def as_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("times", range(1, 12))
@pytest.mark.parametrize("spell", [as_entities, as_percent, as_base64])
def test_however_deep_a_number_is_packed_it_is_seen_or_the_text_is_not_clean(spell: Callable[[str], str], times: int) -> None:
    text = SSN
    for _ in range(times):
        text = spell(text)
    normalized = normalize(text)
    assert SSN in normalized.text or UNDECODABLE_RUN in normalized.failures


@pytest.mark.parametrize("place", [3, 14, 30])
def test_invisible_characters_inside_a_packed_run_do_not_hide_the_next(place: int) -> None:
    inner = as_base64(f"Patient Jane Roe, SSN {SSN}")
    text = as_base64(f"the attachment is {inner[:place]}\u200b{inner[place:]} as agreed")
    assert SSN in normalize(text).text


def test_a_normalized_text_shows_nothing_in_its_repr() -> None:
    assert "Roe" not in repr(normalize("Jane R\u200boe 123-45-6789"))
