"""A few words in a row of a script that is not Latin: a clinical sentence in an English letter, however long the letter is.

One name is no sentence: three Chinese letters, or two words of any script, or three in capitals ("first name, father's, family's").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from detectors.function_words import ENGLISH

OTHER_LETTERS = re.compile(r"[^\W\d_a-zA-Z\u00aa-\u024f\u1e00-\u1eff\u02b0-\u036f\ufb00-\ufb06]")
LATIN_WORD = re.compile(r"[a-zA-Z\u00c0-\u024f\u1e00-\u1eff]+")
LONGEST_ALIKE = 3
"""Of a Russian or Greek sentence, a short word may be spelt in letters that look Latin, and has been read as Latin ones."""
EAST_ASIAN_ROW = re.compile(
    "[\u1100-\u11ff\u3005\u3041-\u3096\u30a1-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
    "\U00020000-\U0003347f]{4}"
)
"""Chinese, Japanese and Korean are written without spaces, or with few: four letters say as much as a few words."""
WORD = re.compile(r"[^\s!-@\[-`{-~\u00a0-\u00bf\u2010-\u2027\u3000-\u3003]+")
"""Up to a blank or a mark of punctuation; an Indian script's vowel signs are no letters to Python, and belong to the word."""
SHORTEST = 2
"""A single letter is a formula's, or a small word that says nothing."""
IN_A_ROW = 3


def foreign_stretch(text: str, places: Sequence[int]) -> bool:
    """Whether enough words stand in a row. places: where the text has letters of other scripts."""
    return EAST_ASIAN_ROW.search(text) is not None or any(_words_in_a_row(stretch) for stretch in _stretches(text, places))


def _stretches(text: str, places: Sequence[int]) -> Iterator[str]:
    """From letter to letter of other scripts, as far as no Latin word stands between."""
    first = 0
    for index in range(1, len(places) + 1):
        if index == len(places) or _parted(text, places[index - 1] + 1, places[index]):
            if index - first >= IN_A_ROW * SHORTEST:
                yield text[places[first] : places[index - 1] + 1]
            first = index


def _parted(text: str, start: int, end: int) -> bool:
    words = LATIN_WORD.findall(text, start, end) if end > start else ()
    return any(len(word) > LONGEST_ALIKE or (len(word) > 1 and word.lower() in ENGLISH) for word in words)


def _words_in_a_row(stretch: str) -> bool:
    words = [word for word in WORD.findall(stretch) if len(OTHER_LETTERS.findall(word)) >= SHORTEST]
    return len(words) > IN_A_ROW or (len(words) == IN_A_ROW and not all(word.istitle() for word in words))
