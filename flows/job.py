"""The job file: what to read, what to ask, where results and ledger go. One strict YAML file per job.

- Nothing is guessed: an unknown key, a missing path, a bad schedule or a wrong type is a JobError that says file, line, key,
  what was expected and what was found (`flows/job_errors.py` words it).
- Paths are relative to the job file and become absolute here, so that a job means the same from every working directory.
- What a job writes never lies inside what it reads: a result is never an input by accident (invariant 7).
"""

from __future__ import annotations

import grp
import hashlib
import os
import re
from importlib.resources import files
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
    ValidationError,
    ValidationInfo,
    model_validator,
)

from flows.errors import JobError
from flows.job_errors import explain, raise_at
from flows.marked_yaml import MarkedYaml, read_yaml
from flows.retention import Hold, Retention
from flows.task_schema import read_schema, schema_mistake
from policies.model import CLASS_NAME
from sinks.request import TaskKind

CRON_FIELDS = 5


def _absolute(value: object, info: ValidationInfo) -> object:
    """Relative to the job file. Links stay as written: the python of a virtual environment is one."""
    if not isinstance(value, str) or not value:
        raise ValueError("expected a path")
    if re.match(r"[a-z0-9]+://", value):
        raise ValueError(
            "expected a path on this machine; reading from and writing to object stores is not there yet, copy the files first"
        )
    return Path(os.path.normpath(Path((info.context or {})["folder"]) / Path(value).expanduser()))


def _existing(value: Path) -> Path:
    if not value.exists():
        raise ValueError(f"expected a path that exists, looked for {value}")
    return value


def _cron(value: str) -> str:
    if len(value.split()) != CRON_FIELDS or not croniter.is_valid(value):
        raise ValueError("expected five cron fields (minute hour day month weekday), such as '30 1 * * *'")
    return value


def _timezone(value: str) -> str:
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


def _group(value: str) -> str:
    try:
        grp.getgrnam(value)
    except KeyError:
        raise ValueError("expected a group of this machine; create it, or leave the key out") from None
    return value


def _data_class(value: str) -> str:
    if not CLASS_NAME.fullmatch(value):
        raise ValueError("expected a data class in capitals, such as TRADE_SECRET")
    return value


def _schema(value: object, info: ValidationInfo) -> object:
    return read_schema(_existing(Path(str(_absolute(value, info))))) if isinstance(value, str) else value


def _ledger(value: object) -> object:
    return {"path": value} if isinstance(value, str) else value


AnyPath = Annotated[Path, BeforeValidator(_absolute)]
ExistingPath = Annotated[Path, BeforeValidator(_absolute), AfterValidator(_existing)]
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Declared(_Strict):
    """Files, or bearers of a sensitivity label, that are of a data class whatever their text says: one of `glob` and `label`."""

    glob: str | None = Field(None, min_length=1)
    label: str | None = Field(None, min_length=1)
    data_class: Annotated[str, AfterValidator(_data_class)] = Field(alias="class")

    @model_validator(mode="after")
    def _one_of_them(self) -> Declared:
        if (self.glob is None) == (self.label is None):
            raise ValueError("expected either glob, over file names, or label, over the names of sensitivity labels")
        return self


class Source(_Strict):
    """What to read. `id`, `text` and `metadata` name the columns of tables; globs are relative to `path`."""

    path: ExistingPath
    id: str = Field("id", min_length=1)
    text: str = Field("text", min_length=1)
    metadata: Names = ()
    ids: Literal["job", "file"] = "job"
    declared: Annotated[tuple[Declared, ...], Field(strict=False)] = ()
    include: Names = ("**",)
    exclude: Names = ()
    max_document_bytes: int = Field(256 * 1024 * 1024, ge=1)

    @property
    def root(self) -> Path:
        """The folder that all names are relative to."""
        return self.path if self.path.is_dir() else self.path.parent


class Task(_Strict):
    """What to ask. `output_schema` (key `schema`) is a JSON Schema, given in place or as a path; extract needs it."""

    kind: Annotated[TaskKind, Field(strict=False)]
    prompt: ExistingPath | None = None
    output_schema: Annotated[dict[str, Any] | None, BeforeValidator(_schema)] = Field(None, alias="schema")
    max_tokens: int = Field(512, ge=1, le=1_000_000)
    temperature: float = Field(0.0, ge=0, le=2)
    seed: int = Field(0, ge=0)


class Lanes(_Strict):
    """Endpoint names of the registry, and which lane to prefer where both are permitted. No cloud endpoint: everything stays inside."""

    local: str = Field("extractive", min_length=1)
    cloud: str | None = Field("emulator", min_length=1)
    strategy: Literal["cloud_first", "local_first"] = "cloud_first"


class Engine(_Strict):
    """The offline engine: interpreter of its environment, model folder, LoRA adapter folder, isolation from the network.

    cache_salt: the metadata column (a tenant, a matter) whose records may share cached prompt prefixes with each other only; without
    it, all records of the job may. It must be one of source.metadata.
    """

    python: ExistingPath | None = None
    model: ExistingPath | None = None
    lora: ExistingPath | None = None
    isolation: Literal["none", "netns"] | None = None
    cache_salt: str | None = Field(None, min_length=1)


class SecondLook(_Strict):
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


class LedgerPaths(_Strict):
    """The ledger folder, and the key folder that must lie outside of it; `<ledger>.keys` when it is not named."""

    path: AnyPath
    keys: AnyPath | None = None


