"""The S3 client and servers that misbehave: one request, one code, no other host, nothing quoted."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import pytest

from sinks.clients.s3_client import S3Store
from sinks.errors import (
    AmbiguousError,
    EndpointError,
    ObjectError,
    ObjectExistsError,
    RejectedError,
    SinkError,
)
from tests.sinks.s3_client.scripted_store import QUOTED, body, error
from tests.sinks.scripted_server import Script, Server, drop


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
