"""What surrounds the clients in their process can neither make them print a request nor write down the keys of their connections."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

import sinks.clients
from sinks.clients.anthropic_client import AnthropicBatches
from sinks.clients.aws import AwsConnection, AwsCredentials, aws_client
from sinks.clients.chat_client import ChatServer
from sinks.clients.connection import OpenAIOptions, http_client
from sinks.clients.openai_client import OpenAIBatches

OPTIONS = OpenAIOptions(name="cloud", base_url="https://provider.test/v1", api_key="k-1", ca_file=certifi.where())
MODULES = (
    "openai._base_client",
    "anthropic._base_client",
    "httpx2",
    "httpcore2.http11",
    "botocore.endpoint",
    "botocore.hooks",
    "urllib3.connectionpool",
)


@pytest.fixture
def talkative() -> Iterator[None]:
    """A logging configuration of the process that names single modules."""
    levels = {name: logging.getLogger(name).level for name in MODULES}
    for name in MODULES:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def s3_client() -> object:
    credentials = AwsCredentials(key_id="AKIATEST", secret="s-1")
    return aws_client(AwsConnection(name="cloud", region="eu-central-1", credentials=credentials, ca_file=certifi.where()), "s3")


@pytest.mark.usefixtures("talkative")
def test_no_module_of_a_library_prints_requests() -> None:
    for client in (OpenAIBatches(OPTIONS), AnthropicBatches(OPTIONS), ChatServer(OPTIONS)):
        client.close()
    s3_client()
    assert [name for name in MODULES if logging.getLogger(name).isEnabledFor(logging.INFO)] == []


def test_the_keys_of_connections_are_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    importlib.reload(sinks.clients)  # as at the start of a process
    assert "SSLKEYLOGFILE" not in os.environ
    http_client(OPTIONS).close()
    s3_client()
    assert list(tmp_path.iterdir()) == []
