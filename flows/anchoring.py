"""The ledger's anchors in a night: looked at before anything is opened, given the newest checkpoint when the run has ended.

- An anchor that contradicts the log stops the start: the ledger was rolled back, edited or replaced. Nothing is written to it then.
- An anchor that cannot be reached stops nothing. The log, the report and the alert say so, and the next run's end anchors what is newest by
  then, which covers all before it. There is no ledger entry for it: it would lengthen the log beyond what was anchored, and what an
  anchor holds, and since when, the anchor itself tells better.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from flows.errors import JobError
from flows.job import Job, load_job
from flows.object_stores import AnchorPlace, open_anchor
from sinks.errors import AnchorError, LedgerError
from sinks.ledger.anchors import Anchor, Anchored, Kept, anchor_newest, check, read_all

LOGGER = logging.getLogger("waybill")

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorState:
    """How it went with one anchor: what it has, or why it has not. A refusal is a whole sentence."""

    place: str
    anchored: Anchored | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a ledger is verified against: checkpoints of a job's anchors, and folders. ledger: the job's."""

    ledger: Path | None
    folders: tuple[Path, ...]
    kept: tuple[Kept, ...]

    @property
    def concerns(self) -> list[Kept]:
        """Those that are not kept as they should be."""
        return [one for one in self.kept if one.concern]


def check_anchors(job: Job) -> None:
    """Look whether the log still ends where its anchors have seen it, or later. Raises AnchorContradictedError, or JobError."""
    for place in job.ledger.anchors:
        try:
            _with(place, job, lambda anchor: check(job.ledger.path, anchor))
        except AnchorError as error:
            LOGGER.warning("%s; the run goes on without having compared it", error)


def anchor_ledger(job: Job) -> list[AnchorState]:
    """Give every anchor of the job the newest checkpoint. Raises JobError."""
    states = []
    for place in job.ledger.anchors:
        try:
            anchored = _with(place, job, lambda anchor: anchor_newest(job.ledger.path, anchor, now=datetime.now(UTC)))
            states.append(AnchorState(place=place.place, anchored=anchored))
        except LedgerError as error:
            states.append(AnchorState(place=place.place, refusal=str(error)))
        except OSError as error:
            refusal = f"anchor {place.place}: the ledger {job.ledger.path} cannot be read ({error.strerror})"
            states.append(AnchorState(place=place.place, refusal=refusal))
    return states


def anchor_run_end(job: Job) -> int:
    """Anchor at the end of a run; returns how many anchors lack the newest checkpoint now. The night is not lost for it."""
    states = anchor_ledger(job)
    for state in states:
        if state.refusal:
            LOGGER.warning("%s; the next run's end tries again, or `waybill ledger anchor`", state.refusal)
        elif state.anchored and state.anchored.concern:
            LOGGER.warning("anchor %s: %s; see docs/anchors.md", state.place, state.anchored.concern)
    return sum(bool(state.refusal) for state in states)


def anchors_to_compare(named: Sequence[str], job_file: str | None) -> Compared:
    """What to verify a ledger against: the folders that are named, and the anchors of a job, all or those that are named.

    Raises JobError for a folder that is not there and a bucket that no job says how to reach, AnchorError for one that cannot be read.
    """
    job = load_job(Path(job_file)) if job_file else None
    places = {place.place: place for place in job.ledger.anchors} if job else {}
    chosen = [places[name] for name in named if name in places] if named else list(places.values())
    folders = [Path(name) for name in named if name not in places]
    if job and not places:
        raise JobError(f"{job.at('ledger.anchors')}: expected a folder or a bucket to compare with, found none; see docs/anchors.md")
    for folder in folders:
        if str(folder).startswith("s3:"):
            raise JobError(f"--anchor {folder}: expected one of the anchors of --job JOB, which says how the bucket is reached")
        if not folder.is_dir():
            raise JobError(f"--anchor {folder}: expected a folder of checkpoints")
    kept = [one for place in chosen if job for one in _with(place, job, read_all)]
    return Compared(ledger=job.ledger.path if job else None, folders=tuple(folders), kept=tuple(kept))


def _with(place: AnchorPlace, job: Job, ask: Callable[[Anchor], Answer]) -> Answer:
    anchor = open_anchor(place, job_file=Path(job.file))
    try:
        return ask(anchor)
    finally:
        anchor.close()
