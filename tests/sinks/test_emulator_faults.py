from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Batch

from sinks.emulator.faults import Fault, FaultPlan
from sinks.emulator.openai_api.multipart import parse_form
from sinks.emulator.process import start_emulator

ROWS = b"".join(
    json.dumps(
        {
            "custom_id": f"row-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": [{"role": "user", "content": f"The ferry number {number} crosses the river."}]},
        }
    ).encode()
    + b"\n"
    for number in range(4)
)


@contextmanager
def emulator(state: Path, *faults: dict[str, Any]) -> Iterator[openai.OpenAI]:
    plan = state.parent / "plan.json"
    plan.write_text(json.dumps(faults))
    with (
        start_emulator(state, faults=plan) as running,
        openai.OpenAI(base_url=running.base_url, api_key="k", max_retries=0, timeout=30) as client,
    ):
        yield client


def upload(client: openai.OpenAI) -> str:
    return client.files.create(file=("intent.jsonl", ROWS), purpose="batch").id


def create(client: openai.OpenAI, file_id: str) -> Batch:
    return client.batches.create(input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h")


def reach(client: openai.OpenAI, batch_id: str, states: set[str]) -> Batch:
    deadline = time.monotonic() + 60
    while (batch := client.batches.retrieve(batch_id)).status not in states:
        assert time.monotonic() < deadline, batch.status
        time.sleep(0.02)
    return batch


@pytest.mark.parametrize(
    ("fault", "error", "batches"),
    [
        pytest.param({"fault": "drop_before"}, openai.APIConnectionError, 0, id="dropped before the commit"),
        pytest.param({"fault": "drop_after"}, openai.APIConnectionError, 1, id="dropped after the commit"),
        pytest.param({"fault": "drop_middle"}, openai.APIConnectionError, 1, id="dropped in the middle of the answer"),
        pytest.param({"fault": "status", "status": 500}, openai.InternalServerError, 0, id="500 before the commit"),
        pytest.param({"fault": "status", "status": 503, "after_commit": True}, openai.InternalServerError, 1, id="503 after the commit"),
        pytest.param({"fault": "status", "status": 429, "retry_after_s": 7}, openai.RateLimitError, 0, id="429"),
        pytest.param({"fault": "status", "status": 409, "after_commit": True}, openai.ConflictError, 1, id="409 after the commit"),
    ],
)
def test_a_create_goes_wrong_and_the_next_one_works(
    tmp_path: Path, fault: dict[str, Any], error: type[openai.APIError], batches: int
) -> None:
    with emulator(tmp_path / "state", {"at": "batches.create", **fault}) as client:
        file_id = upload(client)
        with pytest.raises(error) as caught:
            create(client, file_id)
        if isinstance(caught.value, openai.RateLimitError):
            assert caught.value.response.headers["retry-after"] == "7"
        assert len(client.batches.list().data) == batches
        create(client, file_id)
        assert len(client.batches.list().data) == batches + 1


def test_an_upload_can_be_there_although_its_answer_was_lost(tmp_path: Path) -> None:
    with emulator(tmp_path / "state", {"at": "files.create", "fault": "drop_after", "call": 2}) as client:
        upload(client)
        with pytest.raises(openai.APIConnectionError):
            upload(client)
        assert [shown.filename for shown in client.files.list().data] == ["intent.jsonl", "intent.jsonl"]
    assert (tmp_path / "state" / "received" / "0002.bin").read_bytes().count(ROWS) == 1  # it arrived, whatever was answered


def test_a_fault_can_last_for_several_calls(tmp_path: Path) -> None:
    with emulator(tmp_path / "state", {"at": "batches.list", "fault": "status", "status": 502, "call": 2, "times": 2}) as client:
        outcomes = []
        for _ in range(4):
            try:
                client.batches.list()
                outcomes.append(200)
            except openai.APIStatusError as error:
                outcomes.append(error.status_code)
    assert outcomes == [200, 502, 502, 200]


def test_a_page_of_html_has_no_effect(tmp_path: Path) -> None:
    with emulator(tmp_path / "state", {"at": "batches.create", "fault": "html"}) as client:
        answer = client.batches.with_raw_response.create(
            input_file_id=upload(client), endpoint="/v1/chat/completions", completion_window="24h"
        )
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert client.batches.list().data == []


def test_a_listing_can_lag_behind(tmp_path: Path) -> None:
    with emulator(tmp_path / "state", {"at": "batches.list", "fault": "lag", "times": 2}) as client:
        batch = create(client, upload(client))
        assert [client.batches.list().data, client.batches.list().data] == [[], []]
        assert [listed.id for listed in client.batches.list().data] == [batch.id]


def test_a_download_can_break_off(tmp_path: Path) -> None:
    with emulator(tmp_path / "state", {"at": "files.content", "fault": "drop_middle"}) as client:
        batch = reach(client, create(client, upload(client)).id, {"completed"})
        with pytest.raises(openai.APIConnectionError):
            client.files.content(batch.output_file_id or "")
        assert len(client.files.content(batch.output_file_id or "").content.splitlines()) == 4


@pytest.mark.parametrize("state", ["validating", "in_progress", "finalizing"])
def test_a_batch_can_be_stuck_until_it_is_cancelled(tmp_path: Path, state: str) -> None:
    with emulator(tmp_path / "state", {"at": f"lifecycle.{state}", "fault": "stuck"}) as client:
        file_id = upload(client)
        stuck = reach(client, create(client, file_id).id, {state})
        reach(client, create(client, file_id).id, {"completed"})  # the next one is not
        assert client.batches.retrieve(stuck.id).status == state
        client.batches.cancel(stuck.id)
        assert reach(client, stuck.id, {"cancelled"}).cancelled_at


def test_a_batch_can_expire_half_done(tmp_path: Path) -> None:
    with emulator(tmp_path / "state", {"at": "lifecycle.in_progress", "fault": "expire", "rows": 3}) as client:
        batch = reach(client, create(client, upload(client)).id, {"expired"})
        done = client.files.content(batch.output_file_id or "").content.splitlines()
        errors = [json.loads(line) for line in client.files.content(batch.error_file_id or "").content.splitlines()]
    assert len(done) == 3
    assert [(row["custom_id"], row["response"], row["error"]["code"]) for row in errors] == [("row-3", None, "batch_expired")]


def test_a_plan_counts_each_operation_apart() -> None:
    plan = FaultPlan((Fault(at="files.list", fault="html", call=2),))
    assert [plan.due("files.list"), plan.due("batches.list"), plan.due("batches.list")] == [None, None, None]
    assert plan.due("files.list") is not None
    assert plan.due("files.list") is None


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        pytest.param(
            "multipart/form-data; boundary=b1",
            b'--b1\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\none\r\n\r\ntwo\n\r\n--b1\r\n'
            b'Content-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b1--\r\n',
            {"file": ("a", b"one\r\n\r\ntwo\n"), "purpose": ("", b"batch")},
            id="line breaks in the content stay",
        ),
        pytest.param("application/json", b"{}", {}, id="no form"),
        pytest.param("multipart/form-data; boundary=b1", b"", {}, id="empty"),
    ],
)
def test_forms(content_type: str, body: bytes, expected: dict[str, tuple[str, bytes]]) -> None:
    assert {name: (field.file_name, field.content) for name, field in parse_form(content_type, body).items()} == expected


def test_an_upload_comes_back_byte_for_byte(tmp_path: Path) -> None:
    with emulator(tmp_path / "state") as client:
        assert client.files.content(upload(client)).content == ROWS
