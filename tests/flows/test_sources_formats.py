"""Every format, and every bad input: one document with a reason, never an exception, never nothing."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import pytest
from docx.oxml import parse_xml
from fpdf import FPDF
from PIL import Image

from detectors.document import Document, ReadProblem
from flows.job import Job, load_job
from flows.sources import list_batches, read_batch
from flows.sources.formats import read_content

MIB = 1024 * 1024
Read = Callable[..., list[Document]]


class PlainIds:
    """Readable record ids: what they are made of."""

    def record_id(self, source: str, source_id: str | None, member: str) -> str:
        return f"{source}|{source_id}|{member}"


def job_for(root: Path, **source: object) -> Job:
    (root / "inbox").mkdir(exist_ok=True)
    fields = "".join(f", {key}: {value}" for key, value in source.items())
    (root / "job.yaml").write_text(
        f"name: n\nsource: {{path: inbox{fields}}}\ntask: {{kind: summarize}}\noutput: o/r\nledger: o/l\n", "utf-8"
    )
    return load_job(root / "job.yaml")


def read_all(job: Job) -> list[Document]:
    return [document for batch in list_batches(job) for document in read_batch(batch, job, PlainIds())]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Writes one file into a source folder, and reads the folder."""

    def write_and_read(name: str, content: bytes, **source: object) -> list[Document]:
        job = job_for(tmp_path, **source)
        (tmp_path / "inbox" / name).write_bytes(content)
        return read_all(job)

    return write_and_read


def make_pdf(*pages: str | None, **encryption: str) -> bytes:
    """None is a page that is only a picture."""
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    for page in pages:
        pdf.add_page()
        if page is None:
            pdf.image(Image.new("RGB", (60, 30), "navy"), w=60)
        else:
            pdf.multi_cell(0, text=page)
    if encryption:
        pdf.set_encryption(**encryption)
    return bytes(pdf.output())


def make_docx(paragraph: str = "") -> docx.document.Document:
    document = docx.Document()
    if paragraph:
        document.add_paragraph(paragraph)
    return document


def saved(document: docx.document.Document) -> bytes:
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def make_bomb() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", b"\x20" * (32 * MIB))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        pytest.param("a.txt", b"", ReadProblem.EMPTY, id="empty text"),
        pytest.param("a.md", b" \n\t\n", ReadProblem.EMPTY, id="blank text"),
        pytest.param("a.html", b"<!-- nothing --><script>var x</script>", ReadProblem.EMPTY, id="html that shows nothing"),
        pytest.param("a.pdf", make_pdf("hello", owner_password="o", user_password="u"), ReadProblem.ENCRYPTED, id="encrypted pdf"),
        pytest.param("a.pdf", make_pdf(None), ReadProblem.NO_TEXT_LAYER, id="image-only pdf"),
        pytest.param("a.pdf", b"%PDF-1.7\nnot really", ReadProblem.CORRUPT, id="corrupt pdf"),
        pytest.param("a.pdf", make_pdf("hello")[:300], ReadProblem.CORRUPT, id="torn pdf"),
        pytest.param("a.docx", b"PK\x03\x04 torn", ReadProblem.CORRUPT, id="corrupt docx"),
        pytest.param("a.docx", saved(make_docx("x"))[:-200], ReadProblem.CORRUPT, id="torn docx"),
        pytest.param("a.docx", b"", ReadProblem.CORRUPT, id="docx of no bytes"),
        pytest.param("a.docx", make_bomb(), ReadProblem.ARCHIVE_BOMB, id="zip bomb"),
        pytest.param("a.docx", saved(make_docx()), ReadProblem.EMPTY, id="docx without text"),
        pytest.param(
            "a.docx",
            bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"),
            ReadProblem.ENCRYPTED,
            id="docx with a password",
        ),
        pytest.param("a.docx", bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600, ReadProblem.UNSUPPORTED_FORMAT, id="old doc named docx"),
        pytest.param("a.zip", saved(make_docx("x")), ReadProblem.UNSUPPORTED_FORMAT, id="zip"),
        pytest.param("a.bin", bytes(range(256)) * 8, ReadProblem.UNSUPPORTED_FORMAT, id="unknown binary"),
        pytest.param("photo", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", ReadProblem.UNSUPPORTED_FORMAT, id="image without a suffix"),
        pytest.param("a.eml", b"", ReadProblem.EMPTY, id="empty e-mail"),
        pytest.param("a.asc", b"-----BEGIN PGP MESSAGE-----\n\nabc\n-----END PGP MESSAGE-----\n", ReadProblem.ENCRYPTED, id="pgp file"),
        pytest.param("a.csv", b"", ReadProblem.EMPTY, id="empty table"),
        pytest.param("a.jsonl", b"\n\n", ReadProblem.EMPTY, id="empty json lines"),
        pytest.param("a.jsonl", b"no json\n", ReadProblem.CORRUPT, id="no json lines"),
        pytest.param("a.parquet", b"PAR1 torn", ReadProblem.CORRUPT, id="corrupt parquet"),
    ],
)
def test_no_readable_text_is_one_held_document(read: Read, name: str, content: bytes, problem: ReadProblem) -> None:
    (document,) = read(name, content)
    assert document.problem is problem
    assert document.text == ""
    assert not document.readable
    assert document.source == name


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"Patient \xff\xfe\xfa note \x80\x81 \xc3\x28 text", ReadProblem.UNDECODABLE, id="stray bytes"),
        pytest.param("Letter from señor García".encode() + b"\xc3", ReadProblem.UNDECODABLE, id="broken utf-8"),
        pytest.param(b"hello \x00 there", ReadProblem.UNDECODABLE, id="a NUL between digits could hide them"),
        pytest.param(b"caf\xe9", ReadProblem.UNDECODABLE, id="too short to guess"),
    ],
)
def test_text_that_cannot_be_judged_keeps_its_words_and_says_so(read: Read, content: bytes, problem: ReadProblem) -> None:
    (document,) = read("a.txt", content)
    assert document.problem is problem
    assert document.readable
    document.text.encode("utf-8")


