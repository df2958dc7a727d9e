"""Sensitivity labels that a file brings along: what they are read from, what they declare, and that they only add."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import docx
import pytest
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter

import detectors
from detectors.document import Document
from detectors.labels import stated_labels, without_removed
from detectors.scan import scan
from flows.errors import JobError
from flows.job import load_job
from flows.sources import list_batches, read_batch
from policies.decide import decide
from policies.load import DEFAULT_POLICY, load_policy
from policies.model import Lane

HARMLESS = "The harbour council will repave the promenade this spring, and the market moves to the old pier for two weeks.\n"
GUID = "6d1f0bb2-7a41-4a3e-9d8f-2f1c1b0a9e77"
OTHER = "0aa1b2c3-1111-2222-3333-444455556666"
SECRET_SSN = "Social security number 536-22-8145 belongs to Goran Castellan."


def msip(name: str, *, enabled: str = "True", label: str = GUID) -> str:
    pairs = {
        "Enabled": enabled,
        "SetDate": "2026-11-20T08:00:00Z",
        "Method": "Privileged",
        "Name": name,
        "SiteId": OTHER,
        "ContentBits": "1",
    }
    return "; ".join(f"MSIP_Label_{label}_{key}={value}" for key, value in pairs.items()) + ";"


def mail(headers: str) -> bytes:
    return f"From: a@x.example\r\nTo: b@x.example\r\nSubject: pier\r\n{headers}\r\n\r\n{HARMLESS}".encode()


def word(properties: dict[str, str], label_info: str = "") -> bytes:
    document = docx.Document()
    document.add_paragraph(HARMLESS)
    stream = io.BytesIO()
    document.save(stream)
    with zipfile.ZipFile(stream) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    kinds = "http://schemas.openxmlformats.org/officeDocument/2006"
    entries = "".join(
        f'<property fmtid="x" pid="{number}" name="{name}"><vt:lpwstr>{value}</vt:lpwstr></property>'
        for number, (name, value) in enumerate(properties.items(), 2)
    )
    parts["docProps/custom.xml"] = (
        f'<Properties xmlns="{kinds}/custom-properties" xmlns:vt="{kinds}/docPropsVTypes">{entries}</Properties>'.encode()
    )
    relations = f'<Relationship Id="rX" Type="{kinds}/relationships/custom-properties" Target="docProps/custom.xml"/>'
    if label_info:
        parts["docMetadata/LabelInfo.xml"] = label_info.encode()
        labels = "http://schemas.microsoft.com/office/2020/02/relationships/classificationlabels"
        relations += f'<Relationship Id="rL" Type="{labels}" Target="docMetadata/LabelInfo.xml"/>'
    parts["_rels/.rels"] = parts["_rels/.rels"].replace(b"</Relationships>", f"{relations}</Relationships>".encode())
    content_type = "application/vnd.openxmlformats-officedocument.custom-properties+xml"
    override = f'<Override PartName="/docProps/custom.xml" ContentType="{content_type}"/></Types>'
    parts["[Content_Types].xml"] = parts["[Content_Types].xml"].replace(b"</Types>", override.encode())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)
    return packed.getvalue()


def label_info(removed: str = "0") -> str:
    namespace = "http://schemas.microsoft.com/office/2020/mipLabelMetadata"
    return (
        f'<clbl:labelList xmlns:clbl="{namespace}"><clbl:label id="{{{GUID}}}" enabled="1" method="Privileged" siteId="{{{OTHER}}}" '
        f'contentBits="0" removed="{removed}"/></clbl:labelList>'
    )


def pdf(properties: dict[str, str]) -> bytes:
    page = FPDF()
    page.add_page()
    page.set_font("Helvetica", size=12)
    page.multi_cell(0, 8, HARMLESS)
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(bytes(page.output()))))
    writer.add_metadata({f"/{key}": value for key, value in properties.items()})
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


class Ids:
    def record_id(self, source: str, source_id: str | None, member: str) -> str:
        return f"{source}|{source_id}|{member}"


def read(root: Path, name: str, content: bytes, declared: str = "") -> Document:
    path = root / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    extra = f", declared: [{declared}]" if declared else ""
    (root / "job.yaml").write_text(
        f"name: n\nsource: {{path: inbox{extra}}}\ntask: {{kind: summarize}}\noutput: o/r\nledger: o/l\n", encoding="utf-8"
    )
    job = load_job(root / "job.yaml")
    (document,) = [document for batch in list_batches(job) for document in read_batch(batch, job, Ids())]
    return document


def marked(document: Document) -> bool:
    (evidence,) = scan([document], detectors.load())
    return "sensitivity_label" in evidence.markers


LABELLED = {
    "a mail's Purview header": ("a.eml", mail(f"msip_labels: {msip('Highly Confidential')}")),
    "a folded header": ("a.eml", mail("msip_labels: " + msip("Confidential").replace("; ", ";\r\n "))),
    "a mail's Sensitivity": ("a.eml", mail("Sensitivity: Company-Confidential")),
    "a mail's own header": ("a.eml", mail("X-Acme-Classification: Restricted")),
    "a protective marking": ("a.eml", mail("Protective-Marking: SEC=PROTECTED")),
    "a mail's keywords": ("a.eml", mail("Keywords: pier, Confidential, spring")),
    "a document's properties": ("a.docx", word({f"MSIP_Label_{GUID}_Enabled": "true", f"MSIP_Label_{GUID}_Name": "Internal"})),
    "a document's own property": ("a.docx", word({"Classification": "Secret"})),
    "a PDF's property": ("a.pdf", pdf({f"MSIP_Label_{GUID}_Name": "Confidential", f"MSIP_Label_{GUID}_Enabled": "true"})),
    "a PDF's keywords": ("a.pdf", pdf({"Keywords": "pier; strictly confidential"})),
    "headers inside a text": ("a.txt", f"msip_labels: {msip('Confidential')}\n\n{HARMLESS}".encode()),
}
UNLABELLED = {
    "a public label chosen by hand": ("a.eml", mail(f"msip_labels: {msip('Public')}")),
    "a label that was taken off": ("a.eml", mail(f"msip_labels: {msip('Confidential', enabled='False')}")),
    "a property that was taken off": ("a.docx", word({f"MSIP_Label_{GUID}_Enabled": "false", f"MSIP_Label_{GUID}_Name": "Internal"})),
    "a method is no label": ("a.docx", word({f"MSIP_Label_{GUID}_Method": "Privileged", f"MSIP_Label_{GUID}_Name": "General"})),
    "folders of a mail program": ("a.eml", mail("X-Gmail-Labels: Category Personal, Important")),
    "keywords about secrecy": ("a.pdf", pdf({"Keywords": "confidential computing, private networks"})),
    "non-confidential": ("a.eml", mail("X-Acme-Classification: Non-Confidential")),
    "nothing": ("a.docx", word({})),
}


@pytest.mark.parametrize(("name", "content"), LABELLED.values(), ids=LABELLED)
def test_a_label_raises_its_marker(tmp_path: Path, name: str, content: bytes) -> None:
    assert marked(read(tmp_path, name, content))


@pytest.mark.parametrize(("name", "content"), UNLABELLED.values(), ids=UNLABELLED)
def test_what_is_no_restriction_does_not(tmp_path: Path, name: str, content: bytes) -> None:
    assert not marked(read(tmp_path, name, content))


@pytest.mark.parametrize(
    ("label", "declared"),
    [
        ("PHI", {"PHI"}),
        ("Restricted - HIPAA", {"PHI"}),
        ("Confidential\\GLBA customer data", {"NPI"}),
        ("Attorney-Client Privileged", {"PRIVILEGED"}),
        ("Trade Secret", {"TRADE_SECRET"}),
        ("Confidential - PII", {"PII"}),
        ("Confidential", set()),
        ("Public", set()),
    ],
)
def test_a_label_that_says_a_class_declares_it(tmp_path: Path, label: str, declared: set[str]) -> None:
    assert read(tmp_path, "a.eml", mail(f"msip_labels: {msip(label)}")).declared == declared


@pytest.mark.parametrize(
    ("content", "name"),
    [
        pytest.param(mail(f"msip_labels: {msip('Harbour/Pilots only')}"), "a.eml", id="by-name"),
        pytest.param(word({f"MSIP_Label_{GUID}_Name": "HARBOUR/PILOTS  ONLY"}), "a.docx", id="case-does-not-count"),
        pytest.param(word({}, label_info()), "a.docx", id="by-id"),
    ],
)
def test_a_job_maps_the_labels_of_its_own_scheme(tmp_path: Path, content: bytes, name: str) -> None:
    rules = f"{{label: 'Harbour/Pilots*', class: HOUSE}}, {{label: '{GUID}', class: HOUSE}}, {{label: 'Other', class: PHI}}"
    assert read(tmp_path, name, content, rules).declared == {"HOUSE"}


def test_a_label_that_was_removed_declares_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "a.docx", word({}, label_info(removed="1")), f"{{label: '{GUID}', class: HOUSE}}").declared == frozenset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [pytest.param(HARMLESS, {"TRADE_SECRET"}, id="harmless"), pytest.param(SECRET_SSN, {"TRADE_SECRET", "NPI"}, id="restricted")],
)
def test_a_declared_folder_adds_a_class_and_takes_none_away(tmp_path: Path, text: str, expected: set[str]) -> None:
    document = read(tmp_path, "board/minutes.txt", text.encode(), "{glob: 'board/**', class: TRADE_SECRET}")
    policy, loaded = load_policy(DEFAULT_POLICY), detectors.load()
    decision = decide(document.record_id, next(scan([document], loaded)), policy, loaded.hash)
    assert set(decision.data_classes) == expected
    assert Lane.CLOUD not in decision.lanes


@pytest.mark.parametrize("rule", ["{class: PHI}", "{glob: 'a/**', label: X, class: PHI}"], ids=["neither", "both"])
def test_a_declaration_has_a_glob_or_a_label(tmp_path: Path, rule: str) -> None:
    with pytest.raises(JobError, match="expected either glob"):
        read(tmp_path, "a.txt", b"x", rule)


def test_two_labels_of_one_message_are_told_apart() -> None:
    metadata = {"msip_labels": msip("Public") + " " + msip("Secret", label=OTHER), "sensitivity": "Private"}
    assert stated_labels(metadata) == ("Public", "Secret", "Private")


def row(root: Path, metadata: dict[str, str]) -> Document:
    """One row of a table, with all its columns as metadata."""
    (root / "inbox").mkdir()
    (root / "inbox" / "rows.jsonl").write_text(json.dumps({"id": "1", "text": HARMLESS} | metadata), encoding="utf-8")
    source = {"path": "inbox", "metadata": list(metadata)}
    job = {"name": "n", "source": source, "task": {"kind": "summarize"}, "output": "o/r", "ledger": "o/l"}
    (root / "job.yaml").write_text(json.dumps(job), encoding="utf-8")
    loaded = load_job(root / "job.yaml")
    (document,) = [document for batch in list_batches(loaded) for document in read_batch(batch, loaded, Ids())]
    return document


def properties(name: str, enabled: str) -> dict[str, str]:
    return {f"MSIP_Label_{GUID}_Enabled": enabled, f"MSIP_Label_{GUID}_SetDate": "2026-11-20", f"MSIP_Label_{GUID}_Name": name}


@pytest.mark.parametrize("name", ["Highly Confidential", "Trade Secret - Board", "Attorney-Client Privileged", "Strictly Confidential"])
@pytest.mark.parametrize("form", ["header", "properties"])
def test_the_name_of_a_label_that_is_off_is_no_marking(tmp_path: Path, name: str, form: str) -> None:
    def found(folder: str, enabled: str) -> tuple[Document, frozenset[str]]:
        (tmp_path / folder).mkdir()
        metadata = {"msip_labels": msip(name, enabled=enabled)} if form == "header" else properties(name, enabled)
        document = row(tmp_path / folder, metadata)
        (evidence,) = scan([document], detectors.load())
        return document, evidence.markers & {"sensitivity_label", "confidential_marking", "privilege_header", "secrecy_measure"}

    (off, unmarked), (on, marked) = found("off", "false"), found("on", "true")
    assert not unmarked
    assert "sensitivity_label" in marked
    assert off.metadata == {}
    assert name in "".join(on.metadata.values())


def test_only_what_belongs_to_the_removed_label_is_left_out() -> None:
    both = f"{msip('Secret', enabled='False')} {msip('Public', label=OTHER)}"
    metadata = {"msip_labels": both, "subject": "the pier", "MSIP_Label_ab_Name": "Internal", **properties("Secret", "false")}
    left = without_removed(metadata)
    assert left.keys() == {"msip_labels", "subject", "MSIP_Label_ab_Name"}
    assert left["msip_labels"] == msip("Public", label=OTHER).rstrip(";")
    assert without_removed({"text": "no label"}) == {"text": "no label"}


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"msip_labels": msip("Secret", enabled="False"), **properties("Secret", "true")}, id="in two places"),
        pytest.param({"msip_labels": f"{msip('Secret')} {msip('Secret', enabled='False')}"}, id="twice in one header"),
        pytest.param(properties("Secret", "perhaps"), id="neither on nor off"),
    ],
)
def test_a_label_that_is_on_anywhere_is_on(metadata: dict[str, str]) -> None:
    assert without_removed(metadata) == metadata
    assert "Secret" in stated_labels(metadata)
