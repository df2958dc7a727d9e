"""The job file: what to read, what to ask, where results and ledger go. One strict YAML file per job.

- Nothing is guessed: an unknown key, a missing path, a bad schedule or a wrong type is a JobError that says file, line, key,
  what was expected and what was found (`flows/job_errors.py` words it).
- Paths are relative to the job file and become absolute here, so that a job means the same from every working directory.
- What a job writes never lies inside what it reads: a result is never an input by accident (invariant 7).
"""

from __future__ import annotations

import hashlib
import os
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationError

from flows.bucket_files import BucketFiles
from flows.errors import JobError
from flows.job_errors import explain, in_words, raise_at
from flows.job_parts import (
    Alerts,
    BudgetLimits,
    CostCentre,
    Engine,
    JobName,
    LedgerPaths,
    SecondLook,
    Source,
    Strict,
    Task,
    budget_table,
    cron_fields,
    ledger_folder,
    repair_count,
    time_zone,
    unix_group,
)
from flows.job_paths import AnyPath, ExistingPath
from flows.lane_keys import Lanes, lanes_mistake
from flows.marked_yaml import KeyPath, MarkedYaml, read_yaml
from flows.object_stores import open_store
from flows.retention import Hold, Retention
from flows.task_schema import schema_mistake
from policies.budget import Budget
from sinks.request import TaskKind


class Job(Strict):
    """One job file, checked. `load_job` makes it."""

    name: JobName
    source: Source
    task: Task
    policy: ExistingPath | None = None
    registry: ExistingPath | None = None
    prices: ExistingPath | None = None
    lanes: Lanes = Lanes()  # type: ignore[call-arg]  # every key has a default; pydantic's plugin is not used
    engine: Engine = Engine()  # type: ignore[call-arg]  # as lanes
    second_look: SecondLook | None = None
    output: AnyPath
    ledger: Annotated[LedgerPaths, BeforeValidator(ledger_folder)]
    batch_size: int = Field(1000, ge=1, le=100_000)
    scan_processes: int | None = Field(None, ge=1, le=256)
    schedule: Annotated[str, AfterValidator(cron_fields)] | None = None
    timezone: Annotated[str, AfterValidator(time_zone)] = "UTC"
    poll_s: float = Field(300.0, gt=0, le=3600)
    deadline_h: float = Field(26.0, gt=0, le=24 * 14)
    on_ambiguous: Literal["resubmit", "hold"] = "resubmit"
    on_cloud_failure: Literal["local", "wait", "hold"] = "wait"
    on_local_failure: Literal["cloud", "wait"] = "wait"
    repair: Annotated[Literal[0, 1], BeforeValidator(repair_count)] = 0
    budget_usd: Annotated[BudgetLimits | None, BeforeValidator(budget_table)] = None
    on_budget: Literal["local", "hold", "stop"] = "hold"
    group: Annotated[str, AfterValidator(unix_group)] | None = None
    alerts: Alerts = Alerts()  # type: ignore[call-arg]  # as lanes
    retention: Retention = Retention()
    legal_hold: Annotated[tuple[Hold, ...], Field(strict=False)] = ()
    cost_centre: CostCentre | None = None
    unsafe_emulator: bool = False
    reprocess: bool = False
    limit: int | None = Field(None, ge=1)

    _file: Path = PrivateAttr(default=Path())
    _lines: dict[KeyPath, int] = PrivateAttr(default_factory=dict)
    _hash: str = PrivateAttr(default="")

    @property
    def file(self) -> Path:
        """The job file."""
        return self._file

    def at(self, key: str) -> str:
        """FILE:LINE: key, for an error that is found after the file was read; where the key is not in the file, the nearest above it."""
        steps: KeyPath = tuple(key.split("."))
        while steps and steps not in self._lines:
            steps = steps[:-1]
        return f"{self._file}:{self._lines[steps]}: {key}" if steps else f"{self._file}: {key}"

    @property
    def hash(self) -> str:
        """SHA-256 of the job file's bytes, hex."""
        return self._hash

    @property
    def budget(self) -> Budget:
        """What the job may spend."""
        return self.budget_usd.budget if self.budget_usd else Budget()

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
        found = "a text" if isinstance(marked.value, str) else in_words(marked.value)  # not quoted: it may be a document
        raise JobError(f"{path}:1: expected a mapping with name, source, task, output and ledger, found {found}")
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
    job._lines = marked.lines  # noqa: SLF001 - as above
    if job.source.s3 is not None:
        reached = partial(
            open_store,
            job.source.s3,
            str(job.source.path),
            region=job.source.s3.region,
            secret=job.source.s3.secret,
            name="source.path",
            job_file=job.file,
        )
        job.source._bucket = BucketFiles(reached, job.spool)  # noqa: SLF001 - as above
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
    for name in job.budget.endpoints:
        if name not in (job.lanes.cloud or ()):
            among = ", ".join(job.lanes.cloud or ()) or "none"
            raise_at(marked, ("budget_usd", "endpoints", name), f"expected an endpoint of lanes.cloud ({among}), found {name!r}")
    misplaced = lanes_mistake(job.lanes)
    if misplaced is not None:
        raise_at(marked, *misplaced)
    if job.on_budget != "hold" and job.budget_usd is None:
        raise_at(
            marked, ("on_budget",), "expected budget_usd beside it, because it says what happens at a limit; add one, or remove the key"
        )
    if job.second_look is not None and job.lanes.cloud is None:
        raise_at(marked, ("second_look",), "expected a job with a cloud lane, because that is what the look is before; remove the key")
    mistake = schema_mistake(job.task.output_schema) if job.task.output_schema is not None else None
    if mistake is not None:
        raise_at(marked, ("task", "schema", *mistake[0]), mistake[1])
    _check_apart(job, marked)


def _check_apart(job: Job, marked: MarkedYaml) -> None:
    """What is read, what is written, and what protects it lie apart."""
    writes = {("output",): job.output, ("ledger",): job.ledger.path, ("ledger", "keys"): job.ledger_keys}
    for key_path, folder in (*writes.items(), (("output",), job.spool), (("output",), job.emulator_state)):
        if isinstance(job.source.path, Path) and job.source.path.is_dir() and _inside(folder, job.source.path):
            raise_at(
                marked,
                key_path,
                f"expected a folder outside source.path, found one inside it ({folder}); results must not be read as input",
            )
    if _inside(job.ledger_keys, job.ledger.path):
        raise_at(marked, ("ledger", "keys"), "expected a folder outside the ledger; keys and what they protect must not be copied together")
    for number, anchor in enumerate(job.ledger.anchors):
        if anchor.path and any(_inside(anchor.path, own) for own in (job.ledger.path, job.ledger_keys, job.output, job.spool)):
            raise_at(marked, ("ledger", "anchors", number), "expected a place of its own, outside of all that the job writes")
    if job.output == job.ledger.path or _inside(job.output, job.ledger.path) or _inside(job.ledger.path, job.output):
        raise_at(marked, ("output",), "expected results and ledger in separate folders; they are not for the same readers")


def _inside(inner: Path, outer: Path) -> bool:
    return inner.resolve().is_relative_to(outer.resolve())
