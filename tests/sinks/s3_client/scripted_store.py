"""What a scripted store says, and a connection to it."""

from __future__ import annotations

from typing import Any

from sinks.clients.aws import AwsConnection, AwsCredentials
from tests.sinks.scripted_server import Script

CREDENTIALS = AwsCredentials(key_id="AKIAPASSED", secret="passed-in")
QUOTED = "quoted-document"


def error(status: int, code: str = "Other", **headers: str) -> Script:
    body = f"<Error><Code>{code}</Code><Message>{QUOTED}</Message><Region>us-west-2</Region><Endpoint>elsewhere.invalid</Endpoint></Error>"
    return lambda handler: handler.answer(status, body.encode(), **headers)


def body(content: bytes, **headers: str) -> Script:
    return lambda handler: handler.answer(200, content, **{"ETag": '"e1"', "Last_Modified": "Mon, 01 Jun 2026 00:00:00 GMT", **headers})


def connection(url: str = "", **settings: Any) -> AwsConnection:
    return AwsConnection(name="test", region="eu-central-1", credentials=CREDENTIALS, s3_endpoint_url=url, timeout_s=2.0, **settings)
