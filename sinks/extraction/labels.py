"""Where a text states something: "Label: value" on a line or in a table cell, a list under a label, a phrase in a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_NEXT_LABEL = re.compile(r"\s{2,}|\t|\s*\|\s*|[;,]\s+(?=[A-Z][\w ]{1,25}:\s)|\s+(?=[A-Z][a-z]+(?: [a-z]+){0,2}:\s)")
_BULLET = re.compile(r"^[ \t]*(?:[-*•·\u2013]|\(?\d{1,2}[.)])[ \t]+(?P<item>\S.*)$")
_LIST_SEPARATOR = re.compile(r"\s*;\s*|\s*\|\s*|,\s+(?:and\s+|y\s+)?|\s+and\s+")
MAX_VALUE_CHARS = 300
MAX_MENTIONS = 20
MAX_ITEMS = 50
_NEARBY_CHARS = 80


def labelled(text: str, phrase: str) -> Iterator[str]:
    """Values that follow the label, on its line or, when nothing is there, on the next line; in order, as written."""
    for count, match in enumerate(_label(phrase).finditer(text)):
        if count == MAX_MENTIONS:
            return
        line_end = _line_end(text, match.end())
        value = _NEXT_LABEL.split(text[match.end() : line_end][: 2 * MAX_VALUE_CHARS].strip(), maxsplit=1)[0] or _next_line(text, line_end)
        if cleaned := value.strip(" \t|*_\"'“”,;").strip()[:MAX_VALUE_CHARS]:
            yield cleaned


def listed(text: str, phrase: str) -> Iterator[list[str]]:
    """Lists that follow the label: bulleted or numbered lines under it, or parts between commas, semicolons or "and"."""
    for count, match in enumerate(_label(phrase).finditer(text)):
        if count == MAX_MENTIONS:
            return
        line_end = _line_end(text, match.end())
        if line := text[match.end() : line_end][: 4 * MAX_VALUE_CHARS].strip(" \t|*_"):
            items = [item.strip(" .*_") for item in _LIST_SEPARATOR.split(line)]
        else:
            items = list(_bullets(text, line_end + 1))
        if items := [item for item in items if item][:MAX_ITEMS]:
            yield items


def nearby(text: str, phrase: str) -> Iterator[str]:
    """The rest of the sentence after each mention of the phrase, at most a line's worth."""
    for count, match in enumerate(_mention(phrase).finditer(text)):
        if count == MAX_MENTIONS:
            return
        window = text[match.end() : match.end() + _NEARBY_CHARS]
        yield re.split(r"\n\s*\n|[.!?]\s", window, maxsplit=1)[0]


def mentioned(text: str, phrase: str) -> re.Match[str] | None:
    """The first mention of the phrase as whole words."""
    return _mention(phrase).search(text)


@lru_cache(maxsize=2048)
def _label(phrase: str) -> re.Pattern[str]:
    """The phrase as a label: at the start of a line, a cell or a column, before a colon, an equals sign, a bar or a tab."""
    return re.compile(
        rf"(?:^|[|\t;]|[ ]{{2,8}}|(?<=[.,] ))[ \t>*#_•-]{{0,6}}{_pattern(phrase)}"
        r"(?:[ ]?(?:#|no\.?|number))?[ ]?(?:\([^)\n]{0,30}\))?[*_]{0,2}[ \t]{0,8}(?:[:=|]|\t)[*_]{0,2}",
        re.IGNORECASE | re.MULTILINE,
    )


@lru_cache(maxsize=2048)
def _mention(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){_pattern(phrase)}(?!\w)", re.IGNORECASE)


def _pattern(phrase: str) -> str:
    return r"[ \t_-]{1,3}".join(re.escape(word) for word in phrase.split())


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _next_line(text: str, line_end: int) -> str:
    """The line below a bare label, unless it is a label itself."""
    line = text[line_end + 1 : _line_end(text, line_end + 1)][:MAX_VALUE_CHARS].strip()
    return "" if re.match(r"[A-Za-z][\w ]{0,40}:(?:\s|$)", line) else line


def _bullets(text: str, start: int) -> Iterator[str]:
    """Consecutive bulleted or numbered lines; one blank line may come first."""
    for number, line in enumerate(text[start : start + MAX_ITEMS * MAX_VALUE_CHARS].split("\n")):
        bullet = _BULLET.match(line)
        if bullet:
            yield bullet["item"].strip()[:MAX_VALUE_CHARS]
        elif line.strip() or number:
            return
