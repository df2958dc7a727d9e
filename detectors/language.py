"""Is this text in a language that the detectors can read? English now; anything else is `unsupported_language`.

Judged by windows, so that one foreign paragraph in an English report counts. A window is foreign when
- many of its letters are of a script that is not Latin, or stand in a row (`foreign_scripts.py`), or
- function words of one other language are frequent and outnumber the English ones, or stand in a row (`foreign_phrases.py`), or
- it is English in a cipher (`ciphers.py`), or
- a trained identifier (`py3langid`, bundled model) is nearly certain and there is no English function word to speak of.
Names, tables, code, ids and short notes have no function words of any language and pass: they are shapes, which the identifiers
read. Capitals do not matter: words are compared in lower case.
"""

from __future__ import annotations

import importlib
from bisect import bisect_left
from functools import cache
from itertools import accumulate
from typing import Any

from detectors.ciphers import enciphered
from detectors.foreign_phrases import foreign_phrase
from detectors.foreign_scripts import OTHER_LETTERS, foreign_stretch
from detectors.function_words import ENGLISH, FOREIGN, NAME_PARTICLES
from detectors.normalized import NUMBER, Normalized

UNSUPPORTED_LANGUAGE = "unsupported_language"
WINDOW = 40
STEP = 20
"""Words. A paragraph of forty words fills one window wherever it stands."""
CLEARLY_ENGLISH = 0.2
"""English prose has 35 to 50 per cent function words, terse notes 10 to 25; foreign prose under 10."""
HARDLY_ENGLISH = 0.05
FOREIGN_SHARE = 0.12
FEWEST_FOREIGN = 3
SHORT = 20
CERTAIN = 0.98
IDENTIFIER_FEWEST = 15
SCRIPT_SHARE = 0.25
SCRIPT_FEWEST = 12
SCRIPT_WINDOW = 400
FOREIGN_VOCABULARY = frozenset().union(*FOREIGN.values())
LETTERS = frozenset(word for word in ENGLISH | FOREIGN_VOCABULARY if len(word) == 1) - {NUMBER}
"""The words of one letter; any other letter alone is an initial or a list's."""


def unsupported(text: Normalized) -> bool:
    """Whether some window of the text is in a language that cannot be read."""
    if _other_script(text.text) or foreign_phrase(text):
        return True
    vocabulary = text.vocabulary
    foreign = vocabulary & FOREIGN_VOCABULARY
    plain = text.text.isascii()
    if len(foreign - ENGLISH) < 2 and plain and not vocabulary.isdisjoint(ENGLISH) and len(vocabulary) < SHORT:  # noqa: PLR2004
        return False
    words = [word for word in text.words if len(word) > 1 or word in LETTERS]
    # Counted once for all windows: nearly every one is clearly English, and needs no closer look.
    english = [0, *accumulate(map(ENGLISH.__contains__, words))]
    for start in range(0, max(1, len(words) - STEP), STEP):
        end = min(start + WINDOW, len(words))
        count = english[end] - english[start]
        if end > start and count < CLEARLY_ENGLISH * (end - start) and _foreign_window(words[start:end], count):
            return True
    return False


def _foreign_window(words: list[str], english: int) -> bool:
    # Only a window with two different foreign words is worth counting by language.
    foreign = {word for word in words if word in FOREIGN_VOCABULARY and word not in ENGLISH}
    counts = [[word for word in words if word in vocabulary] for vocabulary in FOREIGN.values()] if len(foreign) > 1 else [[]]
    best = max(counts, key=len)
    own = [word for word in best if word not in ENGLISH]
    # Two of them settle a single sentence, three and a share settle a window; they must be different words ("La La Land").
    few = 2 if len(words) < SHORT else FEWEST_FOREIGN
    if set(own) - NAME_PARTICLES and len(set(own)) >= few and len(own) >= FOREIGN_SHARE * len(words) and len(own) > english:
        return True
    if enciphered(words, english):
        return True
    return len(words) >= IDENTIFIER_FEWEST and english <= HARDLY_ENGLISH * len(words) and _identified_as_foreign(words)


def _identified_as_foreign(words: list[str]) -> bool:
    """The trained identifier's word, on lower-case prose words only. Names and codes do not make it this certain."""
    prose = [word for word in words if word.isalpha() and len(word) > 1]
    if len(prose) < IDENTIFIER_FEWEST or len({*prose}) < IDENTIFIER_FEWEST * 0.6:
        return False
    accented = any(not word.isascii() for word in prose)
    if not accented and not _vowels(prose):
        return False
    language, certainty = _identifier().classify(" ".join(prose))
    return language not in {"en", "pcm", "sco"} and certainty >= (0.9 if accented else CERTAIN)


def _vowels(prose: list[str]) -> bool:
    """Whether these are words rather than abbreviations."""
    return sum(len(word) > 3 and not set("aeiouy").isdisjoint(word) for word in prose) >= 0.6 * len(prose)  # noqa: PLR2004


@cache
def _identifier() -> Any:
    module = importlib.import_module("py3langid.langid")
    return module.LanguageIdentifier.from_model_file(module.MODEL_FILE, norm_probs=True)


def _other_script(text: str) -> bool:
    """Whether some stretch of the text is in a script other than Latin."""
    if text.isascii():
        return False
    places = [match.start() for match in OTHER_LETTERS.finditer(text)]
    if foreign_stretch(text, places):
        return True
    if len(places) < SCRIPT_FEWEST:
        return bool(places) and len(places) >= 2 and len(places) > 0.5 * sum(letter.isalpha() for letter in text)  # noqa: PLR2004
    fewest = max(SCRIPT_FEWEST, min(int(SCRIPT_SHARE * SCRIPT_WINDOW), int(SCRIPT_SHARE * len(text))))
    return any(bisect_left(places, place + SCRIPT_WINDOW) - index >= fewest for index, place in enumerate(places))
