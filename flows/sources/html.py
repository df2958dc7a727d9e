"""HTML to text with inscriptis; the title becomes metadata."""

from __future__ import annotations

import re

import lxml.html  # type: ignore[import-untyped]  # lxml publishes no type information
from inscriptis import Inscriptis
from lxml.etree import LxmlError, ParserError  # type: ignore[import-untyped]  # as above

from detectors.document import ReadProblem
from flows.sources.extract import Extract
from flows.sources.text import decode

MAX_BYTES = 32 * 1024 * 1024
"""A tree needs many times the memory of its page."""
DECLARED = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_\-]{2,40})", re.IGNORECASE)
XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>", re.IGNORECASE)


def read_html(content: bytes, max_bytes: int, charset: str | None = None) -> Extract:
    """The visible text; scripts and styles show nothing. `charset`: what the envelope said, if there was one."""
    limit = min(max_bytes, MAX_BYTES)
    too_large = len(content) > limit
    if charset is None:
        declared = DECLARED.search(content[:4096])
        charset = declared.group(1).decode("ascii") if declared else None
    page, sure = decode(content[:limit], charset, cut=too_large)
    page = XML_DECLARATION.sub("", page, count=1)
    # huge_tree: without it lxml drops everything below the 256th nesting in silence.
    parser = lxml.html.HTMLParser(huge_tree=True)
    try:
        tree = lxml.html.document_fromstring(page, parser=parser)
        text = Inscriptis(tree).get_text()
        title = (tree.findtext(".//title") or "").strip()
    except ParserError:
        return Extract()  # no element at all: blank, or comments only
    except (LxmlError, ValueError, RecursionError):
        return Extract(problem=ReadProblem.CORRUPT)
    whole = not any("LIMIT" in (entry.type_name or "") for entry in parser.error_log)
    return Extract(text=text, metadata={"title": title} if title else {}, problem=_problem(too_large=too_large, sure=sure, whole=whole))


def _problem(*, too_large: bool, sure: bool, whole: bool) -> ReadProblem | None:
    if too_large:
        return ReadProblem.TOO_LARGE
    if not sure:
        return ReadProblem.UNDECODABLE
    return None if whole else ReadProblem.PARTIAL_TEXT
