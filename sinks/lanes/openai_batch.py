"""The cloud lane over Files + Batches: OpenAI, Azure OpenAI, the bundled emulator, and any server with the same API.

Invariants kept here:
- Only a shard that the gate issued is sent, and only once (`egress.redeem`); the bytes are the ones that the gate checked.
- Ids, file names and metadata carry the intent and keyed digests, nothing of a record (invariant 5).
- An answer that cannot be read is never taken for a result: torn lines, foreign forms and errors come out as codes.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from policies.model import Endpoint
from sinks.clients.openai_client import INPUTS, OUTPUTS, BatchJob, OpenAIBatches
from sinks.egress import redeem
from sinks.errors import EndpointError, RejectedError
from sinks.lanes import Sought
from sinks.lanes.inventory import FOREIGN, INTENT, ListedJob, StoredFile, marked, moment
from sinks.lanes.listing import CLOCK_SKEW, listed
from sinks.lanes.openai_rows import read_rows
from sinks.lanes.reported import refuse_markup
from sinks.request import Message, Prompt, TaskKind, spoken
from sinks.shard import ClearedShard, JobStatus, LaneResult

URL = "/v1/chat/completions"

# Every state that the API documents as final. A state nobody knows is not final: the job is polled on, never given up.
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
RUNNING = frozenset({"validating", "in_progress", "finalizing", "cancelling", "scheduling"})
_SPELLINGS = {"canceled": "cancelled", "canceling": "cancelling"}
_LEAST_TELLING = 12
"""So many digits of an intent, which some servers cut, are no coincidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIBatchOptions:
    """How the lane asks for a batch.

    expires_after_s: when the provider deletes input and output (0: its own default, commonly 30 days); ingest deletes them
    earlier. spool: the folder, mode 0700, for downloads. model: the endpoint's; what the provider calls it is kept only if it begins so.
    """

    spool: Path
    model: str = ""
    expires_after_s: int = 3 * 24 * 3600


