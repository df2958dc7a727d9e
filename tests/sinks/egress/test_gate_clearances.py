"""Clearances at the gate: forged, foreign, void and spent ones are refused, and so is a record whose state has changed since."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from policies.model import Endpoint
from sinks.freeze import canonical
from sinks.ledger.entry import Entry, Event
from tests.sinks.egress.gate_refusals import forge, refused


def test_a_forged_clearance_is_refused(scene: Any) -> None:
    scene.decide("r-ada")
    scene.assign("r-ada")
    (shard,) = scene.freeze_all([scene.clear("r-ada", commit=False)]).shards
    refused(scene, shard, "no_clearance", 0)


def test_an_invented_clearance_id_is_refused(scene: Any) -> None:
    refused(scene, forge(scene.frozen(), clearance_id="0" * 32), "no_clearance", 0)


def test_another_records_clearance_is_refused(scene: Any) -> None:
    shard = scene.frozen("r-ada")
    (other,) = scene.carry("r-bob")
    refused(scene, forge(shard, clearance_id=other.clearance.clearance_id), "no_clearance", 0)


def test_another_records_decision_is_refused(scene: Any) -> None:
    shard = scene.frozen("r-ada")
    scene.carry("r-bob")
    refused(scene, forge(shard, record_id="r-bob"), "intent_id")


def test_parts_that_were_not_scanned_are_refused(scene: Any) -> None:
    item = scene.carry("r-ada")[0]
    parts = {**item.parts, "text": "Unscanned words."}
    forged = replace(item, parts=parts, part_hmacs=scene.ledger.keys.part_hmacs(parts))
    body = canonical(scene.lane.body(scene.prompt.fill(parts), scene.prompt, scene.registry["cloud-test"]))
    clearance = replace(item.clearance, payload_hmac=scene.ledger.keys.hmac("payload", body), payload_bytes=len(body))
    (shard,) = scene.freeze_all([replace(forged, clearance=clearance)]).shards
    refused(scene, shard, "parts_not_scanned", 0)


def test_one_record_twice_in_a_shard_is_refused(scene: Any) -> None:
    item = scene.carry("r-ada")[0]
    (shard,) = scene.freeze_all([item, item]).shards
    refused(scene, shard, "duplicate_record")


def test_an_undecided_record_is_refused(scene: Any) -> None:
    (shard,) = scene.freeze_all([scene.clear("r-ada", commit=False)]).shards
    refused(scene, shard, "no_decision", 0)


def test_a_clearance_is_spent_once(scene: Any) -> None:
    shard = scene.frozen()
    copy = shard.path.read_bytes()
    scene.gate(shard)
    shard.path.write_bytes(copy)
    refused(scene, shard, "clearance_spent", 0)


def test_a_later_decision_voids_a_clearance(scene: Any) -> None:
    shard = scene.frozen()
    scene.decide("r-bob")
    scene.assign("r-bob")
    refused(scene, shard, "clearance_void", 1)


def test_a_later_assignment_elsewhere_stops_the_shard(scene: Any, local: Endpoint) -> None:
    shard = scene.frozen()
    scene.assign("r-cyd", local)
    refused(scene, shard, "not_assigned", 2)


def test_an_assignment_before_the_decision_does_not_count(scene: Any) -> None:
    scene.assign("r-ada")
    scene.decide("r-ada")
    (shard,) = scene.freeze_all([scene.clear("r-ada")]).shards
    refused(scene, shard, "not_assigned", 0)


@pytest.mark.parametrize("event", [Event.HELD, Event.COMPLETED, Event.FAILED, Event.RELEASED])
def test_a_record_settled_since_is_refused(scene: Any, event: Event) -> None:
    shard = scene.frozen()
    scene.ledger.commit([Entry(event=event, at=scene.now, run_id=shard.run_id, record_id="r-bob")])
    refused(scene, shard, "record_settled", 1)


def test_a_restricted_record_never_goes_to_the_cloud(scene: Any) -> None:
    scene.decide("r-ada", lanes=("local",), requires=())
    scene.assign("r-ada")
    (shard,) = scene.freeze_all([scene.clear("r-ada")]).shards
    refused(scene, shard, "lane_not_permitted", 0)


def test_a_clearance_for_another_endpoint_is_refused(scene: Any, cloud: Endpoint) -> None:
    other = replace(cloud, name="cloud-two")
    scene.registry[other.name] = other
    items = scene.carry("r-ada")
    scene.assign("r-ada", other)
    (shard,) = scene.freeze_all(items, endpoint=other).shards
    refused(scene, shard, "clearance_mismatch", 0)


def test_a_clearance_for_another_attempt_is_refused(scene: Any) -> None:
    items = [replace(item, clearance=replace(item.clearance, attempt=2)) for item in scene.carry("r-ada")]
    (shard,) = scene.freeze_all(items).shards
    refused(scene, shard, "clearance_mismatch", 0)


@pytest.mark.parametrize(
    "changes",
    [{"attempt": 2}, {"run_id": "nightly-2026-11-21"}, {"intent_id": "f" * 32}],
    ids=["attempt", "run", "intent"],
)
def test_the_intent_is_recomputed(scene: Any, changes: dict[str, Any]) -> None:
    shard = replace(scene.frozen(), **changes)
    refused(scene, shard, "row_id" if "intent_id" in changes else "intent_id", 0 if "intent_id" in changes else None)
