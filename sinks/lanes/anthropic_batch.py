"""The cloud lane over Anthropic's Message Batches.

Invariants kept here:
- Only a shard that the gate issued is sent, and only once (`egress.redeem`); the bytes are the ones that the gate checked.
- Ids carry the intent and nothing of a record (invariant 5).
- The API keeps no metadata and no idempotency key, so a batch shows whose it is by its row ids alone, and those only once it has ended.
  Until then nobody can tell, and what nobody can tell is never sent again and never stopped (`find`).

The job's lock (`sinks/ledger/lock.py`) keeps one create of a job in flight. No lease on the workspace is needed besides, since a batch is
never taken for ours on its time and size alone; others in the same workspace can only make `find` wait, so it should be dedicated.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from policies.model import Endpoint
from sinks.clients.anthropic_client import AnthropicBatches, MessageBatch
from sinks.egress import redeem
from sinks.errors import EndpointError
from sinks.freeze import row_id_of
from sinks.lanes import Sought
from sinks.lanes.anthropic_body import message_body
from sinks.lanes.anthropic_rows import read_rows
from sinks.lanes.inventory import FOREIGN, ROW_ID, ListedJob, StoredFile, moment
from sinks.lanes.listing import CLOCK_SKEW, listed
from sinks.lanes.reported import refuse_markup
from sinks.request import Message, Prompt
from sinks.shard import ClearedShard, JobStatus, LaneResult

# The one state that is final, even for a batch that was cancelled. A state nobody knows is not: the batch is polled on.
ENDED = "ended"
RUNNING = frozenset({"in_progress", "canceling"})

# A batch of ours holds our row ids and no others, so its first lines tell; so much is read in case a few are torn or foreign.
_TELLING_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicBatchOptions:
    """spool: the folder, mode 0700, for downloads. model: the endpoint's; what the provider calls it is kept only if it begins so."""

    spool: Path
    model: str = ""


