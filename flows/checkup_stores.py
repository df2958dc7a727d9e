"""What `waybill doctor` says of places outside this machine: the bucket that documents are read from, and the ledger's anchors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flows.checkup import Check, Health
from flows.errors import FlowError
from flows.job import Job
from flows.object_stores import AnchorPlace, open_anchor
from sinks.errors import AnchorContradictedError, SinkError
from sinks.ledger.anchors import check


def check_stores(job: Job) -> Iterator[Check]:
    """Whether the bucket can be listed, and whether each anchor can be read and agrees with the ledger. Nothing is written."""
    if job.source.bucket is not None:
        yield _bucket(job)
    for place in job.ledger.anchors:
        yield _anchor(place, job)


def _bucket(job: Job) -> Check:
    try:
        bucket = job.source.bucket
        found = next(bucket.names(), None) if bucket else None
    except (FlowError, SinkError) as error:
        return Check(health=Health.BAD, what="source", detail=str(error))
    if found is None:
        return Check(health=Health.DOUBTFUL, what="source", detail=f"{job.source.path}: can be listed, and nothing is there")
    return Check(health=Health.GOOD, what="source", detail=f"{job.source.path}: can be listed")


def _anchor(place: AnchorPlace, job: Job) -> Check:
    try:
        anchor = open_anchor(place, job_file=Path(job.file))
    except FlowError as error:
        return Check(health=Health.BAD, what="anchor", detail=str(error))
    try:
        size = check(job.ledger.path, anchor)
    except AnchorContradictedError as error:
        return Check(health=Health.BAD, what="anchor", detail=str(error))
    except SinkError as error:
        return Check(health=Health.DOUBTFUL, what="anchor", detail=f"{error}; a night would go on without it")
    finally:
        anchor.close()
    has = f"agrees with the ledger up to entry {size}" if size else "can be read, and holds no checkpoint yet"
    return Check(health=Health.GOOD, what="anchor", detail=f"{place.place}: {has}")
