"""What `docs/anchors.md` shows is what the program takes, and what it asks of S3 is what the policy grants."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs import verify_ledger as independent
from flows.job import load_job
from flows.object_stores import AnchorPlace
from sinks.clients.aws import AwsConnection
from sinks.clients.s3_client import S3Store
from sinks.ledger.anchors import BucketAnchor, anchor_newest, read_all
from sinks.ledger.entry import Entry, Event
from sinks.ledger.segments import Ledger

PAGE = (Path(__file__).parents[2] / "docs" / "anchors.md").read_text(encoding="utf-8")
PERMISSIONS = {
    "PutObject": {"s3:PutObject", "s3:PutObjectRetention"},
    "GetObject": {"s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectRetention"},
    "ListObjectVersions": {"s3:ListBucketVersions"},
}


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_a_job_may_say_so(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (shown,) = blocks("yaml")
    (tmp_path / "job.yaml").write_text(f"name: a\nsource: {{path: inbox}}\ntask: {{kind: summarize}}\noutput: out\n{shown}")
    folder, bucket = load_job(tmp_path / "job.yaml").ledger.anchors
    assert folder.path == Path(yaml.safe_load(shown)["ledger"]["anchors"][0])
    assert (bucket.region, bucket.retain_years) == ("eu-central-1", 6)


def test_every_key_has_its_row() -> None:
    rows = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE))))
    assert set(AnchorPlace.model_fields) <= rows


def test_the_independent_verifier_reads_what_was_copied_down(
    s3_connection: AwsConnection, new_bucket: Callable[..., str], tmp_path: Path
) -> None:
    """As the page does it with the aws command: every version, hidden ones too, into a folder, each under its version's name."""
    store = S3Store(s3_connection, new_bucket(lock=True))
    ledger = Ledger.open(tmp_path / "ledger")
    for record_id in ("r-a", "r-b"):
        ledger.commit([Entry(event=Event.HELD, at=datetime.now(UTC), record_id=record_id, reason="no_rule")])
        anchor_newest(tmp_path / "ledger", BucketAnchor(store, "claims"), now=datetime.now(UTC))
    store.delete("claims/3.note")
    kept = tmp_path / "kept"
    kept.mkdir()
    for found in store.versions("claims/"):
        (kept / f"{found.version}.note").write_bytes(store.fetch(found.key, version=found.version)[0])
    store.close()
    status, line = independent.verify(tmp_path / "ledger", None, [kept])
    assert (status, "2 anchored checkpoint(s)" in line) == (0, True)
    (tmp_path / "ledger" / "segments" / "00000003.parquet").unlink()
    (tmp_path / "ledger" / "checkpoint").unlink()
    status, line = independent.verify(tmp_path / "ledger", None, [kept])
    assert (status, "its tail was cut off" in line) == (1, True)


def test_the_policy_grants_what_is_asked_for(
    s3_connection: AwsConnection, new_bucket: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = S3Store(s3_connection, new_bucket(lock=True))
    asked: list[str] = []
    for client in (store._safe, store._once):
        client.meta.events.register("before-call.s3", lambda model, **_: asked.append(model.name))
    ledger = Ledger.open(tmp_path / "ledger")
    ledger.commit([Entry(event=Event.HELD, at=datetime.now(UTC), record_id="r-a", reason="no_rule")])
    anchor = BucketAnchor(store, "claims")
    anchor_newest(tmp_path / "ledger", anchor, now=datetime.now(UTC))
    assert asked == ["ListObjectVersions", "PutObject", "ListObjectVersions", "GetObject"]
    read_all(anchor)
    (policy,) = blocks("json")
    statements: list[dict[str, Any]] = json.loads(policy)["Statement"]
    granted = [statement["Action"] for statement in statements]
    actions = {action for one in granted for action in ([one] if isinstance(one, str) else one)}
    assert actions == set().union(*(PERMISSIONS[name] for name in asked))
    store.close()
