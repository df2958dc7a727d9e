"""Make the files of the bundled inbox that are not plain text, from the texts in `originals/`.

Run it after changing an original: `python examples/make_binaries.py` (needs the `dev` extra). The name of an original says
what it becomes: `clinic/discharge-summary.pdf.txt` is made into `inbox/clinic/discharge-summary.pdf`. Making is repeatable:
the same libraries give the same bytes, because dates, identifiers and boundaries are fixed.
"""

from __future__ import annotations

import io
import json
import sys
import textwrap
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import docx
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
ORIGINALS = HERE / "originals"
INBOX = HERE / "inbox"

MADE_AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BROKEN_BYTES = bytes(range(0x80, 0x100)) * 6 + b"\x00\x81\xfe\xff\x9d" * 40  # neither UTF-8 nor any code page in use
PASSWORD_OF_LOCKED_FILES = "larch-and-lamp"  # noqa: S105 - nobody is meant to open them; the inbox shows what happens then


def pdf(text: str) -> bytes:
    """A PDF with a text layer, set in a typewriter face so that columns stay columns."""
    return _typed(_new_pdf(), text)


def locked_pdf(text: str) -> bytes:
    """A PDF that opens with a password only."""
    page = _new_pdf()
    # The old default cipher on purpose: the newer ones draw random numbers, and the file would differ each time.
    page.set_encryption(owner_password=PASSWORD_OF_LOCKED_FILES, user_password=PASSWORD_OF_LOCKED_FILES)
    return _typed(page, text)


def scanned_pdf(text: str) -> bytes:
    """A PDF that holds a picture of the text and no text: what a scanner without recognition leaves."""
    lines = text.splitlines()
    sheet = Image.new("L", (1240, 1754), color=244)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=30)
    for number, line in enumerate(lines):
        pen.text((110, 150 + 48 * number), line, fill=40, font=font)
    page = _new_pdf()
    page.add_page()
    page.image(sheet.rotate(0.6, fillcolor=244), x=0, y=0, w=210)
    return bytes(page.output())


def word(text: str) -> bytes:
    """A DOCX: one paragraph per line, and a table for lines between bars."""
    document = docx.Document()
    document.core_properties.author = "Waybill examples"
    document.core_properties.created = document.core_properties.modified = MADE_AT.replace(tzinfo=None)
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
            continue
        if rows:
            _add_table(document, rows)
            rows = []
        if line:
            document.add_paragraph(line)
    made = io.BytesIO()
    document.save(made)
    return _with_fixed_dates(made.getvalue())


def broken_word(text: str) -> bytes:
    """A DOCX whose second half was lost on the way."""
    whole = word(text)
    return whole[: len(whole) // 2]


def parquet(text: str) -> bytes:
    """A Parquet table from JSON lines."""
    made = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([json.loads(line) for line in text.splitlines()]), made, compression="snappy")
    return made.getvalue()


def mail(text: str) -> bytes:
    """An e-mail with one PDF or DOCX attachment."""
    original = yaml.safe_load(text)
    message = EmailMessage(policy=SMTP)
    for name, value in original["headers"].items():
        message[name] = value
    message.set_content(original["body"])
    attachment = original["attachment"]
    is_pdf = attachment["name"].endswith(".pdf")
    message.add_attachment(
        pdf(attachment["text"]) if is_pdf else word(attachment["text"]),
        maintype="application",
        subtype="pdf" if is_pdf else "vnd.openxmlformats-officedocument.wordprocessingml.document",
        filename=attachment["name"],
    )
    message.set_boundary("=_waybill_examples")
    return message.as_bytes()


def garbled(text: str) -> bytes:
    """Readable text that runs into bytes of no encoding."""
    return text.encode() + BROKEN_BYTES


MAKERS: dict[str, tuple[str, Callable[[str], bytes]]] = {
    # ending of the original: (ending of what is made, maker); the first match counts
    ".locked.pdf.txt": (".pdf", locked_pdf),
    ".scan.pdf.txt": (".pdf", scanned_pdf),
    ".pdf.txt": (".pdf", pdf),
    ".broken.docx.txt": (".docx", broken_word),
    ".docx.txt": (".docx", word),
    ".parquet.jsonl": (".parquet", parquet),
    ".eml.yaml": (".eml", mail),
    ".bytes.txt": (".txt", garbled),
}


def make_all(inbox: Path) -> list[Path]:
    """Make every file below `inbox`; returns their paths relative to it."""
    made = []
    for original in sorted(path for path in ORIGINALS.rglob("*") if path.is_file()):
        ending = next(ending for ending in MAKERS if original.name.endswith(ending))
        made_ending, maker = MAKERS[ending]
        name = original.relative_to(ORIGINALS).with_name(original.name.removesuffix(ending) + made_ending)
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        (inbox / name).write_bytes(maker(original.read_text(encoding="utf-8")))
        made.append(name)
    return made


def _new_pdf() -> FPDF:
    page = FPDF()
    page.set_creation_date(MADE_AT)
    page.set_author("Waybill examples")
    return page


def _typed(page: FPDF, text: str) -> bytes:
    page.add_page()
    page.set_font("Courier", size=9)
    for line in text.splitlines():
        page.multi_cell(0, 4.4, line, new_x="LMARGIN", new_y="NEXT")
    return bytes(page.output())


def _add_table(document: Any, rows: list[list[str]]) -> None:
    table = document.add_table(rows=len(rows), cols=len(rows[0]))
    for row, cells in zip(table.rows, rows, strict=True):
        for cell, value in zip(row.cells, cells, strict=True):
            cell.text = value


def _with_fixed_dates(archive: bytes) -> bytes:
    """The same ZIP members with one date, since a DOCX otherwise carries the time of its making."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            entry = zipfile.ZipInfo(member.filename, date_time=MADE_AT.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, old.read(member))
    return made.getvalue()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else INBOX
    print(textwrap.indent("\n".join(str(name) for name in make_all(target)), "made "))