class OpenAIBatchLane:
    """Cloud batches through the official SDK."""

    running = RUNNING

    def __init__(self, client: OpenAIBatches, options: OpenAIBatchOptions) -> None:
        self._client = client
        self._options = options

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
        """A chat completion. Every part is a content element of its own, so that the gate can look at it alone."""
        limit = str(endpoint.settings.get("token_limit_field", "max_tokens"))  # reasoning models want max_completion_tokens
        body: dict[str, Any] = {
            "model": endpoint.model,
            "messages": [
                {"role": message.role, "content": [{"type": "text", "text": part.text} for part in message.parts]}
                for message in spoken(messages)
            ],
            limit: prompt.max_tokens,
            "temperature": prompt.temperature,
            "seed": prompt.seed,
        }
        if prompt.kind is TaskKind.EXTRACT and prompt.schema is not None:
            strict = bool(endpoint.settings.get("strict_schema", True))
            schema = {"name": "extraction", "strict": strict, "schema": dict(prompt.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def row(self, row_id: str, body: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
        """One line of the batch input file."""
        return {"custom_id": row_id, "method": "POST", "url": str(endpoint.settings.get("batch_url", URL)), "body": body}

    def hand_over(self, shard: ClearedShard) -> str:
        """Upload the checked bytes, create the batch, once each."""
        redeem(shard)
        expires = int(shard.endpoint.settings.get("expires_after_s", self._options.expires_after_s))
        file_id = self._client.upload(_file_name(shard.intent_id), shard.content, expires_after_s=expires)
        try:
            return self._client.create(
                file_id,
                url=str(shard.endpoint.settings.get("batch_url", URL)),
                metadata={"intent": shard.intent_id, "digest": shard.digest},
                expires_after_s=expires,
            )
        except RejectedError:
            with contextlib.suppress(EndpointError):  # reconcile sweeps it later
                self._client.delete_file(file_id)
            raise

    def find(self, sought: Sought) -> Sequence[str]:
        """Batches of this intent, earliest first. Raises EndpointError where the listing cannot prove anything."""
        jobs = list(listed(self._client.batch_page, since=sought.since, name=self._client.name))
        keeps_metadata = any(job.metadata for job in jobs)
        found = [job for job in jobs if self._is_ours(job, sought, keeps_metadata=keeps_metadata)]
        return [job.job_id for job in sorted(found, key=lambda job: (job.created_at, job.job_id))]

    def _is_ours(self, job: BatchJob, sought: Sought, *, keeps_metadata: bool) -> bool:
        """Whether a batch carries this intent: in its metadata, or, on a server that keeps none, in its input file's name.

        Raises EndpointError for one that may be ours and shows neither: what nobody can tell is never sent again.
        """
        name, mark = self._client.name, job.metadata.get("intent")
        if mark is not None:
            if not (len(mark) >= _LEAST_TELLING and sought.intent_id.startswith(mark)):
                return False
            if sought.digest and not sought.digest.startswith(job.metadata.get("digest", "")):
                msg = f"endpoint {name}: a batch carries intent {sought.intent_id} with another digest; resolve it by hand"
                raise EndpointError(msg)
            return True
        if job.job_id in sought.known or 0 < job.created_at < (sought.since - CLOCK_SKEW).timestamp():
            return False
        told = (self._client.file_name(job.input_file_id) if job.input_file_id else None) or ""
        if told == _file_name(sought.intent_id):
            return True
        nameless = not told or job.input_file_id in told  # a server that calls files by their ids tells nothing either
        if nameless and not keeps_metadata and (job.total or sought.rows) == sought.rows:
            msg = f"endpoint {name}: batch {job.job_id} may be that of intent {sought.intent_id}, and shows no mark; resolve it by hand"
            raise EndpointError(msg)
        return False

    def poll(self, provider_job_id: str) -> JobStatus:
        """The batch's state now."""
        job = self._client.batch(provider_job_id)
        word = _word(job.state)
        return JobStatus(
            provider_job_id=job.job_id,
            state=job.state,
            ended=word in ENDED,
            known=word in ENDED | RUNNING,
            total=job.total,
            completed=job.completed,
            failed=job.failed,
        )

    def collect(self, provider_job_id: str) -> Iterator[LaneResult]:
        """Rows of the output file, then of the error file; either may be absent, or gone by now.

        Lines without a readable id come with an empty one.
        """
        for file_id in self._client.batch(provider_job_id).file_ids:
            # Unnamed from the start: result text is never left behind in the spool, whenever the process dies.
            with tempfile.TemporaryFile(dir=self._options.spool) as download:
                if self._client.download(file_id, download) is None:
                    continue
                refuse_markup(download, self._client.name)
                yield from read_rows(download, asked=self._options.model)

    def discard(self, provider_job_id: str) -> Sequence[str]:
        """Delete input, output and error file. The batch object itself, which holds no content, cannot be deleted."""
        job = self._client.batch(provider_job_id)
        file_ids = [file_id for file_id in (job.input_file_id, *job.file_ids) if file_id]
        return [file_id for file_id in file_ids if self._client.delete_file(file_id)]

    def cancel(self, provider_job_id: str) -> None:
        """Stop a job that must not run on."""
        self._client.cancel(provider_job_id)

    def sweep(self, intent_id: str) -> Sequence[str]:
        """Delete uploads of an intent that no batch uses: what a crash or a lost answer between upload and create leaves."""
        return [file_id for file_id in self._client.files_named(_file_name(intent_id)) if self._client.delete_file(file_id)]

    def listed(self, since: datetime) -> Iterator[ListedJob]:
        """The account's batches. On a server that keeps no metadata the mark is not told; `look` asks for the input file's name."""
        return (_listed(job) for job in listed(self._client.batch_page, since=since, name=self._client.name))

    def look(self, provider_job_id: str) -> ListedJob:
        """One batch, marked by its metadata or else by its input file's name, while that file is there."""
        job = self._client.batch(provider_job_id)
        found = _listed(job)
        if found.mark is not None:
            return found
        name = self._client.file_name(job.input_file_id) if job.input_file_id else None
        return replace(found, mark=None if name is None else marked(name))

    def stored(self) -> Iterator[StoredFile]:
        """Inputs and outputs of batches."""
        for purpose in (INPUTS, OUTPUTS):
            yield from (StoredFile(file_id=file_id, mark=marked(name)) for file_id, name in self._client.files(purpose))

    def clock_ahead(self) -> timedelta | None:
        """By the Date header of the latest answer."""
        return self._client.clock.ahead


def _listed(job: BatchJob) -> ListedJob:
    intent = job.metadata.get("intent", "")
    return ListedJob(
        job_id=job.job_id,
        state=job.state,
        ended=_word(job.state) in ENDED,
        mark=intent if INTENT.fullmatch(intent) else FOREIGN if job.metadata and not intent else None,  # one that was cut tells little
        digest=str(job.metadata.get("digest", "")),
        created_at=moment(job.created_at),
        total=job.total or None,  # 0 until it is validated
        completed=job.completed,
        file_ids=tuple(file_id for file_id in (job.input_file_id, *job.file_ids) if file_id),
    )


def _word(state: str) -> str:
    """A state as the API writes it: relatives shout, or spell it the other way."""
    word = state.lower().replace("-", "_")
    return _SPELLINGS.get(word, word)


def _file_name(intent_id: str) -> str:
    return f"{intent_id}.jsonl"
