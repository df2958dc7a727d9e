"""The embedded local lane: the extraction engine in this process (or a few of its own), answers in the spool.

Invariants kept here:
- Nothing leaves: no socket, no model, no download. It passes the gate all the same (`egress.redeem`), as every lane does.
- Text lies in the spool only, mode 0600, and is there in full or not at all: a killed run finds an answered shard or none.
- One record that the engine cannot handle is one error row; the rest of the batch goes on.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from policies.model import Endpoint
from sinks import durable
from sinks.egress import redeem
from sinks.errors import EndpointError, RejectedError
from sinks.lanes import Sought
from sinks.lanes.spool_results import decode_results, encode_result
from sinks.request import Message, Prompt, TaskKind, spoken
from sinks.shard import ClearedShard, JobStatus, LaneResult

_ROWS_PER_TASK = 16


class ExtractiveLane:
    """Summaries by LexRank, fields by rule. The endpoint's setting `workers` (default 1) is the number of processes."""

    def __init__(self, spool: Path) -> None:
        self._spool = spool

    def body(self, messages: Sequence[Message], prompt: Prompt, endpoint: Endpoint) -> dict[str, Any]:
        """The task and the record's parts by slot name; the engine follows no instructions, so the template's constants stay out."""
        return {
            "task": prompt.kind.value,
            "model": endpoint.model,
            "schema": prompt.schema if prompt.kind is TaskKind.EXTRACT else None,
            "max_tokens": prompt.max_tokens,
            "parts": {part.slot: part.text for message in spoken(messages) for part in message.parts if part.slot is not None},
        }

    def row(self, row_id: str, body: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:  # noqa: ARG002 - the protocol's signature
        """One line of the shard file."""
        return {"custom_id": row_id, "body": body}

    def hand_over(self, shard: ClearedShard) -> str:
        """Answer every row, then put the answers into the spool in one step. The intent id is the job id."""
        redeem(shard)
        # Split at newlines only: text may hold U+2028 and its like.
        lines = [line for line in shard.content.split(b"\n") if line]
        try:
            results = self._answers(lines, workers=int(shard.endpoint.settings.get("workers", 1)))
            content = b"".join(encode_result(result) for result in results)
            self._spool.mkdir(mode=durable.PRIVATE_FOLDER, parents=True, exist_ok=True)
            durable.replace(self._out(shard.intent_id), content, mode=durable.PRIVATE_FILE)
        except OSError:
            raise RejectedError("spool_unwritable") from None
        except BrokenProcessPool:
            raise RejectedError("engine_crashed") from None
        return shard.intent_id

    def find(self, sought: Sought) -> Sequence[str]:
        """The intent itself if it was answered. An unanswered one left nothing: its computation ended with its process."""
        return [sought.intent_id] if self._out(sought.intent_id).exists() else []

    def poll(self, provider_job_id: str) -> JobStatus:
        """`completed` as soon as the answers lie in the spool."""
        if not self._out(provider_job_id).exists():
            return JobStatus(provider_job_id=provider_job_id, state="absent", ended=False)
        results = list(self.collect(provider_job_id))
        failed = sum(result.error_code is not None for result in results)
        return JobStatus(
            provider_job_id=provider_job_id,
            state="completed",
            ended=True,
            total=len(results),
            completed=len(results) - failed,
            failed=failed,
        )

    def collect(self, provider_job_id: str) -> Iterator[LaneResult]:
        """The answers, in the order of the rows."""
        path = self._out(provider_job_id)
        if not path.exists():
            raise EndpointError(f"extractive: job {provider_job_id} has no answers in the spool; its records need a new attempt")
        yield from decode_results(path)

    def discard(self, provider_job_id: str) -> Sequence[str]:
        """Delete the answers."""
        path = self._out(provider_job_id)
        if not path.exists():
            return []
        path.unlink(missing_ok=True)
        return [path.name]

    def _out(self, intent_id: str) -> Path:
        return self._spool / f"{intent_id}.out.jsonl"

    def _answers(self, lines: Sequence[bytes], *, workers: int) -> Iterator[LaneResult]:
        if workers <= 1 or len(lines) <= _ROWS_PER_TASK:
            yield from map(answer_row, lines)
            return
        # spawn: a fork of a process with threads (Prefect's) can hang.
        with ProcessPoolExecutor(max_workers=workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            yield from pool.map(answer_row, lines, chunksize=_ROWS_PER_TASK)


def answer_row(line: bytes) -> LaneResult:
    """The answer to one row of the shard file."""
    # The engine loads numpy and NLTK: a second that `waybill --help` must not wait for.
    from sinks.extraction import engine  # noqa: PLC0415

    row: Mapping[str, Any] = json.loads(line)
    body = row["body"]
    try:
        answer = engine.answer(schema=body["schema"], max_tokens=body["max_tokens"], parts=body["parts"])
    except Exception:  # noqa: BLE001 - whatever one text does to the engine, the batch goes on; the message could quote the text
        return LaneResult(row_id=row["custom_id"], error_code="engine_error", model=engine.MODEL, revision=engine.REVISION)
    return LaneResult(
        row_id=row["custom_id"],
        output=answer.output,
        error_code=answer.error_code,
        finish_reason=answer.finish_reason,
        model=engine.MODEL,
        revision=engine.REVISION,
        tokens_in=answer.tokens_in,
        tokens_out=answer.tokens_out,
    )
