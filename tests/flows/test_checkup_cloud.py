"""`waybill doctor --lane cloud`: what the provider's account contradicts the registry in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.checkup import Health
from flows.checkup_cloud import ACCOUNT, BUCKET, PROVIDER, examine_account, examine_cloud
from flows.job import load_job
from policies.load import DEFAULT_REGISTRY
from tests.sinks.bedrock_control import running


def test_the_account_and_its_bucket_are_asked(
    make_night: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3_url: str, new_bucket: Callable[..., str]
) -> None:
    monkeypatch.setenv("WAYBILL_AWS_PROFILE", "AKIATEST:not-a-secret")
    bucket = new_bucket()
    with running() as control:
        registry = DEFAULT_REGISTRY.read_text().replace("https://bedrock.us-east-1.amazonaws.com", control.url)
        registry = registry.replace("bucket: example-waybill-batch", f"bucket: {bucket}, s3_endpoint_url: '{s3_url}'")
        (tmp_path / "endpoints.yaml").write_text(registry)
        night = make_night(extra="registry: endpoints.yaml\nlanes: {cloud: bedrock-batch}\n")
        control.logging = {"s3Config": {"bucketName": "logs"}}
        *others, last = examine_cloud(night.job)
        assert not any(check.health is Health.BAD for check in others)
        assert (last.health, last.what) == (Health.BAD, ACCOUNT)
        assert "bedrock-batch: invocation_logging: model invocation logging is on in us-east-1" in last.detail
        (tmp_path / "endpoints.yaml").write_text(registry.replace("{bucket: ", "{unsafe_accept: invocation_logging, bucket: "))
        *_, last = examine_account(load_job(night.job))
        assert last.health is Health.DOUBTFUL
        control.logging = {}
        found = {check.what: check for check in examine_account(load_job(night.job))}
        assert {check.health for check in found.values()} == {Health.GOOD}
        assert found[ACCOUNT].detail == "bedrock-batch: nothing there contradicts the registry"
        assert found[BUCKET].detail == f"bedrock-batch: {bucket} can be listed"
        assert {operation for operation, _ in control.asked} == {"list", "logs", "retains"}, "nothing is made"
        (tmp_path / "endpoints.yaml").write_text(registry.replace(f"bucket: {bucket}", "bucket: nobodys-bucket"))
        assert "no_such_bucket" in {check.what: check.detail for check in examine_account(load_job(night.job))}[BUCKET]
    monkeypatch.setenv("WAYBILL_AWS_PROFILE", "a-key-without-its-secret")
    assert "expected the secret as KEY_ID:SECRET" in next(check.detail for check in examine_cloud(night.job) if check.health is Health.BAD)
    monkeypatch.setenv("WAYBILL_AWS_PROFILE", "AKIATEST:not-a-secret")
    *_, gone = examine_account(load_job(night.job))
    assert (gone.health, gone.what) == (Health.BAD, PROVIDER)
    assert "run again when it is reachable" in gone.detail
