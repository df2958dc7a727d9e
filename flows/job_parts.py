"""The parts of a job file: what stands under its keys, each a small strict model, and how single values are checked."""

from __future__ import annotations

import grp
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    model_validator,
)

from flows.bucket_files import BucketFiles
from flows.job_paths import AnyPath, ExistingPath, absolute, existing
from flows.object_stores import AnchorPlaces, SourceAccess, source_path
from flows.task_schema import read_schema
from policies.budget import Budget, Limits
from policies.model import CLASS_NAME
from sinks.request import TaskKind

CRON_FIELDS = 5


def _job_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]{1,40}", value):
        raise ValueError("expected 1 to 40 small letters, digits and hyphens, such as claims-nightly")
    return value


def _cost_centre(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}", value):
        raise ValueError("expected up to 64 letters, digits, spaces and ._/-, a letter or digit first")
    return value


def cron_fields(value: str) -> str:
    """A schedule in five fields."""
    if len(value.split()) != CRON_FIELDS or not croniter.is_valid(value):
        raise ValueError("expected five cron fields (minute hour day month weekday), such as '30 1 * * *'")
    return value


def time_zone(value: str) -> str:
    """A time zone that this machine knows."""
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected the name of a time zone, such as UTC or America/New_York") from None
    return value


def _webhook(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected an http or https URL")
    return value


def unix_group(value: str) -> str:
    """A group that there is."""
    try:
        grp.getgrnam(value)
    except KeyError:
        raise ValueError("expected a group of this machine; create it, or leave the key out") from None
    return value


def _dollars(value: object) -> object:
    """As written: 20, 19.99 or "19.99". The shortest text of a float is what the file says."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _data_class(value: str) -> str:
    if not CLASS_NAME.fullmatch(value):
        raise ValueError("expected a data class in capitals, such as TRADE_SECRET")
    return value


def _schema(value: object, info: ValidationInfo) -> object:
    return read_schema(existing(Path(str(absolute(value, info))))) if isinstance(value, str) else value


def ledger_folder(value: object) -> object:
    """A path alone stands for a mapping with nothing else."""
    return {"path": value} if isinstance(value, str) else value


def repair_count(value: object) -> object:
    """A number, as it is written: `true` is 1 to Python, and says no number of times."""
    if isinstance(value, bool):
        raise ValueError("expected 0 or 1, the number of times that a broken answer is asked for again")  # noqa: TRY004 - pydantic's way
    return value


Dollars = Annotated[Decimal, BeforeValidator(_dollars), Field(ge=0, le=1_000_000_000, strict=False, allow_inf_nan=False)]
JobName = Annotated[str, AfterValidator(_job_name)]
CostCentre = Annotated[str, AfterValidator(_cost_centre)]
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)]


class Strict(BaseModel):
    """Unknown keys and other types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Declared(Strict):
    """Files, or bearers of a sensitivity label, that are of a data class whatever their text says: one of `glob` and `label`."""

    glob: str | None = Field(None, min_length=1)
    label: str | None = Field(None, min_length=1)
    data_class: Annotated[str, AfterValidator(_data_class)] = Field(alias="class")

    @model_validator(mode="after")
    def _one_of_them(self) -> Declared:
        if (self.glob is None) == (self.label is None):
            raise ValueError("expected either glob, over file names, or label, over the names of sensitivity labels")
        return self


class Source(Strict):
    """What to read: a path, or s3://BUCKET/PREFIX and how it is reached. `id`, `text` and `metadata` name the columns of tables.

    Globs are relative to `path`.
    """

    path: Annotated[Path | str, BeforeValidator(source_path)]
    id: str = Field("id", min_length=1)
    text: str = Field("text", min_length=1)
    metadata: Names = ()
    ids: Literal["job", "file"] = "job"
    declared: Annotated[tuple[Declared, ...], Field(strict=False)] = ()
    include: Names = ("**",)
    exclude: Names = ()
    max_document_bytes: int = Field(256 * 1024 * 1024, ge=1)
    s3: SourceAccess | None = None

    _bucket: BucketFiles | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _reached(self) -> Source:
        if isinstance(self.path, str) and self.s3 is None:
            raise ValueError("expected s3 with region and secret beside path; neither is taken from the environment or ~/.aws")
        if isinstance(self.path, Path) and self.s3 is not None:
            raise ValueError("expected no s3 beside a path of this machine; remove it, or give path as s3://BUCKET/PREFIX")
        return self

    @property
    def root(self) -> Path:
        """The folder that all names are relative to. A bucket has `bucket` instead."""
        path = Path(self.path)
        return path if path.is_dir() else path.parent

    @property
    def bucket(self) -> BucketFiles | None:
        """The files of a source in a bucket."""
        return self._bucket

    def place_of(self, name: str) -> str:
        """Where a person finds a file of the source."""
        if isinstance(self.path, Path):
            return str(self.root / name)
        return self.path if self.path.endswith(f"/{name}") else f"{self.path.rstrip('/')}/{name}"


class Task(Strict):
    """What to ask. `output_schema` (key `schema`) is a JSON Schema, given in place or as a path; extract needs it."""

    kind: Annotated[TaskKind, Field(strict=False)]
    prompt: ExistingPath | None = None
    output_schema: Annotated[dict[str, Any] | None, BeforeValidator(_schema)] = Field(None, alias="schema")
    max_tokens: int = Field(512, ge=1, le=1_000_000)
    temperature: float = Field(0.0, ge=0, le=2)
    seed: int = Field(0, ge=0)


class Engine(Strict):
    """The offline engine: interpreter of its environment, model folder, LoRA adapter folder, isolation from the network.

    cache_salt: the metadata column (a tenant, a matter) whose records may share cached prompt prefixes with each other only; without
    it, all records of the job may. It must be one of source.metadata.
    """

    python: ExistingPath | None = None
    model: ExistingPath | None = None
    lora: ExistingPath | None = None
    isolation: Literal["none", "netns"] | None = None
    cache_salt: str | None = Field(None, min_length=1)


class SecondLook(Strict):
    """Ask a model inside about documents before they may go to the cloud: a share of them, or those near a limit of the policy.

    share: of the documents that the policy permits to the cloud; 1 is all. near: those with a topic score that reaches a limit of the
    policy, or lies less than this below one.
    """

    endpoint: str = Field(min_length=1)
    share: float | None = Field(None, gt=0, le=1)
    near: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="after")
    def _one_of_them(self) -> SecondLook:
        if (self.share is None) == (self.near is None):
            raise ValueError("expected either share, such as 1.0 for all, or near, such as 0.1")
        return self


