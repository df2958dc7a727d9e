"""Attacks by the other side: a server that puts the text it was sent where Waybill keeps words for good (ledger, paths, states)."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from sinks.clients.calls import identity_of
from sinks.clients.openai_client import _batch_job
from sinks.errors import AmbiguousError, EndpointError
from sinks.ingest import ResultPlace, ingest
from sinks.lanes.openai_rows import read_row
from sinks.ledger.entry import Event
from sinks.ledger.queries import open_intents

TEXT = "Patient Goran Castellan, SSN 536-22-8145"


def line(**changes: Any) -> bytes:
    choice = {"finish_reason": changes.pop("finish_reason", "stop"), "message": {"content": "A summary."}}
    body = {"model": "gpt-x", "system_fingerprint": "fp_1a2b", "choices": [choice], **changes}
    return json.dumps({"custom_id": "a", "response": {"status_code": 200, "body": body}, "error": None}).encode()


@pytest.mark.parametrize("field", ["finish_reason", "model", "system_fingerprint"])
@pytest.mark.parametrize(
    "value",
    [TEXT, f"gpt\n{TEXT}", ["x"], {"a": TEXT}, "x" * 101, "536-22-8145/Goran.Castellan", "gpt-x-Goran-Castellan"],
    ids=["text", "line", "list", "object", "long", "like a name", "like a version"],
)
def test_a_server_cannot_put_text_into_an_outcome(field: str, value: Any) -> None:
    result = read_row(line(**{field: value}), asked="gpt-x")
    assert result.output == "A summary."
    told = (result.finish_reason, result.model, result.revision)
    assert not any(TEXT in str(word) or "Castellan" in str(word) or len(str(word)) > 100 for word in told)
    assert None in told or "other" in told


def test_ordinary_names_are_kept() -> None:
    name = "ft:gpt-4o-mini-2024-07-18:acme::B1/x+y@z"
    result = read_row(line(model=name), asked=name)
    assert (result.model, result.revision, result.finish_reason) == (name, "fp_1a2b", "stop")


def test_a_refused_row_with_an_invented_model_keeps_its_code() -> None:
    row = json.dumps({"custom_id": "a", "response": {"status_code": 400, "body": {"model": TEXT, "error": {"code": TEXT}}}}).encode()
    assert (read_row(row, asked="gpt-x").error_code, read_row(row, asked="gpt-x").model) == ("bad_request", None)


@pytest.mark.parametrize("identity", [TEXT, "", "../files", "a/../b", "/a", "x" * 513, None, 7])
def test_an_id_that_is_none_is_not_repeated(identity: Any) -> None:
    with pytest.raises(AmbiguousError) as doubt:
        identity_of(SimpleNamespace(id=identity))
    assert str(identity or "nothing") not in str(doubt.value)
    with pytest.raises(EndpointError) as refusal:
        _batch_job(SimpleNamespace(id=identity, status="completed"), "cloud-test")
    assert TEXT not in str(refusal.value)


def test_a_state_that_is_none_is_unknown_and_the_job_goes_on() -> None:
    assert _batch_job(SimpleNamespace(id="batch_1", status=TEXT), "cloud-test").state == "unknown"


def test_nothing_of_it_is_in_the_ledger(scene: Any) -> None:
    scene.hand_over(scene.frozen("r-ada"))
    (intent,) = open_intents(scene.ledger)
    row = json.loads(line(model=TEXT, system_fingerprint=TEXT, finish_reason=TEXT)) | {"custom_id": f"{intent.intent_id[:12]}-000000"}
    scene.provider.finish(intent.provider_job_id, [json.dumps(row).encode() + b"\n"])
    report = ingest(
        scene.ledger,
        scene.lane,
        intent,
        endpoint=scene.registry[intent.endpoint],
        prompt=scene.prompt,
        write=lambda rows: {row.record_id: ResultPlace(file="f", row=0, digest="d") for row in rows},
        spool=scene.spool,
        now=scene.now,
    )
    assert report.completed == 1
    (completed,) = scene.events(Event.COMPLETED)
    assert completed["finish_reason"] == "other"
    assert not any("Castellan" in str(entry) for entry in scene.events(*Event))
