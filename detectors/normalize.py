"""Text as a detector should see it: one spelling for what looks the same, and hidden runs laid open.

Steps, each with its own offset map:
1. residue: control characters and terminal sequences dropped, double-encoded characters put right, Unicode tags read (`residue.py`);
2. characters: NFKC, invisible characters dropped, dashes and quotes made plain, foreign and drawn digits made ASCII, and look-alike
   letters folded inside words that are otherwise Latin (`lookalikes.py`);
3. second readings: words set wide, cut by hyphens or tags, letters for digits, *appended* in the other spelling (`respelling.py`), and
   words strewn with accents, appended without them;
4. digits: spelled-out, spaced-out and line-broken digits, *appended* joined;
5. encoded runs (`encodings.py`): decoded, put through the steps above, and *appended*.

Original text is only ever added to or respelled, never taken away, so normalising cannot hide an identifier.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, zip_longest

from detectors import traces
from detectors.composing import normalized
from detectors.encodings import UNDECODABLE_RUN, decoded_runs
from detectors.lookalikes import DRAWN, FOREIGN, LOOKALIKE, plain_numbers, without_accents, without_marks
from detectors.normalized import Normalized
from detectors.number_words import spelled_numbers
from detectors.offsets import OffsetMap, Rewrite
from detectors.residue import CONTROL, decoded_twice, hidden_writing, tag_writing, without_controls
from detectors.respelling import Piece, run_together, second_readings, stretches

UNUSUAL = re.compile(r"[\s\S]?[^\x00-\x7f]+")  # with the character before: a combining mark belongs to its base
LETTERS = re.compile(r"[^\W\d_]+")
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

# Single digits apart, at least seven: nobody writes prose like this. The separators are one class, so matching is linear.
# The first digit comes before the look behind it, so that only digits are tried.
SPACED = re.compile(r"\d(?<![a-z0-9_.].)(?:[ \t\u00a0._\-*]{1,3}\d){6,}(?![\w])")
# A number broken at the end of a line: a hyphen, or a quoted-printable soft break, on either side of it.
BROKEN = re.compile(r"\d(?:-[ \t]{0,4}\r?\n[ \t>]{0,4}|[ \t]{0,4}\r?\n[ \t>]{0,4}-|=\r?\n)(?=\d)")


def normalize(text: str, part: str = "text") -> Normalized:
    """The normalised form of one part of a document."""
    hidden = hidden_writing(text) or run_together(text)
    text, maps = _respelled(text)
    runs, failures = decoded_runs(text, _plain_characters)
    if runs:
        rewrite = Rewrite(text)
        for start, end, decoded in runs:
            rewrite.append("\n\n", (end, end))
            rewrite.append(_respelled(decoded)[0], (start, end))
        text, offsets = rewrite.finish()
        maps.insert(0, offsets)
    return Normalized(text=text, part=part, maps=tuple(maps), failures=failures | ({UNDECODABLE_RUN} if hidden else set()))


def _respelled(text: str) -> tuple[str, list[OffsetMap]]:
    """The text after every step but the decoding, and the way back."""
    maps: list[OffsetMap] = []
    for step in (_second_readings, _digits) if _plain_already(text) else (*CHARACTERS, _second_readings, _unaccented, _digits):
        rewrite = step(text)
        if rewrite is not None and rewrite.changed:
            text, offsets = rewrite.finish()
            maps.insert(0, offsets)
    return text, maps


def _plain_already(text: str) -> bool:
    """Whether the steps that look at single characters would leave the text as it is."""
    return text.isascii() and not traces.controls(text)


def _plain_characters(text: str) -> str:
    """The text with plain characters and nothing appended."""
    if _plain_already(text):
        return text
    text = CONTROL.sub("", text)
    for step in (decoded_twice, without_marks, _characters):
        rewrite = step(text)
        text = rewrite.finish()[0] if rewrite is not None and rewrite.changed else text
    return text


def _tags(text: str) -> Rewrite | None:
    rewrite = Rewrite(text)
    for start, end, said in tag_writing(text):
        rewrite.append("\n\n", (end, end))
        rewrite.append(said, (start, end))
    return rewrite


def _second_readings(text: str) -> Rewrite | None:
    return _appended(text, second_readings(text))


def _unaccented(text: str) -> Rewrite:
    """Appended and not in place: in another language, the accents are part of the words."""
    return _appended(text, stretches(text, without_accents(text)))


def _appended(text: str, readings: Iterable[list[Piece]]) -> Rewrite:
    rewrite = Rewrite(text)
    for pieces in readings:
        rewrite.append("\n\n", (len(text), len(text)))
        for start, end, said in pieces:
            rewrite.append(said, (start, end))
    return rewrite


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
    text = INVISIBLE.sub("", text)
    text = normalized("NFKC", text).translate(PLAIN)
    return plain_numbers(INVISIBLE.sub("", text).translate(DRAWN))


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


CHARACTERS = (_tags, without_controls, decoded_twice, without_marks, _characters)


def _digits(text: str) -> Rewrite | None:
    spaced = SPACED.finditer(text) if traces.single_digits(text) else ()
    broken = list(BROKEN.finditer(text)) if traces.broken_numbers(text) else []
    edits = [(*match.span(), "".join(filter(str.isdigit, match.group()))) for match in spaced]
    edits += [(match.start() + 1, match.end(), "-" if "-" in match.group() else "") for match in broken]
    spelled = [[(start, end, digits) for digits in readings] for start, end, readings in spelled_numbers(text)]
    joined, *cut = zip_longest(*spelled) if spelled else [()]
    parted = [(match.start() + 1, match.end(), ", ") for match in broken]  # two numbers: "line 4-\n536-22-8145"
    if not edits and not spelled:
        return None
    rounds = [[*edits, *joined], parted, *cut]
    return _appended(text, chain.from_iterable(stretches(text, filter(None, edits)) for edits in rounds))
