"""Lines and paragraphs of a text around a place in it: what markers ask about where a phrase stands."""

from __future__ import annotations

from detectors.normalized import WORD, Normalized

LONGEST_PARAGRAPH = 2_000
HEADING_WORDS = 12
LONGEST_HEADING = 300
GAPS = ("\n\n", "\n \n", "\r\n\r\n")


def line_of(text: str, position: int) -> str:
    """The line that contains the position, at most `LONGEST_PARAGRAPH` characters to either side."""
    start = text.rfind("\n", max(0, position - LONGEST_PARAGRAPH), position) + 1 or max(0, position - LONGEST_PARAGRAPH)
    end = text.find("\n", position, position + LONGEST_PARAGRAPH)
    return text[start : end if end >= 0 else position + LONGEST_PARAGRAPH]


def paragraph_around(text: str, position: int) -> tuple[int, int]:
    """Where the lines around the position begin and end: up to an empty line."""
    low, high = max(0, position - LONGEST_PARAGRAPH), min(len(text), position + LONGEST_PARAGRAPH)
    start = max(text.rfind(gap, low, position) for gap in GAPS)
    ends = [place for gap in GAPS if (place := text.find(gap, position, high)) >= 0]
    return max(low, start + 1), min(ends, default=high)


def is_heading(text: Normalized, start: int, end: int) -> bool:
    """Whether a phrase stands as a heading: first on a short line after an empty one, or in capitals, or in a subject."""
    if text.part != "text":
        return True
    line = line_of(text.text, start)
    if len(line) > LONGEST_HEADING:
        return False
    words = WORD.findall(line)
    if len(words) > HEADING_WORDS:
        return False
    if text.text[start:end].isupper() or line.lower().lstrip("> \t").startswith(("subject", "re:", "title")):
        return True
    before = text.text[max(0, start - 120) : start].rstrip(" \t>*#-[(_=")
    return before == "" or before.endswith("\n\n") or (before.endswith("\n") and len(words) <= HEADING_WORDS // 2)
