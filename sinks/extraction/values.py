"""Typed values in a piece of text, in order: dates (ISO), numbers, e-mail addresses, telephone numbers, web addresses, names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date

_MONTH_NAMES = (
    ("january", "jan", "enero", "ene"),
    ("february", "feb", "febrero"),
    ("march", "mar", "marzo"),
    ("april", "apr", "abril", "abr"),
    ("may", "mayo"),
    ("june", "jun", "junio"),
    ("july", "jul", "julio"),
    ("august", "aug", "agosto", "ago"),
    ("september", "sept", "sep", "septiembre", "setiembre"),
    ("october", "oct", "octubre"),
    ("november", "nov", "noviembre"),
    ("december", "dec", "diciembre", "dic"),
)
MONTHS: Mapping[str, int] = {name: number for number, names in enumerate(_MONTH_NAMES, start=1) for name in names}
_MONTH = "(?:" + "|".join(sorted(MONTHS, key=len, reverse=True)) + r")\b\.?"

_DATE = re.compile(
    rf"(?<!\d)(?:(?P<y1>\d{{4}})[-/.](?P<m1>\d{{1,2}})[-/.](?P<d1>\d{{1,2}})"
    rf"|(?P<m2>{_MONTH})\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y2>\d{{4}})"
    rf"|(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?[\s-]+(?:of\s+|de\s+)?(?P<m3>{_MONTH})[\s,-]+(?:de\s+|del\s+)?(?P<y3>\d{{4}})"
    r"|(?P<a>\d{1,2})(?P<sep>[/.-])(?P<b>\d{1,2})(?P=sep)(?P<y4>\d{4}|\d{2}))(?!\d)",
    re.IGNORECASE,
)
_CENTURY_TURNS_AT = 70  # two-digit years: 69 → 2069, 70 → 1970, as POSIX strptime has it
_MONTHS_A_YEAR = 12

_NUMBER = re.compile(
    r"(?P<open>\()?(?P<sign>[-\u2212])?\s?(?P<money>US\$|USD|EUR|GBP|[$€£¥])?\s?(?P<sign2>[-\u2212])?"
    r"(?<![\w.,])(?P<digits>\d{1,3}(?:,\d{3}){1,5}(?:\.\d{1,9})?|\d{1,3}(?:\.\d{3}){1,5},\d{1,2}|\d{1,15}(?:[.,]\d{1,2}(?!\d)|\.\d{1,9})?)"
    r"\s?(?P<scale>million|billion|thousand|bn|[kmMK])?\b(?P<money2>\s?(?:USD|EUR|GBP|dollars|euros|€))?",
)
_SCALES: Mapping[str, int] = {"thousand": 10**3, "k": 10**3, "million": 10**6, "m": 10**6, "billion": 10**9, "bn": 10**9}

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_PHONE = re.compile(r"(?<![\w.-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?|\d{2,4}[ .-])\d{3}[ .-]?\d{2,4}(?:[ .-]?\d{2,4})?(?![\w-])")
_URL = re.compile(r"https?://[^\s<>\"')\]]{1,300}")
_CODE = re.compile(r"(?<!\w)(?=[\w/-]{0,39}\d)[A-Za-z0-9][\w/-]{2,39}(?!\w)")
_NAME_WORD = r"[A-ZÀ-Þ][\w'\u2019-]{1,40}\.?"
_TITLED = re.compile(rf"\b(?:Mr|Mrs|Ms|Dr|Prof|Sr|Sra)\.? (?P<name>{_NAME_WORD}(?: {_NAME_WORD}){{0,3}})")
_ADDRESSED = re.compile(
    rf"^[ \t]{{0,8}}(?:Dear|Hi|Hello|Estimad[oa]s?)[ ](?P<name>(?:(?:Mr|Mrs|Ms|Dr)\.? )?{_NAME_WORD}(?: {_NAME_WORD}){{0,3}})[ ]?[,:]",
    re.MULTILINE,
)


def dates(text: str) -> Iterator[str]:
    """Dates as YYYY-MM-DD. 03/04/2024 is read month first, as in the United States, unless only day first is possible."""
    for match in _DATE.finditer(text):
        if (found := _as_date(match)) is not None:
            yield found.isoformat()


def numbers(text: str, *, money_only: bool = False) -> Iterator[float]:
    """Numbers without their thousands separators and currency; (1,200) and -1,200 are negative; 4.5 million is 4500000."""
    for match in _NUMBER.finditer(_DATE.sub(" ", text)):
        if money_only and not (match["money"] or match["money2"]):
            continue
        value = float(_plain(match["digits"])) * _SCALES.get((match["scale"] or "").lower(), 1)
        negative = match["sign"] or match["sign2"] or (match["open"] and text[match.end() : match.end() + 1] == ")")
        yield -value if negative else value


def emails(text: str) -> Iterator[str]:
    """E-mail addresses."""
    return (match.group().rstrip(".") for match in _EMAIL.finditer(text))


def phones(text: str) -> Iterator[str]:
    """Telephone numbers as written."""
    return (match.group() for match in _PHONE.finditer(_DATE.sub(" ", text)))


def urls(text: str) -> Iterator[str]:
    """Web addresses."""
    return (match.group().rstrip(".,;") for match in _URL.finditer(text))


def codes(text: str) -> Iterator[str]:
    """Reference-like words: letters and digits with at least one digit."""
    return (match.group() for match in _CODE.finditer(text))


def titled_names(text: str) -> Iterator[str]:
    """Names after a form of address: "Dr. Ines Calder"."""
    return (match["name"].rstrip(".") for match in _TITLED.finditer(text))


def addressed_names(text: str) -> Iterator[str]:
    """Whom a letter speaks to: the name in "Dear Ms Calder,"."""
    return (match["name"] for match in _ADDRESSED.finditer(text))


def _as_date(match: re.Match[str]) -> date | None:
    if match["y1"]:
        year, month, day = int(match["y1"]), int(match["m1"]), int(match["d1"])
    elif match["y2"]:
        year, month, day = int(match["y2"]), _month(match["m2"]), int(match["d2"])
    elif match["y3"]:
        year, month, day = int(match["y3"]), _month(match["m3"]), int(match["d3"])
    else:
        first, second, year = int(match["a"]), int(match["b"]), int(match["y4"])
        day_first = match["sep"] == "." or first > _MONTHS_A_YEAR
        month, day = (second, first) if day_first else (first, second)
        year += 0 if len(match["y4"]) > 2 else 2000 if year < _CENTURY_TURNS_AT else 1900  # noqa: PLR2004 - digits of a short year
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _month(name: str) -> int:
    return MONTHS[name.rstrip(".").lower()]


def _plain(digits: str) -> str:
    """`1,234.50`, `1.234,50`, `12,5` → a number Python reads."""
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        return digits.replace(",", "")
    return digits.replace(".", "").replace(",", ".") if "," in digits else digits
