"""What a connection to AWS is made of: a region, a bucket's name, and secrets in words or in a private file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policies.model import Endpoint, Lane
from sinks.clients.aws import AwsConnection, AwsCredentials
from sinks.clients.s3_client import S3Store
from sinks.errors import (
    EndpointError,
)
from tests.sinks.s3_client.scripted_store import connection


@pytest.mark.parametrize(
    "bucket",
    ["", "arn:aws:s3:us-west-2:1:accesspoint/a", "UPPER", "a/b", "a", "b--use1-az4--x-s3"],
    ids=["none", "arn", "upper", "slash", "short", "express"],
)
def test_a_bucket_is_a_plain_name(bucket: str) -> None:
    with pytest.raises(EndpointError, match="name of a bucket"):
        S3Store(connection(), bucket)


@pytest.mark.parametrize(
    "settings",
    [
        {"region": "eu-central-1.evil.invalid/"},
        {"region": ""},
        {"s3_endpoint_url": "http://192.0.2.1:9000"},
        {"s3_endpoint_url": "ftp://127.0.0.1"},
        {"s3_endpoint_url": "https://user:word@store.invalid"},
        {"s3_endpoint_url": "https://store.invalid:99999"},
        {"s3_endpoint_url": "http://127.0.0.1:9", "proxy": "http://127.0.0.1:8"},
        {"ca_file": "/no/such/file"},
    ],
    ids=str,
)
def test_a_connection_that_is_none(settings: dict[str, Any]) -> None:
    with pytest.raises(EndpointError, match=r"^test: "):
        replace(connection(), **settings)


def test_secrets_are_given_in_words_or_in_a_private_file(tmp_path: Path) -> None:
    assert AwsCredentials.of("AKIA1:a/b+c=", "test") == AwsCredentials(key_id="AKIA1", secret="a/b+c=")
    assert AwsCredentials.of("AKIA1:s:to:ken", "test").token == "to:ken"
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIA2\naws_secret_access_key = s%t\naws_session_token = t\n")
    file.chmod(0o600)
    read = AwsCredentials.of(str(file), "test")
    assert read == AwsCredentials(key_id="AKIA2", secret="s%t", token="t")
    assert "AKIA2" not in repr(connection()) + repr(read)
    file.chmod(0o640)
    with pytest.raises(EndpointError, match="chmod 600"):
        AwsCredentials.of(str(file), "test")
    file.write_text("aws_secret_access_key = s3cret\n")
    file.chmod(0o600)
    for wrong in (str(file), str(tmp_path / "none"), "AKIA1", "AKIA1:", "a b:c", "AKIA1:s\n3cret"):
        with pytest.raises(EndpointError, match=r"^test: ") as caught:
            AwsCredentials.of(wrong, "test")
        assert "3cret" not in str(caught.value)


def test_a_registry_entry_gives_a_connection(s3_url: str) -> None:
    endpoint = Endpoint(
        name="bedrock-test",
        lane=Lane.CLOUD,
        engine="bedrock_batch",
        provider="amazon",
        model="m",
        region="us-west-2",
        ca_file="",
        settings={"timeout_s": 5},
    )
    made = AwsConnection.of(endpoint, "AKIA1:s")
    assert (made.region, made.endpoint_url, made.s3_endpoint_url, made.timeout_s) == ("us-west-2", "", "", 5.0)
    with pytest.raises(EndpointError, match="an emulator needs"):  # never AWS itself under the emulator's name
        AwsConnection.of(replace(endpoint, provider="emulator", base_url=s3_url), "AKIA1:s")
