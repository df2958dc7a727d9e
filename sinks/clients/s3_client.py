"""Objects in one bucket: written, read back, listed, removed. The only module that speaks S3.

- Contents are checked on their way: a put carries the SHA-256 for the server to check, a download its length, and the checksum
  where the store keeps one.
- An exclusive put never replaces an object. It is tried again when the connection drops, so that `ObjectExistsError` may speak of what
  we wrote ourselves: read it and compare. Any other put is sent once.
- Foreign exceptions end here, as codes (invariant 5).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, TypeVar

from sinks.clients.aws import AwsConnection, ask, aws_client, create, reason_of, status_of
from sinks.errors import AmbiguousError, EndpointError, ObjectChangedError, ObjectError, ObjectExistsError, ObjectMissingError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LOCK_MODE = "COMPLIANCE"
_CHUNK = 1 << 16
# No ARN, and none of the buckets that have hosts of their own (S3 Express).
_BUCKET = re.compile(r"(?!.*--x-s3$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NOT_FOUND, _PRECONDITION_FAILED = 404, 412
_REFUSED = 4
_LATER = frozenset({408, 429})
_EVERY_OBJECT = frozenset({"bad_credentials", "clock_skew", "expired_credentials", "no_such_bucket", "wrong_region"})
"""What is not about the object that was asked for."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """What is said of an object. lock_mode, retain_until: by `fetch` and `head`, to those who may see them. latest: by `versions`."""

    key: str
    size: int
    modified: datetime
    etag: str = ""
    lock_mode: str = ""
    retain_until: datetime | None = None
    version: str = ""
    latest: bool = True

    @classmethod
    def of(cls, key: str, answer: Mapping[str, Any], name: str) -> StoredObject:
        """From the answer to a GET or HEAD. A login page with status 200 lacks what an object store always says."""
        if not answer.get("ETag") or "ContentLength" not in answer or "LastModified" not in answer:
            raise EndpointError(f"{name}/{key}: no answer of an object store; check the URL")
        return cls(
            key=key,
            size=answer["ContentLength"],
            modified=answer["LastModified"],
            etag=answer["ETag"],
            lock_mode=answer.get("ObjectLockMode", ""),
            retain_until=answer.get("ObjectLockRetainUntilDate"),
            version=answer.get("VersionId", ""),
        )


class S3Store:
    """One bucket. owner: the account that must own it, where that is known.

    Bucket names are global: one that was deleted or mistyped may be a stranger's, who lets us write. S3 compares the owner first.
    """

    def __init__(self, connection: AwsConnection, bucket: str, *, owner: str = "") -> None:
        if not _BUCKET.fullmatch(bucket):
            raise EndpointError(f"{connection.name}: expected the name of a bucket, found {bucket!r}")
        self.name = f"{connection.name}: s3://{bucket}"
        self.bucket = bucket
        self._whose: dict[str, Any] = {"Bucket": bucket, **({"ExpectedBucketOwner": owner} if owner else {})}
        self._connection = connection

    @cached_property
    def _safe(self) -> S3Client:
        """For what may be sent twice."""
        return self._client(retries=True)

    @cached_property
    def _once(self) -> S3Client:
        return self._client(retries=False)

    def _client(self, *, retries: bool) -> S3Client:
        client: S3Client = aws_client(self._connection, "s3", url=self._connection.s3_endpoint_url, retries=retries, hosts=(self.bucket,))
        return client

    def close(self) -> None:
        """Close the connections."""
        for name in ("_safe", "_once"):
            if (client := self.__dict__.pop(name, None)) is not None:
                client.close()

    def put(self, key: str, content: bytes, *, exclusive: bool = False, retain_until: datetime | None = None) -> None:
        """Store an object. retain_until: nobody, its owner included, can remove this version before (Object Lock, COMPLIANCE).

        Raises ObjectExistsError when `exclusive` and there is one, RejectedError or AmbiguousError otherwise.
        """
        extra: dict[str, Any] = {"IfNoneMatch": "*"} if exclusive else {}
        if retain_until is not None:
            extra |= {"ObjectLockMode": LOCK_MODE, "ObjectLockRetainUntilDate": retain_until}
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        client = self._safe if exclusive else self._once
        create(lambda: self._put(client, key, content, checksum, extra))

    def _put(self, client: S3Client, key: str, content: bytes, checksum: str, extra: dict[str, Any]) -> None:
        from botocore.exceptions import ClientError  # noqa: PLC0415 - as in `aws`

        try:
            answer = client.put_object(**self._whose, Key=key, Body=content, ChecksumAlgorithm="SHA256", ChecksumSHA256=checksum, **extra)
        except ClientError as error:
            if status_of(error) == _PRECONDITION_FAILED and "IfNoneMatch" in extra:
                raise ObjectExistsError(f"{self.name}/{key}: there is an object already; it was left as it is") from None
            raise
        # A login page with status 200 has no ETag: nobody knows what happened behind it.
        if not answer.get("ETag") or answer.get("ChecksumSHA256", checksum) != checksum:
            raise AmbiguousError("bad_response")

    def get(self, key: str, target: IO[bytes], *, etag: str = "") -> int:
        """Stream an object into `target`; returns its length. etag: the version that is meant.

        Raises ObjectMissingError, ObjectChangedError (another version is there now), EndpointError.
        """
        return self._ask(key, "download", lambda: self._download(key, target, {"IfMatch": etag} if etag else {}, None)).size

    def download(self, key: str, target: IO[bytes], *, first: int | None = None) -> StoredObject:
        """Stream an object, or its `first` bytes, into `target`; returns what it is, with the length that came. Raises as `get` does."""
        extra = {} if first is None else {"Range": f"bytes=0-{first - 1}"}
        return self._ask(key, "download", lambda: self._download(key, target, extra, None))

    def read(self, key: str, *, max_bytes: int | None = None) -> bytes:
        """A small object. Raises as `get` does; EndpointError when it is larger than `max_bytes`."""
        return self.fetch(key, max_bytes=max_bytes)[0]

    def fetch(self, key: str, *, version: str = "", max_bytes: int | None = None) -> tuple[bytes, StoredObject]:
        """A small object, and what is said of it. Raises as `read` does."""
        target = BytesIO()
        extra = {"VersionId": version} if version else {}
        found = self._ask(key, "download", lambda: self._download(key, target, extra, max_bytes))
        return target.getvalue(), found

    def _download(self, key: str, target: IO[bytes], extra: dict[str, Any], max_bytes: int | None) -> StoredObject:
        answer = self._safe.get_object(**self._whose, Key=key, ChecksumMode="ENABLED", **extra)
        with closing(answer["Body"]) as body:  # at its end botocore compares the checksum, where the store has one
            found = StoredObject.of(key, answer, self.name)
            if max_bytes is not None and found.size > max_bytes:
                raise EndpointError(f"{self.name}/{key}: larger than the {max_bytes} bytes that were expected at most")
            if extra.get("IfMatch", found.etag) != found.etag:  # a store that does not know If-Match
                raise self._changed(key)
            length = sum(target.write(chunk) for chunk in body.iter_chunks(_CHUNK))
        if length != found.size:
            raise ObjectError(f"{self.name}/{key}: expected {found.size} bytes, {length} came; run again")
        return found

    def head(self, key: str) -> StoredObject:
        """What there is under a key. Raises ObjectMissingError or EndpointError."""
        return StoredObject.of(
            key, self._ask(key, "a look at an object", lambda: self._safe.head_object(**self._whose, Key=key)), self.name
        )

    def keys(self, prefix: str) -> Iterator[StoredObject]:
        """All objects whose key begins with `prefix`, in the order of their keys' bytes."""
        list_page: Any = self._safe.list_objects_v2
        for page in self._pages(list_page, prefix, {"ContinuationToken": "NextContinuationToken"}):
            for entry in page.get("Contents", ()):
                yield StoredObject(key=entry["Key"], size=entry["Size"], modified=entry["LastModified"], etag=entry["ETag"])

    def versions(self, prefix: str) -> Iterator[StoredObject]:
        """All versions of all such objects, also those that a newer one, or a delete marker, hides from `keys`."""
        list_page: Any = self._safe.list_object_versions
        markers = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}
        for page in self._pages(list_page, prefix, markers):
            for entry in page.get("Versions", ()):
                yield StoredObject(
                    key=entry["Key"],
                    size=entry["Size"],
                    modified=entry["LastModified"],
                    etag=entry["ETag"],
                    version=entry["VersionId"],
                    latest=entry["IsLatest"],
                )

    def _pages(self, list_page: Any, prefix: str, markers: Mapping[str, str]) -> Iterator[Any]:
        """The pages of a listing. markers: what the next request says, by what the answer calls it."""
        asked: dict[str, str] = {}
        seen: set[tuple[str, ...]] = set()
        while True:
            page = ask(self.name, "a listing", partial(list_page, **self._whose, Prefix=prefix, **asked))
            if "IsTruncated" not in page:  # a page of something else with status 200 would pass for an empty bucket
                raise EndpointError(f"{self.name}: what came is no listing; is the endpoint's address that of an S3 store?")
            yield page
            if not page["IsTruncated"]:
                return
            asked = {name: page[answered] for name, answered in markers.items() if page.get(answered)}
            if not asked or tuple(asked.values()) in seen:
                raise EndpointError(f"{self.name}: the listing does not end; run again")
            seen.add(tuple(asked.values()))

    def delete(self, key: str) -> bool:
        """Remove an object; False when it was gone already. In a bucket with versions this hides it, and its bytes stay."""
        try:
            self.head(key)
        except ObjectMissingError:
            return False
        self._ask(key, "a removal", lambda: self._safe.delete_object(**self._whose, Key=key))
        return True

    def _changed(self, key: str) -> ObjectChangedError:
        return ObjectChangedError(f"{self.name}/{key}: the object was replaced meanwhile; run again")

    def _ask(self, key: str, what: str, call: Callable[[], Answer]) -> Answer:
        from botocore.exceptions import ClientError, FlexibleChecksumError, IncompleteReadError  # noqa: PLC0415 - as in `aws`

        def asked() -> Answer:
            try:
                return call()
            except (FlexibleChecksumError, IncompleteReadError):
                raise ObjectError(f"{self.name}/{key}: what came is not what is stored, by length or checksum; run again") from None
            except ClientError as error:
                status = status_of(error)
                if status == _NOT_FOUND and reason_of(error) != "no_such_bucket":
                    raise ObjectMissingError(f"{self.name}/{key}: there is no such object") from None
                if status == _PRECONDITION_FAILED:
                    raise self._changed(key) from None
                if status // 100 == _REFUSED and status not in _LATER and reason_of(error) not in _EVERY_OBJECT:
                    msg = f"{self.name}/{key}: {what} was refused (HTTP {status}, {reason_of(error)}); check the object and its permissions"
                    raise ObjectError(msg) from None
                raise

        return ask(self.name, what, asked)
