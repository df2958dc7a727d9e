"""A vLLM job's files: who gets which rows, what a death means, and that a kill in between changes nothing."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from sinks.lanes.spool_results import encode_result
from sinks.lanes.vllm_batch import Row
from sinks.lanes.vllm_jobs import ENGINE_DIED, Job, delete_job, divide, job_exists
from sinks.shard import LaneResult


def row(number: int, *, tokens: int = 10) -> Row:
    return Row.of(json.dumps({"custom_id": f"row-{number}", "body": {"max_tokens": tokens}}).encode() + b"\n")


def make(folder: Path, count: int) -> Job:
    return Job.create(folder, "job", {"cpu-0": [row(number) for number in range(count)]})


def reopened(folder: Path) -> Job:
    job = Job.open(folder, "job")
    assert job is not None
    return job


def answer(path: Path, *row_ids: str, torn: bytes = b"") -> None:
    with path.open("ab") as file:
        file.write(b"".join(encode_result(LaneResult(row_id=row_id, output="x", tokens_out=2)) for row_id in row_ids) + torn)


def start(path: Path, *row_ids: str, torn: str = "") -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(f"{row_id}\n" for row_id in row_ids) + torn)


@pytest.mark.parametrize("seed", range(5))
def test_rows_are_divided_evenly_and_keep_their_order(seed: int) -> None:
    chance = random.Random(seed)
    rows = [row(number, tokens=chance.choice([5, 50, 500, 5000])) for number in range(200)]
    loads = [0, 3000, 0]
    given = divide(rows, loads)
    assert sorted(one.row_id for share in given for one in share) == sorted(one.row_id for one in rows)
    for share in given:
        assert [one.row_id for one in share] == [one.row_id for one in rows if one in share]
    totals = [load + sum(one.tokens for one in share) for load, share in zip(loads, given, strict=True)]
    assert max(totals) - min(totals) <= max(one.tokens for one in rows)


def test_answers_are_counted_as_they_come_and_each_once(tmp_path: Path) -> None:
    job = make(tmp_path, 4)
    output = job.shares[0].batch.output
    answer(output, "row-0", torn=b'{"row_id":"row-1","outp')
    job.read()
    assert (job.counts.done, job.unanswered) == (1, 3)
    with output.open("ab") as file:
        file.write(b'ut":"whole now"}\n')
    answer(output, "row-1", "row-2")
    job.read()
    assert (job.counts.done, job.counts.tokens_out, job.unanswered) == (3, 4, 1)


def test_in_flight_among_others_means_alone_and_alone_means_guilty(tmp_path: Path) -> None:
    (share,) = make(tmp_path, 6).shares
    start(share.batch.started, "row-0", "row-1", "row-2", torn="row-3")
    answer(share.batch.output, "row-1", torn=b'{"row_id":"row-0"')
    share.isolate()
    assert (sorted(share.alone.ids), sorted(share.batch.ids)) == (["row-0", "row-2"], ["row-1", "row-3", "row-4", "row-5"])
    assert share.batch.output.read_bytes().endswith(b"}\n")  # what was torn is gone
    start(share.alone.started, "row-0", "row-2")
    answer(share.alone.output, "row-0")
    share.isolate()
    assert [(result.row_id, result.error_code) for result in share.results()] == [("row-1", None), ("row-0", None), ("row-2", ENGINE_DIED)]
    assert (share.counts.failed, share.alone.unanswered, share.unanswered) == (1, 0, 3)
    share.isolate()  # nothing died since
    assert share.counts.done == 3


def test_a_row_alone_is_not_accused_while_others_were_in_flight(tmp_path: Path) -> None:
    (share,) = make(tmp_path, 3).shares
    start(share.batch.started, "row-0")
    share.isolate()
    start(share.batch.started, "row-1")
    start(share.alone.started, "row-0")
    share.isolate()
    assert (sorted(share.alone.ids), share.counts.failed) == (["row-0", "row-1"], 0)


def test_a_kill_between_two_writes_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (share,) = make(tmp_path, 3).shares
    before = share.batch.input.read_bytes()
    start(share.batch.started, "row-1")
    share.isolate()
    share.batch.input.write_bytes(before)  # as if we had been killed before the row left its first batch
    start(share.batch.started, "row-1")
    job = reopened(tmp_path)
    (again,) = job.shares
    assert job.rows == 3
    again.isolate()
    assert (sorted(again.alone.ids), sorted(again.batch.ids)) == (["row-1"], ["row-0", "row-2"])
    assert again.counts.failed == 0


def test_a_job_is_there_in_full_or_not_at_all(tmp_path: Path) -> None:
    assert Job.open(tmp_path, "job") is None
    job = make(tmp_path, 2)
    answer(job.shares[0].batch.output, "row-0")
    job.shares[0].device = "cpu-7"
    job.save()
    again = reopened(tmp_path)
    assert ([share.device for share in again.shares], again.before.done, again.unanswered) == (["cpu-7"], 1, 1)
    assert sorted(delete_job(tmp_path, "job")) == ["job.0.in.jsonl", "job.0.out.jsonl", "job.job.json"]
    assert not job_exists(tmp_path, "job")
    assert list(tmp_path.iterdir()) == []
