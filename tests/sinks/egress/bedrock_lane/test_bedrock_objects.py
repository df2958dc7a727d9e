"""Inputs and outputs of the Bedrock lane in the bucket: only its own, only whole, and none left behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sinks.errors import AmbiguousError, EndpointError, GateError, RejectedError
from tests.sinks.bedrock_control import Fault, error
from tests.sinks.egress.bedrock_lane.bedrock_stage import Bare


def test_a_shard_is_sent_once(bare: Bare) -> None:
    shard = bare.issued()
    bare.lane.hand_over(shard)
    with pytest.raises(GateError):
        bare.lane.hand_over(shard)
    with pytest.raises(GateError):
        bare.lane.hand_over(replace(shard, content=b"forged"))
    assert bare.control.count("create") == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (error(400, "ValidationException"), "bad_request"),
        (error(400, "ServiceQuotaExceededException"), "quota_exceeded"),
        (error(403, "ExpiredTokenException"), "expired_credentials"),
    ],
    ids=["invalid", "quota", "expired"],
)
def test_a_refused_job_leaves_no_input_behind(bare: Bare, fault: Fault, code: str) -> None:
    bare.control.before["create"] = fault
    with pytest.raises(RejectedError, match=code):
        bare.lane.hand_over(bare.issued())
    assert bare.keys() == []


def test_an_input_that_somebody_put_there_before_is_not_run_and_not_touched(bare: Bare) -> None:
    shard = bare.issued()
    bare.store.put(f"waybill/{shard.intent_id}.jsonl", b"somebody else's")
    with pytest.raises(RejectedError, match="input_changed"):
        bare.lane.hand_over(shard)
    assert bare.store.read(f"waybill/{shard.intent_id}.jsonl") == b"somebody else's"
    assert bare.control.count("create") == 0


def test_our_own_input_from_a_put_whose_answer_was_lost_is_used(bare: Bare) -> None:
    shard = bare.issued()
    bare.store.put(f"waybill/{shard.intent_id}.jsonl", shard.content)
    assert bare.lane.hand_over(shard) in bare.control.jobs


def test_an_input_that_cannot_be_read_back_is_not_run(bare: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> int:
        raise EndpointError("the download broke")

    monkeypatch.setattr(bare.store, "get", broken)
    shard = bare.issued()
    with pytest.raises(AmbiguousError, match="input_unverified"):
        bare.lane.hand_over(shard)
    assert bare.control.count("create") == 0
    assert bare.lane.sweep(shard.intent_id) == [f"s3://{bare.store.bucket}/waybill/{shard.intent_id}.jsonl"]
    assert bare.lane.sweep(shard.intent_id) == []


def test_output_that_lies_there_too_early_is_not_read(bare: Bare) -> None:
    shard = bare.issued()
    arn = bare.lane.hand_over(shard)
    bare.store.put(f"waybill/{shard.intent_id}/{arn[-12:]}/{shard.intent_id}.jsonl.out", b"half")
    for state in ("Submitted", "Validating", "Scheduled", "InProgress", "Stopping", "Paused"):
        bare.control.jobs[arn]["status"] = state
        assert not bare.lane.poll(arn).ended
        with pytest.raises(EndpointError, match="has not ended"):
            list(bare.lane.collect(arn))
    for state in ("Completed", "PartiallyCompleted", "Failed", "Stopped", "Expired"):
        bare.control.jobs[arn]["status"] = state
        assert bare.lane.poll(arn).ended
        assert [result.error_code for result in bare.lane.collect(arn)] == ["torn_line"]


def test_the_job_counts_and_else_its_manifest(bare: Bare) -> None:
    shard = bare.issued()
    arn = bare.lane.hand_over(shard)
    bare.control.jobs[arn]["status"] = "Completed"

    def counts() -> tuple[int | None, int | None, int | None]:
        found = bare.lane.poll(arn)
        return found.total, found.completed, found.failed

    assert counts() == (None, None, None)
    manifest = b'{"totalRecordCount": 3, "successRecordCount": 2, "errorRecordCount": 1}'
    bare.store.put(f"waybill/{shard.intent_id}/{arn[-12:]}/manifest.json.out", manifest)
    assert counts() == (3, 2, 1)
    bare.control.jobs[arn] |= {"totalRecordCount": 9, "successRecordCount": 9, "errorRecordCount": 0}
    assert counts() == (9, 9, 0)


def test_the_lane_touches_its_own_objects_only(bare: Bare) -> None:
    shard = bare.issued()
    arn = bare.lane.hand_over(shard)
    bare.store.put("waybill/somebody-elses", b"keep")
    bare.control.jobs[arn]["status"] = "Completed"
    honest = dict(bare.control.jobs[arn])
    for uri in ("s3://another-bucket/waybill/", f"s3://{bare.store.bucket}/", ""):
        bare.control.jobs[arn] = {**honest, "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": uri}}}
        with pytest.raises(EndpointError, match=r"not under settings\.bucket and prefix"):
            list(bare.lane.collect(arn))
        with pytest.raises(EndpointError, match=r"not under settings\.bucket and prefix"):
            bare.lane.discard(arn)
    bare.control.jobs[arn] = honest
    bare.store.put(f"waybill/{shard.intent_id}/{arn[-12:]}/logs/more", b"a file that nobody told us of")
    assert len(bare.lane.discard(arn)) == 2
    assert bare.keys() == ["waybill/somebody-elses"]


@pytest.mark.parametrize("state", ["COMPLETED", "partially_completed", "Stopped"])
def test_a_server_that_is_not_quite_bedrock_is_understood(bare: Bare, state: str) -> None:
    shard = bare.issued()
    arn = bare.lane.hand_over(shard)
    uri = bare.control.jobs[arn]["outputDataConfig"]["s3OutputDataConfig"]
    uri["s3Uri"] = uri["s3Uri"].rstrip("/")
    for part in ("", "elsewhere/"):
        row = b'{"recordId":"%s000000","error":{"errorCode":400}}' % shard.intent_id[:12].encode()
        bare.store.put(f"waybill/{shard.intent_id}/{part}part.jsonl.out", row)
    bare.control.jobs[arn]["status"] = state
    assert bare.lane.poll(arn).ended
    assert [result.error_code for result in bare.lane.collect(arn)] == ["bad_request"], "beside the job's folder, and not in others"
    bare.store.put(f"waybill/{shard.intent_id}/{arn.rpartition('/')[2]}/a.jsonl.out", b"")
    assert list(bare.lane.collect(arn)) == [], "its own folder goes before"
