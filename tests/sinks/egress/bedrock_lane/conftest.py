"""Bedrock's control plane over HTTP and a real bucket, emptied for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from policies.model import Endpoint, Lane
from sinks.clients.aws import AwsConnection
from sinks.clients.bedrock_client import BedrockJobs
from sinks.clients.s3_client import S3Store
from sinks.lanes.bedrock_batch import BedrockBatchLane
from tests.sinks.bedrock_control import ACCOUNT, REGION, Control, running
from tests.sinks.egress.bedrock_lane.bedrock_stage import Bare, Cloud


@pytest.fixture(scope="module")
def service() -> Iterator[Control]:
    with running() as control:
        yield control


@pytest.fixture(scope="module")
def parts(service: Control, s3_url: str, new_bucket: Callable[..., str]) -> Iterator[tuple[Endpoint, BedrockJobs, S3Store]]:
    endpoint = Endpoint(
        name="aws-test",
        lane=Lane.CLOUD,
        engine="bedrock_batch",
        provider="aws",
        model="amazon.nova-lite-v1:0",
        region=REGION,
        base_url=service.url,
        facts={"dpa": True, "training_use": False},
        review_by=date(2027, 1, 1),
        settings={"bucket": new_bucket(), "role_arn": f"arn:aws:iam::{ACCOUNT}:role/batch", "s3_endpoint_url": s3_url, "timeout_s": 1.0},
    )
    connection = AwsConnection.of(endpoint, "AKIATEST:not-a-secret")
    jobs, store = BedrockJobs(connection, account=ACCOUNT), S3Store(connection, str(endpoint.settings["bucket"]))
    yield endpoint, jobs, store
    jobs.close()
    store.close()


@pytest.fixture
def bare(parts: tuple[Endpoint, BedrockJobs, S3Store], service: Control, tmp_path: Path) -> Bare:
    """The lane alone, on an empty bucket."""
    endpoint, jobs, store = parts
    service.__init__(url=service.url)  # type: ignore[misc]  # as new, on the same port
    for found in store.keys(""):
        store.delete(found.key)
    return Bare(lane=BedrockBatchLane(jobs, store, endpoint, tmp_path), control=service, store=store, endpoint=endpoint, jobs=jobs)


@pytest.fixture
def cloud_lane(scene: Any, bare: Bare) -> Cloud:
    scene.registry[bare.endpoint.name] = bare.endpoint
    scene.lane = bare.lane
    return Cloud(scene=scene, control=bare.control, store=bare.store, endpoint=bare.endpoint, jobs=bare.jobs)
