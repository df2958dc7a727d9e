"""E-mail with the standard library: headers become metadata; body and each attachment are documents of one family.

Malformed mail is the rule rather than the exception, and the parser answers with defects, not errors. What it cannot give is held.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import Message
from itertools import islice

from detectors.document import ReadProblem
from flows.sources.extract import Extract
from flows.sources.html import read_html
from flows.sources.text import decode, without_surrogates

ReadMember = Callable[[str, bytes], list[Extract]]
"""Reads an attachment by its name and bytes; more than one document when it is an e-mail itself."""

HEADERS = frozenset(
    {"subject", "from", "to", "cc", "bcc", "sender", "reply-to", "date", "keywords", "sensitivity", "msip_labels", "protective-marking"}
)
# Gmail's own labels are folders ("Category Personal"), not sensitivity.
LABEL_HEADER = re.compile(r"x-(?!gm-|gmail-).*(?:sensitivity|classification|msip|label|privilege|confidential|marking).*", re.IGNORECASE)
ENCRYPTED_TYPES = frozenset({"multipart/encrypted", "application/pgp-encrypted"})
SMIME_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
SUFFIXES = {
    "text/html": ".html",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "message/rfc822": ".eml",
}
PGP_MESSAGE = "-----BEGIN PGP MESSAGE-----"
MAX_MEMBERS = 1000
MAX_DEPTH = 10
MALFORMED = (ValueError, LookupError, AttributeError, TypeError, AssertionError, RecursionError)
"""What the header parsers of the standard library are known to raise for headers that nobody should send."""

AnyMessage = Message  # EmailMessage under the default policy; the parser's stated type is the older one


def read_mail(content: bytes, max_bytes: int, read_member: ReadMember) -> list[Extract]:
    """The family: the body first, then the attachments in their order, e-mails inside e-mails included."""
    message = message_from_bytes(content, policy=policy.default)
    family = list(islice(_read_message(message, max_bytes, read_member, 0), MAX_MEMBERS + 1))
    if len(family) > MAX_MEMBERS:
        family[MAX_MEMBERS] = Extract(problem=ReadProblem.ARCHIVE_BOMB, member="more", label="more")
    return family


def _read_message(message: AnyMessage, max_bytes: int, read_member: ReadMember, depth: int) -> Iterator[Extract]:
    bodies, attachments = _sort(message)
    yield _read_body(message, bodies, max_bytes)
    for ordinal, part in enumerate(attachments, start=1):
        label = _label(part, ordinal)
        for member in _read_attachment(part, label, max_bytes, read_member, depth):
            yield replace(
                member,
                member=f"{ordinal}.{member.member}" if member.member else str(ordinal),
                label=f"{label}/{member.label}" if member.label else label,
            )


def _read_attachment(part: AnyMessage, label: str, max_bytes: int, read_member: ReadMember, depth: int) -> Iterator[Extract]:
    kind = part.get_content_type()
    inner = part.get_payload()
    if kind == "message/rfc822" and isinstance(inner, list) and inner and isinstance(inner[0], Message):
        if depth >= MAX_DEPTH:
            yield Extract(problem=ReadProblem.ARCHIVE_BOMB)
        else:
            yield from _read_message(inner[0], max_bytes, read_member, depth + 1)
        return
    content = _content(part)
    if kind == "text/html" and len(content) <= max_bytes:
        yield read_html(content, max_bytes, part.get_content_charset())
        return
    name = label if "." in label else label + SUFFIXES.get(kind, ".txt" if kind.startswith("text/") else "")
    yield from read_member(name, content)


def _sort(part: AnyMessage) -> tuple[list[AnyMessage], list[AnyMessage]]:
    """Body parts and attachments below `part`. Of alternatives one body is taken: the plain one, if it says anything."""
    kind = part.get_content_type()
    children = part.get_payload()
    if kind in ENCRYPTED_TYPES or kind in SMIME_TYPES:
        return [part], []
    if part.get_content_maintype() == "multipart" and isinstance(children, list):
        sorted_children = [_sort(child) for child in children if isinstance(child, Message)]
        attachments = [attachment for _, found in sorted_children for attachment in found]
        choices = [bodies for bodies, _ in sorted_children if bodies]
        if kind == "multipart/alternative" and choices:
            plain = [bodies for bodies in choices if any(_is_plain(body) and _content(body).strip() for body in bodies)]
            return (plain or choices[-1:])[0], attachments
        return [body for bodies in choices for body in bodies], attachments
    attached = part.get_content_disposition() == "attachment" or part.get_filename() is not None
    if not attached and (kind in {"text/plain", "text/html"} or part.get_content_maintype() == "multipart"):
        return [part], []
    return [], [part]


def _is_plain(part: AnyMessage) -> bool:
    return part.get_content_type() == "text/plain"


def _read_body(message: AnyMessage, bodies: list[AnyMessage], max_bytes: int) -> Extract:
    extracts = [_read_text_part(body, max_bytes) for body in bodies]
    text = "\n\n".join(extract.text for extract in extracts if extract.text.strip())
    problem = next((extract.problem for extract in extracts if extract.problem), None)
    if problem is None and text.lstrip().startswith(PGP_MESSAGE):
        text, problem = "", ReadProblem.ENCRYPTED
    elif problem is not None and text:
        problem = ReadProblem.UNDECODABLE if problem is ReadProblem.UNDECODABLE else ReadProblem.PARTIAL_TEXT
    return Extract(text=text, metadata=_headers(message), problem=problem)


def _read_text_part(part: AnyMessage, max_bytes: int) -> Extract:
    kind = part.get_content_type()
    if kind in ENCRYPTED_TYPES or kind in SMIME_TYPES:
        return Extract(problem=_smime_problem(part))
    content = _content(part)
    if kind == "text/html":
        return read_html(content, max_bytes, part.get_content_charset())
    text, sure = decode(content, part.get_content_charset())
    return Extract(text=text, problem=None if sure else ReadProblem.UNDECODABLE)


def _smime_problem(part: AnyMessage) -> ReadProblem:
    """S/MIME in one blob: signed mail is readable in principle, but not by what is used here."""
    return ReadProblem.UNSUPPORTED_FORMAT if part.get_param("smime-type") == "signed-data" else ReadProblem.ENCRYPTED


def _content(part: AnyMessage) -> bytes:
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload
    return part.as_bytes()  # delivery reports and other structures that are shown as they are


def _label(part: AnyMessage, ordinal: int) -> str:
    try:
        name = part.get_filename() or ""
    except MALFORMED:
        name = ""
    name = "".join(sign if sign.isprintable() and sign not in "/\\#" else "_" for sign in name.strip())[:200]
    return without_surrogates(name)[0] or f"attachment-{ordinal}"


def _headers(message: AnyMessage) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, raw in message.raw_items():
        key = str(name).lower()
        if key not in HEADERS and not LABEL_HEADER.fullmatch(key):
            continue
        try:
            value = str(message.policy.header_fetch_parse(name, raw))
        except MALFORMED:
            value = str(raw)
        value = " ".join(value.split())
        key = key.replace("-", "_")
        found[key] = f"{found[key]}; {value}" if found.get(key) else value
    return {key: value for key, value in found.items() if value}
