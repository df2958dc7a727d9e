"""The S3 client against moto, and against scripted servers that misbehave: nothing from the environment, no other host, codes only."""

from __future__ import annotations

import base64
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from policies.model import Endpoint, Lane
from sinks.clients.aws import AwsConnection, AwsCredentials, aws_client
from sinks.clients.s3_client import S3Store
from sinks.errors import (
    AmbiguousError,
    EndpointError,
    ObjectChangedError,
    ObjectError,
    ObjectExistsError,
    ObjectMissingError,
    RejectedError,
    SinkError,
)

CREDENTIALS = AwsCredentials(key_id="AKIAPASSED", secret="passed-in")
QUOTED = "quoted-document"
Script = Callable[["Handler"], None]


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


class Handler(BaseHTTPRequestHandler):
    script: Script
    seen: list[Seen]

    def _serve(self) -> None:
        if self.headers.get("expect"):
            self.send_response_only(100)
            self.end_headers()
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.seen.append(Seen(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        type(self).script(self)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = do_CONNECT = _serve  # noqa: N815 - names that http.server looks for

    def handle_expect_100(self) -> bool:
        return True

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-length", headers.pop("length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


@dataclass
class Server:
    url: str
    seen: list[Seen]
    handler: type[Handler]
    http: ThreadingHTTPServer

    def play(self, script: Script) -> None:
        self.handler.script = script


def error(status: int, code: str = "Other", **headers: str) -> Script:
    body = f"<Error><Code>{code}</Code><Message>{QUOTED}</Message><Region>us-west-2</Region><Endpoint>elsewhere.invalid</Endpoint></Error>"
    return lambda handler: handler.answer(status, body.encode(), **headers)


def drop(handler: Handler) -> None:
    handler.close_connection = True
    handler.connection.close()


def body(content: bytes, **headers: str) -> Script:
    return lambda handler: handler.answer(200, content, **{"ETag": '"e1"', "Last_Modified": "Mon, 01 Jun 2026 00:00:00 GMT", **headers})


@pytest.fixture
def serve() -> Iterator[Callable[[], Server]]:
    running: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def start() -> Server:
        seen: list[Seen] = []
        handler = type("Scripted", (Handler,), {"seen": seen, "script": body(b"")})
        http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        running.append((http, thread))
        return Server(url=f"http://127.0.0.1:{http.server_port}", seen=seen, handler=handler, http=http)

    yield start
    for http, thread in running:
        http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture
def server(serve: Callable[[], Server]) -> Server:
    return serve()


def connection(url: str = "", **settings: Any) -> AwsConnection:
    return AwsConnection(name="test", region="eu-central-1", credentials=CREDENTIALS, s3_endpoint_url=url, timeout_s=2.0, **settings)


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


def test_objects_are_written_listed_read_and_removed(store: S3Store) -> None:
    names = ["notes/1", "notes/ü + %2F?#.note", "other"]
    for name in names:
        store.put(name, name.encode())
    listed = list(store.keys("notes/"))
    assert [found.key for found in listed] == names[:2]
    assert listed[0].size == len("notes/1")
    assert listed[0].modified.tzinfo is not None
    target = BytesIO()
    assert store.get(names[1], target, etag=listed[1].etag) == len(target.getvalue())
    assert target.getvalue() == names[1].encode()
    assert store.head(names[0]).etag == listed[0].etag
    assert store.delete("other") is True
    assert store.delete("other") is False


def test_a_listing_goes_on_over_its_pages(store: S3Store) -> None:
    for number in range(7):
        store.put(f"p/{number}", b"")
    pages = []
    list_page = store._safe.list_objects_v2
    store._safe.list_objects_v2 = lambda **asked: pages.append(1) or list_page(**asked, MaxKeys=3)  # type: ignore[method-assign,func-returns-value]
    assert [found.key for found in store.keys("p/")] == [f"p/{number}" for number in range(7)]
    assert len(pages) == 3


def test_versions_show_what_a_listing_hides(store: S3Store) -> None:
    for content in (b"one", b"two", b"three"):
        store.put("a", content)
    store.put("b", b"b")
    store.delete("b")
    assert [found.key for found in store.keys("")] == ["a"]
    versions = list(store.versions(""))
    assert sorted((found.key, found.latest) for found in versions) == [("a", False), ("a", False), ("a", True), ("b", False)]
    assert {store.fetch(found.key, version=found.version)[0] for found in versions} == {b"one", b"two", b"three", b"b"}


def test_an_exclusive_put_leaves_what_is_there(store: S3Store) -> None:
    store.put("a", b"first", exclusive=True)
    with pytest.raises(ObjectExistsError, match=r"s3://waybill-test-\d+/a: there is an object already"):
        store.put("a", b"second", exclusive=True)
    assert store.read("a") == b"first"
    with pytest.raises(EndpointError, match="larger than the 3 bytes"):
        store.read("a", max_bytes=3)


def test_a_retained_object_cannot_be_removed_by_its_owner(store: S3Store) -> None:
    until = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=30)
    store.put("a", b"kept", exclusive=True, retain_until=until)
    found = store.head("a")
    assert (found.lock_mode, found.retain_until) == ("COMPLIANCE", until)
    (version,) = store._safe.list_object_versions(Bucket=store.bucket, Prefix="a")["Versions"]
    with pytest.raises(store._safe.exceptions.ClientError, match="AccessDenied"):
        store._safe.delete_object(Bucket=store.bucket, Key="a", VersionId=version["VersionId"], BypassGovernanceRetention=True)


def test_what_is_not_there_and_what_was_replaced(store: S3Store, s3_connection: AwsConnection) -> None:
    store.put("a", b"first")
    etag = store.head("a").etag
    store.put("a", b"second")
    with pytest.raises(ObjectChangedError):
        store.get("a", BytesIO(), etag=etag)
    with pytest.raises(ObjectMissingError):
        store.read("b")
    with pytest.raises(ObjectMissingError):
        store.head("b")
    nowhere = S3Store(s3_connection, "no-such-bucket")
    with pytest.raises(EndpointError, match="no_such_bucket") as caught:
        nowhere.read("a")
    assert not isinstance(caught.value, ObjectMissingError)
    with pytest.raises(RejectedError, match="no_such_bucket"):
        nowhere.put("a", b"")
    nowhere.close()


def test_retention_in_a_bucket_without_object_lock_is_refused(s3_connection: AwsConnection, new_bucket: Callable[..., str]) -> None:
    store = S3Store(s3_connection, new_bucket())
    with pytest.raises(RejectedError):
        store.put("a", b"", exclusive=True, retain_until=dt.datetime.now(dt.UTC) + dt.timedelta(days=30))
    store.close()


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


@pytest.mark.parametrize(
    ("script", "kind", "code"),
    [
        pytest.param(error(403, "AccessDenied"), RejectedError, "access_denied", id="forbidden"),
        pytest.param(error(400, "ExpiredToken"), RejectedError, "expired_credentials", id="expired"),
        pytest.param(error(403, "<b>"), RejectedError, "http_403", id="unknown word"),
        pytest.param(error(301, "PermanentRedirect"), RejectedError, "wrong_region", id="other region"),
        pytest.param(error(307, "TemporaryRedirect", Location="http://elsewhere.invalid/"), AmbiguousError, "http_307", id="redirect"),
        pytest.param(error(400, "AuthorizationHeaderMalformed"), RejectedError, "wrong_region", id="signed for another region"),
        *[pytest.param(error(code), AmbiguousError, f"http_{code}", id=str(code)) for code in (408, 409, 429, 500, 503)],
        pytest.param(drop, AmbiguousError, "connection_lost", id="drop"),
        pytest.param(lambda handler: handler.answer(200, b"<html>log in</html>"), AmbiguousError, "bad_response", id="login page"),
        pytest.param(body(b"", x_amz_checksum_sha256="AAAA"), AmbiguousError, "bad_response", id="stored something else"),
    ],
)
def test_a_put_is_sent_once_and_ends_in_a_code(server: Server, scripted: S3Store, script: Script, kind: type[SinkError], code: str) -> None:
    server.play(script)
    with pytest.raises(kind) as caught:
        scripted.put("a", b"x")
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert caught.value.__cause__ is None
    assert QUOTED not in str(caught.value)
    assert [seen.method for seen in server.seen] == ["PUT"]


@pytest.mark.parametrize("status", [301, 307, 400])
def test_a_read_follows_nobody_to_another_host(server: Server, scripted: S3Store, status: int) -> None:
    code = {301: "PermanentRedirect", 307: "TemporaryRedirect", 400: "AuthorizationHeaderMalformed"}[status]
    server.play(error(status, code, Location="http://elsewhere.invalid/", x_amz_bucket_region="us-west-2"))
    for call in (lambda: scripted.read("a"), lambda: scripted.head("a"), lambda: list(scripted.keys(""))):
        with pytest.raises(EndpointError):
            call()
    assert {seen.path.partition("?")[0] for seen in server.seen} == {"/bucket-a/a", "/bucket-a"}
    assert len(server.seen) == 3


def test_a_page_of_something_else_is_no_empty_bucket(server: Server, scripted: S3Store) -> None:
    server.play(lambda handler: handler.answer(200, b"<html>log in</html>"))
    for listing in (scripted.keys, scripted.versions):
        with pytest.raises(EndpointError, match="no listing"):
            list(listing(""))


def test_every_request_names_the_owner_that_the_bucket_must_have(server: Server, scripted: S3Store) -> None:
    owned = S3Store(scripted._connection, "bucket-a", owner="123456789012")
    server.play(error(403, "AccessDenied"))
    for call in (lambda: owned.put("a", b"x"), lambda: owned.read("a"), lambda: owned.head("a"), lambda: list(owned.keys(""))):
        with pytest.raises(SinkError):
            call()
    assert [seen.headers["x-amz-expected-bucket-owner"] for seen in server.seen] == ["123456789012"] * 4
    owned.close()


def test_a_request_to_another_host_is_stopped(server: Server, scripted: S3Store) -> None:
    scripted._once.meta.events.register("before-sign.s3", lambda request, **_: setattr(request, "url", "http://127.0.0.1:9/bucket-a/a"))
    with pytest.raises(EndpointError, match="another host"):
        scripted.put("a", b"x")
    assert server.seen == []


def test_what_is_safe_to_send_twice_is_tried_again(server: Server, scripted: S3Store) -> None:
    scripts = iter([drop, body(b"xyz"), drop, error(412, "PreconditionFailed")])
    server.play(lambda handler: next(scripts)(handler))  # noqa: PLW0108 - each request the next one
    assert scripted.read("a") == b"xyz"
    with pytest.raises(ObjectExistsError):  # perhaps ours, whose answer was lost: the caller compares
        scripted.put("a", b"xyz", exclusive=True)
    assert [seen.method for seen in server.seen] == ["GET", "GET", "PUT", "PUT"]


@pytest.mark.parametrize(
    ("script", "one"),
    [
        pytest.param(body(b"short", length="9"), True, id="cut short"),
        pytest.param(body(b"changed", x_amz_checksum_sha256=base64.b64encode(bytes(32)).decode()), True, id="another checksum"),
        pytest.param(lambda handler: handler.answer(200, b"<html>log in</html>"), False, id="login page"),
    ],
)
def test_a_damaged_download_is_no_object(server: Server, scripted: S3Store, script: Script, *, one: bool) -> None:
    server.play(script)
    with pytest.raises(EndpointError) as caught:
        scripted.get("a", BytesIO())
    assert isinstance(caught.value, ObjectError) == one


@pytest.mark.parametrize(
    ("script", "one"),
    [
        pytest.param(error(403, "AccessDenied"), True, id="this object is forbidden"),
        pytest.param(error(403, "InvalidObjectState"), True, id="archived"),
        pytest.param(error(400, "ExpiredToken"), False, id="credentials expired"),
        pytest.param(error(403, "InvalidAccessKeyId"), False, id="credentials revoked"),
        pytest.param(error(403, "RequestTimeTooSkewed"), False, id="clock"),
        pytest.param(error(404, "NoSuchBucket"), False, id="no bucket"),
    ],
)
def test_a_refused_object_is_told_from_a_store_that_refuses_all(server: Server, scripted: S3Store, script: Script, *, one: bool) -> None:
    server.play(script)
    for call in (lambda: scripted.get("a", BytesIO()), lambda: scripted.read("a")):
        with pytest.raises(EndpointError) as caught:
            call()
        assert isinstance(caught.value, ObjectError) == one
        assert QUOTED not in str(caught.value)


def test_a_full_disk_is_not_the_endpoints_fault(server: Server, scripted: S3Store) -> None:
    class Full(BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

    server.play(body(b"xyz"))
    with pytest.raises(OSError, match="No space left"):
        scripted.get("a", Full())


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
