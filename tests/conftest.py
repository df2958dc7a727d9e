"""A real S3 over HTTP on loopback: moto in a process of its own, one for all tests of a session that ask for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from sinks.clients.aws import AwsConnection, AwsCredentials, aws_client

# Its own process, because moto asks the environment that tests poison; it ends with the pipe to it.
_SERVE = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
S3_SECRET = "AKIATEST:not-a-secret"
S3_REGION = "eu-central-1"


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    command = [sys.executable, "-c", _SERVE]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env={}) as process:
        assert process.stdin
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()
        process.stdout.close()


@pytest.fixture(scope="session")
def s3_connection(s3_url: str) -> AwsConnection:
    return AwsConnection(name="test", region=S3_REGION, credentials=AwsCredentials.of(S3_SECRET, "test"), s3_endpoint_url=s3_url)


@pytest.fixture(scope="session")
def new_bucket(s3_connection: AwsConnection) -> Iterator[Callable[..., str]]:
    """Makes a bucket and gives its name. lock: with Object Lock."""
    client = aws_client(s3_connection, "s3", url=s3_connection.s3_endpoint_url)
    numbers = count(1)

    def make(*, lock: bool = False) -> str:
        name = f"waybill-test-{next(numbers)}"
        place = {"LocationConstraint": S3_REGION}
        client.create_bucket(Bucket=name, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=lock)
        return name

    yield make
    client.close()
