"""Lanes: one module per engine, one small protocol.

A lane turns neutral messages into its wire form (pure: the gate calls it too), takes a cleared shard, and gives results by
row id. Retries are Prefect's, resubmission is the hand-over protocol's (`sinks/handover.py`); a lane sends once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from policies.model import Endpoint
from sinks.request import Message, Prompt
from sinks.shard import ClearedShard, JobStatus, LaneResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """A hand-over to be looked for at its provider.

    digest: of the shard, empty where nobody stated it. since: when the intent was committed, by our clock. rows: how many it carries.
    known: job ids that the ledger knows to belong to other intents; an account may be shared by endpoints, so they are those of all.
    """

    intent_id: str
    digest: str
    since: datetime
    rows: int
    known: frozenset[str] = frozenset()


class Lane(Protocol):
    """One engine's way in and out."""

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
        """The wire body of one request. Pure and deterministic; every text part becomes one JSON string of its own."""
        ...

    def row(self, row_id: str, body: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
        """The row of the shard file that carries `body`. Pure."""
        ...

    def hand_over(self, shard: ClearedShard) -> str:
        """Send the shard once and return the provider's job id.

        Raises RejectedError when the provider definitely refused (nothing runs), AmbiguousError when nobody can tell.
        """
        ...

    def find(self, sought: Sought) -> Sequence[str]:
        """Job ids at the provider that carry this intent, earliest first: the recovery listing.

        Raises EndpointError where it cannot tell: an empty answer means that nothing of the intent is there.
        """
        ...

    def poll(self, provider_job_id: str) -> JobStatus:
        """The job's state now."""
        ...

    def collect(self, provider_job_id: str) -> Iterator[LaneResult]:
        """Every row the ended job answers for, success or error, in any order."""
        ...

    def discard(self, provider_job_id: str) -> Sequence[str]:
        """Delete the job's files at the provider (or in the spool); returns the ids deleted."""
        ...
