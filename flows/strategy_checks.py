"""What a strategy cannot do without, found before anything is opened: answers with a confidence, a usable router or calibration."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from flows.errors import JobError
from flows.job import Job
from policies.errors import PolicyFileError
from policies.load import read_source
from policies.model import Endpoint
from policies.strategies.calibration import Calibration, parse_calibration
from policies.strategies.router import Router, parse_router
from policies.yaml_value import Source

_File = TypeVar("_File")


def check_strategy(job: Job, inside: Sequence[Endpoint]) -> None:
    """Refuse what would make the job's strategy mean nothing. inside: its local endpoints. Raises JobError."""
    usable_router(job)
    calibration = read_calibration(job)
    if job.lanes.strategy != "waterfall":
        return
    for endpoint in inside:
        if endpoint.engine == "extractive" or endpoint.settings.get("logprobs", True) is False:
            raise JobError(
                f"{job.at('lanes.local')}: {endpoint.name!r} reports no confidence, so strategy: waterfall cannot judge its answers; name "
                "an endpoint whose engine gives log-probabilities, or choose another strategy"
            )
    if calibration is not None and calibration.endpoint not in {"", *job.lanes.local}:
        raise JobError(
            f"{job.at('lanes.calibration')}: {job.lanes.calibration} is about answers of {calibration.endpoint!r}, which is none of "
            "lanes.local; calibrate with answers of this job"
        )


def usable_router(job: Job) -> Router | None:
    """The job's router, if it names one. Raises JobError for one that did not beat what it must beat."""
    router = _read(job, "router", parse_router)
    if router is not None and not router.usable:
        raise JobError(
            f"{job.at('lanes.router')}: {job.lanes.router} says usable: false: on unseen subjects it did not beat each of chance, the "
            "length and the best single feature; remove the key, and tiered goes by the rules"
        )
    return router


def read_calibration(job: Job) -> Calibration | None:
    """The job's calibration, if it names one. Raises JobError."""
    return _read(job, "calibration", parse_calibration)


def escalate_below(job: Job) -> float:
    """The confidence (0..1) below which an answer from inside is doubted: what the job says, or its calibration. Raises JobError."""
    calibration = read_calibration(job)
    return (job.lanes.escalate_below or 0.0) if calibration is None else calibration.threshold


def routed_by(job: Job) -> str | None:
    """What the job's strategy goes by beside its name, for the ledger: the limit, and the SHA-256 of the file that it is from."""
    for key in ("calibration", "router"):
        path = getattr(job.lanes, key)
        if path is not None:
            digest = hashlib.sha256(_source(job, key, path).data).hexdigest()
            return f"{key}:{digest}" + (f":{escalate_below(job)!r}" if key == "calibration" else "")
    return None if job.lanes.escalate_below is None else f"escalate_below:{job.lanes.escalate_below!r}"


def _source(job: Job, key: str, path: Path) -> Source:
    try:
        return read_source(path)
    except PolicyFileError as error:
        raise JobError(f"{job.at(f'lanes.{key}')}: {error}") from None


def _read(job: Job, key: str, parse: Callable[[Source], _File]) -> _File | None:
    path = getattr(job.lanes, key)
    if path is None:
        return None
    try:
        return parse(_source(job, key, path))
    except PolicyFileError as error:
        raise JobError(f"{job.at(f'lanes.{key}')}: {error}") from None
