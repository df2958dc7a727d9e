"""Stores: a real S3 with Object Lock, and one whose server follows a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sinks.clients.aws import AwsConnection
from sinks.clients.s3_client import S3Store
from tests.sinks.s3_client.scripted_store import body, connection
from tests.sinks.scripted_server import Server, servers


@pytest.fixture
def serve() -> Iterator[Callable[[], Server]]:
    with servers(body(b"")) as start:
        yield start


@pytest.fixture
def server(serve: Callable[[], Server]) -> Server:
    return serve()


@pytest.fixture
def scripted(server: Server) -> Iterator[S3Store]:
    store = S3Store(connection(server.url), "bucket-a")
    yield store
    store.close()


@pytest.fixture
def store(s3_connection: AwsConnection, new_bucket: Callable[..., str]) -> Iterator[S3Store]:
    made = S3Store(s3_connection, new_bucket(lock=True))
    yield made
    made.close()
