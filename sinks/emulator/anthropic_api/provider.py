"""How Anthropic's batches run: the requests of the create, and a results file that holds every one of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sinks import durable
from sinks.emulator.anthropic_api import messages
from sinks.emulator.anthropic_api.wire import CANCELING, COUNTS, ENDED, IN_PROGRESS, NAME, error_body
from sinks.emulator.disk import keep
from sinks.emulator.faults import FaultPlan
from sinks.emulator.jobs import Job, Tree
from sinks.emulator.provider import Ending, InputError, Problem
from sinks.emulator.tampering import tamper_bytes, tamper_rows
from sinks.emulator.work import Ask, Kind, Reply, ResultRow, json_line

_WORDS: dict[Kind, str] = {"succeeded": "succeeded", "errored": "errored", "cancelled": "canceled", "expired": "expired"}


class AnthropicBatches:
    """A `sinks.emulator.course.Provider`. Requests and results lie in `anthropic/`."""

    name = NAME
    states: tuple[str, ...] = (IN_PROGRESS,)
    reading = working = IN_PROGRESS
    stopping = CANCELING
    identity = "custom_id"

    def __init__(self, folder: Path, plan: FaultPlan) -> None:
        self._folder, self._plan = folder / NAME, plan
        self._folder.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._cached: dict[str, set[str]] = {}

    def keep_requests(self, job_id: str, requests: Sequence[Tree]) -> None:
        """Keep what a batch is to run."""
        keep(self._folder / f"{job_id}.requests", json.dumps(requests).encode())

    def results(self, job_id: str) -> bytes:
        """The results file of a batch that has ended."""
        return (self._folder / f"{job_id}.results").read_bytes()

    def remove(self, job_id: str) -> None:
        """Delete what is kept of a batch."""
        for suffix in ("requests", "results"):
            (self._folder / f"{job_id}.{suffix}").unlink(missing_ok=True)

    def rows(self, job: Job) -> Sequence[Tree]:
        """The requests."""
        try:
            requests: list[Tree] = json.loads((self._folder / f"{job.job_id}.requests").read_bytes())
        except FileNotFoundError:
            raise InputError(Problem(code="missing", message="the requests are gone")) from None
        return requests

    def ask(self, job: Job, row: Tree) -> Ask:  # noqa: ARG002 - the protocol's
        """What a request asks for."""
        return messages.ask(row["params"]) if isinstance(row.get("params"), dict) else Ask(spoken=(), texts=())

    def answered(self, job: Job, row: Tree, answer: Reply) -> ResultRow:
        """A message, or why there is none. What is wrong with a request shows only here, not at the create."""
        params = row["params"] if isinstance(row.get("params"), dict) else {}
        if (wrong := messages.problem(params, version=str(job.asked.get("version", "")))) is not None:
            return _errored(row, "invalid_request_error", wrong)
        if answer.code is not None:
            kind = "api_error" if answer.status >= 500 else "invalid_request_error"  # noqa: PLR2004 - HTTP's own border
            return _errored(row, kind, "The request could not be answered.")
        cached = self._cached.setdefault(job.job_id, set())
        message = messages.answer(row["custom_id"], params, answer, model=str(params["model"]), cached=cached)
        line = json_line({"custom_id": row["custom_id"], "result": {"type": "succeeded", "message": message}})
        usage = message["usage"]
        tokens_in = usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
        return ResultRow(row_id=row["custom_id"], kind="succeeded", line=line, tokens_in=tokens_in, tokens_out=usage["output_tokens"])

    def unexecuted(self, row: Tree, kind: Kind) -> ResultRow:
        """A row that was never run."""
        line = json_line({"custom_id": row["custom_id"], "result": {"type": _WORDS[kind]}})
        return ResultRow(row_id=row["custom_id"], kind=kind, line=line)

    def finish(self, job: Job, ending: Ending, results: Sequence[ResultRow], *, at: float) -> Job:  # noqa: ARG002 - every end is `ended`
        """Write the results, then the end."""
        self._cached.pop(job.job_id, None)
        counts = {_WORDS[kind]: sum(row.kind == kind for row in results) for kind in _WORDS}
        fault = self._plan.due(f"{NAME}.results", job.job_id)
        if fault is not None and fault.fault == "all_errors":
            results = [_errored({"custom_id": row.row_id}, "api_error", "Internal server error") for row in results]
            counts = dict.fromkeys(COUNTS, 0) | {"errored": len(results)}
        elif fault is not None and fault.fault == "wrong_counts":
            counts["succeeded"] += 1
        rows = tamper_rows(fault, NAME, results)
        content = tamper_bytes(fault, b"".join(row.line for row in rows))
        keep(self._folder / f"{job.job_id}.results", content)
        no_file = fault is not None and fault.fault == "no_file"
        return replace(job, state=ENDED, moments=job.moments | {ENDED: at}, counts=counts, results={"no_file": no_file})

    def fail(self, job: Job, problems: Sequence[Problem], *, at: float) -> Job:  # noqa: ARG002 - there is no word for it
        """End without any result: only what lost its requests comes here."""
        keep(self._folder / f"{job.job_id}.results", b"")
        return replace(job, state=ENDED, moments=job.moments | {ENDED: at}, counts={"errored": job.total})

    def early(self, job: Job, row: ResultRow) -> None:
        """Nothing: results are not to be had before the end."""


def _errored(row: Tree, kind: str, message: str) -> ResultRow:
    result = {"type": "errored", "error": error_body(kind, message)}
    return ResultRow(row_id=row["custom_id"], kind="errored", line=json_line({"custom_id": row["custom_id"], "result": result}))
