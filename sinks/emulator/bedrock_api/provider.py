"""How Bedrock's jobs run: input objects of S3, and at the end an output object for each of them, and a manifest."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sinks.clients.s3_client import S3Store
from sinks.emulator.bedrock_api.rows import answered, ask, errored, read_records
from sinks.emulator.bedrock_api.wire import NAME, STATES, STOPPING, place
from sinks.emulator.faults import Fault, FaultPlan
from sinks.emulator.jobs import Job, Tree
from sinks.emulator.provider import Ending, InputError, Problem
from sinks.emulator.receipts import Receipts
from sinks.emulator.tampering import tamper_bytes, tamper_rows
from sinks.emulator.work import Ask, Kind, Reply, ResultRow
from sinks.errors import EndpointError, SinkError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Quotas of the account. jobs: how many may be under way; max_bytes: of one input object."""

    min_records: int = 100
    max_records: int = 50_000
    max_bytes: int = 1_000_000_000
    jobs: int = 20


class BedrockBatches:
    """A `sinks.emulator.course.Provider`."""

    name = NAME
    states: tuple[str, ...] = STATES
    reading = "Validating"
    working = "InProgress"
    stopping = STOPPING
    identity = "recordId"

    def __init__(self, open_store: Callable[[str], S3Store], plan: FaultPlan, receipts: Receipts, limits: Limits) -> None:
        self._open_store, self._plan, self._receipts, self._limits = open_store, plan, receipts, limits
        self._cached: dict[str, set[str]] = {}
        self._names: dict[str, dict[str, str]] = {}

    def rows(self, job: Job) -> Sequence[Tree]:
        """The records of the input objects. Every object that is read is recorded as received."""
        bucket, key = place(job.asked["body"]["inputDataConfig"]["s3InputDataConfig"]["s3Uri"])
        rows: list[Tree] = []
        names: dict[str, str] = {}
        try:
            store = self._open_store(bucket)
            for name in self._keys(store, key):
                content = store.read(name)
                self._receipts.add(method="S3 GET", path=f"s3://{bucket}/{name}", query="", body=content, operation=f"{NAME}.s3.read")
                records = self._records(content)
                names |= dict.fromkeys((record["recordId"] for record in records), f"{name.rpartition('/')[2]}.out")
                rows += records
        except EndpointError:
            raise InputError(Problem(code="input", message="The input in S3 cannot be read; check bucket, key and --s3-url.")) from None
        if len(rows) < self._limits.min_records:
            raise InputError(Problem(code="minimum", message=f"The job has fewer than {self._limits.min_records} records."))
        if len(rows) > self._limits.max_records:
            raise InputError(Problem(code="maximum", message=f"The job has more than {self._limits.max_records} records."))
        self._names[job.job_id] = names
        return rows

    def ask(self, job: Job, row: Tree) -> Ask:  # noqa: ARG002 - the protocol's
        """What a record asks for."""
        return ask(row)

    def answered(self, job: Job, row: Tree, answer: Reply) -> ResultRow:
        """The line of a record that was run."""
        cached = self._cached.setdefault(job.job_id, set())
        return answered(row, answer, model=job.asked["body"]["modelId"], cached=cached)

    def unexecuted(self, row: Tree, kind: Kind) -> None:
        """Nothing: records that were not run are in no file."""

    def finish(self, job: Job, ending: Ending, results: Sequence[ResultRow], *, at: float) -> Job:
        """Write outputs and manifest, then the final state."""
        fault = self._plan.due(f"{NAME}.results", job.job_id)
        planned = fault.fault if fault is not None else ""
        if planned == "all_errors":
            results = [errored({"recordId": row.row_id}) for row in results]
        counts = {kind: sum(row.kind == kind for row in results) for kind in ("succeeded", "errored")}
        if results:
            if planned != "no_file":
                self._write(job, fault, tamper_rows(fault, NAME, results))
            if planned != "no_manifest":
                self._put(job, "manifest.json.out", json.dumps(_manifest(job, results)).encode())
        if planned == "wrong_counts":
            counts["succeeded"] += 1
        self._cached.pop(job.job_id, None)
        self._names.pop(job.job_id, None)
        states = {"completed": "Completed", "cancelled": "Stopped", "expired": "PartiallyCompleted" if results else "Expired"}
        return replace(job, state=states[ending], moments=job.moments | {states[ending]: at}, counts=counts)

    def fail(self, job: Job, problems: Sequence[Problem], *, at: float) -> Job:
        """The job, failed, with a message."""
        quota = any(problem.code == "quota" for problem in problems)
        message = "The quota of records for this model is exceeded." if quota else problems[0].message
        return replace(job, state="Failed", moments=job.moments | {"Failed": at}, results={"message": message})

    def early(self, job: Job, row: ResultRow) -> None:
        """An output object while the job still runs."""
        self._write(job, None, [row])

    def _keys(self, store: S3Store, key: str) -> list[str]:
        """The input objects: the one that is named, or all JSONL objects under it."""
        found = sorted(stored.key for stored in store.keys(key))
        return [key] if key in found or not found else [name for name in found if name.endswith(".jsonl")]

    def _records(self, content: bytes) -> list[Tree]:
        if len(content) > self._limits.max_bytes:
            raise InputError(Problem(code="bytes", message=f"An input object is larger than {self._limits.max_bytes} bytes."))
        records = list(read_records(content))
        if (line := next((number for number, record in enumerate(records, start=1) if record is None), 0)) > 0:
            raise InputError(Problem(code="record", line=line, message=f"Line {line} of an input object is no record."))
        return [record for record in records if record is not None]

    def _write(self, job: Job, fault: Fault | None, rows: Sequence[ResultRow]) -> None:
        """An output object for each input object; a row that came from none goes to the first."""
        names = self._names[job.job_id]
        first = next(iter(names.values()))
        lines: dict[str, list[bytes]] = {}
        for row in rows:
            lines.setdefault(names.get(row.row_id, first), []).append(row.line)
        for name, content in lines.items():
            self._put(job, name, tamper_bytes(fault, b"".join(content)))

    def _put(self, job: Job, name: str, content: bytes) -> None:
        bucket, prefix = place(job.asked["body"]["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])
        key = "/".join(part for part in (prefix, job.job_id, name) if part)
        try:
            self._open_store(bucket).put(key, content)
        except SinkError:
            raise InputError(Problem(code="output", message="The output in S3 cannot be written; check bucket and role.")) from None


def _manifest(job: Job, results: Sequence[ResultRow]) -> Tree:
    succeeded = sum(row.kind == "succeeded" for row in results)
    return {
        "totalRecordCount": job.total,
        "processedRecordCount": len(results),
        "successRecordCount": succeeded,
        "errorRecordCount": len(results) - succeeded,
        "inputTokenCount": sum(row.tokens_in for row in results),
        "outputTokenCount": sum(row.tokens_out for row in results),
    }
