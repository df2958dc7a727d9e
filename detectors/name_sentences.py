"""Which sentences of a text could hold a person's name: the ones worth a neural network's time.

`evidence: complete` gates sentences with this: named-entity recognition does not see the others. A sentence is kept when it has
- a capitalised word that its place does not explain: not the first word of a sentence that is an everyday word or stands in the same text
  in lower case, not a weekday, not a short abbreviation;
- a known given name in lower case, or an initial;
- in a text that does not use capitals as prose does (all small, all large): any word of the name lists, a role, or a word that is not
  everyday.
Sentences beside each other are joined again, so that a name over a line break keeps its context. Measured figures: `benchmarks/README.md`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from detectors.function_words import ENGLISH
from detectors.identifiers.gazetteer import Gazetteer, gazetteer
from detectors.normalized import Normalized
from detectors.phrases import listed

Span = tuple[int, int]

# A sentence ends at a line's end, or at a full stop, question or exclamation mark and a space; not behind an initial ("O.J. Roe").
END = re.compile(r"\n+|(?<![A-Z])[.!?][\"')\]\u2019\u201d]{0,3}[ \t]+")
CAPITAL = "A-Z\u00c0-\u00d6\u00d8-\u00de"
CAPITALISED = re.compile(rf"(?<![^\W_])[{CAPITAL}][^\W_]*(?:['\u2019][^\W\d_]+)?")
OTHER_CAPITAL = re.compile(r"[^\x00-\x7f]")
SMALL = re.compile(r"(?<![^\W_])[a-z]+(?:'[a-z]+)?")
OPENING = re.compile(r"[\s\"'(\[\u2018\u201c*>#\u2022\u2013\u2014-]*")
NOT_NAMES = listed(
    "i i'm i'll i've i'd monday tuesday wednesday thursday friday saturday sunday january february march july september october november "
    "december english spanish french german american british european mr's ok pm am usa uk us eu tv"
)
EVERYDAY = ENGLISH | listed(
    "according actually additionally although always am among another answer anyone anything anyway are aren't around ask at available "
    "based because become began being below best better beyond big both bring call called can't cannot check close come comes "
    "compared consider could couldn't current currently dear despite did didn't didn't different do does doesn't doing don't done due "
    "each early either else especially even eventually ever every everyone everything exactly except few figure finally find first "
    "five follow following for four fortunately full further furthermore generally get getting give given go going good great "
    "had has hasn't hello hence here here's hey hi high historically hopefully however how's imagine important in including "
    "indeed initially inside instead interestingly isn't it's its just keep know last later least less let let's like likewise "
    "little long look looking looks lots made main make makes making many maybe meanwhile might moreover most mostly much must my "
    "nearly need neither never nevertheless new next nice no nobody none nonetheless normally note nothing now nowadays obviously "
    "occasionally off often oh okay old on once one only open original originally others otherwise overall own part particularly "
    "people perhaps personally place please possible previous previously probably put quite rather read ready really recent recently "
    "regarding regards remember right said same saw say says second see seems set several shall she's short should shouldn't similar "
    "similarly simply since six small so some somebody someone something sometimes soon sorry specifically start started still stop "
    "subject such suddenly sure surprisingly take taking tell ten than thank thanks that's then there's therefore these they'll "
    "they're they've thing things think third this three throughout thus time to today together tomorrow tonight too total try turn "
    "two typically ultimately under unfortunately unless unlike until up upon use used using usually various very wait want wanted "
    "wasn't way we'll we're we've welcome well went were what's whatever "
    "when whenever where's wherever whereas whether which whichever while who's whoever "
    "whose why wish within without won't work works wow wouldn't yeah yes yesterday yet you'd you'll you're you've your yours "
    "patient denies reports states history medications allergies assessment plan impression vital signs exam examination blood "
    "pressure heart lungs abdomen extremities skin labs laboratory diagnosis procedure findings results date time page section table "
    "name address phone fax email sent cc bcc re fw fwd attached enclosed confidential account number amount balance payment total "
    "loan card policy claim bank company customer member agreement document report summary notes minutes agenda meeting action items "
    "background conclusion conclusions method methods objective objectives introduction result discussion purpose design setting "
    "copyright license version contact information question questions comment comments source example chapter article part"
)
ROLES = listed(
    "mr mrs ms miss dr doctor patient client customer member borrower "
    "applicant nurse sir madam prof professor mother father wife husband son "
    "daughter brother sister named name hi hello dear thanks regards from to by met told asked called"
)
SHORT_ABBREVIATION = 3
PROSE = 0.5
"""Of the sentences of prose in mixed case, nearly all begin with a capital or a digit; of notes in small letters hardly any."""


def name_spans(text: str) -> list[Span]:
    """The stretches of the text that could hold a name, in order, ends exclusive, sentences beside each other joined."""
    starts = [0, *(match.end() for match in END.finditer(text))]
    keep = sorted({bisect_right(starts, place) - 1 for place in _places(text, starts)})
    spans: list[Span] = []
    for index in keep:
        end = starts[index + 1] if index + 1 < len(starts) else len(text)
        if spans and spans[-1][1] == starts[index]:
            spans[-1] = (spans[-1][0], end)
        elif end > starts[index]:
            spans.append((starts[index], end))
    return spans


def name_stretches(text: Normalized) -> list[Span]:
    """The same of a normalised text: what `ner.py` shows to a model."""
    return name_spans(text.text)


def _places(text: str, starts: list[int]) -> Iterator[int]:
    """Where words stand that may be names."""
    names = gazetteer()
    small = frozenset(SMALL.findall(text))
    if _is_prose(text, starts, small):
        firsts = {match.end() for start in starts if (match := OPENING.match(text, start))}
        everyday = EVERYDAY | small
        for match in CAPITALISED.finditer(text):
            if _may_name(match.group(), first=match.start() in firsts, everyday=everyday, names=names):
                yield match.start()
        if not text.isascii():
            yield from _other_capitals(text)
        known = small & names.strong_given
    else:
        for match in CAPITALISED.finditer(text):
            if match.group().lower() not in EVERYDAY | NOT_NAMES and len(match.group()) > 1:
                yield match.start()
        known = frozenset(word for word in small if word in ROLES or names.known(word))
    if known:
        yield from (match.start() for match in SMALL.finditer(text) if match.group() in known)


def _is_prose(text: str, starts: list[int], small: frozenset[str]) -> bool:
    """Whether capitals say something here: sentences begin with them, and other words do not have them."""
    openings = [text[match.end()] for start in starts if (match := OPENING.match(text, start)) and match.end() < len(text)]
    letters = [opening for opening in openings if opening.isalpha()]
    return bool(small) and (not letters or sum(letter.isupper() for letter in letters) >= PROSE * len(letters))


def _may_name(word: str, *, first: bool, everyday: frozenset[str], names: Gazetteer) -> bool:
    """Whether a capitalised word may be a name, in a text of mixed case."""
    lower = word.lower().replace("\u2019", "'")
    lower = lower.removesuffix("'s")
    if len(lower) == 1 or lower in NOT_NAMES:
        return False
    if lower in names.strong_given or lower in names.strong_surnames:
        return True
    if word.isupper():
        return len(word) > SHORT_ABBREVIATION and lower not in everyday
    return lower not in everyday if first else lower not in EVERYDAY or lower in names.surnames


def _other_capitals(text: str) -> Iterator[int]:
    """Capitals of other alphabets than Latin, and rarer Latin ones."""
    return (match.start() for match in OTHER_CAPITAL.finditer(text) if match.group().isupper())