def budget_table(value: object) -> object:
    """Money is always of a period: a number alone says neither night nor month."""
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        return value
    raise ValueError(f"expected what the dollars are for: write budget_usd: {{night: {value}}}, or {{month: {value}}}, or both")


class EndpointLimits(Strict):
    """US dollars that the job may spend at one provider's endpoint: for one logical date, and for one calendar month (UTC)."""

    night: Dollars | None = None
    month: Dollars | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> EndpointLimits:
        if self.night is None and self.month is None:
            raise ValueError("expected night, month, or both")
        return self


class BudgetLimits(Strict):
    """US dollars that the job may spend at providers: for one logical date, for one calendar month (UTC), and at single endpoints."""

    night: Dollars | None = None
    month: Dollars | None = None
    endpoints: dict[str, EndpointLimits] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_of_them(self) -> BudgetLimits:
        if self.night is None and self.month is None and not self.endpoints:
            raise ValueError("expected night, month, endpoints, or several of them")
        return self

    @property
    def budget(self) -> Budget:
        """As the rules take it."""
        endpoints = {name: Limits(night=one.night, month=one.month) for name, one in self.endpoints.items()}
        return Budget(night=self.night, month=self.month, endpoints=endpoints)


class LedgerPaths(Strict):
    """The ledger folder, the key folder that must lie outside of it (`<ledger>.keys` when it is not named), and where it is anchored."""

    path: AnyPath
    keys: AnyPath | None = None
    anchors: AnchorPlaces = ()


class Alerts(Strict):
    """Where counts go when something needs a person."""

    webhook: Annotated[str, AfterValidator(_webhook)] | None = Field(None, repr=False)
