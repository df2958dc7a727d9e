"""PDF text with pypdf, page by page. A page that cannot be judged makes the whole document say so."""

from __future__ import annotations

import io
import logging
import re

from pypdf import PageObject, PdfReader
from pypdf.errors import FileNotDecryptedError, PyPdfError

from detectors.document import ReadProblem
from flows.sources.extract import Extract

MAX_PAGES = 20_000
UNMAPPED = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f]")
"""What glyphs without a Unicode map come out as: the page shows words that nobody here can read."""
UNMAPPED_SHARE = 0.05
SHOWN = frozenset({"title", "keywords"})
LABELS = ("msip_label", "sensitivity", "classification", "confidential", "privilege", "marking")
BROKEN = (
    PyPdfError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    AssertionError,
    RecursionError,
    OverflowError,
    NotImplementedError,
)
"""PyPdfError is documented; the rest is what malformed objects make pypdf raise."""

# pypdf's warnings quote objects of the file (invariant 5).
logging.getLogger("pypdf").setLevel(logging.CRITICAL + 1)


def read_pdf(content: bytes, max_bytes: int) -> Extract:
    """Text of all pages and of filled form fields. A file that opens without a password is read, whatever its permissions ask."""
    try:
        reader = PdfReader(io.BytesIO(content), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            return Extract(problem=ReadProblem.ENCRYPTED)
        pages = len(reader.pages)
    except FileNotDecryptedError:
        return Extract(problem=ReadProblem.ENCRYPTED)
    except BROKEN:
        return Extract(problem=ReadProblem.CORRUPT)
    return _read_pages(reader, pages, max_bytes)


def _read_pages(reader: PdfReader, pages: int, max_bytes: int) -> Extract:
    texts: list[str] = []
    length, partial = 0, pages > MAX_PAGES
    for number in range(min(pages, MAX_PAGES)):
        text, whole = _read_page(reader, number)
        partial = partial or not whole
        if text:
            texts.append(text)
        length += len(text)
        if length > max_bytes:
            return Extract(text="\n\n".join(texts)[:max_bytes], problem=ReadProblem.TOO_LARGE)
    texts.extend(_form_fields(reader))
    if not texts:
        return Extract(problem=ReadProblem.NO_TEXT_LAYER)
    return Extract(text="\n\n".join(texts), metadata=_properties(reader), problem=ReadProblem.PARTIAL_TEXT if partial else None)


def _read_page(reader: PdfReader, number: int) -> tuple[str, bool]:
    """The page's text, and whether that is all there is to read on it."""
    try:
        page = reader.pages[number]
        text = page.extract_text().strip()
        if not text:
            return "", not _has_image(page)
    except BROKEN:
        return "", False
    return text, len(UNMAPPED.findall(text)) <= UNMAPPED_SHARE * len(text)


def _has_image(page: PageObject) -> bool:
    return bool(len(page.images))


def _form_fields(reader: PdfReader) -> list[str]:
    try:
        fields = reader.get_form_text_fields() or {}
    except BROKEN:
        return []
    return [f"{name}: {value}" for name, value in fields.items() if isinstance(value, str) and value.strip()]


def _properties(reader: PdfReader) -> dict[str, str]:
    """Title and keywords, and whatever in the document information is a sensitivity label."""
    try:
        given = {str(key).removeprefix("/"): str(value).strip() for key, value in (reader.metadata or {}).items()}
    except BROKEN:
        return {}
    shown = {key.lower(): value for key, value in given.items() if key.lower() in SHOWN}
    return {key: value for key, value in {**shown, **_labels(given)}.items() if value}


def _labels(given: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in given.items() if any(label in key.lower() for label in LABELS)}
