"""`waybill override`: raising counts from the next decision on; lowering needs the policy, an approver, this text, and a day to come."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sinks.ledger.entry import Entry, Event
from sinks.ledger.reader import reading
from sinks.ledger.segments import Ledger
from sinks.ledger.sources import lookup

DOCS = Path(__file__).parents[2] / "docs" / "retention-and-overrides.md"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"x" * 32)
EXPIRES = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
RULES = f"""
overrides:
  lower:
    classes: [PHI, PII]
    approvers:
      - {{name: mara, key: "{base64.b64encode(KEY.public_key().public_bytes_raw()).decode()}"}}
    max_days: 60
"""
LEAFLET = """Discharge summary
Patient: Goran Castellan
Date of birth: 14 March 1961
Medical record number: MRN 40718823
The patient was admitted with chest pain and shortness of breath. Diagnosis: unstable angina. Treated with aspirin.
"""
CLEAN = "The harbour council will repave the promenade between the fish market and the old lighthouse this spring.\n"


@pytest.fixture
def inbox(make_night: Callable[..., Any]) -> Any:
    """A night under a policy that lets mara lower PHI and PII."""
    made = make_night({"leaflet.txt": LEAFLET, "harbour.txt": CLEAN}, "policy: policy.yaml\n")
    text = files("policies").joinpath("default.yaml").read_text(encoding="utf-8")
    (made.job.parent / "policy.yaml").write_text(text + RULES)
    return made


@pytest.fixture
def judged(inbox: Any, cli: Callable[..., Any]) -> Any:
    cli("run", inbox.job, "--out", inbox.out)
    return inbox


def override(cli: Callable[..., Any], night: Any, what: str, *options: object, code: int = 0) -> Any:
    return cli("override", what, "--ledger", night.ledger, *options, code=code)


def lowering(source: str = "leaflet.txt", *, name: str = "PHI", expires: str = EXPIRES, reason: str = "invented_patient") -> list[str]:
    return ["--record", source, "--from", name, "--reason", reason, "--expires", expires]


def approve(cli: Callable[..., Any], night: Any, *options: str, key: Ed25519PrivateKey = KEY) -> Path:
    text = override(cli, night, "request", *options).out
    path: Path = night.job.parent / "approval.sig"
    path.write_bytes(key.sign(text.encode()))
    return path


def decisions(night: Any) -> dict[str, dict[str, Any]]:
    """The last decision about each source."""
    with reading(night.ledger) as reader:
        rows = reader.table("FROM entries SELECT * WHERE event = 'decided' ORDER BY seq").to_pylist()
    names = lookup(night.ledger, [row["record_id"] for row in rows])
    return {names[row["record_id"]].source: row for row in rows}


def overrides(night: Any) -> list[dict[str, Any]]:
    with reading(night.ledger, ("overrides",)) as reader:
        found: list[dict[str, Any]] = reader.table("FROM overrides ORDER BY seq").to_pylist()
    return found


def test_lowered_for_this_text_until_it_expires(judged: Any, cli: Callable[..., Any]) -> None:
    assert decisions(judged)["leaflet.txt"]["lanes"] == ["local"]
    for name in ("PHI", "PII"):
        signed = approve(cli, judged, *lowering(name=name))
        override(cli, judged, "lower", *lowering(name=name), "--approval", signed, "--actor", "ines")
    entered = overrides(judged)[0]
    assert (entered["actor"], entered["reason"], entered["before"], entered["after"]) == ("ines", "invented_patient", "PHI", "CLEAN")
    assert (entered["detail_code"], entered["data_class"]) == ("lowered", "PHI")
    assert entered["approval"].startswith("mara ")

    cli("run", judged.job, "--out", judged.out, "--reprocess")
    lowered = decisions(judged)["leaflet.txt"]
    assert lowered["data_classes"] == ["CLEAN"]
    assert "cloud" in lowered["lanes"]
    named = {line["entity"]: line["detector"] for line in lowered["evidence"]}
    assert named["lowered:PHI"] == entered["override_id"]
    assert lowered["expiry"] == entered["expiry"]
    # What came back from the cloud is judged anew: a lowering is of the input's text alone.
    with reading(judged.ledger, ("outcomes",)) as reader:
        last = reader.table("FROM outcomes SELECT lane, result_file WHERE record_id = $id ORDER BY seq DESC", id=lowered["record_id"])
        (rescan,) = reader.table("FROM entries SELECT before, after WHERE event = 'rescanned'").to_pylist()
    assert last.to_pylist()[0]["lane"] == "cloud"
    assert rescan == {"before": "CLEAN", "after": "PHI"}
    file = judged.results / last.to_pylist()[0]["result_file"]
    assert file.parent.name == "PHI"
    assert pq.ParquetFile(file).read()["data_classes"].to_pylist() == [["PHI"]]

    path = judged.job.parent / "inbox" / "leaflet.txt"
    path.write_text(LEAFLET + "Discharged in stable condition.\n")
    cli("run", judged.job, "--out", judged.out, "--reprocess")
    changed = decisions(judged)["leaflet.txt"]
    assert (changed["data_classes"], changed["lanes"], changed["expiry"]) == (["PHI"], ["local"], None)


def test_raised_counts_from_the_next_decision_on(judged: Any, cli: Callable[..., Any]) -> None:
    said = override(cli, judged, "raise", "--record", "harbour.txt", "--to", "PRIVILEGED", "--reason", "counsel_said", "--actor", "ines")
    assert "from its next decision on" in said.out
    (entered,) = overrides(judged)
    assert (entered["before"], entered["after"], entered["detail_code"], entered["expiry"]) == ("CLEAN", "PRIVILEGED", "raised", None)
    cli("run", judged.job, "--out", judged.out, "--reprocess")
    raised = decisions(judged)["harbour.txt"]
    assert (raised["data_classes"], raised["lanes"]) == (["PRIVILEGED"], ["local"])
    assert "declared:PRIVILEGED" in {line["entity"] for line in raised["evidence"]}


@pytest.mark.parametrize(
    ("signed", "entered", "said"),
    [
        pytest.param(lowering(), lowering("harbour.txt"), "no approver", id="another record"),
        pytest.param(lowering(), lowering(name="PII"), "no approver", id="another class"),
        pytest.param(lowering(), lowering(reason="other_reason"), "no approver", id="another reason"),
        pytest.param(lowering(), lowering(expires="2026-11-23"), "no approver|expired", id="another day"),
        pytest.param(lowering(expires="2099-01-01"), lowering(expires="2099-01-01"), "longer than the 60 days", id="too long"),
        pytest.param(lowering(expires="2020-01-01"), lowering(expires="2020-01-01"), "expired", id="expired"),
        pytest.param(lowering(), lowering(name="UNSCANNABLE"), "does not allow", id="UNSCANNABLE"),
        pytest.param(lowering(), lowering(name="NPI"), "does not allow", id="not listed"),
        pytest.param(lowering(), lowering(reason="A whole sentence."), "expected a code", id="a sentence"),
        pytest.param(lowering(), lowering("nothing.txt"), "expected the id or source of one record", id="no record"),
    ],
)
def test_an_approval_of_something_else_is_refused(
    judged_once: SimpleNamespace, cli: Callable[..., Any], signed: list[str], entered: list[str], said: str
) -> None:
    approval = approve(cli, judged_once, *signed)
    head = Ledger.open(judged_once.ledger).head()
    refused = override(cli, judged_once, "lower", *entered, "--approval", approval, code=1)
    assert re.search(said, refused.err)
    assert Ledger.open(judged_once.ledger).head() == head


@pytest.fixture(scope="module")
def judged_once(tmp_path_factory: pytest.TempPathFactory, write: Callable[..., Any]) -> Any:
    """One night for the tests that change nothing."""
    folder = tmp_path_factory.mktemp("judged")
    made = write(folder, {"leaflet.txt": LEAFLET, "harbour.txt": CLEAN}, "policy: policy.yaml\nlanes: {cloud: null}\n")
    (folder / "policy.yaml").write_text(files("policies").joinpath("default.yaml").read_text(encoding="utf-8") + RULES)
    made.run()
    return made


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"", id="empty"), pytest.param(bytes(64), id="zeros"), pytest.param(b"no signature", id="text")],
)
def test_what_is_no_signature_is_refused(judged_once: Any, cli: Callable[..., Any], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "approval").write_bytes(content)
    assert "no approver" in override(cli, judged_once, "lower", *lowering(), "--approval", tmp_path / "approval", code=1).err


def test_a_stranger_cannot_approve(judged_once: Any, cli: Callable[..., Any]) -> None:
    signed = approve(cli, judged_once, *lowering(), key=STRANGER)
    assert "no approver" in override(cli, judged_once, "lower", *lowering(), "--approval", signed, code=1).err


def test_without_the_key_in_the_policy_nothing_is_lowered(judged_once: Any, cli: Callable[..., Any]) -> None:
    default = str(files("policies").joinpath("default.yaml"))
    assert "does not allow lowering PHI" in override(cli, judged_once, "request", *lowering(), "--policy", default, code=1).err


@pytest.mark.parametrize("to", ["CLEAN", "PIH", "phi"])
def test_a_class_that_is_none_is_not_raised(judged_once: Any, cli: Callable[..., Any], to: str) -> None:
    options = ["--record", "harbour.txt", "--to", to, "--reason", "seen"]
    assert "expected" in override(cli, judged_once, "raise", *options, code=1).err


def test_where_there_is_no_ledger_none_is_made(cli: Callable[..., Any], tmp_path: Path) -> None:
    said = cli("override", "raise", "--ledger", tmp_path / "none", "--record", "r", "--to", "PHI", "--reason", "seen", code=1)
    assert "no ledger here" in said.err
    assert list(tmp_path.iterdir()) == []


def test_an_approval_is_entered_once(judged_once: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    night = copied(judged_once, tmp_path)
    signed = approve(cli, night, *lowering())
    override(cli, night, "lower", *lowering(), "--approval", signed)
    override(cli, night, "raise", "--record", "leaflet.txt", "--to", "PHI", "--reason", "real_patient")
    assert "entered already" in override(cli, night, "lower", *lowering(), "--approval", signed, code=1).err
    cli("run", night.job, "--out", night.out, "--reprocess")
    assert decisions(night)["leaflet.txt"]["data_classes"] == ["PHI"]


def test_an_approval_of_another_ledger_is_refused(judged_once: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    """The same document, in a ledger of its own: its origin is another, whatever the names and keys."""
    night = copied(judged_once, tmp_path)
    signed = approve(cli, night, *lowering())
    shutil.rmtree(night.ledger)
    cli("run", night.job, "--out", night.out)
    assert "no approver" in override(cli, night, "lower", *lowering(), "--approval", signed, code=1).err


def test_an_entry_without_a_signature_frees_nothing(judged_once: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    """Who can write the ledger cannot lower: the decision looks at the approver's signature itself."""
    night = copied(judged_once, tmp_path)
    last = decisions(night)["leaflet.txt"]
    forged = {"actor": "mara", "detail_code": "lowered", "reason": "because", "state": "0" * 16, "approval": "mara " + "A" * 88}
    Ledger.open(night.ledger).commit(
        [
            Entry(
                event=Event.OVERRIDDEN,
                at=datetime.now(UTC),
                record_id=last["record_id"],
                data_classes=("PHI",),
                document_hmac=last["document_hmac"],
                expiry=datetime.fromisoformat(f"{EXPIRES}T00:00:00+00:00"),
                **forged,
            )
        ]
    )
    cli("run", night.job, "--out", night.out, "--reprocess")
    assert decisions(night)["leaflet.txt"]["data_classes"] == ["PHI"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_command_in_the_documentation_signs(judged_once: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    night = copied(judged_once, tmp_path)
    (tmp_path / "approver.pem").write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    override(cli, night, "request", *lowering(), "--out", tmp_path / "statement.txt")
    (command,) = re.findall(r"^ *(openssl pkeyutl .*)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    override(cli, night, "lower", *lowering(), "--approval", tmp_path / "approval.sig")
    assert len(overrides(night)) == 1
    (shown,) = re.findall(r"^ *(openssl pkey .*)$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    public = subprocess.run(shown.split(), cwd=tmp_path, check=True, capture_output=True, text=True).stdout.splitlines()[1]
    policy = night.job.parent / "policy.yaml"
    policy.write_text(re.sub(r'key: "[^"]+"', f'key: "{public}"', policy.read_text()))
    cli("run", night.job, "--out", night.out, "--reprocess")
    assert "lowered:PHI" in {line["entity"] for line in decisions(night)["leaflet.txt"]["evidence"]}


def copied(night: Any, folder: Path) -> Any:
    target = folder / "copy"
    shutil.copytree(night.job.parent, target)
    return type(night)(job=target / night.job.name, out=target / "out")
