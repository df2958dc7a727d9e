"""Anchors from the command line: a night ends with them, a start looks at them, and verification compares with them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flows.checkup import Check, examine
from flows.checkup_stores import check_stores
from flows.job import load_job
from sinks.clients.aws import AwsConnection
from sinks.clients.s3_client import S3Store
from sinks.errors import EndpointError
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger

TEXT = {"public/harbour.txt": "The harbour council will repave the promenade between the fish market and the lighthouse.\n"}
SECRET = "WAYBILL_TEST_ANCHOR_KEY"
NO_ANSWER = "http://127.0.0.1:9"


def write_job(folder: Path, anchors: str, extra: str = "") -> Path:
    for name, text in TEXT.items():
        (folder / "inbox" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "inbox" / name).write_text(text)
    job = folder / "job.yaml"
    job.write_text(
        f"name: small\nsource: {{path: inbox}}\ntask: {{kind: summarize, max_tokens: 60}}\nlanes: {{cloud: null}}\noutput: results\n"
        f"scan_processes: 1\nledger:\n  path: ledger\n  anchors:\n{anchors}{extra}"
    )
    return job


@pytest.fixture
def bucket(s3_connection: AwsConnection, new_bucket: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(SECRET, "AKIATEST:not-a-secret")
    name = new_bucket(lock=True)
    return f"    - {{url: s3://{name}/ledgers/a, region: eu-central-1, secret: {SECRET}, endpoint_url: {s3_connection.s3_endpoint_url}}}\n"


def lengthen(ledger: Path, *record_ids: str) -> None:
    Ledger.open(ledger).commit([Entry(event=Event.HELD, at=datetime.now(UTC), record_id=one, reason="no_rule") for one in record_ids])


def cut(ledger: Path) -> None:
    max((ledger / "segments").glob("*.parquet")).unlink()


def test_a_night_ends_with_its_anchors_and_stops_when_they_contradict(
    cli: Callable[..., Any], tmp_path: Path, bucket: str, s3_connection: AwsConnection
) -> None:
    (tmp_path / "safe").mkdir()
    job = write_job(tmp_path, "    - safe\n" + bucket)
    report = json.loads(cli("run", job, "--json").out.splitlines()[-1])
    assert (report["results"], report["unanchored"]) == (1, 0)
    (note,) = (tmp_path / "safe").glob("*.note")
    assert note.read_text() == (tmp_path / "ledger" / "checkpoint").read_text()
    url = bucket.split("url: ")[1].split(",", maxsplit=1)[0]
    store = S3Store(s3_connection, url.split("/")[2])
    assert store.read(f"ledgers/a/{note.name}") == note.read_bytes()
    assert store.head(f"ledgers/a/{note.name}").lock_mode == "COMPLIANCE"
    store.close()

    said = cli("audit", "verify", "--job", job)
    assert "2 anchored checkpoints agree with it" in said.out
    assert "warning" not in said.out
    said = cli("ledger", "anchor", job)
    assert [line.split()[1] for line in said.out.splitlines()] == ["has", "has"]

    cut(tmp_path / "ledger")
    (tmp_path / "ledger" / "checkpoint").unlink()
    said = cli("audit", "verify", "--ledger", tmp_path / "ledger").out
    assert said.startswith("intact")
    assert "compared with no anchor" in said
    for options in (["--job", job], ["--job", job, "--anchor", url], ["--ledger", tmp_path / "ledger", "--anchor", tmp_path / "safe"]):
        assert "its tail is gone" in cli("audit", "verify", *options, code=1).out
    before = sorted((tmp_path / "ledger").rglob("*.parquet"))
    for command in (["run", job], ["ledger", "anchor", job]):
        said = cli(*command, code=1)
        assert "the ledger at" in said.err
        assert "was rolled back, edited or replaced; restore it, and see docs/anchors.md" in said.err
        assert "Traceback" not in said.err
    assert sorted((tmp_path / "ledger").rglob("*.parquet")) == before


def test_a_folder_out_of_reach_costs_no_night_and_is_made_up_for(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = write_job(tmp_path, "    - mnt/safe\n", "alerts: {webhook: 'http://127.0.0.1:9/hook'}\n")
    told: list[Any] = []
    monkeypatch.setattr("flows.closing.send_alert", lambda alert, options: told.append(alert))
    said = cli("run", job, "--json")
    assert "mnt/safe: cannot be read (it is not there: is it mounted?); the run goes on without having compared it" in said.err
    assert "is it mounted?); the next run's end tries again, or `waybill ledger anchor`" in said.err
    report = json.loads(said.out.splitlines()[-1])
    assert (report["results"], report["unanchored"]) == (1, 1)
    assert [(alert.unanchored, alert.held) for alert in told] == [(1, 0)]
    assert not (tmp_path / "mnt").exists()
    assert cli("ledger", "anchor", job, code=1).out == ""
    (tmp_path / "mnt" / "safe").mkdir(parents=True)
    said = cli("run", job)
    assert "anchor" not in said.out + said.err
    (note,) = (tmp_path / "mnt" / "safe").iterdir()
    assert note.read_text() == (tmp_path / "ledger" / "checkpoint").read_text()
    assert len(told) == 1


def test_a_kill_between_commit_and_anchor_is_made_up_for(tmp_path: Path, bucket: str, cli: Callable[..., Any]) -> None:
    job = write_job(tmp_path, bucket)
    killed = (
        "import os, flows.closing\n"
        "flows.closing.anchor_run_end = lambda job: os.kill(os.getpid(), 9)\n"
        f"from flows.cli import main\nmain(['run', {str(job)!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", killed], capture_output=True, timeout=120, check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "no checkpoints here" in cli("audit", "verify", "--job", job, code=1).err
    cli("run", job)
    assert "1 anchored checkpoints agree with it" in cli("audit", "verify", "--job", job, "--deep").out


def test_a_bucket_out_of_reach_is_one_line(cli: Callable[..., Any], tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(S3Store, "versions", lambda *_: (_ for _ in ()).throw(EndpointError("no usable answer to a listing")))
    lengthen(tmp_path / "ledger", "r-a")
    job = write_job(tmp_path, "    - safe\n" + bucket)
    (tmp_path / "safe").mkdir()
    said = cli("ledger", "anchor", job, code=1)
    assert said.out.endswith("safe took the checkpoint of 2 entries\n")
    assert said.err.count("no usable answer to a listing") == said.err.count("\n") == 1


def test_retention_that_is_too_short_is_a_warning(cli: Callable[..., Any], tmp_path: Path, bucket: str) -> None:
    lengthen(tmp_path / "ledger", "r-a")
    job = write_job(tmp_path, bucket.replace("region:", "retain_years: 1, region:"))
    assert " took the checkpoint of 2 entries" in cli("ledger", "anchor", job).out
    job = write_job(tmp_path, bucket)
    assert "less than the job asks for" in cli("ledger", "anchor", job).err
    said = cli("audit", "verify", "--job", job)
    assert "warning: s3://" in said.out
    assert "intact: 2 entries" in said.out


@pytest.mark.parametrize(
    ("anchors", "said"),
    [
        pytest.param("    - s3://bucket/a\n", "expected a mapping with url, region and secret", id="bare URL"),
        pytest.param("    - {url: s3://bucket/a}\n", "expected region and secret beside url", id="nothing is guessed"),
        pytest.param("    - {url: s3://bucket/a, path: b, region: eu-central-1, secret: X}\n", "expected either path", id="both"),
        pytest.param("    - {path: b, retain_years: 3}\n", "expected nothing beside path", id="years of a folder"),
        pytest.param("    - ledger/anchors\n", "expected a place of its own", id="in the ledger"),
        pytest.param("    - {url: s3://bucket/a, region: eu-central-1, secret: 'AKIA:s3cret'}\n", "secret: expected", id="a secret itself"),
        pytest.param(
            "    - {url: s3://bucket/a, region: eu-central-1, secret: S, proxy: 's3cret@p'}\n", "proxy: expected", id="a proxy's password"
        ),
        pytest.param("    - {url: s3://b/a, secret: S, proxy: 'http://u:s3cret@p'}\n", "anchors.0", id="a mapping with a password"),
        pytest.param("    - {url: s3://bucket/a, region: eu-central-1, secret: WAYBILL_UNSET}\n", "WAYBILL_UNSET; it is not", id="unset"),
        pytest.param(
            f"    - {{url: s3://bucket/a, region: eu-central-1, secret: {SECRET}, endpoint_url: 'http://192.0.2.1'}}\n",
            "plain http is for this machine alone",
            id="open network without TLS",
        ),
    ],
)
def test_mistakes_in_a_job_are_one_line(
    cli: Callable[..., Any], tmp_path: Path, anchors: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET, "AKIATEST:not-a-secret")
    done = cli("ledger", "anchor", write_job(tmp_path, anchors), code=2)
    assert said in done.err
    assert "s3cret" not in done.err
    assert done.err.count("\n") == 1


def test_doctor_looks_at_anchors_and_writes_nothing(cli: Callable[..., Any], tmp_path: Path, bucket: str) -> None:
    (tmp_path / "safe").mkdir()
    lengthen(tmp_path / "ledger", "r-a")
    job = write_job(tmp_path, "    - safe\n    - mnt\n" + bucket)

    def found() -> list[Check]:
        return list(check_stores(load_job(job)))

    first, second, third = [one for one in examine(job) if one.what == "anchor"]
    assert first.detail.endswith("safe: can be read, and holds no checkpoint yet")
    assert "is it mounted?); a night would go on without it" in second.detail
    assert [one.health for one in (first, second, third)] == ["ok", "warn", "ok"]
    assert list((tmp_path / "safe").iterdir()) == []
    cli("ledger", "anchor", job, code=1)
    assert found()[0].detail.endswith("safe: agrees with the ledger up to entry 2")
    cut(tmp_path / "ledger")
    assert [one.health for one in found()] == ["FAIL", "warn", "FAIL"]


def test_what_cannot_be_compared_is_a_usage_error(cli: Callable[..., Any], tmp_path: Path) -> None:
    lengthen(tmp_path / "ledger", "r-a")
    ledger = ["audit", "verify", "--ledger", tmp_path / "ledger"]
    assert "expected one of the anchors of --job JOB" in cli(*ledger, "--anchor", "s3://bucket/a", code=2).err
    assert "expected a folder of checkpoints" in cli(*ledger, "--anchor", tmp_path / "none", code=2).err
    job = write_job(tmp_path, "    []\n")
    assert "ledger.anchors: expected a folder or a bucket" in cli("audit", "verify", "--job", job, code=2).err
    assert "ledger.anchors: expected a folder or a bucket" in cli("ledger", "anchor", job, code=2).err