class Alerts(_Strict):
    """Where counts go when something needs a person."""

    webhook: Annotated[str, AfterValidator(_webhook)] | None = Field(None, repr=False)


class Job(_Strict):
    """One job file, checked. `load_job` makes it."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,40}$")
    source: Source
    task: Task
    policy: ExistingPath | None = None
    registry: ExistingPath | None = None
    lanes: Lanes = Lanes()  # type: ignore[call-arg]  # every key has a default; pydantic's plugin is not used
    engine: Engine = Engine()  # type: ignore[call-arg]  # as lanes
    second_look: SecondLook | None = None
    output: AnyPath
    ledger: Annotated[LedgerPaths, BeforeValidator(_ledger)]
    batch_size: int = Field(1000, ge=1, le=100_000)
    scan_processes: int | None = Field(None, ge=1, le=256)
    schedule: Annotated[str, AfterValidator(_cron)] | None = None
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    poll_s: float = Field(30.0, gt=0, le=3600)
    deadline_h: float = Field(26.0, gt=0, le=24 * 14)
    on_ambiguous: Literal["resubmit", "hold"] = "resubmit"
    group: Annotated[str, AfterValidator(_group)] | None = None
    alerts: Alerts = Alerts()  # type: ignore[call-arg]  # as lanes
    retention: Retention = Retention()
    legal_hold: Annotated[tuple[Hold, ...], Field(strict=False)] = ()
    unsafe_emulator: bool = False
    reprocess: bool = False
    limit: int | None = Field(None, ge=1)

    _file: Path = PrivateAttr(default=Path())
    _hash: str = PrivateAttr(default="")

    @property
    def file(self) -> Path:
        """The job file."""
        return self._file

    @property
    def hash(self) -> str:
        """SHA-256 of the job file's bytes, hex."""
        return self._hash

    @property
    def policy_path(self) -> Path:
        """The policy: the job's, or the bundled one."""
        return self.policy or Path(str(files("policies").joinpath("default.yaml")))

    @property
    def ledger_keys(self) -> Path:
        """The folder of the HMAC keys, outside the ledger."""
        return self.ledger.keys or self.ledger.path.with_name(f"{self.ledger.path.name}.keys")

    @property
    def spool(self) -> Path:
        """Frozen shards and worker files (mode 0700), beside the results; one folder a job, because a job cleans up its own."""
        return self.output.parent / "spool" / self.name

    @property
    def emulator_state(self) -> Path:
        """Where the stand-in provider keeps what it received."""
        return self.output.parent / "emulator" / self.name


def load_job(path: Path, *, out: Path | None = None) -> Job:
    """The job in `path`. `out` gathers everything that it writes, keys too, in one folder. Raises JobError."""
    marked = read_yaml(path)
    if not isinstance(marked.value, dict):
        raise JobError(f"{path}:1: expected a mapping with name, source, task, output and ledger, found {type(marked.value).__name__}")
    given = dict(marked.value)
    if out is not None:
        base = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow links that the operator put there
        given |= {"output": str(base / "results"), "ledger": str(base / "ledger")}
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 - as above
    try:
        job = Job.model_validate(given, context={"folder": folder})
    except ValidationError as error:
        raise JobError(explain(error, marked, Job)) from None
    _check_together(job, marked)
    job._file = folder / path.name  # noqa: SLF001 - this is the maker; the model is frozen for everyone else
    job._hash = hashlib.sha256(marked.content).hexdigest()  # noqa: SLF001 - as above
    return job


def _check_together(job: Job, marked: MarkedYaml) -> None:
    """What no single key can know."""
    if job.task.kind is TaskKind.EXTRACT and job.task.output_schema is None:
        raise_at(marked, ("task", "schema"), "expected a JSON Schema, in place or as a path, because the task is extract; found none")
    if job.task.kind is not TaskKind.EXTRACT and job.task.output_schema is not None:
        raise_at(marked, ("task", "schema"), f"expected no schema, because the task is {job.task.kind}; remove it, or use kind: extract")
    if job.engine.cache_salt is not None and job.engine.cache_salt not in job.source.metadata:
        raise_at(
            marked,
            ("engine", "cache_salt"),
            f"expected one of the columns in source.metadata ({', '.join(job.source.metadata) or 'none'}), found {job.engine.cache_salt!r}",
        )
    if job.second_look is not None and job.lanes.cloud is None:
        raise_at(marked, ("second_look",), "expected a job with a cloud lane, because that is what the look is before; remove the key")
    mistake = schema_mistake(job.task.output_schema) if job.task.output_schema is not None else None
    if mistake is not None:
        raise_at(marked, ("task", "schema", *mistake[0]), mistake[1])
    writes = {("output",): job.output, ("ledger",): job.ledger.path, ("ledger", "keys"): job.ledger_keys}
    for key_path, folder in (*writes.items(), (("output",), job.spool), (("output",), job.emulator_state)):
        if job.source.path.is_dir() and _inside(folder, job.source.path):
            raise_at(
                marked,
                key_path,
                f"expected a folder outside source.path, found one inside it ({folder}); results must not be read as input",
            )
    if _inside(job.ledger_keys, job.ledger.path):
        raise_at(marked, ("ledger", "keys"), "expected a folder outside the ledger; keys and what they protect must not be copied together")
    if job.output == job.ledger.path or _inside(job.output, job.ledger.path) or _inside(job.ledger.path, job.output):
        raise_at(marked, ("output",), "expected results and ledger in separate folders; they are not for the same readers")


def _inside(inner: Path, outer: Path) -> bool:
    return inner.resolve().is_relative_to(outer.resolve())
