"""What `prefect deploy` asks a job: a build step of `deployments/prefect.yaml`, so that the schedule has one place, the job file."""

from __future__ import annotations

from pathlib import Path

from flows.errors import JobError, ScheduleError
from flows.job import load_job
from flows.lanes import choose_endpoints
from policies.load import DEFAULT_REGISTRY
from policies.registry import load_registry


def read_job(file: str) -> dict[str, str]:
    """The name, absolute path, cron line and time zone of a job. Raises FlowError or PolicyError where a scheduled night would."""
    if not file:
        raise JobError("no job: set WAYBILL_JOB to the path of a job file")
    job = load_job(Path(file))
    if job.schedule is None:
        raise ScheduleError(f"{job.at('schedule')}: expected a cron line, such as '0 2 * * *', found none; add it")
    choose_endpoints(job, load_registry(job.registry or DEFAULT_REGISTRY), scheduled=True)
    return {"name": job.name, "file": str(job.file), "cron": job.schedule, "timezone": job.timezone}
