"""The Bedrock lane through the shared protocol: from a frozen shard to results, whatever the control plane and the bucket do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sinks.errors import EndpointError, ObjectMissingError
from sinks.handover import HandOverState
from sinks.lanes import Sought
from sinks.ledger.entry import Event
from tests.sinks.bedrock_control import ACCOUNT, QUOTED, drop, error, page
from tests.sinks.egress.bedrock_lane.bedrock_stage import RECORDS, Cloud
from tests.sinks.egress.kill import KilledError


def test_from_frozen_to_results(cloud_lane: Cloud) -> None:
    shard = cloud_lane.frozen()
    content = shard.path.read_bytes()
    assert cloud_lane.scene.hand_over(shard).state is HandOverState.SUBMITTED
    assert cloud_lane.keys() == [f"waybill/{shard.intent_id}.jsonl"]
    assert cloud_lane.store.read(f"waybill/{shard.intent_id}.jsonl") == content
    (sent,) = [sent for operation, sent in cloud_lane.control.asked if operation == "create"]
    assert (sent["clientRequestToken"], sent["jobName"], sent["timeoutDurationInHours"]) == (
        shard.intent_id,
        f"waybill-{shard.intent_id}",
        24,
    )
    assert sent["outputDataConfig"]["s3OutputDataConfig"]["s3BucketOwner"] == ACCOUNT
    assert not any(record_id in json.dumps(sent) for record_id in RECORDS)
    lines = [json.loads(line) for line in content.split(b"\n") if line]
    assert [line["recordId"] for line in lines] == [f"{shard.intent_id[:12]}{ordinal:06d}" for ordinal in range(3)]
    assert not cloud_lane.take_in().ended
    cloud_lane.finish(cloud_lane.answers(), manifest=b'{"totalRecordCount": 3, "successRecordCount": 3, "errorRecordCount": 0}')
    report = cloud_lane.take_in()
    assert (report.completed, report.failed, report.missing, report.quarantined, report.deleted) == (3, 0, (), 0, True)
    assert (report.status.total, report.status.completed, report.status.failed) == (3, 3, 0)
    assert {row.result.output for row in cloud_lane.rows.values()} == {"A summary."}
    assert {entry["tokens_in"] for entry in cloud_lane.scene.events(Event.COMPLETED)} == {10}
    (gone,) = cloud_lane.scene.events(Event.DELETED_REMOTE)
    assert (gone["state"], cloud_lane.keys(), cloud_lane.control.count("create")) == ("deleted_3", [], 1)


def test_a_job_whose_answer_was_lost_is_found_by_its_token(cloud_lane: Cloud) -> None:
    cloud_lane.control.after["create"] = page
    assert cloud_lane.scene.hand_over(cloud_lane.frozen()).state is HandOverState.AMBIGUOUS
    assert len(cloud_lane.recover().adopted) == 1
    cloud_lane.finish(cloud_lane.answers())
    assert cloud_lane.take_in().completed == 3
    assert (len(cloud_lane.control.jobs), cloud_lane.control.count("create")) == (1, 1)


def test_a_job_that_never_was_is_given_up_after_two_listings_and_its_input_removed(cloud_lane: Cloud) -> None:
    cloud_lane.control.before["create"] = drop
    shard = cloud_lane.frozen()
    assert cloud_lane.scene.hand_over(shard).state is HandOverState.AMBIGUOUS
    assert cloud_lane.recover().waiting == (shard.intent_id,)
    assert cloud_lane.keys() == [f"waybill/{shard.intent_id}.jsonl"]
    cloud_lane.scene.later(minutes=3)
    assert cloud_lane.recover().not_found == (shard.intent_id,)
    assert cloud_lane.keys() == []  # whatever turns up late finds nothing to run on
    assert cloud_lane.control.count("create") == 1


def test_a_listing_that_lags_behind_does_not_make_a_second_job(cloud_lane: Cloud) -> None:
    cloud_lane.control.after["create"] = drop
    cloud_lane.control.listing = lambda _: []
    assert cloud_lane.scene.hand_over(cloud_lane.frozen()).state is HandOverState.AMBIGUOUS
    assert len(cloud_lane.recover().waiting) == 1
    cloud_lane.control.listing = lambda jobs: jobs
    assert len(cloud_lane.recover().adopted) == 1


def test_a_listing_that_fails_changes_nothing(cloud_lane: Cloud) -> None:
    cloud_lane.control.after["create"] = drop
    cloud_lane.scene.hand_over(cloud_lane.frozen())
    for fault in (page, error(403, "ExpiredTokenException")):
        cloud_lane.control.before["list"] = fault
        assert len(cloud_lane.recover().unreachable) == 1
        cloud_lane.scene.later(minutes=10)
    del cloud_lane.control.before["list"]
    assert len(cloud_lane.recover().adopted) == 1


def test_a_second_job_of_an_intent_is_stopped(cloud_lane: Cloud) -> None:
    cloud_lane.control.after["create"] = drop
    cloud_lane.scene.hand_over(cloud_lane.frozen())
    (first,) = cloud_lane.control.jobs.values()
    second = cloud_lane.control.add({name: first[name] for name in first if name not in {"jobArn", "status", "submitTime"}})
    report = cloud_lane.recover()
    assert report.stopped == (second,)
    assert [job["status"] for job in cloud_lane.control.jobs.values()] == ["Submitted", "Stopping"]


def test_a_job_of_our_name_with_another_token_is_for_a_person(cloud_lane: Cloud) -> None:
    cloud_lane.control.before["create"] = drop
    shard = cloud_lane.frozen()
    cloud_lane.scene.hand_over(shard)
    cloud_lane.control.add({"jobName": f"waybill-{shard.intent_id}", "clientRequestToken": "somebody-elses"})
    assert len(cloud_lane.recover().unreachable) == 1
    with pytest.raises(EndpointError, match="resolve the hand-over by hand"):
        cloud_lane.scene.lane.find(Sought(intent_id=shard.intent_id, digest="", since=cloud_lane.scene.now, rows=3))


def test_killed_between_input_and_job(cloud_lane: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> str:
        raise KilledError

    shard = cloud_lane.frozen()
    with monkeypatch.context() as patched:
        patched.setattr(cloud_lane.jobs, "create", killed)
        with pytest.raises(KilledError):
            cloud_lane.scene.hand_over(shard)
    assert cloud_lane.keys() == [f"waybill/{shard.intent_id}.jsonl"]
    cloud_lane.recover()
    cloud_lane.scene.later(minutes=3)
    assert cloud_lane.recover().not_found == (shard.intent_id,)
    assert (cloud_lane.keys(), cloud_lane.control.count("create")) == ([], 0)


@pytest.mark.parametrize("state", ["PartiallyCompleted", "Failed"])
def test_rows_without_an_answer_go_back_whatever_the_end(cloud_lane: Cloud, state: str) -> None:
    cloud_lane.submitted()
    lines = cloud_lane.answers()[1:] if state == "PartiallyCompleted" else None
    cloud_lane.finish(lines, state=state)
    report = cloud_lane.take_in()
    assert (report.ended, report.status.state, report.status.total) == (True, state, None)
    assert report.missing == (("r-cyd",) if lines else RECORDS)
    assert set(cloud_lane.states().values()) <= {"completed", "released"}
    assert report.deleted


def test_odd_output_never_loses_a_record(cloud_lane: Cloud) -> None:
    cloud_lane.submitted()
    ada, *_ = cloud_lane.answers(ada={"error": {"errorCode": 400, "errorMessage": QUOTED}})[::-1]
    _, bob, cyd = cloud_lane.answers()[::-1]
    foreign = json.dumps({"recordId": "CALL0000001", "modelOutput": {}}).encode() + b"\n"
    other = json.dumps({**json.loads(cyd), "modelOutput": {"output": {"message": {"content": [{"text": "Another."}]}}}}).encode() + b"\n"
    cloud_lane.finish([foreign, b"\xef\xbb\xbf" + bob, bob, cyd, other, ada, bob[:50]], manifest=b"<html>")
    report = cloud_lane.take_in()
    assert cloud_lane.states() == {"r-ada": "failed", "r-bob": "completed", "r-cyd": "released"}
    (failed,) = cloud_lane.scene.events(Event.FAILED)
    assert failed["error_code"] == "bad_request"
    assert report.quarantined == 3  # a foreign row, a torn line, two answers to one row
    assert QUOTED not in str(cloud_lane.scene.events(*Event))


def test_a_download_that_breaks_is_tried_again(cloud_lane: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud_lane.submitted()
    cloud_lane.finish(cloud_lane.answers())
    whole = cloud_lane.store.get

    def gone(*_: Any, **__: Any) -> int:
        raise ObjectMissingError("removed in the middle")

    monkeypatch.setattr(cloud_lane.store, "get", gone)
    with pytest.raises(EndpointError):
        cloud_lane.take_in()
    assert set(cloud_lane.states().values()) == {"submitted"}
    monkeypatch.setattr(cloud_lane.store, "get", whole)
    assert cloud_lane.take_in().completed == 3
