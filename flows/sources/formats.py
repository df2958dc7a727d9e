"""Which reader reads which file. One visible line per format; anything else is text if it looks like text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from detectors.document import ReadProblem
from flows.sources.archive import is_encrypted_office
from flows.sources.extract import Extract, Reader, guarded
from flows.sources.html import read_html
from flows.sources.mail import MAX_DEPTH, read_mail
from flows.sources.pdf import read_pdf
from flows.sources.text import looks_binary, read_text
from flows.sources.word import read_docx

READERS: Mapping[str, Reader] = {
    ".txt": read_text,
    ".md": read_text,
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_html,
    ".pdf": read_pdf,
    ".docx": read_docx,
}
CUT_READERS = (read_text, read_html)
"""Formats of which the first part can be read by itself."""
ENCRYPTED_SUFFIXES = frozenset({".pgp", ".gpg", ".p7m", ".p7e"})
SNIFFED_BYTES = 8192


def read_content(name: str, content: bytes, max_bytes: int, depth: int = 0) -> list[Extract]:
    """The documents in one file or attachment; never raises, and never an empty list."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix == ".eml":
        return _read_mail_file(content, max_bytes, depth)
    reader = READERS.get(suffix) or partial(_read_unknown, suffix)
    if len(content) > max_bytes and reader not in CUT_READERS and suffix in READERS:
        return [Extract(problem=ReadProblem.TOO_LARGE)]
    return [guarded(reader, content, max_bytes)]


def _read_unknown(suffix: str, content: bytes, max_bytes: int) -> Extract:
    if suffix in ENCRYPTED_SUFFIXES or is_encrypted_office(content) or content.startswith(b"-----BEGIN PGP MESSAGE-----"):
        return Extract(problem=ReadProblem.ENCRYPTED)
    if looks_binary(content[:SNIFFED_BYTES]):
        return Extract(problem=ReadProblem.UNSUPPORTED_FORMAT)
    return read_text(content, max_bytes)


def _read_mail_file(content: bytes, max_bytes: int, depth: int) -> list[Extract]:
    if len(content) > max_bytes:
        return [Extract(problem=ReadProblem.TOO_LARGE)]
    if depth >= MAX_DEPTH:
        return [Extract(problem=ReadProblem.ARCHIVE_BOMB)]
    family: list[Extract] = []

    def read(inner: bytes, limit: int) -> Extract:
        family.extend(read_mail(inner, limit, lambda name, attached: read_content(name, attached, limit, depth + 1)))
        return family[0]

    body = guarded(read, content, max_bytes)
    return family or [replace(body, text="")]
