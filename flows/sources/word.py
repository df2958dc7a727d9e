"""Word documents with python-docx: body, tables, text boxes, headers, footers, notes, comments; properties become metadata.

The XML is walked in its own order rather than through `document.paragraphs`, which leaves out tables, content controls and text boxes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import docx
from docx.document import Document as WordDocument
from docx.exceptions import PythonDocxError
from docx.opc.exceptions import OpcError
from docx.oxml.parser import parse_xml
from lxml.etree import LxmlError  # type: ignore[import-untyped]  # lxml publishes no type information

from detectors.document import ReadProblem
from flows.sources.archive import inspect_archive
from flows.sources.extract import Extract

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
# A drawing is stored twice, the second time for old versions; deleted text and field codes are not shown.
NOT_SHOWN = frozenset(
    {
        "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback",
        f"{W}del",
        f"{W}moveFrom",
        f"{W}instrText",
        f"{W}pPr",
        f"{W}rPr",
    }
)
SIGNS = {f"{W}tab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
BEFORE, AFTER = ("header",), ("footer", "footnotes", "endnotes", "comments")
CORE_PROPERTIES = ("title", "subject", "keywords", "category", "content_status")
"""Not the author: whoever typed a leaflet does not make it a document about a person."""
LABELS = ("msip_label", "sensitivity", "classification", "confidential", "privilege", "label")
BROKEN = (
    OpcError,
    PythonDocxError,
    LxmlError,
    zipfile.BadZipFile,
    KeyError,
    ValueError,
    AttributeError,
    TypeError,
    EOFError,
    RecursionError,
)


def read_docx(content: bytes, max_bytes: int) -> Extract:
    """All text that Word would show, and what could not be read of it."""
    problem = inspect_archive(content)
    if problem is not None:
        return Extract(problem=problem)
    try:
        document = docx.Document(io.BytesIO(content))
        text = _text(document)
        relations = {relation.reltype.rsplit("/", 1)[-1] for relation in document.part.rels.values()}
        metadata = _properties(document)
    except BROKEN:
        return Extract(problem=ReadProblem.CORRUPT)
    if len(text) > max_bytes:
        return Extract(text=text[:max_bytes], metadata=metadata, problem=ReadProblem.TOO_LARGE)
    if not text.strip():
        return Extract(metadata=metadata, problem=ReadProblem.NO_TEXT_LAYER if "image" in relations else ReadProblem.EMPTY)
    # aFChunk: another file, shown as part of this one, that Word itself would have to convert.
    return Extract(text=text, metadata=metadata, problem=ReadProblem.PARTIAL_TEXT if "aFChunk" in relations else None)


def _text(document: WordDocument) -> str:
    before, after = _other_parts(document, BEFORE), _other_parts(document, AFTER)
    return "\n".join([*before, *_blocks(document.element.body), *after])


def _other_parts(document: WordDocument, kinds: tuple[str, ...]) -> list[str]:
    """Text of the parts beside the body; the same header on first and other pages counts once."""
    texts: dict[str, None] = {}
    for kind in kinds:
        for relation in document.part.rels.values():
            if not relation.is_external and relation.reltype.endswith(f"/{kind}"):
                text = "\n".join(_blocks(parse_xml(relation.target_part.blob)))
                if text.strip():
                    texts[text] = None
    return list(texts)


def _blocks(element: Any) -> Iterator[str]:
    """Paragraphs and table rows in document order."""
    for child in element:
        if child.tag == f"{W}p":
            yield "".join(_shown(child))
        elif child.tag == f"{W}tbl":
            for row in child.iter(f"{W}tr"):
                if next(row.iterancestors(f"{W}tbl")) is child:  # a table inside a cell belongs to that cell
                    yield "\t".join(" ".join(_blocks(cell)) for cell in row.iter(f"{W}tc") if next(cell.iterancestors(f"{W}tr")) is row)
        elif child.tag not in NOT_SHOWN:
            yield from _blocks(child)


def _shown(element: Any) -> Iterator[str]:
    """The runs of one paragraph; a text box follows the place where it is anchored."""
    for child in element:
        if child.tag == f"{W}t":
            yield child.text or ""
        elif child.tag in SIGNS:
            yield SIGNS[child.tag]
        elif child.tag == f"{W}txbxContent":
            yield "\n" + "\n".join(_blocks(child)) + "\n"
        elif child.tag not in NOT_SHOWN:
            yield from _shown(child)


def _properties(document: WordDocument) -> dict[str, str]:
    core = document.core_properties
    found = {name: str(getattr(core, name) or "").strip() for name in CORE_PROPERTIES}
    for relation in document.part.package.rels.values():
        if not relation.is_external and relation.reltype.endswith("/custom-properties"):
            for entry in parse_xml(relation.target_part.blob):
                name = str(entry.get("name") or "")
                if any(label in name.lower() for label in LABELS):
                    found[name] = "".join(entry.itertext()).strip()
        elif not relation.is_external and relation.reltype.endswith("/classificationlabels"):
            found |= _label_ids(parse_xml(relation.target_part.blob))
    return {name: value for name, value in found.items() if value}


def _label_ids(part: Any) -> dict[str, str]:
    """Purview labels where newer versions of Office keep them ([MS-OFFCRYPTO] 2.6.4): by id only, as properties of the older kind."""
    labels = [entry for entry in part if entry.get("id") and entry.get("removed") not in {"1", "true"}]
    return {
        f"MSIP_Label_{entry.get('id').strip('{}')}_Enabled": str(entry.get("enabled") not in {"0", "false"}).lower() for entry in labels
    }
