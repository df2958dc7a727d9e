"""The S3 client takes nothing from the machine that it runs on: hosts, credentials, proxies and certificates are those that it is given."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sinks.clients.aws import aws_client
from sinks.clients.s3_client import S3Store
from sinks.errors import (
    RejectedError,
)
from tests.sinks.s3_client.scripted_store import body, connection
from tests.sinks.scripted_server import Server

HOSTILE_CONFIG = """[default]
region = xx-trap-1
endpoint_url = {trap}
aws_access_key_id = AKIATRAP
aws_secret_access_key = trap
ca_bundle = /nowhere
[profile trap]
endpoint_url = {trap}
credential_process = /bin/false
"""


@pytest.fixture
def trap(serve: Callable[[], Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    """A machine whose every setting points at a trap."""
    trap = serve()
    folder = tmp_path / ".aws"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "endpoints.json").write_text("{}")
    (folder / "config").write_text(HOSTILE_CONFIG.format(trap=trap.url))
    (folder / "credentials").write_text("[default]\naws_access_key_id = AKIATRAP\naws_secret_access_key = trap\n[trap]\n")
    (tmp_path / "trap_plugin.py").write_text("raise SystemExit('the plugin was imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.setenv(name, trap.url)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, trap.url)
    for name, value in {
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_DATA_PATH": str(folder / "models"),
        "AWS_PROFILE": "trap",
        "AWS_REGION": "xx-trap-1",
        "AWS_DEFAULT_REGION": "xx-trap-1",
        "AWS_ACCESS_KEY_ID": "AKIATRAP",
        "AWS_SECRET_ACCESS_KEY": "trap",
        "AWS_SESSION_TOKEN": "trap-token",
        "AWS_BEARER_TOKEN_S3": "trap-token",
        "AWS_BEARER_TOKEN_BEDROCK": "trap-token",
        "AWS_CA_BUNDLE": "/nowhere",
        "REQUESTS_CA_BUNDLE": "/nowhere",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT": "legacy",
        "AWS_MAX_ATTEMPTS": "9",
        "AWS_RETRY_MODE": "legacy",
        "AWS_CSM_ENABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": "trap",
        "_X_AMZN_TRACE_ID": "trap-trace",
        "AWS_EXECUTION_ENV": "trap-environment",
        "BOTOCORE_EXPERIMENTAL__PLUGINS": "trap=trap_plugin",
    }.items():
        monkeypatch.setenv(name, value)
    return trap


def test_a_hostile_environment_changes_nothing(trap: Server, server: Server, scripted: S3Store) -> None:
    scripted.put("a", b"x")
    server.play(body(b"xyz"))
    assert scripted.read("a") == b"xyz"
    assert [(seen.method, seen.path) for seen in server.seen] == [("PUT", "/bucket-a/a"), ("GET", "/bucket-a/a")]
    for seen in server.seen:
        assert "Credential=AKIAPASSED/" in seen.headers["authorization"]
        assert "/eu-central-1/s3/" in seen.headers["authorization"]
        assert "trap" not in str(seen.headers).lower()
    assert trap.seen == []


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "bucket-a.s3.eu-central-1.amazonaws.com"),
        ("us-east-1", "bucket-a.s3.us-east-1.amazonaws.com"),
        ("cn-north-1", "bucket-a.s3.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "bucket-a.s3.us-gov-west-1.amazonaws.com"),
    ],
)
def test_without_a_url_only_the_regions_own_host_is_asked(trap: Server, monkeypatch: pytest.MonkeyPatch, region: str, host: str) -> None:
    asked = []

    def nowhere(name: str, *_: Any, **__: Any) -> Any:
        asked.append(name)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    store = S3Store(replace(connection(), region=region), "bucket-a")
    with pytest.raises(RejectedError, match="unreachable"):
        store.put("a", b"x")
    assert asked == [host]
    assert trap.seen == []
    store.close()


def test_other_services_take_no_token_from_the_environment(trap: Server, server: Server) -> None:
    client = aws_client(connection(), "bedrock", url=server.url)
    server.play(lambda handler: handler.answer(200, b"{}", content_type="application/json"))
    client.list_model_invocation_jobs()
    (seen,) = server.seen
    assert seen.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIAPASSED/")
    assert "trap" not in str(seen.headers)
    client.close()


def test_the_proxy_is_the_one_that_is_passed(trap: Server, server: Server) -> None:
    server.play(lambda handler: handler.answer(502))
    store = S3Store(connection(proxy=server.url), "bucket-a")
    with pytest.raises(RejectedError, match="unreachable"):
        store.put("a", b"x")
    assert [(seen.method, seen.path) for seen in server.seen] == [("CONNECT", "bucket-a.s3.eu-central-1.amazonaws.com:443")]
    assert trap.seen == []
    store.close()


def test_the_ca_file_is_the_one_that_is_passed(server: Server, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (tmp_path / "key.pem").write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
    (tmp_path / "ca.pem").write_bytes(certificate.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)
    url = f"https://localhost:{server.http.server_port}"
    trusting, strict = S3Store(connection(url, ca_file=str(tmp_path / "ca.pem")), "bucket-a"), S3Store(connection(url), "bucket-a")
    trusting.put("a", b"x")
    with pytest.raises(RejectedError, match="untrusted_certificate"):
        strict.put("a", b"x")
    assert len(server.seen) == 1
    trusting.close()
    strict.close()