LETTER = (
    "Sehr geehrte Frau Müller, wir möchten Ihnen mitteilen, dass die Prüfung für das nächste Jahr geändert wurde. Mit freundlichen Grüßen"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings_of_text(read: Read, encoding: str) -> None:
    (document,) = read("a.txt", LETTER.encode(encoding))
    assert (document.text, document.problem) == (LETTER, None)


def test_western_text_is_not_taken_for_eastern(read: Read) -> None:
    text = "El señor acudió a la consulta con dolor torácico. Se le recetó medicación según la evaluación del médico, mañana también."
    assert read("a.txt", text.encode("cp1252"))[0].text == text


@pytest.mark.parametrize("name", ["a.json", ".env", "a.py", "a.log", "a.yaml", "README", "a.tsv"])
def test_anything_that_looks_like_text_is_text(read: Read, name: str) -> None:
    (document,) = read(name, b"KEY=value\n")
    assert (document.text, document.problem, document.source) == ("KEY=value\n", None, name)


def test_html_shows_what_a_browser_shows(read: Read) -> None:
    page = "<html><head><title>Größe</title><style>b{}</style></head><body><p>One</p><table><tr><td>a</td></tr></table></body></html>"
    (document,) = read("a.html", page.encode())
    assert document.metadata == {"title": "Größe"}
    assert "One" in document.text
    assert "b{}" not in document.text


def test_html_declares_its_encoding(read: Read) -> None:
    page = "<meta charset='shift_jis'><p>患者の名前は田中太郎です。</p>"
    assert read("a.html", page.encode("shift_jis"))[0].text.strip() == "患者の名前は田中太郎です。"


@pytest.mark.parametrize("depth", [300, 5000])
def test_deeply_nested_html_is_not_cut_in_silence(read: Read, depth: int) -> None:
    (document,) = read("a.html", b"<div>" * depth + b"deep words" + b"</div>" * depth)
    assert "deep words" in document.text or document.problem in {ReadProblem.PARTIAL_TEXT, ReadProblem.CORRUPT}


def test_pdf_text(read: Read) -> None:
    (document,) = read("a.pdf", make_pdf("First page", "Second page"))
    assert (document.text, document.problem) == ("First page\n\nSecond page", None)


def test_pdf_with_a_scanned_page_is_partial(read: Read) -> None:
    (document,) = read("a.pdf", make_pdf("First page", None))
    assert (document.text, document.problem) == ("First page", ReadProblem.PARTIAL_TEXT)


def test_pdf_that_opens_without_a_password_is_read(read: Read) -> None:
    (document,) = read("a.pdf", make_pdf("Open to all", owner_password="only the owner"))
    assert (document.text, document.problem) == ("Open to all", None)


def test_broken_pdfs_leave_nothing_in_the_log(read: Read, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    content = make_pdf("canary-7301")
    read("a.pdf", content.replace(b"endobj", b"endbj", 3))
    assert "canary" not in caplog.text
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def test_docx_gives_all_that_word_shows(read: Read) -> None:
    document = make_docx("Body words")
    table = document.add_table(rows=1, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Name", "Rosa Quill"
    document.sections[0].header.paragraphs[0].text = "Privileged header"
    document.sections[0].footer.paragraphs[0].text = "Footer words"
    document.element.body.insert(
        0, parse_xml(f"<w:sdt {W}><w:sdtContent><w:p><w:r><w:t>In a control</w:t></w:r></w:p></w:sdtContent></w:sdt>")
    )
    box = f"<w:p {W}><w:r><w:pict><w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p></w:txbxContent></w:pict></w:r></w:p>"
    document.element.body.insert(0, parse_xml(box))
    gone = f"<w:p {W}><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:t>kept</w:t><w:tab/><w:t>on</w:t></w:r></w:p>"
    document.element.body.insert(0, parse_xml(gone))
    document.add_comment(document.add_paragraph().add_run("noted"), text="Comment words", author="A")
    document.core_properties.title = "A title"
    document.core_properties.author = "Somebody"
    (found,) = read("a.docx", saved(document))
    lines = [line for line in found.text.split("\n") if line]
    assert lines[0] == "Privileged header"
    assert lines[1:4] == ["kept\ton", "In a box", "In a control"]
    assert "Name\tRosa Quill" in lines
    assert {"Body words", "Footer words", "Comment words"} <= set(lines)
    assert "gone" not in found.text
    assert found.metadata == {"title": "A title"}
    assert found.problem is None


def test_docx_sensitivity_label_becomes_metadata(read: Read) -> None:
    stream = io.BytesIO(saved(make_docx("words")))
    kinds = "http://schemas.openxmlformats.org/officeDocument/2006"
    custom = (
        f'<Properties xmlns="{kinds}/custom-properties" xmlns:vt="{kinds}/docPropsVTypes"><property fmtid="x" pid="2" '
        'name="MSIP_Label_1f_Name"><vt:lpwstr>Highly Confidential</vt:lpwstr></property><property fmtid="x" pid="3" name="Other">'
        "<vt:lpwstr>no</vt:lpwstr></property></Properties>"
    )
    with zipfile.ZipFile(stream) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    relation = f'<Relationship Id="rIdX" Type="{kinds}/relationships/custom-properties" Target="docProps/custom.xml"/></Relationships>'
    parts["_rels/.rels"] = parts["_rels/.rels"].replace(b"</Relationships>", relation.encode())
    content_type = "application/vnd.openxmlformats-officedocument.custom-properties+xml"
    kind = f'<Override PartName="/docProps/custom.xml" ContentType="{content_type}"/></Types>'
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"</Types>", kind.encode())
    parts["docProps/custom.xml"] = custom.encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)
    (document,) = read("a.docx", packed.getvalue())
    assert document.metadata["MSIP_Label_1f_Name"] == "Highly Confidential"
    assert "Other" not in document.metadata


@pytest.mark.parametrize("name", ["a.txt", "a.html", "a.log"])
def test_too_large_text_is_read_to_the_limit(read: Read, name: str) -> None:
    (document,) = read(name, b"word " * 1000, max_document_bytes=100)
    assert document.problem is ReadProblem.TOO_LARGE
    assert 0 < len(document.text) <= 100
    assert document.readable


def test_a_cut_inside_a_character_is_no_second_problem(read: Read) -> None:
    (document,) = read("a.txt", "ü".encode() * 100, max_document_bytes=101)
    assert document.text == "ü" * 50


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.eml"])
def test_too_large_files_that_cannot_be_cut_are_held(read: Read, name: str) -> None:
    (document,) = read(name, b"x" * 1000, max_document_bytes=100)
    assert (document.problem, document.text) == (ReadProblem.TOO_LARGE, "")


def test_a_200_mb_text_file_is_read_whole(tmp_path: Path) -> None:
    job = job_for(tmp_path)
    with (tmp_path / "inbox" / "huge.txt").open("wb") as stream:
        for _ in range(200):
            stream.write(b"All work and no play makes a long night. 0123456789abcd\n" * (MIB // 56) + b"\n" * (MIB % 56))
    (document,) = read_all(job)
    assert (len(document.text), document.problem) == (200 * MIB, None)


def test_a_file_that_vanishes_between_listing_and_reading(tmp_path: Path) -> None:
    job = job_for(tmp_path)
    (tmp_path / "inbox" / "a.txt").write_text("here")
    (tmp_path / "inbox" / "b.txt").write_text("here")
    (batch,) = list_batches(job)
    (tmp_path / "inbox" / "a.txt").unlink()
    gone, there = read_batch(batch, job, PlainIds())
    assert (gone.problem, there.problem) == (ReadProblem.VANISHED, None)


def test_what_cannot_be_opened_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_for(tmp_path)
    (tmp_path / "secret.txt").write_text("outside")
    (tmp_path / "inbox" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "inbox" / "loop").symlink_to(tmp_path / "inbox" / "loop")
    os.mkfifo(tmp_path / "inbox" / "pipe.txt")
    (tmp_path / "outside").mkdir()
    (tmp_path / "inbox" / "folder").symlink_to(tmp_path / "outside")
    documents = {document.source: document.problem for document in read_all(job)}
    assert documents == dict.fromkeys(["folder", "link.txt", "loop", "pipe.txt"], ReadProblem.UNREADABLE)


def test_permission_denied_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_for(tmp_path)
    (tmp_path / "inbox" / "a.txt").write_text("words")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("flows.sources.opening.os.open", refuse)
    (document,) = read_all(job)
    assert document.problem is ReadProblem.UNREADABLE


def test_no_reader_lets_a_foreign_exception_through(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.txt", "a.html", "a.pdf", "a.docx", "a.eml", "a"):
        for content in (
            b"",
            b"\x00",
            b"\xff" * 50,
            b"PK\x05\x06" + b"\0" * 18,
            b"%PDF-",
            b"<" * 5000,
            b"Content-Type: multipart/mixed\n\n\xff",
        ):
            extracts = read_content(name, content, 10_000)
            assert extracts


def test_the_repr_of_a_document_shows_no_text(read: Read) -> None:
    (document,) = read("canary-name.txt", b"canary-text")
    assert "canary" not in repr(document).replace(document.record_id, "")
