"""Text as a detector should see it: one spelling for what looks the same, and hidden runs laid open.

Steps, each with its own offset map:
1. characters: NFKC, invisible characters dropped, dashes and quotes made plain, foreign decimal digits made ASCII, and
   look-alike Cyrillic and Greek letters folded inside words that are otherwise Latin;
2. digits: spelled-out, spaced-out and line-broken digits joined;
3. encoded runs: percent-, base64-, hex- and entity-encoded text decoded and *appended*, so that nothing that was there is lost.

Original text is only ever added to or respelled, never taken away, so normalising cannot hide an identifier.
"""

from __future__ import annotations

import re
import unicodedata

from detectors.encodings import decoded_runs
from detectors.normalized import Normalized
from detectors.offsets import OffsetMap, Rewrite

UNUSUAL = re.compile(r"[\s\S]?[^\x00-\x7f]+")  # with the character before: a combining mark belongs to its base
LETTERS = re.compile(r"[^\W\d_]+")
FOREIGN = re.compile(r"[\u0370-\u03ff\u0400-\u052f]")
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\u2800\ufff9-\ufffb\u0332-\u0338\u20d0-\u20f0"  # a blank Braille cell, annotation marks, strokes and boxes drawn over a digit
    "\U000e0000-\U000e0fff]"
)

PLAIN = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d", "-")
    | dict.fromkeys("\u2018\u2019\u201b\u02bc\u2032\u00b4", "'")
    | dict.fromkeys("\u201c\u201d\u201f\u2033", '"')
)

# Letters that a reader takes for Latin (Unicode confusables, the common part: UTS #39).
CYRILLIC = dict(zip("АВЕКМНОРСТУХЅІЈԚԜҮаеорсухѕіјԛԝһԁвкмнтг", "ABEKMHOPCTYXSIJQWYaeopcyxsijqwhdbkmhtr", strict=True))
GREEK = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαινορτυχκε", "ABEZHIKMNOPTYXaivoptuxke", strict=True))
LOOKALIKE = CYRILLIC | GREEK

DIGIT_WORDS = {
    "zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4",
    "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "dash": "-", "hyphen": "-",
}  # fmt: skip
SPELLED_MINIMUM = 7
"""Shorter runs of digit words are prose ("one or two"); the shortest identifier that people dictate has seven digits."""
ONE_WORD = "(?:" + "|".join(DIGIT_WORDS) + ")"
SPELLED = re.compile(rf"(?<![a-z])(?:{ONE_WORD}[ ,.\-\n]{{1,3}}){{{SPELLED_MINIMUM - 1},}}{ONE_WORD}(?![a-z])", re.IGNORECASE)
# Single digits apart, at least seven: nobody writes prose like this. The separators are one class, so matching is linear.
SPACED = re.compile(r"(?<![\w.])\d(?:[ \t\u00a0._\-*]{1,3}\d){6,}(?![\w])")
# A number broken at the end of a line: a hyphen, or a quoted-printable soft break, on either side of it.
BROKEN = re.compile(r"(?<=\d)(?:-[ \t]{0,4}\r?\n[ \t>]{0,4}|[ \t]{0,4}\r?\n[ \t>]{0,4}-|=\r?\n)(?=\d)")


def normalize(text: str, part: str = "text") -> Normalized:
    """The normalised form of one part of a document."""
    maps: list[OffsetMap] = []
    for step in (_characters, _digits):
        rewrite = step(text)
        if rewrite is not None and rewrite.changed:
            text, offsets = rewrite.finish()
            maps.insert(0, offsets)
    runs, failures = decoded_runs(text)
    if runs:
        rewrite = Rewrite(text)
        for start, end, decoded in runs:
            inner = _characters(decoded)
            plain = inner.finish()[0] if inner is not None and inner.changed else decoded
            rewrite.append("\n\n", (end, end))
            rewrite.append(plain, (start, end))
        text, offsets = rewrite.finish()
        maps.insert(0, offsets)
    return Normalized(text=text, part=part, maps=tuple(maps), failures=failures)


def _characters(text: str) -> Rewrite | None:
    if text.isascii():
        return None
    rewrite = Rewrite(text)
    for match in UNUSUAL.finditer(text):
        old = match.group()
        new = _plain(old)
        if new != old:
            # The character before is only part of the change when a combining mark joined it.
            kept = 1 if len(old) > 1 and old[0].isascii() and new[:1] == old[0] else 0
            rewrite.replace(match.start() + kept, match.end(), new[kept:])
    if not rewrite.changed:
        return _folded(text, Rewrite(text))
    plain, first = rewrite.finish()
    folded = _folded(plain, Rewrite(plain))
    if not folded.changed:
        return rewrite
    # Folding keeps every character's place, so the first map holds for the folded text too.
    text_folded, _ = folded.finish()
    whole = Rewrite(text)
    for index, target in enumerate(first.targets):
        stop = first.targets[index + 1] if index + 1 < len(first.targets) else first.length
        whole.place(text_folded[target:stop], first.sources[index])
    return whole


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).translate(PLAIN)
    text = INVISIBLE.sub("", text)
    return "".join(str(unicodedata.decimal(letter)) if not letter.isascii() and letter.isdecimal() else letter for letter in text)


def _folded(text: str, rewrite: Rewrite) -> Rewrite:
    if not FOREIGN.search(text):
        return rewrite
    # A word made of look-alikes only is folded where the text around it is Latin; in a Russian text it is Russian.
    mostly_latin = sum("a" <= letter <= "z" for letter in text.lower()) > len(FOREIGN.findall(text))
    for match in LETTERS.finditer(text):
        word = match.group()
        if word.isascii() or not FOREIGN.search(word):
            continue
        if any("a" <= letter <= "z" for letter in word.lower()) or (mostly_latin and all(letter in LOOKALIKE for letter in word)):
            rewrite.replace(match.start(), match.end(), "".join(LOOKALIKE.get(letter, letter) for letter in word))
    return rewrite


def _digits(text: str) -> Rewrite | None:
    edits = [(match.span(), "".join(letter for letter in match.group() if letter.isdigit())) for match in SPACED.finditer(text)]
    edits += [(match.span(), "-" if "-" in match.group() else "") for match in BROKEN.finditer(text)]
    if _may_spell_digits(text):
        edits += [(match.span(), _spoken(match.group())) for match in SPELLED.finditer(text)]
    if not edits:
        return None
    rewrite = Rewrite(text)
    last = 0
    for (start, end), new in sorted(edits):
        if start >= last:
            rewrite.replace(start, end, new)
            last = end
    return rewrite


def _may_spell_digits(text: str) -> bool:
    lowered = text.lower()
    return sum(lowered.count(word) for word in DIGIT_WORDS) >= SPELLED_MINIMUM


def _spoken(run: str) -> str:
    return "".join(DIGIT_WORDS[word] for word in re.findall(r"[a-z]+", run.lower()))
