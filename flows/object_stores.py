"""What a job says of places in object stores. Nothing is guessed, and nothing comes from the environment but secrets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from flows.errors import JobError
from flows.job_paths import AnyPath, ExistingPath, absolute, existing
from flows.secret_values import secret_of
from policies.registry import SECRET_PLACE
from sinks.errors import EndpointError
from sinks.ledger.anchors import RETAIN_YEARS, Anchor, BucketAnchor, FolderAnchor

if TYPE_CHECKING:
    from sinks.clients.s3_client import S3Store

SCHEME = "s3://"
TIMEOUT_S = 20.0
"""For one read or write. A night waits for an anchor that is out of reach, a few times this long, when it starts and when it ends."""


def _form(pattern: str, expected: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"expected {expected}")
        return value

    return AfterValidator(check)


Region = Annotated[str, _form(r"[a-z0-9-]{4,40}", "the name of a region, such as eu-central-1")]
Secret = Annotated[
    str,
    _form(
        rf"[A-Z][A-Z0-9_]{{0,63}}|{SECRET_PLACE}",
        "the NAME of the environment variable that holds the access key, or its file's path; or file:/PATH, or prefect:BLOCK",
    ),
]
BUCKET_NAME = "with a bucket name of 3 to 63 small letters, digits, dots and hyphens"
BUCKET_URL = _form(r"s3://[a-z0-9.-]{3,63}(/[A-Za-z0-9!_.*'()/ =@,+-]{0,700})?", f"s3://BUCKET or s3://BUCKET/PREFIX, {BUCKET_NAME}")
Bucket = Annotated[str, BUCKET_URL]
Url = Annotated[str, _form(r"https?://\S+", "an https URL")]


class Reach(BaseModel):
    """How an object store is reached, where that is not simply AWS over the open network."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    endpoint_url: Url = ""
    ca_file: ExistingPath | None = None
    proxy: Url = Field("", repr=False)


class SourceAccess(Reach):
    """How the bucket of `source.path` is reached."""

    region: Region
    secret: Secret


class AnchorPlace(Reach):
    """Where checkpoints are kept: `path`, or `url` with region and secret. A bare path is short for the former."""

    path: AnyPath | None = None
    url: Bucket | None = None
    region: Region | None = None
    secret: Secret | None = None
    retain_years: int = Field(RETAIN_YEARS, ge=1, le=99)

    @model_validator(mode="after")
    def _one_of_them(self) -> AnchorPlace:
        if (self.path is None) == (self.url is None):
            raise ValueError("expected either path, a folder, or url, such as s3://bucket/prefix")
        if self.url is not None and (self.region is None or self.secret is None):
            raise ValueError("expected region and secret beside url; neither is taken from the environment or ~/.aws")
        if self.path is not None and self.model_fields_set != {"path"}:
            raise ValueError("expected nothing beside path; the other keys are for an object store")
        return self

    @property
    def place(self) -> str:
        """The path or URL."""
        return str(self.path or self.url)


def source_path(value: object, info: ValidationInfo) -> object:
    """A path of this machine, which must exist, or a place in a bucket as it is written."""
    if isinstance(value, str) and value.startswith(SCHEME):
        return BUCKET_URL.func(value)  # type: ignore[call-arg]  # of the two forms of a validator, the one without info
    return existing(Path(str(absolute(value, info))))


def _anchor(value: object) -> object:
    if isinstance(value, str) and value.startswith(SCHEME):
        raise ValueError("expected a mapping with url, region and secret for an anchor in an object store")
    return {"path": value} if isinstance(value, str) else value


AnchorPlaces = Annotated[tuple[Annotated[AnchorPlace, BeforeValidator(_anchor)], ...], Field(strict=False)]


def open_store(reach: Reach, url: str, *, region: str, secret: str, name: str, job_file: Path) -> tuple[S3Store, str]:
    """The bucket of an URL, ready to use, and the prefix in it. Raises JobError."""
    from sinks.clients.aws import AwsConnection, AwsCredentials  # noqa: PLC0415 - a job without a bucket loads no client
    from sinks.clients.s3_client import S3Store  # noqa: PLC0415 - as above

    value = secret_of(secret, who=name, job_file=job_file)
    bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
    try:
        connection = AwsConnection(
            name=name,
            region=region,
            credentials=AwsCredentials.of(value, name),
            s3_endpoint_url=reach.endpoint_url,
            proxy=reach.proxy,
            ca_file=str(reach.ca_file or ""),
            timeout_s=TIMEOUT_S,
        )
        return S3Store(connection, bucket), prefix
    except EndpointError as error:
        raise JobError(f"{job_file}: {error}") from None


def open_anchor(place: AnchorPlace, *, job_file: Path) -> Anchor:
    """An anchor, ready to use. Raises JobError."""
    if place.path is not None:
        return FolderAnchor(place.path)
    store, prefix = open_store(
        place, str(place.url), region=str(place.region), secret=str(place.secret), name="ledger.anchors", job_file=job_file
    )
    return BucketAnchor(store, prefix, retain_years=place.retain_years)
