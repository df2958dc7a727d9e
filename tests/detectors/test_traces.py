"""A trace may be there without a match, never the other way round; and normalising with traces is normalising without."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detectors import ciphers, code_lists, encodings, normalize, packings, residue, respelling, traces
from detectors.function_words import ENGLISH
from detectors.identifiers import other_codes
from detectors.normalized import WORD, Normalized
from detectors.texture import Texture, texture_of

Trace = Callable[[str], bool]

PATTERNS: list[tuple[str, re.Pattern[str], Trace, str]] = [
    ("control", residue.CONTROL, traces.controls, "a1 \x07\x1b[2;31m\t\n\x7f\x9f\u200b"),
    ("broken", normalize.BROKEN, traces.broken_numbers, "12-=> \t\r\n\u0661x"),
    ("spaced", normalize.SPACED, traces.single_digits, "12 \t\u00a0._-*\u0661a"),
    ("digit-row", respelling.DIGIT_ROW, traces.single_digits, "12 \r\n,;:/|._*)(-\x0b\x1c\u0661a"),
    ("hex", encodings.HEX, traces.code_rows, "09afAF :g\n"),
    ("numbers", code_lists.NUMBERS, traces.code_rows, "0123 ,;:|/+\t\r\n-\u0661.a"),
    ("pairs", code_lists.PAIRS, traces.code_rows, "09afAF ,;:|/\t\r\n-g"),
    ("bits", code_lists.BITS, traces.bit_rows, "01 ,;_\t\r\n-2\u0661"),
    ("confusion", respelling.CONFUSION, traces.confused_digits, "12OlS|-! x\u0661"),
    ("glued-label", respelling.GLUED_SIGN, lambda text: "label" in traces.glued(text), "12aB#- \u0661\u00e9"),
    ("glued-word", respelling.GLUED_BEHIND, lambda text: "word" in traces.glued(text), "12345ab -\u0661\u00e9"),
    ("long", packings.LONG, traces.long_run, "aB1. \t\n\u00e9\u00b7\u00a0"),
    ("prefixed", code_lists.PREFIXED, traces.prefixed_codes, "0xX\\U+19afAF ,;:\t\r\ng\u0661"),
    ("numbers-in-rows", code_lists.NUMBERS, lambda text: texture_of(text).rows, "0123 ,;:|/+\t\r\n-\u0661.a"),
    ("pairs-in-rows", code_lists.PAIRS, lambda text: texture_of(text).rows, "09afAF ,;:|/\t\r\n-g\u00e9"),
    ("dump-in-rows", code_lists.DUMP_LINE, lambda text: texture_of(text).rows, "09afAF: \t\ng\u00e9"),
    ("bits-in-a-row", code_lists.BITS, lambda text: texture_of(text).bits, "01 ,;_\t\r\n-2\u0661"),
    ("wide", respelling.SPREAD_SIGN, lambda text: texture_of(text).wide, "aB1. \t\n-\u00e9\u00b7\u00a0"),
    ("wide-without-gaps", respelling.RUN_TOGETHER, lambda text: texture_of(text).wide, "aB1. \t\n-\u00e9\u00b7\u00a0"),
    ("marked", respelling.SPREAD_WORD, lambda text: texture_of(text).marked, "aB1._*~|+-\u00b7 \u00e9"),
    ("hump", respelling.HUMPS_SIGN, lambda text: "hump" in traces.glued(text), "abAB1 \u00e9"),
]


def matching(pattern: re.Pattern[str], alphabet: str) -> st.SearchStrategy[str]:
    """Texts that the pattern matches, and noise of the same characters around them."""
    noise = st.text(alphabet, max_size=12)
    return st.tuples(noise, st.from_regex(pattern), noise).map("".join)


@pytest.mark.parametrize(("pattern", "trace", "alphabet"), [pytest.param(*rest, id=name) for name, *rest in PATTERNS])
@settings(max_examples=50)
@given(data=st.data())
def test_what_a_pattern_matches_has_its_trace(data: st.DataObject, pattern: re.Pattern[str], trace: Trace, alphabet: str) -> None:
    text = data.draw(st.one_of(matching(pattern, alphabet), st.text(alphabet, max_size=120)))
    assert pattern.search(text) is None or trace(text)


@pytest.mark.parametrize(("pattern", "trace"), [pytest.param(pattern, trace, id=name) for name, pattern, trace, _ in PATTERNS])
def test_prose_has_no_trace(pattern: re.Pattern[str], trace: Trace) -> None:
    """Otherwise nothing would ever be left out."""
    prose = "Thank you for the minutes of Monday, which I read on 3 May 2031. We met at 10:30; two of us, both well-rested.\nRegards"
    assert pattern.search(prose) is None
    assert not trace(prose)


PIECES = [
    "Patient seen on 12/03/2031, MRN 4471-902. ", "SSN123456789 ", "536228145was ", "PatientNameJaneRoe ", "l23-45-67B9 ",
    "1 2 3 - 4 5 - 6 7 8 9 ", "123-45-\n6789 ", "123-45=\n-6789 ", "123-45\r\n> -6789 ", "line 4-\n536-22-8145 ",
    "five three six, twenty-two, eighty-one double four five. ", "Hsix nine three zero ", "1\n2\n3\n4\n5\n6\n7\n",
    "1     2     3     4     5     6     7     8     9 ",
    "77 , 82 , 78 , 32 , 52 , 52 , 55 , 49 , 57 , 48 , 50 , 53 , 32 , 32 ", "4d | 52 | 4e | 20 | 34 | 34 | 37 | 31 | 39 | 30 | 32 ",
    "4d, 52/4e, 20/34, 34/37, 31/39, 30/32, ", "x4d x52 x4e x20 x34 x34 x37 x31 ", "on OOl-ZZ-8145 ", "ssn#536228145 ",
    "KBQXI2LFNZ2CAQKONZSQUVCBKJIUCTCM ", "J \u00e1 n e   R \u00f3 e   i s   i l l ", "\u00e1 . \u00e9 , \u00ed ; \u00f3 - \u00fa ! ",
    "1, 2, 3, 4, 5, 6, 7, 8, 9 ", "P.a.t.i.e.n.t ", "J a n e   R o e   h a s   a s t h m a ", "well-\nknown ", "12<b>3</b>45 ",
    "\x1b[31m536-22-8145\x1b[0m ", "536\x0722\x078145 ", "5\u200b36-22-8145 ", "\u0405ocial ", "\uff11\uff12\uff13 ",
    "caf\u00e9 na\u00efve ", "\u201cquoted\u201d \u2013 dashed ", "Fran\u00c3\u00a7ois ",
    "\u0661\u0662\u0663-\u0664\u0665-\u0666\u0667\u0668\u0669 ", "\U000e0053\U000e0053\U000e004e ", "%53%53%4e%20536-22-8145 ",
    "S&#83;N 536&#45;22 ", "536=2D22=2D8145 and so=\non ", r"\x35\x33\x36 \u0053 ", "4d 52 4e 20 34 34 37 31 39 30 32 35 ",
    "4d524e2034343731393032354d524e20 ", "77, 82, 78, 32, 52, 52, 55, 49, 57, 48, 50, 53, 32, 32 ",
    "01001101 01010010 01001110 00100000 00110100 00110100 00110111 ", "U1NOIDUzNi0yMi04MTQ1IEphbmUgUm9l ",
    "U1NOI DUzNi 0yMi0 4MTQ1 IEphb mUgUm ", "KNJU4IBVGM3C2MRSFU4DCNBVEBFGC3TFEBJG6ZI= ", "9PF7fDf-^*1,(C=@q]F+Eh=:ATDi7$9 ",
    "00000000: 5353 4e20 3533 362d 3232 2d38 3134 3520  SSN 536-22-8145 \n", "begin 644 a\n-4U-.(#4S-BTR,BTX\n`\nend\n",
    "don't 'tis o'clock's ", "\t\r\n\n", "-- \n", "=====================\n", "a" * 30 + " ",
]  # fmt: skip
TEXTS = st.lists(
    st.one_of(st.sampled_from(PIECES), st.text(max_size=8), st.text("0123456789aAfF-=>\r\n .,'", max_size=30)), max_size=7
).map("".join)


def long_way(text: str) -> Normalized:
    """Normalised with every pattern tried on every text."""

    def textured(seen: str) -> Texture:
        real = texture_of(seen)
        return replace(real, turns=max(real.turns, encodings.FEWEST_TURNS), capitals=True, rows=True, bits=True, wide=True, marked=True)

    with pytest.MonkeyPatch.context() as patch:
        for name in (
            "controls",
            "broken_numbers",
            "single_digits",
            "long_run",
            "code_rows",
            "bit_rows",
            "prefixed_codes",
            "confused_digits",
        ):
            patch.setattr(traces, name, lambda _: True)
        patch.setattr(traces, "glued", lambda _: traces.EVERY_GLUED)
        for module in (encodings, respelling):
            patch.setattr(module, "texture_of", textured)
        patch.setattr(packings, "LONG", re.compile(r"[\s\S]+"))
        return normalize.normalize(text)


@given(TEXTS)
@example("".join(PIECES))
def test_normalising_with_traces_is_normalising_without(text: str) -> None:
    short, long = normalize.normalize(text), long_way(text)
    assert (short.text, short.maps, short.failures) == (long.text, long.maps, long.failures)


@pytest.mark.parametrize("piece", [pytest.param(piece, id=str(number)) for number, piece in enumerate(PIECES)])
def test_pieces_are_normalised_alike(piece: str) -> None:
    around = f"Please file this with the others.\n{piece}and send a copy to us."
    assert normalize.normalize(around) == long_way(around)


def test_every_flag_of_the_texture_is_held_against_its_patterns() -> None:
    """`long_way` names them, so that a new one is not left out of it."""
    assert {*Texture.__dataclass_fields__} == {"turns", "capitals", "rows", "bits", "wide", "marked"}


def test_the_pieces_have_something_to_normalise() -> None:
    """A property over texts that no step changes would hold whatever is left out."""
    assert sum(normalize.normalize(piece).text != piece for piece in PIECES) > len(PIECES) / 2


@given(TEXTS)
def test_words_and_their_places_are_those_of_the_pattern(text: str) -> None:
    seen = Normalized(text=text)
    found = list(WORD.finditer(seen.lowered))
    assert seen.tokens == [match.group() for match in found]
    assert seen.words == ["#" if match.group().isdigit() else match.group() for match in found]
    assert seen.spans == [match.span() for match in found]


@given(TEXTS)
def test_digits_are_counted_as_characters_are(text: str) -> None:
    seen = Normalized(text=text)
    assert seen.digit_counts == [sum(map(str.isdigit, text[start:end])) for start, end in seen.digit_regions]


@given(TEXTS)
def test_quoted_printable_is_tried_where_there_is_some(text: str) -> None:
    assert (encodings.QUOTED.anchor.search(text) is None) == (encodings.QUOTED_CHARACTERS.search(text) is None)


AGE_PIECES = [
    "age ", "aged ", "Age:", "age of  ", "9", "95", "1", "101", "110", "0", "92M", "ninety", "Ninety-one", "-", " ", "years old", "yo",
    "y.o.", "-year-old", "years of age", "%", "kg", ".5", "x" * 12, "\n", "\u0661",
]  # fmt: skip
AGES = st.lists(st.sampled_from(AGE_PIECES), max_size=14).map("".join)


@given(AGES)
@example("age 95 and then, some forty letters behind it, age 95kg")
def test_old_ages_are_those_of_the_pattern(text: str) -> None:
    found = [(finding.start, finding.end) for finding in other_codes.old_ages(Normalized(text=text))]
    assert found == [match.span() for match in other_codes.AGE.finditer(text)]


WORDS = st.lists(
    st.sampled_from(
        ["gur", "naq", "gung", "jvgu", "sebz", "eht", "dna", "morf", "the", "and", "patient", "lungs", "#", "zhofx", "bpm", "npi", "ab"]
    ),
    max_size=50,
)


@given(WORDS)
def test_ciphers_are_seen_with_and_without_the_first_look(words: list[str]) -> None:
    english = sum(word in ENGLISH for word in words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ciphers, "_telling", lambda: frozenset({*words, "two", "more"}))
        without = [ciphers.enciphered([*words, "two", "more"], english)]
    assert [ciphers.enciphered([*words, "two", "more"], english)] == without
