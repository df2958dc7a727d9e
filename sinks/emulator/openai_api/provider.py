"""How OpenAI's batches run: an input file, and at the end an output and an error file, either of which may be absent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sinks.emulator.calls import WireError
from sinks.emulator.faults import Fault, FaultPlan
from sinks.emulator.jobs import Job, Tree
from sinks.emulator.openai_api.files import FileStore
from sinks.emulator.openai_api.rows import answered, ask, errored, read_rows, unexecuted
from sinks.emulator.openai_api.wire import MAX_ROWS, NAME, STATES, batch_usage
from sinks.emulator.provider import Ending, InputError, Problem
from sinks.emulator.tampering import tamper_bytes, tamper_rows
from sinks.emulator.work import Ask, Kind, Reply, ResultRow

_QUOTA = Problem(code="token_limit_exceeded", message="Enqueued token limit reached for this model in the organization.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """In what a server differs from OpenAI.

    no_expiry: batches never expire (Azure). error_file: an error file always exists, with zero bytes if need be. empty_id: a
    file that is not there has the id "" instead of none. scheduling: this is what the first state is called. oldest_first: listings
    begin with the oldest. no_metadata: none is kept. body_string: the body of each result is a JSON string.
    no_rest: after a cancel or an expiry the rows that were not run are in no file.
    """

    no_expiry: bool = False
    error_file: bool = False
    empty_id: bool = False
    scheduling: bool = False
    oldest_first: bool = False
    no_metadata: bool = False
    body_string: bool = False
    no_rest: bool = False


class OpenAIBatches:
    """A `sinks.emulator.course.Provider`."""

    name = NAME
    states: tuple[str, ...] = STATES
    reading = "validating"
    working = "in_progress"
    stopping = "cancelling"
    identity = "custom_id"

    def __init__(self, files: FileStore, plan: FaultPlan, dialect: Dialect) -> None:
        self._files, self._plan, self._dialect = files, plan, dialect
        self._models: dict[str, str] = {}

    def rows(self, job: Job) -> Sequence[Tree]:
        """The input file's rows."""
        try:
            content = self._files.content(job.asked["input_file_id"])
        except WireError:
            raise InputError(Problem(code="missing_input_file", message="The input file no longer exists.")) from None
        rows, problems = read_rows(content, endpoint=job.asked["endpoint"], max_rows=MAX_ROWS)
        if problems:
            raise InputError(*problems)
        self._models[job.job_id] = str(rows[0]["body"].get("model", ""))
        return rows

    def ask(self, job: Job, row: Tree) -> Ask:  # noqa: ARG002 - the protocol's
        """What a row asks for."""
        return ask(row["body"])

    def answered(self, job: Job, row: Tree, answer: Reply) -> ResultRow:  # noqa: ARG002 - the protocol's
        """The line of a row that was run."""
        return answered(row, answer)

    def unexecuted(self, row: Tree, kind: Kind) -> ResultRow | None:
        """The line of a row that was not."""
        return None if self._dialect.no_rest else unexecuted(row["custom_id"], kind)

    def finish(self, job: Job, ending: Ending, results: Sequence[ResultRow], *, at: float) -> Job:
        """Write the two files, then the final state."""
        fault = self._plan.due(f"{NAME}.results", job.job_id)
        if fault is not None and fault.fault == "all_errors":
            results = [errored(row.row_id) for row in results]
        succeeded = sum(row.kind == "succeeded" for row in results)
        counts = {"succeeded": succeeded, "errored": len(results) - succeeded}
        if fault is not None and fault.fault == "wrong_counts":
            counts["succeeded"] += 1
        used = batch_usage(sum(row.tokens_in for row in results), sum(row.tokens_out for row in results))
        if self._dialect.body_string and fault is None:
            fault = Fault(at=f"{NAME}.results", fault="body_string", rows=len(results))
        rows = tamper_rows(fault, NAME, results)
        output = self._file(job, "output", [row for row in rows if row.kind == "succeeded"], fault)
        error = self._file(job, "error", [row for row in rows if row.kind != "succeeded"], fault)
        found = {"output_file_id": output, "error_file_id": error, "usage": used, "model": self._models.pop(job.job_id)}
        return replace(job, state=ending, moments=job.moments | {ending: at}, counts=counts, results=found)

    def fail(self, job: Job, problems: Sequence[Problem], *, at: float) -> Job:
        """The batch, failed, with what is wrong with its input."""
        problems = [_QUOTA if problem.code == "quota" else problem for problem in problems]
        data = [{"code": p.code, "line": p.line or None, "message": p.message, "param": None} for p in problems]
        return replace(job, state="failed", moments=job.moments | {"failed": at}, results={"errors": {"object": "list", "data": data}})

    def early(self, job: Job, row: ResultRow) -> None:
        """Nothing: files show up with the end."""

    def _file(self, job: Job, kind: str, rows: Sequence[ResultRow], fault: Fault | None) -> str | None:
        absent = "" if self._dialect.empty_id else None
        planned = fault.fault if fault is not None else ""
        if planned in {"no_file", "empty_file_id"} and kind == "output":
            return "" if planned == "empty_file_id" else None
        if not rows and not (kind == "error" and self._dialect.error_file):
            return absent
        content = b"".join(row.line for row in rows)
        if kind == "output" or planned == "crlf":
            content = tamper_bytes(fault, content)
        shown = self._files.add(content, name=f"{job.job_id}_{kind}.jsonl", purpose="batch_output", expires_s=job.asked["output_expires_s"])
        return str(shown["id"])