class AnthropicBatchLane:
    """Message Batches through the official SDK."""

    running = RUNNING

    def __init__(self, client: AnthropicBatches, options: AnthropicBatchOptions) -> None:
        self._client = client
        self._options = options

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
        """The parameters of one Messages request."""
        return message_body(messages, prompt, endpoint)

    def row(self, row_id: str, body: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:  # noqa: ARG002 - the protocol's signature
        """One request of the batch."""
        return {"custom_id": row_id, "params": body}

    def hand_over(self, shard: ClearedShard) -> str:
        """Create the batch with the checked rows in one request."""
        redeem(shard)
        return self._client.create(shard.content)

    def find(self, sought: Sought) -> Sequence[str]:
        """Batches of this intent, earliest first.

        A candidate is a batch that nobody else's intent has and that is not older than the intent. An ended one is confirmed or dismissed
        by the ids in its results, whatever its counts say. Raises EndpointError while one with as many requests still runs, or where
        there are no results to look into.
        """
        found: list[MessageBatch] = []
        for batch in listed(self._client.batch_page, since=sought.since, name=self._client.name):
            # Of an ended one its ids tell, also where our clock was ahead when it was made and it seems older than it is.
            told = batch.state == ENDED and not batch.archived and batch.total == sought.rows
            if batch.job_id in sought.known or (_is_older(batch, sought) and not told):
                continue
            if batch.state == ENDED and not batch.archived:
                found += [batch] if self._is_ours(batch, sought.intent_id) else []
            elif batch.total in {None, sought.rows}:  # a size that is not told does not speak against it, nor does a time long after
                raise self._undecided(batch, sought)
        return [batch.job_id for batch in sorted(found, key=lambda batch: (batch.created_at, batch.job_id))]

    def poll(self, provider_job_id: str) -> JobStatus:
        """The batch's state now."""
        batch = self._client.batch(provider_job_id)
        return JobStatus(
            provider_job_id=provider_job_id,
            state=batch.state,
            ended=batch.state == ENDED,
            known=batch.state == ENDED or batch.state in RUNNING,
            total=batch.total,
            completed=batch.succeeded,
            failed=batch.unsuccessful,
        )

    def collect(self, provider_job_id: str) -> Iterator[LaneResult]:
        """Every line of the results; none once they are archived. Lines without a readable id come with an empty one."""
        if self._client.batch(provider_job_id).archived:
            return
        # Unnamed from the start: result text is never left behind in the spool, whenever the process dies.
        with tempfile.TemporaryFile(dir=self._options.spool) as download:
            self._client.download(provider_job_id, download)
            refuse_markup(download, self._client.name)
            yield from read_rows(download, asked=self._options.model)

    def discard(self, provider_job_id: str) -> Sequence[str]:
        """Delete the batch, its requests and its results; not one whose results show other row ids than ours, adopted by mistake."""
        with contextlib.suppress(EndpointError):  # gone already, or it cannot tell
            if self.look(provider_job_id).mark == FOREIGN:
                return []
        return [provider_job_id] if self._client.delete(provider_job_id) else []

    def cancel(self, provider_job_id: str) -> None:
        """Stop a batch that must not run on."""
        self._client.cancel(provider_job_id)

    def sweep(self, intent_id: str) -> Sequence[str]:  # noqa: ARG002 - the protocol's signature
        """Nothing: a create is one request, so an intent without a batch has left nothing at the provider."""
        return []

    def listed(self, since: datetime) -> Iterator[ListedJob]:
        """The workspace's batches, without marks: only results show row ids; `look` reads them."""
        return (_listed(batch) for batch in listed(self._client.batch_page, since=since, name=self._client.name))

    def look(self, provider_job_id: str) -> ListedJob:
        """One batch, marked by its row ids once it has ended and while its results are there."""
        batch = self._client.batch(provider_job_id)
        if batch.state != ENDED or batch.archived:
            return _listed(batch)
        ids = self._first_ids(batch.job_id)
        ours = [match[1] for row_id in ids if (match := ROW_ID.fullmatch(row_id))]
        return replace(_listed(batch), mark=(ours[0] if ours else FOREIGN) if ids else None)

    def stored(self) -> Iterator[StoredFile]:
        """Batches that have ended and still have results: to delete one is to delete what it holds."""
        ever = datetime.fromtimestamp(0, UTC) + CLOCK_SKEW
        for batch in listed(self._client.batch_page, since=ever, name=self._client.name):
            if batch.state == ENDED and not batch.archived:
                yield StoredFile(file_id=batch.job_id)

    def clock_ahead(self) -> timedelta | None:
        """By the Date header of the latest answer."""
        return self._client.clock.ahead

    def _is_ours(self, batch: MessageBatch, intent_id: str) -> bool:
        """Whether its results have a row id of this intent. Raises EndpointError where they have no readable id at all."""
        ids = self._first_ids(batch.job_id)
        if not ids:
            msg = f"endpoint {self._client.name}: batch {batch.job_id} may be ours, and no id in its results can be read; run again later"
            raise EndpointError(msg)
        prefix = row_id_of(intent_id, 0).removesuffix("000000")
        return any(row_id.startswith(prefix) for row_id in ids)

    def _first_ids(self, job_id: str) -> list[str]:
        """The row ids at the beginning of the results."""
        with tempfile.TemporaryFile(dir=self._options.spool) as download:
            self._client.download(job_id, download, most=_TELLING_BYTES)
            refuse_markup(download, self._client.name)
            return _row_ids(download)

    def _undecided(self, batch: MessageBatch, sought: Sought) -> EndpointError:
        why = "its results are archived; resolve it by hand" if batch.archived else "that can be told when it has ended"
        return EndpointError(f"endpoint {self._client.name}: batch {batch.job_id} may be that of intent {sought.intent_id}: {why}")


def _listed(batch: MessageBatch) -> ListedJob:
    return ListedJob(
        job_id=batch.job_id,
        state=batch.state,
        ended=batch.state == ENDED,
        mark=None,
        created_at=moment(batch.created_at),
        total=batch.total,
        completed=batch.succeeded,
        file_ids=(batch.job_id,),
    )


def _is_older(batch: MessageBatch, sought: Sought) -> bool:
    """Whether it was made before the intent; not, where the provider does not say readably when it was made."""
    return 0 < batch.created_at < (sought.since - CLOCK_SKEW).timestamp()


def _row_ids(lines: IO[bytes]) -> list[str]:
    """The readable ids; the last line may be cut off."""
    ids = []
    for line in lines:
        try:
            tree = json.loads(line)
        except (ValueError, RecursionError):
            continue
        row_id = tree.get("custom_id") if isinstance(tree, dict) else None
        if isinstance(row_id, str):
            ids.append(row_id)
    return ids
