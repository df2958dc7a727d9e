r"""Characters written as escapes of programming languages: `\x41`, `\x{41}`, `\u0041`, `\u{41}`, `\U00000041`, `%u0041`, `\101`, `U+0041`.

One is enough: it may stand for the hyphen in the middle of a number. So is one `\n` of JSON (RFC 8259, section 7): its letter stands
against the number that follows, which then begins no word. And documents that are all markup: Rich Text Format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from detectors.anchored import Anchored

Run = tuple[int, int, str]

ONE = (
    r"(?:\\x\{([0-9A-Fa-f]{1,6})\}|\\u\{([0-9A-Fa-f]{1,6})\}|\\U([0-9A-Fa-f]{8})|[\\%]u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})"
    r"|U\+([0-9A-Fa-f]{4,6})[ ]?|\\0{4}([0-9A-Fa-f]{2})[ ]?|\\o?\{?([0-3][0-7]{2})\}?|\\([nrtvfb/\"']))"
)
OCTAL, LETTER = 8, 9
"""The groups of `ONE` whose digits are octal, and whose letter names a character."""
SAID = {"n": "\n", "r": "\n", "v": "\n", "f": "\n", "t": "\t", "b": " "}
ESCAPE = re.compile(ONE)
BARE = re.sub(r"\((?=[\[0])", "(?:", ONE)
ESCAPES = Anchored(re.compile(rf"[^\\%\n]{{0,80}}(?:{BARE}[^\\%\n]{{0,80}})+"), re.compile(BARE), re.compile(r"[^\\%\n]*"), 80)
SIGNS = ("\\", "%u", "U+")
LAST_CHARACTER = 0x10FFFF
SURROGATES = range(0xD800, 0xE000)
RTF_OPENING = "{\\rtf"
RTF_WORD = re.compile(r"\\'([0-9A-Fa-f]{2})|\\(par|line|tab|cell|row)\b ?|\\u(-?\d{1,6})\??|\\[a-z]{1,32}-?\d{0,10} ?|\\[^a-z]|[{}]|\r?\n")


def escaped_runs(text: str) -> Iterator[Run]:
    """Every stretch with an escape in it, and what it says."""
    if any(sign in text for sign in SIGNS):
        for match in ESCAPES.finditer(text):
            said = ESCAPE.sub(_character, match.group())
            if said != match.group():
                yield (*match.span(), said)
    if text.lstrip()[: len(RTF_OPENING)] == RTF_OPENING:
        yield 0, len(text), RTF_WORD.sub(_rich_text, text)


def _character(escape: re.Match[str]) -> str:
    group = escape.lastindex or 1
    if group == LETTER:
        return SAID.get(escape.group(group), escape.group(group))
    return _of(int(escape.group(group), 8 if group == OCTAL else 16))


def _of(code: int) -> str:
    """The character, or nothing for half a surrogate pair: no text can hold one."""
    return chr(code) if 0 <= code <= LAST_CHARACTER and code not in SURROGATES else ""


def _rich_text(word: re.Match[str]) -> str:
    """What a control word of RTF 1.9 stands for in the text."""
    if word.group(1):
        return bytes.fromhex(word.group(1)).decode("cp1252", "replace")
    if word.group(2):
        return "\t" if word.group(2) in {"tab", "cell"} else "\n"
    if word.group(3):
        return _of(int(word.group(3)) % 0x10000)
    return word.group()[1:] if word.group() in {"\\{", "\\}", "\\\\", "\\-"} else ""
