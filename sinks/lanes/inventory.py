"""What a provider says it has of us: its jobs and its files. Read only; for people who look, and for the audit of an account.

A job shows whose it is by its mark: the intent that it carries, as far as the provider's own data tell. Nothing here decides anything:
recovery has its own, stricter question (`Lane.find`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeGuard

from sinks.lanes import Lane

INTENT = re.compile(r"[0-9a-f]{32}")
INPUT_NAME = re.compile(r"([0-9a-f]{32})\.jsonl")
ROW_ID = re.compile(r"([0-9a-f]{12})-[0-9]{6}")
FOREIGN = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedJob:
    """A job as its provider shows it. state: the provider's word. total, completed: rows; None where it does not say.

    mark: the intent, or its first 12 digits, that the job carries; FOREIGN where it carries none of our form; None where that cannot be
    told now. digest: of the shard, where the job carries it. created_at: None where it cannot be read. file_ids: what it uses or wrote.
    """

    job_id: str
    state: str
    ended: bool
    mark: str | None
    digest: str = ""
    created_at: datetime | None = None
    total: int | None = None
    completed: int | None = None
    file_ids: tuple[str, ...] = ()

    def carries(self, intent_id: str) -> bool | None:
        """Whether it carries this intent; None where nobody can tell."""
        return None if self.mark is None else self.mark != FOREIGN and intent_id.startswith(self.mark)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """Content that lies at the provider: an upload, an output, an object in the bucket. mark: the intent in its name, or FOREIGN."""

    file_id: str
    mark: str = FOREIGN


class Inventory(Protocol):
    """A lane whose provider can be asked what it has."""

    def listed(self, since: datetime) -> Iterator[ListedJob]:
        """The account's jobs since then, ours and others; it may begin earlier. Raises EndpointError where the listing proves nothing."""
        ...

    def look(self, provider_job_id: str) -> ListedJob:
        """One job, with a mark wherever one can be had, even if that costs a download. Raises EndpointError, also where it is gone."""
        ...

    def stored(self) -> Iterator[StoredFile]:
        """The content that lies there. Raises EndpointError."""
        ...

    def clock_ahead(self) -> timedelta | None:
        """How far our clock is ahead of the provider's, by its latest answer; None where it has said nothing of time."""
        ...


class InventoryLane(Lane, Inventory, Protocol):
    """A lane over a provider's jobs: listed, looked at, stopped, swept."""

    def cancel(self, provider_job_id: str) -> None:
        """Ask the provider to stop a job."""
        ...

    def sweep(self, intent_id: str) -> Sequence[str]:
        """Delete what the intent left at the provider without a job; returns the ids deleted."""
        ...


def has_inventory(lane: Lane | None) -> TypeGuard[InventoryLane]:
    """Whether a lane's provider can be asked. As in `reconcile.is_remote`, `isinstance` would not see what a wrapper passes on."""
    return all(callable(getattr(lane, name, None)) for name in ("listed", "look", "stored", "cancel", "sweep"))


def moment(seconds: int) -> datetime | None:
    """A provider's time since the epoch; None for 0, which stands for one that cannot be read."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def marked(name: str) -> str:
    """The intent in the name of an input file."""
    found = INPUT_NAME.fullmatch(name)
    return found[1] if found else FOREIGN
