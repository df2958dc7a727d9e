"""The guard before a zip is unpacked: what it would become is known from its directory, without inflating a byte."""

from __future__ import annotations

import io
import zipfile

from detectors.document import ReadProblem

MAX_ENTRIES = 10_000
MAX_EXPANDED_BYTES = 256 * 1024 * 1024
MAX_RATIO = 100
"""Office XML shrinks to a tenth, a bomb to a thousandth."""
HARMLESS_BYTES = 4 * 1024 * 1024
"""A part this small may shrink as it likes: a table of equal rows does."""
OLE_MAGIC = bytes.fromhex("d0cf11e0a1b11ae1")
ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
ENCRYPTED_FLAG = 0x1


def inspect_archive(content: bytes) -> ReadProblem | None:
    """Why this zip must not be opened, or None. zipfile never inflates a part beyond the size that its directory states."""
    if is_encrypted_office(content):
        return ReadProblem.ENCRYPTED
    if content.startswith(OLE_MAGIC):
        return ReadProblem.UNSUPPORTED_FORMAT
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError):
        return ReadProblem.CORRUPT
    if len(entries) > MAX_ENTRIES or sum(entry.file_size for entry in entries) > MAX_EXPANDED_BYTES:
        return ReadProblem.ARCHIVE_BOMB
    if any(entry.file_size > HARMLESS_BYTES and entry.file_size > MAX_RATIO * max(entry.compress_size, 1) for entry in entries):
        return ReadProblem.ARCHIVE_BOMB
    return ReadProblem.ENCRYPTED if any(entry.flag_bits & ENCRYPTED_FLAG for entry in entries) else None


def is_encrypted_office(content: bytes) -> bool:
    """MS-OFFCRYPTO: a password-protected .docx, .xlsx or .pptx is an OLE file with a stream of this name."""
    return content.startswith(OLE_MAGIC) and ENCRYPTED_PACKAGE in content
