"""Text → units: the sentences, list items, form lines, table rows and code lines that a summary can be made of.

The work is bounded: of a long text a fixed excerpt is split, and of many units a fixed number is kept, so that 200 MB cost
hardly more than 2 MB. Splitting is by regular expression: the usual tokenizers need data that would have to be downloaded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MAX_EXCERPT_CHARS = 400_000
MAX_UNITS = 400
MAX_UNIT_CHARS = 400
_HEAD_SHARE, _TAIL_SHARE, _WINDOWS = 0.4, 0.2, 16
_TORN_CHARS = 200
_BYTES_PER_TOKEN = 3

# Repetition is bounded everywhere: an unbounded run that fails at its end costs the square of its length.
_SPACES, _BLANK_LINES = re.compile(r"[^\S\n]{9,}"), re.compile(r"\n(?:[^\S\n]{0,8}\n){3,}")
_SENTENCE_END = re.compile(r"[.!?…]{1,6}[\"'”\u2019)\]]{0,4}\s{1,8}(?=[\"'“\u2018(\[¿¡]?[^\W_a-zß-öø-ÿ])|[。\uff01\uff1f]{1,6}")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|Sr|Sra|Jr|St|No|Nr|Inc|Ltd|Co|Corp|vs|etc|approx|Fig|Sec|Art|Vol|pp?|e\.g|i\.e|cf|al|Dept|Hon|Rev|Gen|U\.S)"
    r"|\b[^\W\d_])\.$"
)
_OWN_LINE = re.compile(r"\s*(?:[-*•·\u2013>|#]|\(?\d{1,3}[.)]\s|\[[ xX]\]|[^\W\d_][\w ()/'-]{0,40}:)")
_CODE_LINE = re.compile(r"[{};=|\t]|\S {3,}\S|\)\s*:?$")
_WRAPPED_AT_LEAST = 50
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One piece of text. Units of one `block` (paragraph or line) stood on one line; the text never shows in a repr."""

    text: str = field(repr=False)
    block: int


def count_tokens(text: str) -> int:
    """The token count used where no tokenizer is at hand: ceil(UTF-8 bytes / 3)."""
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / _BYTES_PER_TOKEN)


def cut_to_tokens(text: str, max_tokens: int) -> str:
    """The longest beginning within the limit, at a word boundary where there is one; never empty for a non-empty text."""
    encoded = text.encode("utf-8", "surrogatepass")
    limit = max_tokens * _BYTES_PER_TOKEN
    if len(encoded) <= limit:
        return text
    cut = encoded[:limit].decode("utf-8", "ignore")
    if " " in cut.strip() and not text[len(cut)].isspace():
        cut = cut[: cut.rindex(" ")]
    return cut.rstrip() or text[:1]


def words(text: str) -> list[str]:
    """Lower-case words in order; a CJK character is a word of its own, an identifier is split at its underscores."""
    return _WORD.findall(text.lower())


def excerpt(text: str, max_chars: int = MAX_EXCERPT_CHARS) -> str:
    """The text itself, or its head, evenly spaced windows of the middle, and its tail, cut at white space.

    Long runs of spaces and of blank lines are shortened.
    """
    if len(text) <= max_chars:
        return _BLANK_LINES.sub("\n\n\n", _SPACES.sub(" " * 8, text))
    head, tail = int(max_chars * _HEAD_SHARE), int(max_chars * _TAIL_SHARE)
    width = (max_chars - head - tail) // _WINDOWS
    step = (len(text) - head - tail) / _WINDOWS
    starts = [head + int(step * index) for index in range(_WINDOWS)]
    middle = [_trim_end(_trim_start(text[start : start + width])) for start in starts]
    joined = "\n".join([_trim_end(text[:head]), *middle, _trim_start(text[-tail:])])
    return excerpt(joined, max_chars + _WINDOWS + 2)


def split_units(text: str) -> list[Unit]:
    """The units of a text in order, at most MAX_UNITS of at most MAX_UNIT_CHARS characters each."""
    units: list[Unit] = []
    for block, line in enumerate(_blocks(excerpt(text))):
        pieces = (piece for sentence in _sentences(line) for piece in _short_pieces(sentence))
        units.extend(Unit(text=piece, block=block) for piece in pieces if words(piece))
    if not units and text.strip():
        return [Unit(text=text.strip()[:MAX_UNIT_CHARS], block=0)]
    return _spread(units)


def join_units(units: list[Unit]) -> str:
    """The units as a text again: a space within a block, a line break between blocks."""
    joined = ""
    for previous, unit in zip([None, *units[:-1]], units, strict=True):
        separator = "" if previous is None else " " if previous.block == unit.block else "\n"
        joined += separator + unit.text
    return joined


def _trim_start(window: str) -> str:
    """Without a torn word at the beginning, if there is white space near it."""
    first = re.search(r"\s", window[:_TORN_CHARS])
    return window[first.end() :] if first else window


def _trim_end(window: str) -> str:
    """Without a torn word at the end, if there is a space near it."""
    last = max(window.rfind(space, len(window) - _TORN_CHARS) for space in " \n")
    return window[:last] if last > 0 else window


def _blocks(text: str) -> Iterator[str]:
    """Lines, with the lines of a hard-wrapped paragraph put together again."""
    pending = ""
    for line in text.splitlines():
        stripped = line.strip()
        if pending and stripped and _continues(pending, line):
            pending = f"{pending} {stripped}"
            continue
        if pending:
            yield pending
        pending = stripped
    if pending:
        yield pending


def _continues(previous: str, line: str) -> bool:
    """Whether `line` goes on with a paragraph whose last physical line was filled."""
    if len(previous) < _WRAPPED_AT_LEAST or len(previous) > MAX_UNIT_CHARS * 10 or _OWN_LINE.match(line):
        return False
    return not (_CODE_LINE.search(previous[-120:]) or _CODE_LINE.search(line.strip()))


def _sentences(line: str) -> Iterator[str]:
    """A line's sentences; a full stop after a title, an abbreviation or an initial ends none."""
    start = 0
    for match in _SENTENCE_END.finditer(line):
        stop = match.end()
        if _ABBREVIATION.search(line[max(start, stop - 20) : stop].rstrip()):
            continue
        yield line[start:stop].strip()
        start = stop
    if line[start:].strip():
        yield line[start:].strip()


def _short_pieces(sentence: str) -> Iterator[str]:
    """The sentence, or its pieces of at most MAX_UNIT_CHARS, cut at the last space where there is one."""
    while len(sentence) > MAX_UNIT_CHARS:
        cut = sentence.rfind(" ", MAX_UNIT_CHARS // 2, MAX_UNIT_CHARS)
        cut = cut if cut > 0 else MAX_UNIT_CHARS
        yield sentence[:cut].rstrip()
        sentence = sentence[cut:].lstrip()
    if sentence:
        yield sentence


def _spread(units: list[Unit]) -> list[Unit]:
    """All units, or the head, the tail and an even spread of the middle: the ranking is quadratic in their number."""
    if len(units) <= MAX_UNITS:
        return units
    head, tail = int(MAX_UNITS * _HEAD_SHARE), int(MAX_UNITS * _TAIL_SHARE)
    middle = units[head:-tail]
    room = MAX_UNITS - head - tail
    if len(middle) <= room:
        return units
    spread = [middle[index * len(middle) // room] for index in range(room)]
    return [*units[:head], *spread, *units[-tail:]]
