"""Texts that somebody would write to make a scanner slow, each by its number of characters."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable


def repeated(piece: str) -> Callable[[int], str]:
    """The piece over and over."""
    return lambda size: piece * (size // len(piece))


def _base64(size: int) -> str:
    return base64.b64encode(random.Random(1).randbytes(size * 3 // 4)).decode()  # noqa: S311 - noise, not a secret


def _nested_base64(size: int) -> str:
    text = b"the patient was seen today; " * (size // 80)
    for _ in range(4):
        text = base64.b64encode(text)
    return text.decode()


CRAFTED: dict[str, Callable[[int], str]] = {
    "digits": repeated("1234567890"),
    "nested quotes": repeated("\"'"),
    "a@a@a@": repeated("a@"),
    "a.a.a.": repeated("a."),
    "digit words": repeated("one two three four "),
    "base64": _base64,
    "base64 in base64": _nested_base64,
    "one long word": repeated("abcdefgh"),
    "newlines": repeated("\n"),
    "<<<<": repeated("<"),
    "((((": repeated("("),
    "labels": repeated("Account number: "),
    "labels with numbers": repeated("Account number: 1 "),
    "percent signs": repeated("%"),
    "half percent codes": repeated("%4"),
    "percent codes": repeated("%41"),
    "half entities": repeated("&ab"),
    "soft line breaks": repeated("=\n"),
    "escapes": repeated("\\x41"),
    "hex in groups": repeated("4a "),
    "combining marks": lambda size: "e" + "\u0301\u0327" * (size // 2),
    "zero-width spaces": repeated("a\u200b"),
    "mixed alphabets": repeated("a\u0431"),
    "titles": repeated("Dear Mr "),
    "names": repeated("John Smith "),
    "commas": repeated("a,"),
    "tables": repeated("name,ssn,dob\n"),
    "assignments": repeated("password='"),
    "footers": repeated("confidential may be "),
    "advice": repeated("legal advice "),
    "wide text": repeated("a b c d e f "),
    "one line": repeated("The patient Ada Example was seen on 4/5/2024 with chest pain, MRN 12345678, and sent home. "),
}
