"""Reading multipart/form-data (RFC 7578): bytes in, fields out."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_BOUNDARY = re.compile(r'boundary="?([^";,\s]{1,200})"?')
_NAME = re.compile(r'\bname="([^"]*)"')
_FILE_NAME = re.compile(r'\bfilename="([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One field of a form; file_name is empty unless it is an upload."""

    file_name: str = ""
    content: bytes = field(repr=False)


def parse_form(content_type: str, body: bytes) -> dict[str, FormField]:
    """The fields by name; empty when the body is no form."""
    boundary = _BOUNDARY.search(content_type)
    if not content_type.startswith("multipart/form-data") or boundary is None:
        return {}
    fields: dict[str, FormField] = {}
    # The first delimiter has no line break before it; what follows the last one starts with "--".
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode())[1:]:
        headers, found, content = piece.partition(b"\r\n\r\n")
        text = headers.decode("utf-8", "replace")
        if found and (name := _NAME.search(text)):
            file_name = _FILE_NAME.search(text)
            fields[name[1]] = FormField(file_name=file_name[1] if file_name else "", content=content)
    return fields
