"""Objects over the S3 client in a real store: written, listed, kept, replaced and gone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from io import BytesIO

import pytest

from sinks.clients.aws import AwsConnection
from sinks.clients.s3_client import S3Store
from sinks.errors import (
    EndpointError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectMissingError,
    RejectedError,
)


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
