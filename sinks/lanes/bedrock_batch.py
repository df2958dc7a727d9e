"""The cloud lane over Amazon Bedrock's batch inference: an input file in your own bucket, one job, its output in the same bucket.

Invariants kept here:
- Only a shard that the gate issued is sent, and only once (`egress.redeem`). Its bytes are put under a name of their own that nobody
  may overwrite, and read back and compared before a job is made of them.
- Keys, job name and token are the intent's id, nothing of a record (invariant 5).
- Only objects of the intent's own are ever read or deleted, whatever a job says where its files lie.
- Nothing is sent while the account contradicts the registry (`bedrock_account`).

An ambiguous create is not repeated under its token, although Bedrock would allow that: it would send without the gate, which is the
one way out (invariant 3). The shared protocol looks for it twice and then clears its records again as a new attempt; the old input is
deleted first, so a job that turns up late finds nothing to run on.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, cast

from policies.model import EMULATOR, Endpoint
from sinks.clients.bedrock_client import BedrockJob, BedrockJobs, NewJob
from sinks.clients.s3_client import S3Store, StoredObject
from sinks.egress import redeem
from sinks.errors import AmbiguousError, EndpointError, ObjectExistsError, ObjectMissingError, RejectedError
from sinks.lanes import Sought
from sinks.lanes.bedrock_account import Contradiction, contradictions
from sinks.lanes.bedrock_body import bedrock_body
from sinks.lanes.bedrock_rows import read_manifest, read_rows, record_id_of
from sinks.lanes.bedrock_settings import INVOCATIONS, BedrockSettings
from sinks.lanes.inventory import FOREIGN, INTENT, ListedJob, StoredFile, marked
from sinks.lanes.listing import CLOCK_SKEW
from sinks.request import Message, Prompt
from sinks.shard import ClearedShard, JobStatus, LaneResult

# Every state that the API documents as final. Results can lie there earlier; they are read when the job has ended. A state nobody knows
# is not final: the job is polled on, never given up.
ENDED = frozenset({"Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"})
RUNNING = frozenset({"Submitted", "Validating", "Scheduled", "InProgress", "Stopping"})
_WORDS = {word.lower(): word for word in ENDED | RUNNING}

ACCOUNT_CHECK_S = 900.0
"""So long an answer of the account about itself is believed."""

_JOB_NAME = "waybill-"
_JOB = re.compile(r"waybill-([0-9a-f]{32})")
_OUTPUT, _MANIFEST = ".jsonl.out", "manifest.json.out"
_MANIFEST_BYTES = 1 << 20


@dataclass(slots=True)
class _Checked:
    """What the account said of itself, and when."""

    at: float
    found: tuple[Contradiction, ...]


class BedrockBatchLane:
    """Cloud batches through boto3's own library. spool: the folder, mode 0700, for downloads."""

    running = RUNNING

    def __init__(self, jobs: BedrockJobs, store: S3Store, endpoint: Endpoint, spool: Path) -> None:
        self._jobs = jobs
        self._store = store
        self._endpoint = endpoint
        self._settings = BedrockSettings.of(endpoint)
        self._spool = spool
        self._checked: _Checked | None = None

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
        """The model's input. Every part is a content block of its own, so that the gate can look at it alone."""
        return bedrock_body(messages, prompt, endpoint)

    def row(self, row_id: str, body: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:  # noqa: ARG002 - the protocol's
        """One line of the input file."""
        return {"recordId": record_id_of(row_id), "modelInput": body}

    def hand_over(self, shard: ClearedShard) -> str:
        """Put the checked bytes, read them back, create the job, once each."""
        redeem(shard)
        self._check_account()
        key = self._input_key(shard.intent_id)
        self._put(key, shard.content)
        try:
            return self._jobs.create(self._new_job(shard.intent_id, shard.endpoint.model))
        except (RejectedError, EndpointError):
            with contextlib.suppress(EndpointError):  # the bucket's lifecycle removes it later
                self._store.delete(key)
            raise

    def find(self, sought: Sought) -> Sequence[str]:
        """Jobs with the intent's token, earliest first. Raises EndpointError where a job has its name and another token."""
        name = _JOB_NAME + sought.intent_id
        jobs = [job for job in self._jobs.jobs(named=name, since=sought.since - CLOCK_SKEW) if job.name == name]
        if any(job.token not in {"", sought.intent_id} for job in jobs):
            msg = f"{self._jobs.name}: a job is named {name} but was made with another token; look at it and resolve the hand-over by hand"
            raise EndpointError(msg)
        return [job.arn for job in jobs]

    def poll(self, provider_job_id: str) -> JobStatus:
        """The job's state now; the manifest counts where the job itself does not."""
        job = self._jobs.job(provider_job_id)
        word = _word(job.state)
        ended = word in ENDED
        counts = (job.total, job.completed, job.failed)
        if ended and job.total is None:
            counts = self._manifest(job)
        total, completed, failed = counts
        known = ended or word in RUNNING
        return JobStatus(
            provider_job_id=job.arn, state=job.state, ended=ended, known=known, total=total, completed=completed, failed=failed
        )

    def collect(self, provider_job_id: str) -> Iterator[LaneResult]:
        """Rows of the job's output. Lines without a readable id come with an empty one. Raises EndpointError while the job runs."""
        job = self._jobs.job(provider_job_id)
        if _word(job.state) not in ENDED:
            raise EndpointError(f"{self._jobs.name}: the job has not ended ({job.state}), so its output is not complete; run again later")
        for output in self._outputs(job):
            # Unnamed from the start: result text is never left behind in the spool, whenever the process dies.
            with tempfile.TemporaryFile(dir=self._spool) as download:
                self._store.get(output.key, download, etag=output.etag)
                download.seek(0)
                yield from read_rows(download, model=self._endpoint.model)

    def discard(self, provider_job_id: str) -> Sequence[str]:
        """Delete the input and all that lies under the intent's output. The job itself, which holds no content, cannot be deleted."""
        return self.sweep(self._intent_of(self._jobs.job(provider_job_id)))

    def cancel(self, provider_job_id: str) -> None:
        """Stop a job that must not run on. What it did until then is paid."""
        self._jobs.stop(provider_job_id)

    def sweep(self, intent_id: str) -> Sequence[str]:
        """Delete what lies in the bucket for an intent, input and output."""
        keys = [self._input_key(intent_id), *(found.key for found in self._store.keys(self._output_prefix(intent_id)))]
        return [f"s3://{self._store.bucket}/{key}" for key in keys if self._store.delete(key)]

    def listed(self, since: datetime) -> Iterator[ListedJob]:
        """The account's jobs in this region, marked by their names."""
        return (_listed(job) for job in self._jobs.jobs(named="", since=since - CLOCK_SKEW))

    def look(self, provider_job_id: str) -> ListedJob:
        """One job, counted by its manifest where it does not count itself."""
        job = self._jobs.job(provider_job_id)
        return replace(_listed(job), total=self.poll(provider_job_id).total or None)

    def stored(self) -> Iterator[StoredFile]:
        """Objects under the endpoint's prefix, marked by their keys."""
        prefix = f"{self._settings.prefix}/"
        for found in self._store.keys(prefix):
            first, rest = found.key.removeprefix(prefix).partition("/")[::2]
            mark = first if rest and INTENT.fullmatch(first) else marked(first) if not rest else FOREIGN
            yield StoredFile(file_id=f"s3://{self._store.bucket}/{found.key}", mark=mark)

    def clock_ahead(self) -> timedelta | None:
        """By the Date header of the latest answer."""
        return self._jobs.clock.ahead

    def account_facts(self) -> tuple[Contradiction, ...]:
        """What the account says otherwise than the registry. Raises EndpointError when it cannot be asked at all."""
        if self._endpoint.provider == EMULATOR:  # there is no account; its facts are its source code
            return ()
        return contradictions(self._endpoint, self._jobs.account_state())

    def _check_account(self) -> None:
        if self._checked is None or time.monotonic() - self._checked.at > ACCOUNT_CHECK_S:
            self._checked = _Checked(at=time.monotonic(), found=self.account_facts())
        for one in self._checked.found:
            if not one.accepted:
                raise RejectedError(one.code)

    def _put(self, key: str, content: bytes) -> None:
        """The input in its place. No job exists yet, so what is unclear here is swept when the hand-over is reconciled."""
        with contextlib.suppress(ObjectExistsError):  # a put whose answer was lost, perhaps; compared like any other
            self._store.put(key, content, exclusive=True)
        found = _Digest()
        try:
            self._store.get(key, cast("IO[bytes]", found))
        except EndpointError:
            raise AmbiguousError("input_unverified") from None
        if found.digest() != hashlib.sha256(content).digest():
            raise RejectedError("input_changed")  # not ours any more, so it is left for somebody to look at

    def _new_job(self, intent_id: str, model: str) -> NewJob:
        settings = self._settings
        return NewJob(
            name=_JOB_NAME + intent_id,
            token=intent_id,
            role_arn=settings.role_arn,
            model=model,
            input_uri=f"s3://{self._store.bucket}/{self._input_key(intent_id)}",
            output_uri=self._output_uri(intent_id),
            invocation=INVOCATIONS[settings.invocation],
            timeout_h=settings.timeout_h,
            account=settings.account,
            kms_key=settings.kms_key,
        )

    def _outputs(self, job: BedrockJob) -> list[StoredObject]:
        """The parts of its output, in the folder of the job or, where a server makes none, in that of the intent."""
        own = [found for found in self._store.keys(self._job_prefix(job)) if found.key.endswith(_OUTPUT)]
        if own:
            return own
        intents = self._output_prefix(self._intent_of(job))
        return [found for found in self._store.keys(intents) if found.key.endswith(_OUTPUT) and "/" not in found.key.removeprefix(intents)]

    def _manifest(self, job: BedrockJob) -> tuple[int | None, int | None, int | None]:
        try:
            return read_manifest(self._store.read(self._job_prefix(job) + _MANIFEST, max_bytes=_MANIFEST_BYTES))
        except ObjectMissingError:
            return None, None, None

    def _input_key(self, intent_id: str) -> str:
        return f"{self._settings.prefix}/{intent_id}.jsonl"

    def _output_prefix(self, intent_id: str) -> str:
        return f"{self._settings.prefix}/{intent_id}/"

    def _output_uri(self, intent_id: str) -> str:
        return f"s3://{self._store.bucket}/{self._output_prefix(intent_id)}"

    def _job_prefix(self, job: BedrockJob) -> str:
        """The folder of one job in its intent's output."""
        return f"{self._output_prefix(self._intent_of(job))}{job.job_id}/"

    def _intent_of(self, job: BedrockJob) -> str:
        """The intent that a job was made for. Its files must lie where we would put them: nothing else is read or deleted."""
        found = _JOB.fullmatch(job.name)
        if found is None or job.output_uri.rstrip("/") != self._output_uri(found[1]).rstrip("/"):
            msg = f"{self._jobs.name}: the job's files lie in {job.output_uri or 'no place'}, not under settings.bucket and prefix"
            raise EndpointError(f"{msg}; set these back until it is collected")
        return found[1]


def _listed(job: BedrockJob) -> ListedJob:
    found = _JOB.fullmatch(job.name)
    return ListedJob(
        job_id=job.arn,
        state=job.state,
        ended=_word(job.state) in ENDED,
        mark=found[1] if found else FOREIGN,
        created_at=job.submitted_at,
        total=job.total or None,  # 0 until it is validated
        completed=job.completed,
    )


def _word(state: str) -> str:
    """A state as the API writes it, whatever its case."""
    return _WORDS.get(state.lower().replace("_", "").replace("-", ""), state)


class _Digest:
    """A file that only remembers the digest of what was written."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def write(self, chunk: bytes) -> int:
        self._hash.update(chunk)
        return len(chunk)

    def digest(self) -> bytes:
        return self._hash.digest()
