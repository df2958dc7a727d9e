"""E-mail: headers, body, attachments as one family, and mail that nobody should send."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from fpdf import FPDF

from detectors.document import Document, ReadProblem
from flows.job import Job, load_job
from flows.sources import list_batches, read_batch


class PlainIds:
    """Readable record ids: what they are made of."""

    def record_id(self, source: str, source_id: str | None, member: str) -> str:
        return f"{source}|{source_id}|{member}"


def job_for(root: Path) -> Job:
    (root / "inbox").mkdir(exist_ok=True)
    (root / "job.yaml").write_text("name: n\nsource: {path: inbox}\ntask: {kind: summarize}\noutput: o/r\nledger: o/l\nbatch_size: 1\n")
    return load_job(root / "job.yaml")


def read_mail(root: Path, message: EmailMessage | bytes) -> list[Document]:
    job = job_for(root)
    content = message if isinstance(message, bytes) else message.as_bytes(policy=policy.SMTP)
    (root / "inbox" / "a.eml").write_bytes(content)
    (batch,) = list_batches(job)  # batch_size is 1: a family never crosses a batch
    return read_batch(batch, job, PlainIds())


def make_mail(body: str = "Please see the attached result.") -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = "Résultats: Rosa Quill"
    message["From"] = "Dr. Ada Fern <ada.fern@clinic.example>"
    message["To"] = "rosa.quill@mail.example"
    message["Date"] = "Fri, 20 Nov 2026 08:00:00 +0000"
    message["X-Sensitivity"] = "Confidential"
    message["X-Mailer"] = "not interesting"
    message["msip_labels"] = "MSIP_Label_1_Enabled=True"
    message.set_content(body)
    return message


def make_pdf(text: str) -> bytes:
    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    pdf.add_page()
    pdf.cell(text=text)
    return bytes(pdf.output())


def test_headers_become_metadata(tmp_path: Path) -> None:
    (document,) = read_mail(tmp_path, make_mail())
    assert document.metadata == {
        "subject": "Résultats: Rosa Quill",
        "from": '"Dr. Ada Fern" <ada.fern@clinic.example>',
        "to": "rosa.quill@mail.example",
        "date": "Fri, 20 Nov 2026 08:00:00 +0000",
        "x_sensitivity": "Confidential",
        "msip_labels": "MSIP_Label_1_Enabled=True",
    }
    assert document.text.strip() == "Please see the attached result."


def test_body_and_attachments_are_one_family_with_stable_ids(tmp_path: Path) -> None:
    message = make_mail()
    message.add_attachment(make_pdf("Glucose 5.4"), maintype="application", subtype="pdf", filename="lab/../résultat.pdf")
    message.add_attachment("a,b\n1,2\n", subtype="csv", filename="values.csv")
    message.add_attachment(b"\x89PNG\0\0", maintype="image", subtype="png", filename="logo.png")
    message.add_attachment(make_pdf("No name"), maintype="application", subtype="pdf")
    documents = read_mail(tmp_path, message)
    assert [(document.source, document.record_id, document.text.strip().replace("\r", ""), document.problem) for document in documents] == [
        ("a.eml", "a.eml|None|", "Please see the attached result.", None),
        ("a.eml#lab_.._résultat.pdf", "a.eml|None|1", "Glucose 5.4", None),
        ("a.eml#values.csv", "a.eml|None|2", "a,b\n1,2", None),
        ("a.eml#logo.png", "a.eml|None|3", "", ReadProblem.UNSUPPORTED_FORMAT),
        ("a.eml#attachment-4", "a.eml|None|4", "No name", None),
    ]
    assert {document.family for document in documents} == {"a.eml|None|"}


def test_mail_inside_mail_belongs_to_the_same_family(tmp_path: Path) -> None:
    inner = make_mail("Inner body")
    inner.add_attachment("inner attachment", filename="note.txt")
    outer = make_mail("Outer body")
    outer.add_attachment(inner)
    outer.add_attachment(inner.as_bytes(), maintype="application", subtype="octet-stream", filename="saved.eml")
    documents = read_mail(tmp_path, outer)
    assert [(document.source, document.record_id.rsplit("|", 1)[1], document.text.strip()) for document in documents] == [
        ("a.eml", "", "Outer body"),
        ("a.eml#attachment-1", "1", "Inner body"),
        ("a.eml#attachment-1/note.txt", "1.1", "inner attachment"),
        ("a.eml#saved.eml", "2", "Inner body"),
        ("a.eml#saved.eml/note.txt", "2.1", "inner attachment"),
    ]
    assert len({document.family for document in documents}) == 1
    assert documents[1].metadata["subject"] == "Résultats: Rosa Quill"


def test_mail_nested_without_end_is_stopped(tmp_path: Path) -> None:
    message = make_mail("level 0")
    for level in range(1, 14):
        outer = make_mail(f"level {level}")
        outer.add_attachment(message)
        message = outer
    documents = read_mail(tmp_path, message)
    assert documents[-1].problem is ReadProblem.ARCHIVE_BOMB
    assert len(documents) == 12


def test_a_thousand_attachments_are_the_most(tmp_path: Path) -> None:
    parts = "".join(f"--b\nContent-Disposition: attachment; filename=f{n}.txt\n\nx\n" for n in range(1100))
    documents = read_mail(tmp_path, f"Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n".encode())
    assert len(documents) == 1001
    assert documents[-1].problem is ReadProblem.ARCHIVE_BOMB


def test_plain_is_preferred_and_html_is_read_when_there_is_no_plain(tmp_path: Path) -> None:
    both = make_mail("Plain words")
    both.add_alternative("<p>Html words</p>", subtype="html")
    assert [document.text.strip() for document in read_mail(tmp_path, both)] == ["Plain words"]
    html = EmailMessage()
    html.set_content("<p>Größe</p>", subtype="html", charset="iso-8859-1")
    assert read_mail(tmp_path, html)[0].text.strip() == "Größe"
    blank = make_mail(" ")
    blank.add_alternative("<p>Html words</p>", subtype="html")
    assert read_mail(tmp_path, blank)[0].text.strip() == "Html words"


def test_all_inline_text_parts_are_body(tmp_path: Path) -> None:
    content = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nfirst\n--b\nContent-Type: text/html\n\n<p>second</p>\n--b--\n"
    (document,) = read_mail(tmp_path, content)
    assert document.text.split() == ["first", "second"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'Subject: s\nContent-Type: multipart/encrypted; boundary=b; protocol="x"\n\n--b\n\nv\n--b--\n', id="pgp/mime"),
        pytest.param(b"Subject: s\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nMIIB\n", id="s/mime"),
        pytest.param(b"Subject: s\n\n-----BEGIN PGP MESSAGE-----\n\nhQEM\n-----END PGP MESSAGE-----\n", id="inline pgp"),
    ],
)
def test_encrypted_mail_is_held(tmp_path: Path, content: bytes) -> None:
    (document,) = read_mail(tmp_path, content)
    assert (document.problem, document.text, document.metadata) == (ReadProblem.ENCRYPTED, "", {"subject": "s"})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xff\xfe\x00", id="no mail at all"),
        pytest.param(b"Subject: =?utf-8?q?broken\nFrom: <<<>>>,,,;\nTo: undisclosed:\n\nwords", id="broken headers"),
        pytest.param(b"Subject: \xff\xfe raw bytes\n\nwords", id="raw bytes in a header"),
        pytest.param(b"Content-Type: multipart/mixed\n\nno boundary, words", id="no boundary"),
        pytest.param(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nwords", id="never closed"),
        pytest.param(b"Content-Type: text/plain; charset=rot13\n\nwords", id="odd charset"),
        pytest.param(b'Content-Type: text/plain; charset="no\'such"\n\nwords', id="unknown charset"),
        pytest.param(b"Content-Transfer-Encoding: base64\n\nwords!!", id="broken base64"),
        pytest.param(b"Content-Type: message/rfc822\n\n", id="nothing inside"),
        pytest.param(b"Content-Type: ;;;=\nContent-Disposition: attachment; filename*=x'y\n\nwords", id="broken parameters"),
        pytest.param(b"From: " + b"a@b," * 20_000 + b"\n\nwords", id="20,000 senders"),
    ],
)
def test_malformed_mail_gives_documents(tmp_path: Path, content: bytes) -> None:
    documents = read_mail(tmp_path, content)
    assert documents
    for document in documents:
        for part in document.parts.values():
            part.encode("utf-8")


def test_undecodable_body_is_unscannable(tmp_path: Path) -> None:
    (document,) = read_mail(tmp_path, b"Subject: s\nContent-Type: text/plain; charset=utf-8\n\nnote \xff\xfe\x81 here")
    assert document.problem is ReadProblem.UNDECODABLE
    assert document.readable
